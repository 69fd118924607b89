"""An encoded data set, and how much of one is in another."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import StrEnum
from io import BytesIO
from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID
from pynetdicom.dsutils import decode

_PADDING = 0xFFFCFFFC  # Data Set Trailing Padding


class Likeness(StrEnum):
    """How much of what was sent is in what arrived."""

    BYTES = "bytes"
    ELEMENTS = "elements"  # every value, encoded in another way or another transfer syntax
    PIXELS = "pixels"  # every value but Pixel Data, which gives the same pixels
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Encoded:
    """A data set without file meta information, as it was on the wire or in a file."""

    transfer_syntax_uid: str
    data_set: bytes

    @property
    def syntax(self) -> UID:
        return UID(self.transfer_syntax_uid)

    def decode(self) -> Dataset:
        """Return the elements; values are those of pydicom."""
        syntax = self.syntax
        ds = decode(BytesIO(self.data_set), syntax.is_implicit_VR, syntax.is_little_endian, syntax.is_deflated)
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = syntax
        return ds

    def is_readable(self) -> bool:
        """Say whether it can be decoded at all."""
        try:
            return "SOPInstanceUID" in self.decode()
        except Exception:  # noqa: BLE001  # pydicom's parser raises what it likes
            return False


def read(path: Path) -> Encoded:
    """Read a Part-10 file."""
    return parse(path.read_bytes())


def parse(content: bytes) -> Encoded:
    """Cut a Part-10 file where its group length says that the data set begins (PS3.10 7.1)."""
    start = 144 + int(struct.unpack_from("<L", content, 140)[0])
    meta = decode(BytesIO(content[132:start]), is_implicit_vr=False, is_little_endian=True)
    return Encoded(str(meta.TransferSyntaxUID), content[start:])


def likeness(sent: Encoded, arrived: Encoded) -> tuple[Likeness, tuple[str, ...]]:
    """Compare; also return the names of the elements that are not the same."""
    if sent == arrived:
        return Likeness.BYTES, ()
    before, after = sent.decode(), arrived.decode()
    changed = _changed(before, after)
    if not changed:
        return Likeness.ELEMENTS, ()
    if "PixelData" in changed and np.array_equal(before.pixel_array, after.pixel_array):
        changed = tuple(name for name in changed if name != "PixelData")
    return (Likeness.OTHER if changed else Likeness.PIXELS), changed


def _changed(before: Dataset, after: Dataset) -> tuple[str, ...]:
    """Return what differs in value; group lengths and padding are no values, and a VR is part of the encoding."""
    tags = sorted(tag for tag in {*before.keys(), *after.keys()} if tag.element and tag != _PADDING)
    changed = []
    for tag in tags:
        if tag not in before or tag not in after or not _same(before[tag].value, after[tag].value):
            element = before[tag] if tag in before else after[tag]
            changed.append(element.keyword or str(tag))
    return tuple(changed)


def _same(before: object, after: object) -> bool:
    """Compare two values, sequences by their items."""
    if isinstance(before, Dataset) and isinstance(after, Dataset):
        return not _changed(before, after)
    if isinstance(before, list) and isinstance(after, list):
        return len(before) == len(after) and all(map(_same, before, after))
    return before == after
