"""Encode the content of a report, thousands of small items that say the same few codes again and again.

pydicom encodes each of them anew, and looks through all below it once more at every level: a second for a large study.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from pydicom import Dataset
from pydicom.dataelem import DataElement
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element
from pydicom.tag import BaseTag

_CONTENT = BaseTag(0x0040A730)  # the last element of our reports: it can be put behind the others
_ITEM = struct.pack("<HH", 0xFFFE, 0xE000)


def take_content(report: Dataset) -> bytes:
    """Take the Content Sequence out of a report; return the element in Explicit VR Little Endian."""
    element = report[_CONTENT]
    del report[_CONTENT]
    return _Writer(report.get("SpecificCharacterSet", "iso8859")).element(element)


class _Writer:
    """Encodes elements in one character set; remembers those of text."""

    def __init__(self, character_set: str | list[str]) -> None:
        self._character_set = character_set
        self._known: dict[tuple[BaseTag, str], bytes] = {}

    def element(self, element: DataElement) -> bytes:
        value = element.value
        if element.VR == "SQ":
            return _sequence(element.tag, b"".join(self._items(value)))
        if not isinstance(value, str):
            return self._encoded(element)
        key = element.tag, value
        if key not in self._known:
            self._known[key] = self._encoded(element)
        return self._known[key]

    def _items(self, items: Iterable[Dataset]) -> Iterator[bytes]:
        for item in items:
            content = b"".join(self.element(item[tag]) for tag in sorted(item.keys()))
            yield _ITEM + struct.pack("<L", len(content)) + content

    def _encoded(self, element: DataElement) -> bytes:
        buffer = DicomBytesIO()
        buffer.is_implicit_VR, buffer.is_little_endian = False, True
        write_data_element(buffer, element, self._character_set)
        return buffer.getvalue()


def _sequence(tag: BaseTag, content: bytes) -> bytes:
    return struct.pack("<HH2sHL", tag.group, tag.element, b"SQ", 0, len(content)) + content
