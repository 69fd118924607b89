"""Playable cines: the 2D region only, with the outline where it is."""

from __future__ import annotations

import json
import struct

import cv2
import numpy as np
from pydicom import dcmread

from echo_scp.config import ReportConfig
from echo_scp.model import Region
from echo_scp.report import write_seg
from echo_scp.web.cine import encode_cine, outlines_of
from tests.unit.fakes import make_clip
from tests.unit.report.builders import NOW, make_clip_analysis, make_study_analysis


def unpack(content: bytes):
    (length,) = struct.unpack_from(">L", content)
    head = json.loads(content[4 : 4 + length])
    pictures, start = [], 4 + length
    for size in head["sizes"]:
        pictures.append(cv2.imdecode(np.frombuffer(content[start : start + size], np.uint8), cv2.IMREAD_UNCHANGED))
        start += size
    assert start == len(content)
    return head, pictures


def test_only_the_region_is_shown():
    """The bright line outside it, which may be a name, is in no picture."""
    frames = np.full((3, 100, 200), 40, np.uint8)
    frames[:, :20] = 255
    clip = make_clip(frames, region=Region(10, 30, 190, 90, None))

    head, pictures = unpack(encode_cine(clip, {}))

    assert [picture.shape for picture in pictures] == [(60, 180)] * 3
    assert max(int(picture.max()) for picture in pictures) < 60
    assert head["times_ms"] == [0.0, 25.0, 50.0]
    assert head["outlines"] == [[], [], []]


def test_outlines_lie_in_the_pixels_of_the_picture():
    """Of a large clip the picture is smaller, and the outline with it."""
    frames = np.zeros((2, 960, 960), np.uint8)
    mask = np.zeros((960, 960), bool)
    mask[200:400, 100:300] = True

    head, pictures = unpack(encode_cine(make_clip(frames), {2: mask}))

    first, (square,) = head["outlines"]
    assert pictures[0].shape == (480, 480)
    assert first == []
    assert np.min(square, axis=0).round().tolist() == [50, 100]
    assert np.max(square, axis=0).round().tolist() == [150, 200]


def test_the_outline_is_that_of_the_segmentation(tmp_path):
    """Every mask of the LV comes back from the SEG, under its frame number."""
    clip = make_clip_analysis()
    file, content = write_seg(clip, make_study_analysis(clip), ReportConfig(), NOW)
    path = tmp_path / file.name
    path.write_bytes(content)

    masks = outlines_of(dcmread(path))

    cavity = clip.segmentation.label_maps == 1
    shown = [index for index, frame in enumerate(cavity) if frame.any()]
    assert sorted(masks) == [index + 1 for index in shown]
    assert all(np.array_equal(masks[index + 1], cavity[index]) for index in shown)
