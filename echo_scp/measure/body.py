"""Body surface from height and weight in the headers."""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite, sqrt
from typing import Literal

from echo_scp.model import BodySize, Flag, Instance, Note

Formula = Literal["dubois", "mosteller"]
NAMES = {"dubois": "DuBois", "mosteller": "Mosteller"}
# Newborn to the largest people on record. 170 is a height in centimetres, 0 one that nobody entered.
HEIGHT_M, WEIGHT_KG, MASS_INDEX = (0.4, 2.6), (2.0, 400.0), (8.0, 100.0)
HEIGHT, WEIGHT = "Patient's Size (0010,1020)", "Patient's Weight (0010,1030)"


def find_body(instances: Iterable[Instance], formula: Formula) -> BodySize | Note | None:
    """Return the body size; a note where it is told and not credible; None where it is not told.

    Nothing is guessed: a height that looks like centimetres is refused, and so are instances that disagree.
    """
    instances = tuple(instances)
    heights, weights = (_told(instances, keyword) for keyword in ("PatientSize", "PatientWeight"))
    if not heights or not weights:
        return None
    for name, texts in ((HEIGHT, heights), (WEIGHT, weights)):
        if len(texts) > 1:
            listed = ", ".join(_printable(text) for text in texts)
            return Note(Flag.BODY_SIZE_REFUSED, f"{name} differs between the instances of the study: {listed}")
    return _body(heights[0], weights[0], formula)


def _told(instances: Iterable[Instance], keyword: str) -> tuple[str, ...]:
    """Return the different values that instances tell, one text for each number."""
    texts = (str(instance.header.get(keyword) or "").strip() for instance in instances)
    return tuple({_number(text): text for text in sorted(texts) if text}.values())


def _body(height: str, weight: str, formula: Formula) -> BodySize | Note:
    height_m, weight_kg = _number(height), _number(weight)
    for name, text, number, (lowest, highest) in (
        (f"{HEIGHT} in m", height, height_m, HEIGHT_M),
        (f"{WEIGHT} in kg", weight, weight_kg, WEIGHT_KG),
    ):
        if not lowest <= number <= highest:
            return Note(Flag.BODY_SIZE_REFUSED, f"{name} is {_printable(text)}; credible is {lowest:g} to {highest:g}")
    mass_index = weight_kg / height_m**2
    if not MASS_INDEX[0] <= mass_index <= MASS_INDEX[1]:
        detail = f"{height_m:g} m and {weight_kg:g} kg make a body mass index of {mass_index:.0f} kg/m2"
        return Note(Flag.BODY_SIZE_REFUSED, detail)
    return BodySize(height_m, weight_kg, surface_m2(height_m, weight_kg, formula), NAMES[formula])


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return -1.0
    return value if isfinite(value) else -1.0


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text[:32])


def surface_m2(height_m: float, weight_kg: float, formula: Formula) -> float:
    """Return the body surface: DuBois 0.007184 W^0.425 H^0.725, or Mosteller sqrt(H W / 3600), H in cm, W in kg."""
    height_cm = 100 * height_m
    if formula == "mosteller":
        return sqrt(height_cm * weight_kg / 3600)
    return float(0.007184 * weight_kg**0.425 * height_cm**0.725)
