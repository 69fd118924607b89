"""A half-open pixel box."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Box:
    """Columns x0..x1 - 1 and rows y0..y1 - 1; real numbers where a box has been scaled."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def width(self) -> float:
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        return self.y1 - self.y0

    @property
    def area(self) -> float:
        return max(self.width, 0.0) * max(self.height, 0.0)

    def scaled(self, factor: float) -> Box:
        """Return the box in a picture that is `factor` times as large."""
        return Box(self.x0 * factor, self.y0 * factor, self.x1 * factor, self.y1 * factor)

    def grown(self, columns: float, rows: float) -> Box:
        """Return the box with a margin on every side."""
        return Box(self.x0 - columns, self.y0 - rows, self.x1 + columns, self.y1 + rows)

    def intersection(self, other: Box) -> Box:
        """Return the common part; its area is 0 when there is none."""
        return Box(max(self.x0, other.x0), max(self.y0, other.y0), min(self.x1, other.x1), min(self.y1, other.y1))

    def contains(self, other: Box) -> bool:
        """Say whether `other` lies wholly inside."""
        return self.x0 <= other.x0 and self.y0 <= other.y0 and self.x1 >= other.x1 and self.y1 >= other.y1
