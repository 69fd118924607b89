"""What a document is made of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Heading:
    """A numbered heading; `number` is "4.2.1", its depth the level."""

    number: str
    text: str

    @property
    def level(self) -> int:
        """1 is below the title."""
        return self.number.count(".") + 1


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text."""

    text: str


@dataclass(frozen=True, slots=True)
class Listing:
    """Points of equal rank."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of as many cells as there are columns."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


Block = Heading | Paragraph | Listing | Table


@dataclass(frozen=True, slots=True)
class Document:
    """A title and what stands below it, in order."""

    title: str
    blocks: tuple[Block, ...]
