"""Whose study it is: read from the header of a stored instance, never kept in the database."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError

from echo_scp.report.source import readable_name

_KEYWORDS = ("PatientName", "PatientID", "PatientSex", "PatientBirthDate", "StudyDate", "AccessionNumber")
_MOST = 5000  # headers that are remembered


@dataclass(frozen=True, slots=True)
class Identity:
    """The patient and the order, as the machine wrote them; empty where it wrote nothing."""

    name: str = ""
    patient_id: str = ""
    sex: str = ""
    birth_date: str = ""
    study_date: str = ""
    accession_number: str = ""

    def matches(self, text: str) -> bool:
        """Tell whether a reader's search is for this patient or order."""
        wanted = text.casefold()
        return any(wanted in value.casefold() for value in (self.name, self.patient_id, self.accession_number))


class Identities:
    """Headers that were read lately. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[Path, Identity] = OrderedDict()

    def read(self, path: Path) -> Identity:
        """Return whose instance a stored file is; nobody's when it cannot be read."""
        with self._lock:
            known = self._known.get(path)
        if known is None and (known := _read(path)) is not None:  # what cannot be read now may be read later
            with self._lock:
                self._known[path] = known
                while len(self._known) > _MOST:
                    self._known.popitem(last=False)
        return known or Identity()


def _read(path: Path) -> Identity | None:
    try:
        header = dcmread(path, stop_before_pixels=True, specific_tags=[*_KEYWORDS, "SpecificCharacterSet"])
        values = [_text(header, keyword) for keyword in _KEYWORDS]
    except (OSError, InvalidDicomError, ValueError, NotImplementedError, LookupError):
        return None
    name, patient_id, sex, birth_date, study_date, accession_number = values
    return Identity(readable_name(name), patient_id, sex, _date(birth_date), _date(study_date), accession_number)


def _text(header: Dataset, keyword: str) -> str:
    value = header.get(keyword)
    return "" if value is None else str(value)


def _date(text: str) -> str:
    """Return a DICOM date (PS3.5 6.2) as YYYY-MM-DD."""
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if len(text) == 8 and text.isdigit() else text
