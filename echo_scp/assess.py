"""Grade an ejection fraction on the published scales: every scale is a table, all that apply stand side by side.

The sources give whole percents ("41-51"); an EF is continuous. A band reaches up to the next one's first percent, so
that no value falls between: 51.6 % is not yet 52 %. Only the upper end of ASE/EACVI's normal range is taken literally.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite, nextafter

from echo_scp.model import Assessment, Grade, Sex, StudyMeasurement

THRESHOLDS_PERCENT = (50, 45, 40, 35)  # 35 %: primary-prevention ICD


@dataclass(frozen=True, slots=True)
class Scale:
    """Bands of a scale in rising order: an EF below the first number (percent) that exceeds it has that grade."""

    name: str
    bands: tuple[tuple[float, str], ...]

    def grade(self, ef_percent: float) -> Grade:
        """Return this scale's word for an EF."""
        return Grade(self.name, next(grade for below, grade in self.bands if ef_percent < below))


def _beyond(percent: float) -> float:
    return nextafter(percent, inf)


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


def assess(result: StudyMeasurement, sex: Sex | None) -> Assessment:
    """Return the grades of the EF, ASE/EACVI first, and the thresholds it is below.

    Raises ValueError for an EF that is not a number: it would compare as normal.
    """
    ef_percent = result.ef_percent
    if not isfinite(ef_percent):
        raise ValueError(f"EF must be a number, got {ef_percent}")
    return Assessment(
        grades=tuple(scale.grade(ef_percent) for scale in ASE_BY_SEX[sex] + FOR_ALL),
        thresholds_below=tuple(threshold for threshold in THRESHOLDS_PERCENT if ef_percent < threshold),
    )
