"""A few strokes of SVG: the report's figures are text in the page, sharp at any size, and need no plotting library."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape

INK, MUTED, GRID = "#1c2430", "#5b6675", "#e3e7ec"
SERIES = ("#0b6e99", "#c1531b", "#4d7c3a", "#7a4fa3")  # told apart also without colour vision
FONT = "font-family='system-ui, sans-serif'"

Point = tuple[float, float]


@dataclass(slots=True)
class Drawing:
    """Elements in the order in which they are drawn; (0, 0) is the upper left corner."""

    width: int
    height: int
    title: str
    _elements: list[str] = field(default_factory=list)

    def line(self, start: Point, end: Point, colour: str = INK, width: float = 1, dash: str = "") -> None:
        """Draw a straight line."""
        self._elements.append(
            f"<line x1='{start[0]:.1f}' y1='{start[1]:.1f}' x2='{end[0]:.1f}' y2='{end[1]:.1f}' "
            f"stroke='{colour}' stroke-width='{width}' stroke-dasharray='{dash}'/>"
        )

    def polyline(self, points: Iterable[Point], colour: str, width: float = 1.6) -> None:
        """Draw a line through points."""
        listed = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self._elements.append(f"<polyline points='{listed}' fill='none' stroke='{colour}' stroke-width='{width}'/>")

    def dot(self, at: Point, colour: str, radius: float = 2.6, title: str = "") -> None:
        """Draw a dot; `title` shows when a mouse rests on it."""
        told = f"<title>{escape(title)}</title>" if title else ""
        place = f"cx='{at[0]:.1f}' cy='{at[1]:.1f}' r='{radius}'"
        self._elements.append(f"<circle {place} fill='{colour}' fill-opacity='0.65'>{told}</circle>")

    def box(self, at: Point, width: float, height: float, colour: str, opacity: float = 1) -> None:
        """Fill a rectangle."""
        self._elements.append(
            f"<rect x='{at[0]:.1f}' y='{at[1]:.1f}' width='{width:.1f}' height='{height:.1f}' "
            f"fill='{colour}' fill-opacity='{opacity:.3f}'/>"
        )

    def text(self, at: Point, words: str, *, anchor: str = "start", size: int = 12, colour: str = INK) -> None:
        """Write a line of text with its baseline at a point."""
        self._elements.append(
            f"<text x='{at[0]:.1f}' y='{at[1]:.1f}' text-anchor='{anchor}' font-size='{size}' fill='{colour}' {FONT}>"
            f"{escape(words)}</text>"
        )

    def upright(self, at: Point, words: str) -> None:
        """Write a line of text from below upwards, centred on a point."""
        self._elements.append(
            f"<text transform='translate({at[0]:.1f} {at[1]:.1f}) rotate(-90)' text-anchor='middle' font-size='12' "
            f"fill='{MUTED}' {FONT}>{escape(words)}</text>"
        )

    def render(self) -> str:
        """Return the element `svg`."""
        return (
            f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {self.width} {self.height}' role='img' "
            f"width='{self.width}' height='{self.height}'><title>{escape(self.title)}</title>"
            f"{''.join(self._elements)}</svg>"
        )


@dataclass(frozen=True, slots=True)
class Axes:
    """Maps values onto the pixels of a frame and draws the frame."""

    drawing: Drawing
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    left: float = 58
    right: float = 14
    top: float = 30
    bottom: float = 46

    def at(self, x: float, y: float) -> Point:
        """Return the pixel of a value."""
        width = self.drawing.width - self.left - self.right
        height = self.drawing.height - self.top - self.bottom
        share_x = (x - self.x_range[0]) / (self.x_range[1] - self.x_range[0])
        share_y = (y - self.y_range[0]) / (self.y_range[1] - self.y_range[0])
        return self.left + width * share_x, self.drawing.height - self.bottom - height * share_y

    def draw(self, x_label: str, y_label: str) -> None:
        """Draw title, grid, ticks and labels."""
        drawing, floor = self.drawing, self.y_range[0]
        drawing.text((self.left, 18), drawing.title, size=13)
        for value in ticks(*self.x_range):
            x, y = self.at(value, floor)
            drawing.line((x, y), (x, self.top), GRID)
            drawing.text((x, y + 16), f"{value:g}", anchor="middle", size=11, colour=MUTED)
        for value in ticks(*self.y_range):
            x, y = self.at(self.x_range[0], value)
            drawing.line((x, y), (drawing.width - self.right, y), GRID)
            drawing.text((x - 6, y + 4), f"{value:g}", anchor="end", size=11, colour=MUTED)
        middle = (self.left + drawing.width - self.right) / 2
        drawing.text((middle, drawing.height - 10), x_label, anchor="middle", colour=MUTED)
        drawing.upright((16, (self.top + drawing.height - self.bottom) / 2), y_label)


def ticks(low: float, high: float, at_most: int = 6) -> Sequence[float]:
    """Return round values between two numbers, in steps of 1, 2 or 5 times a power of ten."""
    span = high - low
    magnitude = 10.0 ** math.floor(math.log10(span / at_most))
    step = next(magnitude * factor for factor in (1, 2, 5, 10) if span / (magnitude * factor) <= at_most)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(index * step, 9) for index in range(first, last + 1)]
