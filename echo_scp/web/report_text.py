"""A Structured Report as an outline of concept and value, as a reader would be told it (PS3.3 C.17.3)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError

_NOT_SHOWN = {"SCOORD", "SCOORD3D", "TCOORD"}  # coordinates: the picture shows them
# Not PNAME: who may see names sees them elsewhere.
_PLAIN = {"TEXT": "TextValue", "UIDREF": "UID", "DATETIME": "DateTime", "DATE": "Date", "TIME": "Time"}
_DEEPEST = 20


@dataclass(frozen=True, slots=True)
class ContentItem:
    """A node of the content tree; `value` is empty for a heading."""

    concept: str
    value: str
    children: tuple[ContentItem, ...] = ()


def read_report(path: Path) -> ContentItem | None:
    """Return the tree of a report of ours; None when the file is gone or is none."""
    try:
        document = dcmread(path)
    except (OSError, InvalidDicomError):
        return None
    return outline(document)


def outline(item: Dataset, depth: int = 0) -> ContentItem:
    """Return a content item with everything below it that a reader can read."""
    children = item.get("ContentSequence") or () if depth < _DEEPEST else ()
    shown = (child for child in children if str(child.get("ValueType", "")) not in _NOT_SHOWN)
    return ContentItem(_concept(item), _value(item), tuple(outline(child, depth + 1) for child in shown))


def _concept(item: Dataset) -> str:
    names = item.get("ConceptNameCodeSequence")
    if names:
        return str(names[0].get("CodeMeaning", ""))
    return str(item.get("RelationshipType", "")).capitalize()


def _value(item: Dataset) -> str:
    kind = str(item.get("ValueType", ""))
    if kind in _PLAIN:
        return str(item.get(_PLAIN[kind], ""))
    match kind:
        case "CODE":
            return _meaning(item.get("ConceptCodeSequence"))
        case "NUM":
            return _number(item)
        case "IMAGE" | "COMPOSITE":
            return _reference(item)
    return ""


def _number(item: Dataset) -> str:
    measured = item.get("MeasuredValueSequence")
    if not measured:
        return "not measured"
    unit = measured[0].get("MeasurementUnitsCodeSequence")
    return f"{measured[0].get('NumericValue', '')} {unit[0].get('CodeValue', '') if unit else ''}".strip()


def _reference(item: Dataset) -> str:
    references = item.get("ReferencedSOPSequence")
    if not references:
        return ""
    uid, frames = references[0].get("ReferencedSOPInstanceUID", ""), references[0].get("ReferencedFrameNumber")
    if frames is None:
        return str(uid)
    numbers = frames if hasattr(frames, "__iter__") else (frames,)
    return f"{uid}, frame {', '.join(str(number) for number in numbers)}"


def _meaning(codes: object) -> str:
    return str(codes[0].get("CodeMeaning", "")) if codes else ""  # type: ignore[index]
