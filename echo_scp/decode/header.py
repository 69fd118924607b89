"""Read the header of a stored instance, whatever a machine wrote into it."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from pydicom import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError

from echo_scp.decode import tags
from echo_scp.decode.bounds import HeaderTooLongError, read_header
from echo_scp.decode.quiet import quiet
from echo_scp.errors import InstanceError, UnindexableFileError
from echo_scp.model import Instance, Reason

_IDENTITY = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
# Groups 0002 and 0008, with which a data set without preamble begins, in little and big endian.
_FIRST_GROUPS = (b"\x02\x00", b"\x08\x00", b"\x00\x02", b"\x00\x08")
# What pydicom raises on bytes that are not what they say they are.
_PARSE_ERRORS = (
    ArithmeticError,
    AttributeError,
    BytesLengthException,
    EOFError,
    InvalidDicomError,
    LookupError,
    NotImplementedError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


def read_instance(path: Path) -> Instance:
    """Return the header of a DICOM file, without its pixel data.

    An element that cannot be parsed is left out: it counts as missing. A file without preamble or file meta information
    is read too. Raises UnindexableFileError when the file is not DICOM or says to which study, series and instance it
    belongs incompletely, InstanceError when the operating system cannot read it.
    """
    with quiet():
        header = _parse(path)
        _settle(header)
    missing = [tags.name(keyword) for keyword in _IDENTITY if not str(header.get(keyword) or "").strip()]
    if missing:
        raise UnindexableFileError(path, f"the data set has no {', '.join(missing)}")
    return Instance(header, path)


def _parse(path: Path) -> Dataset:
    try:
        return read_header(path, force=_begins_like_a_data_set(path))
    except InvalidDicomError as error:
        raise UnindexableFileError(path, "not a DICOM file") from error
    except HeaderTooLongError as error:
        raise UnindexableFileError(path, str(error)) from error
    except _PARSE_ERRORS as error:
        if isinstance(error, OSError) and error.errno is not None:  # the system's; pydicom's own carry no number
            raise InstanceError(Reason.UNDECODABLE, f"{path.name} cannot be read: {error.strerror}") from error
        # Not its text: that may quote the header.
        raise UnindexableFileError(path, f"not a readable DICOM file ({type(error).__name__})") from error


def _begins_like_a_data_set(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) in _FIRST_GROUPS


def _settle(ds: Dataset) -> None:
    """Parse every element now, so that no later stage meets an error or a warning on access."""
    for tag in list(ds.keys()):
        try:
            element = ds[tag]
            if element.VR == "PN":
                str(element.value)  # names are decoded on first use
        except _PARSE_ERRORS:
            del ds[tag]
            continue
        if element.VR == "SQ":
            for item in element.value:
                _settle(item)
