"""How much memory a file may take: known before it is taken, from what is on disk and what the header says.

What is refused here is kept on disk like any other instance, and its reason is told.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, cast

from pydicom import Dataset, dcmread
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset, read_file_meta_info
from pydicom.tag import BaseTag
from pydicom.uid import DeflatedExplicitVRLittleEndian

from echo_scp.errors import InstanceError
from echo_scp.model import Reason

# Longer elements are left where they are: a private volume of some hundred MB, which no header needs.
LONGEST_ELEMENT_BYTES = 16 * 1024 * 1024
HEADER_BYTES = 256 * 1024 * 1024
_DEFLATED_HEADER_BYTES = 64 * 1024 * 1024
_SLACK_BYTES = 64 * 1024 * 1024  # header and offset tables of a file; quantisation tables and profiles of a stream
_STREAM_SLACK_BYTES = 1024 * 1024
_CHUNK_BYTES = 1024 * 1024
_PIXEL_DATA = 0x7FE00010
_GROUP_LENGTH_END = 144  # of preamble, prefix and (0002,0000)

_JPEG_FRAME_MARKERS = frozenset({*range(0xC0, 0xD0), 0xF7}) - {
    0xC4,
    0xC8,
    0xCC,
}  # SOF0..15 without DHT, JPG, DAC; SOF55
_JPEG_START, _J2K_START = b"\xff\xd8", b"\xff\x4f\xff\x51"


class HeaderTooLongError(ValueError):
    """The elements before the pixel data are more than any header has."""


class _HeaderFile:
    """A file of which no more than a header's worth is read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._left = HEADER_BYTES
        self.seek, self.tell, self.name = file.seek, file.tell, file.name

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= self._left:
            raise HeaderTooLongError(f"the header is longer than {HEADER_BYTES} bytes")
        content = self._file.read(size)
        self._left -= len(content)
        return content


def read_header(path: Path, force: bool) -> Dataset:
    """Read what comes before the pixel data, without elements longer than LONGEST_ELEMENT_BYTES.

    Raises HeaderTooLongError, and what dcmread raises.
    """
    meta = _deflated_meta(path)
    if meta is not None:
        inflated, _ = _inflate(path, meta, _DEFLATED_HEADER_BYTES)
        return _parse(path, meta, inflated, stop_before_pixels=True)
    with path.open("rb") as file:
        ds = dcmread(_HeaderFile(file), defer_size=LONGEST_ELEMENT_BYTES, stop_before_pixels=True, force=force)
    for tag in [tag for tag in ds.keys() if _is_deferred(ds, tag)]:  # noqa: SIM118 - a Dataset iterates over elements
        del ds[tag]
    ds.buffer = None  # the file is closed, and a closed file cannot be copied
    return ds


def read_whole(path: Path, header: Dataset) -> Dataset:
    """Read a file with its pixel data, of which `header` says how much there can be.

    Raises InstanceError for a file, or a deflated data set, that is longer than its pixels explain.
    """
    limit = 2 * pixel_bytes(header) + _SLACK_BYTES
    meta = _deflated_meta(path)
    if meta is None:
        size = path.stat().st_size
        if size > limit:
            raise _implausible(f"the file has {size} bytes for {pixel_bytes(header)} bytes of pixels")
        return dcmread(path, force=True)
    inflated, is_all = _inflate(path, meta, limit)
    if not is_all:
        raise _implausible(f"the data set inflates to more than {limit} bytes for {pixel_bytes(header)} of pixels")
    return _parse(path, meta, inflated, stop_before_pixels=False)


