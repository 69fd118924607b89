"""The patient's age from the headers: the scales, and the hearts that the networks have seen, are those of adults."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date

from pydicom import Dataset

from echo_scp.model import Flag, Instance, Note

ADULT_YEARS = 18
_PER_YEAR = {"D": 365.25, "W": 365.25 / 7, "M": 12.0, "Y": 1.0}  # the units of VR AS (PS3.5 6.2)


def note_child(instances: Iterable[Instance]) -> Note | None:
    """Return a note when any instance tells of a patient who is no adult; None when none does, or none tells.

    By Patient's Age (0010,1010), else from Patient's Birth Date (0010,0030) to Study Date (0008,0020).
    """
    told = [found for instance in instances if (found := _age(instance.header)) is not None]
    years, source = min(told, default=(float(ADULT_YEARS), ""))
    if years >= ADULT_YEARS:
        return None
    return Note(Flag.NOT_AN_ADULT, f"{source}: the scales and what the networks have learnt are of adults; no grade")


def _age(header: Dataset) -> tuple[float, str] | None:
    """Return the age in years, and which element told it. Identity: the value itself is not repeated."""
    text = str(header.get("PatientAge") or "").strip()
    if age := re.fullmatch(r"(\d{3})([DWMY])", text, re.ASCII):
        return int(age[1]) / _PER_YEAR[age[2]], f"Patient's Age (0010,1010) is below {ADULT_YEARS} years"
    birth, study = (_date(header, keyword) for keyword in ("PatientBirthDate", "StudyDate"))
    if birth is None or study is None or study < birth:
        return None
    years = study.year - birth.year - ((study.month, study.day) < (birth.month, birth.day))
    return float(years), f"Patient's Birth Date (0010,0030) is less than {ADULT_YEARS} years before the study"


def _date(header: Dataset, keyword: str) -> date | None:
    text = str(header.get(keyword) or "").strip()
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:])) if re.fullmatch(r"\d{8}", text, re.ASCII) else None
    except ValueError:
        return None
