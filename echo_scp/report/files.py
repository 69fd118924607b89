"""Name and encode what is written of a study: a retry writes the same files again."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass
from io import BytesIO
from itertools import chain

from isal import isal_zlib
from pydicom import Dataset, dcmwrite
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import DeflatedExplicitVRLittleEndian

from echo_scp.report.sr import reference_to

_PREAMBLE = bytes(128) + b"DICM"
_META_LENGTH_END = len(_PREAMBLE) + 12  # File Meta Information Group Length counts from here (PS3.10 7.1)
_DEFLATE_LEVEL = 1  # masks are long runs: more effort gains little


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


def encode(dataset: Dataset, tail: bytes = b"") -> bytes:
    """Return a Part-10 file; `tail` are elements behind the last one of the dataset, encoded already."""
    buffer = BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    buffer.write(tail)
    return buffer.getvalue()


def encode_deflated(dataset: Dataset, tail: Iterable[bytes] = ()) -> bytes:
    """Return a Part-10 file in Deflated Explicit VR Little Endian (PS3.5 A.5) of a dataset that is to be uncompressed.

    `tail` are elements behind the last one of the dataset, encoded already, in parts of any size.
    """
    content = encode(dataset)
    start = _META_LENGTH_END + int.from_bytes(content[_META_LENGTH_END - 4 : _META_LENGTH_END], "little")
    meta = deepcopy(dataset.file_meta)
    meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    buffer = DicomBytesIO()
    buffer.write(_PREAMBLE)
    write_file_meta_info(buffer, meta)
    # Raw: without header and check value.
    compressor = isal_zlib.compressobj(_DEFLATE_LEVEL, wbits=-isal_zlib.MAX_WBITS)
    length = sum(buffer.write(compressor.compress(part)) for part in chain([content[start:]], tail))
    length += buffer.write(compressor.flush())
    buffer.write(bytes(length % 2))
    return buffer.getvalue()


def picture_file(sop_instance_uid: str) -> ResultFile:
    """Return the file of the picture of a clip."""
    return ResultFile("PNG", f"{sop_instance_uid}.png", sop_instance_uid)