def require_plausible_streams(streams: Sequence[bytes], ds: Dataset) -> None:
    """Refuse an encoded frame that is longer, larger or has more components than its header says."""
    frame_bytes = _frame_bytes(ds)
    limit = 2 * frame_bytes + _STREAM_SLACK_BYTES
    expected = (int(ds.Rows), int(ds.Columns), int(ds.get("SamplesPerPixel") or 1))
    for number, stream in enumerate(streams, start=1):
        if len(stream) > limit:
            raise _implausible(f"frame {number} has {len(stream)} bytes for {frame_bytes} bytes of pixels")
        found = _encoded_shape(stream)
        if found is not None and found != expected:
            told = " x ".join(map(str, found))
            raise _implausible(f"frame {number} is {told} in its stream, not {' x '.join(map(str, expected))}")


def pixel_bytes(ds: Dataset) -> int:
    """Return how many bytes the frames have when they are decoded."""
    return _frame_bytes(ds) * max(int(ds.get("NumberOfFrames") or 1), 1)


def _frame_bytes(ds: Dataset) -> int:
    bits = int(ds.get("BitsAllocated") or 8)
    return int(ds.Rows) * int(ds.Columns) * int(ds.get("SamplesPerPixel") or 1) * max(bits // 8, 1)


def _encoded_shape(stream: bytes) -> tuple[int, int, int] | None:
    """Return (rows, columns, components) of a JPEG, JPEG-LS or JPEG 2000 stream; None for others, and damaged ones."""
    if stream.startswith(_J2K_START) and len(stream) >= 42:  # SIZ (ISO 15444-1, A.5.1)
        x1, y1, x0, y0 = struct.unpack_from(">4L", stream, 8)
        return y1 - y0, x1 - x0, int.from_bytes(stream[40:42])
    position = 2 if stream.startswith(_JPEG_START) else len(stream)
    while position + 10 <= len(stream) and stream[position] == 0xFF:
        marker, length = stream[position + 1], int.from_bytes(stream[position + 2 : position + 4])
        if marker in _JPEG_FRAME_MARKERS:  # ISO 10918-1, B.2.2
            rows, columns, components = struct.unpack_from(">HHB", stream, position + 5)
            return rows, columns, components
        position += 1 if marker == 0xFF else 2 + length
    return None


def _deflated_meta(path: Path) -> FileMetaDataset | None:
    """Return the file meta information of a deflated data set, None for any other."""
    with path.open("rb") as file:
        if file.read(132)[128:] != b"DICM":
            return None
    meta = read_file_meta_info(path)
    return meta if meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian else None


def _inflate(path: Path, meta: FileMetaDataset, limit: int) -> tuple[bytes, bool]:
    """Return at most `limit` bytes of the data set, and whether they are all (PS3.5 A.5)."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    pieces = []
    with path.open("rb") as file:
        file.seek(_GROUP_LENGTH_END + int(meta.FileMetaInformationGroupLength))
        while limit > 0 and not inflater.eof and (deflated := inflater.unconsumed_tail or file.read(_CHUNK_BYTES)):
            pieces.append(inflater.decompress(deflated, min(limit, _CHUNK_BYTES)))
            limit -= len(pieces[-1])
    return b"".join(pieces), limit > 0


def _parse(path: Path, meta: FileMetaDataset, inflated: bytes, *, stop_before_pixels: bool) -> Dataset:
    def is_pixel_data(tag: BaseTag, _vr: str | None, _length: int) -> bool:
        return int(tag) == _PIXEL_DATA

    stream = cast(BinaryIO, DicomBytesIO(inflated))
    content = read_dataset(stream, False, True, stop_when=is_pixel_data if stop_before_pixels else None)
    ds = FileDataset(str(path), content, bytes(128), meta, is_implicit_VR=False, is_little_endian=True)
    ds.set_original_encoding(False, True, content._character_set)
    return ds


def _is_deferred(ds: Dataset, tag: BaseTag) -> bool:
    element = ds.get_item(tag, keep_deferred=True)
    return element is not None and element.value is None and getattr(element, "length", 0) > LONGEST_ELEMENT_BYTES


def _implausible(detail: str) -> InstanceError:
    return InstanceError(Reason.UNDECODABLE, detail)
