"""Grade a study's numbers on the published scales: every scale is a table, all that apply stand side by side.

The sources give whole numbers ("41-51"); a measurement is continuous. A band reaches up to the next one's first whole
number, so that no value falls between: an EF of 51.6 % is not yet 52 %. The upper end of a normal range is taken
literally where nothing but "above" follows. What is graded is the number as reports tell it: one that says 50.0 % must
not say "below 50 %" beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf, isfinite, nextafter

from echo_scp.model import Assessment, Grade, Sex, StudyMeasurement, as_told

THRESHOLDS_PERCENT = (50, 45, 40, 35)  # 35 %: primary-prevention ICD


@dataclass(frozen=True, slots=True)
class Scale:
    """Bands of a scale in rising order: a value below the first number that exceeds it has that grade."""

    name: str
    bands: tuple[tuple[float, str], ...]

    def grade(self, value: float) -> Grade:
        """Return this scale's word for a value as reports tell it."""
        return Grade(self.name, next(grade for below, grade in self.bands if as_told(value) < below))


def _beyond(value: float) -> float:
    return nextafter(value, inf)


def _range(name: str, lowest: float, highest: float) -> Scale:
    """Return a scale that knows a normal range only."""
    bands = ((lowest, "below normal range"), (_beyond(highest), "normal"), (inf, "above normal range"))
    return Scale(name, bands)


def _by_sex(quantity: str, men: tuple[float, float], women: tuple[float, float]) -> dict[Sex | None, tuple[Scale, ...]]:
    of_men = _range(f"{quantity}, ASE/EACVI 2015, men", *men)
    of_women = _range(f"{quantity}, ASE/EACVI 2015, women", *women)
    return {Sex.MALE: (of_men,), Sex.FEMALE: (of_women,), None: (of_men, of_women)}


ASE_MEN = Scale(
    "ASE/EACVI 2015, men",
    (
        (30, "severely abnormal"),
        (41, "moderately abnormal"),
        (52, "mildly abnormal"),
        (_beyond(72), "normal"),
        (inf, "above normal range"),
    ),
)
ASE_WOMEN = Scale(
    "ASE/EACVI 2015, women",
    (
        (30, "severely abnormal"),
        (41, "moderately abnormal"),
        (54, "mildly abnormal"),
        (_beyond(74), "normal"),
        (inf, "above normal range"),
    ),
)
USAL_ECHO = Scale("usal_echo triage", ((40, "abnormal"), (60, "grey zone"), (inf, "normal")))
# An EF alone does not make the diagnosis of heart failure: hence "range". 40 to 41 % goes with "<= 40".
HEART_FAILURE = Scale("universal HF definition 2021", ((41, "HFrEF range"), (50, "HFmrEF range"), (inf, "HFpEF range")))
BSE = Scale("BSE 2020", ((36, "severely impaired"), (50, "impaired"), (55, "borderline"), (inf, "normal")))

ASE_BY_SEX = {Sex.MALE: (ASE_MEN,), Sex.FEMALE: (ASE_WOMEN,), None: (ASE_MEN, ASE_WOMEN)}  # unknown: say both
FOR_ALL = (USAL_ECHO, HEART_FAILURE, BSE)

# ASE/EACVI 2015 (Lang et al.), table 2: biplane volumes in mL, indices in mL/m2.
EDV = _by_sex("LV EDV", (62, 150), (46, 106))
ESV = _by_sex("LV ESV", (21, 61), (14, 42))
EDV_INDEX = _by_sex("LV EDV index", (34, 74), (29, 61))
ESV_INDEX = _by_sex("LV ESV index", (11, 31), (8, 24))
# ASE/EACVI 2015, table 4: the same for both sexes.
LA_INDEX = Scale(
    "LA volume index, ASE/EACVI 2015",
    (
        (16, "below normal range"),
        (35, "normal"),
        (42, "mildly enlarged"),
        (_beyond(48), "moderately enlarged"),
        (inf, "severely enlarged"),
    ),
)


def assess(result: StudyMeasurement, sex: Sex | None) -> Assessment:
    """Return the grades, ASE/EACVI's of the EF first, and the thresholds that the EF is below.

    Raises ValueError for an EF that is not a number: it would compare as normal.
    """
    if not isfinite(result.ef_percent):
        raise ValueError(f"EF must be a number, got {result.ef_percent}")
    of_ef = tuple(scale.grade(result.ef_percent) for scale in ASE_BY_SEX[sex] + FOR_ALL)
    told = as_told(result.ef_percent)
    return Assessment(
        grades=(*of_ef, *_volume_grades(result, sex)),
        thresholds_below=tuple(threshold for threshold in THRESHOLDS_PERCENT if told < threshold),
    )


def _volume_grades(result: StudyMeasurement, sex: Sex | None) -> Iterator[Grade]:
    for value, scales in (
        (result.edv_ml, EDV[sex]),
        (result.esv_ml, ESV[sex]),
        (result.edv_index_ml_m2, EDV_INDEX[sex]),
        (result.esv_index_ml_m2, ESV_INDEX[sex]),
        (result.la_index_ml_m2, (LA_INDEX,)),
    ):
        if value is not None and isfinite(value):
            yield from (scale.grade(value) for scale in scales)
