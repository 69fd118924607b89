"""Read single values from a header that may be incomplete or wrong."""

from __future__ import annotations

from math import isfinite

from pydicom import Dataset
from pydicom.datadict import dictionary_description, tag_for_keyword
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence


def number(ds: Dataset, keyword: str) -> float | None:
    """Return the (first) value as a finite number, None when there is none."""
    value = ds.get(keyword)
    if isinstance(value, MultiValue):
        value = value[0] if value else None
    try:
        result = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return result if isfinite(result) else None


def whole_number(ds: Dataset, keyword: str) -> int | None:
    """Return the (first) value as an integer, None when there is none or it has a fraction."""
    value = number(ds, keyword)
    return None if value is None or value != int(value) else int(value)


def numbers(ds: Dataset, keyword: str) -> tuple[float, ...]:
    """Return every value; () when one of them is not a finite number."""
    value = ds.get(keyword)
    values = value if isinstance(value, MultiValue | list | tuple) else [value]
    try:
        result = tuple(float(item) for item in values)
    except (TypeError, ValueError, OverflowError):
        return ()
    return result if all(map(isfinite, result)) else ()


def items(ds: Dataset, keyword: str) -> tuple[Dataset, ...]:
    """Return the items of a sequence; () for what was written as another value representation."""
    value = ds.get(keyword)
    return tuple(value) if isinstance(value, Sequence) else ()


def words(ds: Dataset, keyword: str) -> tuple[str, ...]:
    """Return the non-empty values as upper-case text."""
    value = ds.get(keyword)
    values = value if isinstance(value, MultiValue | list | tuple) else [value]
    texts = [str(item).strip().upper() for item in values if item is not None]
    return tuple(text for text in texts if text)


def name(keyword: str) -> str:
    """Return how a detail names an element: 'Frame Time (0018,1063)'."""
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise ValueError(f"{keyword} is not a keyword of PS3.6")
    return f"{dictionary_description(tag)} ({tag >> 16:04X},{tag & 0xFFFF:04X})"


def told(ds: Dataset, keyword: str) -> str:
    """Return an element's name and value for a detail."""
    value = ds.get(keyword)
    text = "missing" if value is None else str(value)
    # A file's own bytes: a NUL or a line end must not reach a table or a log.
    return f"{name(keyword)} is {''.join(letter if letter.isprintable() else '?' for letter in text)}"
