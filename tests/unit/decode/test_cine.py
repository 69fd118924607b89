"""A few frames first, all of them when they are wanted: the same frames, times and region either way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from hypothesis import given
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view
from pydicom import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from echo_scp.decode import decode_all, decode_clip, decoded_pixels, open_cine
from echo_scp.decode.chroma import _medians
from echo_scp.decode.spread import spread
from echo_scp.model import Reason
from tests.unit.decode.builders import (
    CONFIG,
    COUNT,
    make_dataset,
    make_encapsulated,
    make_frames,
    make_instance,
    refusal,
    rgb,
)

PREVIEW = 4
JPEG_HEADER = {"SamplesPerPixel": 3, "PhotometricInterpretation": "YBR_FULL_422", "PlanarConfiguration": 0}


def jpeg_streams(count: int = COUNT) -> list[bytes]:
    return [
        simplejpeg.encode_jpeg(np.ascontiguousarray(frame), colorspace="RGB", colorsubsampling="422")
        for frame in rgb(make_frames(count=count))
    ]


def compressed(syntax: str) -> Dataset:
    ds = make_dataset()
    ds.compress(syntax, generate_instance_uid=False)
    return ds


ENCODINGS = {
    "native": make_dataset,
    "native colour": lambda: make_dataset(rgb(make_frames())),
    "jpeg": lambda: make_encapsulated(jpeg_streams(), JPEGBaseline8Bit, **JPEG_HEADER),
    "rle": lambda: compressed(RLELossless),
    "jpeg-ls": lambda: compressed(JPEGLSLossless),
    "jpeg 2000": lambda: compressed(JPEG2000Lossless),
    "16 bits": lambda: make_dataset(make_frames().astype(np.uint16) * 16, BitsStored=12),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("placed", [True, False], ids=["region listed", "region found"])
def test_the_preview_is_some_frames_of_the_clip(tmp_path: Path, encoding: str, placed: bool) -> None:
    """However the pixels are stored, and whoever says where the region is."""
    ds = ENCODINGS[encoding]()
    if not placed:
        ds.SequenceOfUltrasoundRegions = Sequence()
    instance = make_instance(tmp_path, ds)

    cine = open_cine(instance, CONFIG, PREVIEW)
    clip = decode_all(cine)

    shown = list(spread(COUNT, PREVIEW))
    assert np.array_equal(cine.preview.frames, clip.frames[shown])
    assert np.array_equal(cine.preview.frame_times_ms, clip.frame_times_ms[shown])
    assert len(clip.frames) == len(clip.frame_times_ms) == COUNT
    assert cine.preview.region == clip.region
    assert cine.preview.notes == clip.notes


@pytest.mark.parametrize("preview", [1, 2, 5, COUNT, 1000])
def test_what_is_known_does_not_depend_on_how_much_is_looked_at(tmp_path: Path, preview: int) -> None:
    """Region, notes and every frame are the same."""
    ds = make_dataset()
    ds.SequenceOfUltrasoundRegions = Sequence()
    instance = make_instance(tmp_path, ds)

    clip = decode_all(open_cine(instance, CONFIG, preview))

    expected = decode_clip(instance, CONFIG)
    assert np.array_equal(clip.frames, expected.frames)
    assert (clip.region, clip.notes) == (expected.region, expected.notes)


def test_damage_in_frames_that_nobody_looks_at_is_found_when_they_are_wanted(tmp_path: Path) -> None:
    """The view can still be told; the clip cannot be measured."""
    streams = jpeg_streams(count=40)
    streams[10] = streams[10][:40]
    instance = make_instance(tmp_path, make_encapsulated(streams, JPEGBaseline8Bit, **JPEG_HEADER))

    cine = open_cine(instance, CONFIG, 2)

    assert refusal(lambda: decode_all(cine)).reason is Reason.UNDECODABLE


@given(st.integers(1, 200), st.integers(1, 40))
def test_chosen_frames_are_spread_and_in_order(count: int, wanted: int) -> None:
    """At most as many as wanted, the first and the last among them, no two alike."""
    chosen = spread(count, wanted)

    assert len(chosen) <= min(count, wanted)
    assert chosen[0] == 0
    assert chosen[-1] == count - 1 or wanted == 1
    assert list(chosen) == sorted(set(chosen))
    if len(chosen) > 2:
        steps = sliding_window_view(chosen, 2)
        assert np.ptp(steps[:, 1] - steps[:, 0]) <= 1


@pytest.mark.parametrize(
    ("header", "pixels"),
    [
        ({"Rows": 10, "Columns": 20, "NumberOfFrames": 3}, 600),
        ({"Rows": 10, "Columns": 20}, 200),
        ({}, 0),
        ({"Rows": 10, "Columns": 20, "NumberOfFrames": -3}, 0),
    ],
)
def test_the_size_of_a_clip_is_known_before_it_is_read(header: dict[str, int], pixels: int) -> None:
    """As far as the header tells it; no header is an error."""
    ds = Dataset()
    for keyword, value in header.items():
        setattr(ds, keyword, value)

    assert decoded_pixels(ds) == pixels


@given(st.lists(st.tuples(st.integers(0, 31), st.integers(-255, 255)), min_size=1, max_size=60))
def test_counted_medians_are_numpys(pixels: list[tuple[int, int]]) -> None:
    """Of as many pixels as there are, even or odd; halves go towards zero."""
    level, chroma = np.array(pixels, dtype=np.intp).T

    medians = _medians(level, chroma.astype(np.int16))

    for wanted in range(32):
        chosen = chroma[level == wanted]
        assert medians[wanted] == (int(np.median(chosen)) if len(chosen) else 0)
