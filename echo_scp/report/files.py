"""Name and encode what is written of a study: a retry writes the same files again."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

from pydicom import Dataset, dcmwrite

from echo_scp.report.sr import reference_to


@dataclass(frozen=True, slots=True)
class ResultFile:
    """One file that a study's analysis gives: a DICOM object (SR, SEG) or a picture (PNG)."""

    kind: str
    name: str
    sop_instance_uid: str
    series_instance_uid: str = ""
    sop_class_uid: str = ""

    def as_evidence(self, study_instance_uid: str) -> Dataset:
        """Return what a report must know of the object to name it."""
        return reference_to(study_instance_uid, self.series_instance_uid, self.sop_instance_uid, self.sop_class_uid)


def object_file(kind: str, dataset: Dataset) -> ResultFile:
    """Return the file of a DICOM object."""
    uid = str(dataset.SOPInstanceUID)
    return ResultFile(kind, f"{kind}-{uid}.dcm", uid, str(dataset.SeriesInstanceUID), str(dataset.SOPClassUID))


def encode(dataset: Dataset) -> bytes:
    """Return a Part-10 file."""
    buffer = BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def picture_file(sop_instance_uid: str) -> ResultFile:
    """Return the file of the picture of a clip."""
    return ResultFile("PNG", f"{sop_instance_uid}.png", sop_instance_uid)
