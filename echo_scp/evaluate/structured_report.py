"""Read EF and LV volumes from another device's measurement report (PS3.16 TID 5200, Echocardiography Procedure Report).

A cart lists a number per beat, per plane and per method. The best kind is taken for each quantity: biplane disks before
single-plane disks before other methods; of these what somebody chose or the device averaged, before single beats, and
these before the largest and smallest of them. Several of the same kind are averaged; a spread is no value.
A report that another one replaces does not count.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from pydicom import Dataset

from echo_scp.evaluate.case import Reference

Code = tuple[str, str]  # code value, coding scheme designator

BIPLANE, FOUR_CHAMBER, TWO_CHAMBER, UNSAID, OTHER = range(5)  # the best first
EF, EDV, ESV = "ef_percent", "edv_ml", "esv_ml"
CONCEPTS: dict[Code, tuple[str, int]] = {
    ("18043-0", "LN"): (EF, UNSAID),
    ("79991-6", "LN"): (EF, BIPLANE),
    ("79993-2", "LN"): (EF, FOUR_CHAMBER),
    ("79992-4", "LN"): (EF, TWO_CHAMBER),
    ("18026-5", "LN"): (EDV, UNSAID),
    ("79996-5", "LN"): (EDV, BIPLANE),
    ("79999-9", "LN"): (EDV, FOUR_CHAMBER),
    ("79998-1", "LN"): (EDV, TWO_CHAMBER),
    ("18148-7", "LN"): (ESV, UNSAID),
    ("80001-1", "LN"): (ESV, BIPLANE),
    ("80004-5", "LN"): (ESV, FOUR_CHAMBER),
    ("80003-7", "LN"): (ESV, TWO_CHAMBER),
}
METHOD: set[Code] = {("370129005", "SCT"), ("G-C036", "SRT")}
METHODS: dict[Code, int] = {
    ("125207", "DCM"): BIPLANE,
    ("125208", "DCM"): FOUR_CHAMBER,
    ("125204", "DCM"): OTHER,  # area-length
    ("125205", "DCM"): OTHER,
    ("125206", "DCM"): OTHER,  # cube
    ("125209", "DCM"): OTHER,  # Teichholz
}
IMAGE_VIEW: set[Code] = {("111031", "DCM")}
TWO_CHAMBER_VIEWS: set[Code] = {("399232001", "SCT"), ("G-A19B", "SRT")}
DERIVATION: set[Code] = {("121401", "DCM")}
MEANS: set[Code] = {("373098007", "SCT"), ("R-00317", "SRT")}
EXTREMES: set[Code] = {("56851009", "SCT"), ("G-A437", "SRT"), ("255605001", "SCT"), ("R-404FB", "SRT")}
SPREADS: set[Code] = {("386136009", "SCT"), ("R-10047", "SRT")}  # a standard deviation is in percent as well
SELECTION: set[Code] = {("121404", "DCM")}
UNITS = {EF: {"%"}, EDV: {"mL", "ml", "cm3"}, ESV: {"mL", "ml", "cm3"}}

Modifiers = dict[Code, Code]


@dataclass(frozen=True, slots=True)
class Reported:
    """One number of the report; the lowest `rank` is the best kind."""

    quantity: str
    value: float
    rank: tuple[int, int]


def read_reference(*reports: Dataset) -> Reference:
    """Return the EF in percent and the volumes in mL of the reports of one study; None for what they do not tell."""
    reported = tuple(number for report in _in_force(reports) for number in _numbers(report, {}))
    return Reference(**{quantity: _best(quantity, reported) for quantity in (EF, EDV, ESV)})


def _in_force(reports: Sequence[Dataset]) -> Iterator[Dataset]:
    """Yield the reports that no other one names as its predecessor (PS3.3 C.17.2)."""
    replaced = {
        str(instance.get("ReferencedSOPInstanceUID", ""))
        for report in reports
        for study in report.get("PredecessorDocumentsSequence") or ()
        for series in study.get("ReferencedSeriesSequence") or ()
        for instance in series.get("ReferencedSOPSequence") or ()
    }
    yield from (report for report in reports if str(report.get("SOPInstanceUID", "")) not in replaced)


def _best(quantity: str, reported: tuple[Reported, ...]) -> float | None:
    found = [number for number in reported if number.quantity == quantity]
    best = min((number.rank for number in found), default=None)
    values = [number.value for number in found if number.rank == best]
    return float(np.mean(values)) if values else None


def _numbers(item: Dataset, inherited: Modifiers) -> Iterator[Reported]:
    """Yield the numbers below an item; a container's modifiers hold for all that it contains."""
    children = tuple(item.get("ContentSequence") or ())
    modifiers = inherited | dict(filter(None, map(_modifier, children)))
    for child in children:
        if child.get("ValueType") == "NUM":
            number = _reported(child, modifiers)
            if number is not None:
                yield number
        else:
            yield from _numbers(child, modifiers)


def _modifier(item: Dataset) -> tuple[Code, Code] | None:
    name, value = _code(item, "ConceptNameCodeSequence"), _code(item, "ConceptCodeSequence")
    said = item.get("ValueType") == "CODE" and item.get("RelationshipType") in {"HAS CONCEPT MOD", "HAS ACQ CONTEXT"}
    return (name, value) if said and name and value else None


def _reported(item: Dataset, inherited: Modifiers) -> Reported | None:
    name = _code(item, "ConceptNameCodeSequence")
    value = _value(item)
    if name not in CONCEPTS or value is None:
        return None
    quantity, kind = CONCEPTS[name]
    children = tuple(item.get("ContentSequence") or ())
    modifiers = inherited | dict(filter(None, map(_modifier, children)))
    derived = {modifiers.get(code) for code in DERIVATION}
    if value[1] not in UNITS[quantity] or derived & SPREADS:
        return None
    chosen = any(_code(child, "ConceptNameCodeSequence") in SELECTION for child in children)
    preference = 0 if chosen else 1 if derived & MEANS else 3 if derived & EXTREMES else 2
    return Reported(quantity, value[0], (_kind(kind, modifiers), preference))


def _kind(kind: int, modifiers: Modifiers) -> int:
    """Return what the concept's own name says, else its method and view."""
    if kind != UNSAID:
        return kind
    method = next((modifiers[code] for code in METHOD if code in modifiers), None)
    said = UNSAID if method is None else METHODS.get(method, OTHER)
    two_chamber = any(modifiers.get(code) in TWO_CHAMBER_VIEWS for code in IMAGE_VIEW)
    return TWO_CHAMBER if said == FOUR_CHAMBER and two_chamber else said


def _value(item: Dataset) -> tuple[float, str] | None:
    for measured in item.get("MeasuredValueSequence") or ():
        unit = _code(measured, "MeasurementUnitsCodeSequence")
        try:
            return float(measured.NumericValue), unit[0] if unit else ""
        except (AttributeError, TypeError, ValueError):
            return None
    return None


def _code(item: Dataset, keyword: str) -> Code | None:
    for code in item.get(keyword) or ():
        return str(code.get("CodeValue", "")), str(code.get("CodingSchemeDesignator", ""))
    return None
