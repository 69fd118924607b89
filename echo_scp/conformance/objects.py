"""Section 8: what the created objects hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass

from pydicom.sr.coding import Code

from echo_scp.conformance.blocks import Block, Heading, Paragraph, Table
from echo_scp.receive.offer import name_of
from echo_scp.report import codes
from echo_scp.report.sop_classes import SOP_CLASSES

_CONTENT = {
    "SR": (
        "TID 1500 Imaging Measurement Report when a contour is drawn, else TID 5200 as text; preliminary, unverified; "
        "Predecessor Documents Sequence in a later revision"
    ),
    "SR_COMPREHENSIVE": "what the SR says, as Comprehensive SR, for destinations that do not take Comprehensive 3D SR",
    "SR_ECHO": "TID 5200 Echocardiography Procedure Report, for echo reporting systems",
    "SR_SIMPLIFIED": "TID 5300 Simplified Echo Procedure Report: each number once; made when asked for",
    "CINE": "the measured clip with the outlined LV and its volume curve burnt in",
    "KO": "the frames of end-diastole and end-systole",
    "PDF": "one page with the numbers and pictures",
    "SEG": "one object per measured clip, frame by frame on the multi-frame source; Segment Algorithm Type AUTOMATIC",
}


def annexes() -> Iterator[Block]:
    """Yield section 8."""
    yield Heading("8", "Annexes")
    yield Heading("8.1", "IOD contents")
    rows = ((kind, name_of(uid), _CONTENT[kind]) for kind, uids in SOP_CLASSES.items() for uid in uids)
    yield Table(("kind", "created SOP class", "content"), tuple(rows))
    yield Paragraph(
        "Each object is a new series of its study, with the patient and study attributes of the received instances. "
        "UIDs derive from the study, its revision, inputs, engines, settings, version and kind: the same result is "
        "always the same object."
    )
    yield Heading("8.2", "Data dictionary of private attributes")
    yield Paragraph("None.")
    yield Heading("8.3", "Coded terminology")
    found = sorted(set(_codes(vars(codes).values())), key=lambda code: (code.scheme_designator, code.value))
    yield Table(
        ("code", "scheme", "meaning"), tuple((code.value, code.scheme_designator, code.meaning) for code in found)
    )
    yield Heading("8.4", "Standard extended, specialized and private SOP classes")
    yield Paragraph("None.")


def _codes(values: object) -> Iterator[Code]:
    """Yield every code of the report's table, however it is nested."""
    if isinstance(values, Code):
        yield values
    elif isinstance(values, Mapping):
        yield from _codes(values.values())
    elif is_dataclass(values) and not isinstance(values, type):
        yield from _codes([getattr(values, field.name) for field in fields(values)])
    elif not isinstance(values, (str, type)) and hasattr(values, "__iter__"):
        for value in values:
            yield from _codes(value)
