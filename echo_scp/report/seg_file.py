"""Write the Segmentation of a clip as a file.

highdicom builds it around two frames; the frames themselves, hundreds that differ in three numbers, are written from
templates. Built one by one they take as long as the network takes to outline them. The file is deflated, to a thirtieth
of its size; a destination that does not take that gets it inflated.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from echo_scp.config import ReportConfig
from echo_scp.model import ClipAnalysis, LabelMaps, Segmentation, StudyAnalysis
from echo_scp.report.files import ResultFile, encode_deflated, object_file
from echo_scp.report.seg import build_seg, is_on, outlined

_PER_FRAME, _PIXEL_DATA = 0x52009230, 0x7FE00010  # the last two elements of a Segmentation
_SEQUENCE, _ITEM = b"SQ", 0xFFFEE000
# What stands in a template for a frame's own numbers; each is written as wide, filled up with spaces (PS3.5 6.2).
_FRAME_NUMBER, _PLACE, _Z_MM = 987654, 0xFEDCBA98, -987653.0
_TOGETHER = 8  # masks that end on a whole byte, whatever their size (PS3.5 8.1.1)
_SAMPLE_FRAMES = 2  # highdicom reads the distance between frames off the first two


def write_seg(
    clip: ClipAnalysis, study: StudyAnalysis, config: ReportConfig, now: datetime
) -> tuple[ResultFile, bytes]:
    """Return the file of what `build_seg` builds, value by value.

    Raises ValueError when the clip has no outline on any frame.
    """
    structures, label_maps = outlined(clip)
    sample = Segmentation(_sample(label_maps, len(structures)), structures)
    seg = build_seg(replace(clip, segmentation=sample), study, config, now)
    shown = _shown(label_maps, len(structures))
    places = np.cumsum(shown.any(axis=0))  # among the frames that are left
    items: list[bytes] = []
    for item, on_frame in zip(seg.PerFrameFunctionalGroupsSequence, shown, strict=True):
        frames = np.flatnonzero(on_frame)
        items += _Template.of(item).filled(frames.tolist(), places[frames].tolist())
    representation = seg["PixelData"].VR.encode()
    seg.NumberOfFrames = len(items)
    del seg.PerFrameFunctionalGroupsSequence, seg.PixelData
    groups = b"".join(items)
    size = -(-len(items) * label_maps[0].size // 8)
    tail = (
        [_header(_PER_FRAME, _SEQUENCE, len(groups)), groups, _header(_PIXEL_DATA, representation, size + size % 2)],
        _packed(label_maps, shown),
        [bytes(size % 2)],
    )
    return object_file("SEG", seg), encode_deflated(seg, chain.from_iterable(tail))


def _shown(label_maps: LabelMaps, count: int) -> NDArray[np.bool_]:
    """Return (count, T): is the segment on the frame?"""
    return np.array([[is_on(frame, number) for frame in label_maps] for number in range(1, count + 1)])


def _packed(label_maps: LabelMaps, shown: NDArray[np.bool_]) -> Iterator[bytes]:
    """Yield the masks, a few at a time: they stay in the processor's cache."""
    masks = np.empty((_TOGETHER, *label_maps.shape[1:]), dtype=np.bool_)
    segments, frames = (places.tolist() for places in np.nonzero(shown))  # numpy's own integers would widen the labels
    for start in range(0, len(frames), _TOGETHER):
        some = slice(start, start + _TOGETHER)
        for mask, segment, frame in zip(masks, segments[some], frames[some], strict=False):
            np.equal(label_maps[frame], segment + 1, out=mask)
        yield np.packbits(masks[: len(frames[some])], bitorder="little").tobytes()


def _sample(label_maps: LabelMaps, count: int) -> LabelMaps:
    """Return a first frame that shows every segment, and an empty one behind it."""
    sample = np.zeros_like(label_maps[:_SAMPLE_FRAMES])
    sample[0].flat[:count] = np.arange(1, count + 1)
    return sample


@dataclass(frozen=True, slots=True)
class _Template:
    """The bytes of an item around its frame number, its place among the frames and its z, in this order."""

    parts: tuple[bytes, bytes, bytes, bytes]

    @classmethod
    def of(cls, item: Dataset) -> _Template:
        """Return the template of a segment's item, whose three numbers are lost."""
        item.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber = _FRAME_NUMBER
        item.FrameContentSequence[0].DimensionIndexValues[1] = _PLACE
        item.PlanePositionSequence[0].ImagePositionPatient[2] = _Z_MM
        buffer = DicomBytesIO()
        buffer.is_implicit_VR, buffer.is_little_endian = False, True
        write_dataset(buffer, item)
        before, rest = _split(buffer.getvalue(), b"IS\x06\x00", _text(_FRAME_NUMBER))
        middle, rest = _split(rest, b"", struct.pack("<L", _PLACE))
        end, after = _split(rest, b"\\", _text(_Z_MM))
        return cls((before, middle, end, after))

    def filled(self, frame_indices: list[int], places: list[int]) -> Iterator[bytes]:
        """Yield the items of frames."""
        before, middle, end, after = self.parts
        for index, place in zip(frame_indices, places, strict=True):
            number, z_mm = _text(index + 1, _FRAME_NUMBER), _text(float(-index), _Z_MM)
            content = before + number + middle + struct.pack("<L", place) + end + z_mm + after
            yield struct.pack("<HHL", _ITEM >> 16, _ITEM & 0xFFFF, len(content)) + content


def _split(content: bytes, prefix: bytes, value: bytes) -> tuple[bytes, bytes]:
    """Return what comes before `value` and after it; `prefix` tells it from the same bytes elsewhere, as in a UID."""
    before, found, after = content.partition(prefix + value)
    assert found  # what it was set to
    return before + prefix, after


def _text(number: float, as_wide_as: float | None = None) -> bytes:
    return str(number).encode().ljust(len(str(number if as_wide_as is None else as_wide_as)))


def _header(tag: int, representation: bytes, length: int) -> bytes:
    """Return what stands before a value in Explicit VR Little Endian with a length of 32 bits (PS3.5 7.1.2)."""
    return struct.pack("<HH2sHL", tag >> 16, tag & 0xFFFF, representation, 0, length)
