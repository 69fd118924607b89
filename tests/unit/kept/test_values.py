"""What is kept comes back bit for bit, or not at all."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset

from echo_scp.kept.findings import Finding
from echo_scp.kept.values import UnreadableValueError, read_value, write_value
from echo_scp.model import (
    Beat,
    Clip,
    ClipAnalysis,
    ClipMeasurement,
    Flag,
    Instance,
    NotAssessed,
    Note,
    PixelSpacing,
    Reason,
    Region,
    Segmentation,
    Structure,
    Ventricle,
    View,
    ViewEstimate,
)

INSTANCE = Instance(Dataset(), Path("clip.dcm"))
CONTOUR = np.array([[1.5, 2.25], [3.0, -0.0], [1e-300, np.pi]])


def make_ventricle(frame_index: int, **changes: object) -> Ventricle:
    values = {
        "contour": CONTOUR,
        "apex": (1.0, 2.0),
        "annulus": ((1.0, 2.0), (3.0, 4.0)),
        "length_mm": 80.1,
        "area_mm2": None,
        "disks_ml": 0.1 + 0.2,
        "area_length_ml": None,
    }
    return Ventricle(frame_index, **(values | changes))


def make_finding(ef_percent: float = 55.5, text: str = "aé") -> Finding:
    beat = Beat(make_ventricle(3), make_ventricle(9, length_mm=None), ef_percent, 51.0)
    curve = np.array([100.0, np.nan, 55.0])
    note = Note(Flag.SINGLE_BEAT, text)
    measurement = ClipMeasurement((beat,), ef_percent, None, 51.0, None, None, 66.0, False, curve, notes=(note,))
    region = Region(1, 2, 30, 40, PixelSpacing(0.4, 0.5))
    clip = Clip(INSTANCE, np.zeros((0, 48, 64), np.uint8), np.arange(3) * 25.0, region, None, (12.5,), (note,))
    view = ViewEstimate(View.A4C, 0.9, ((View.A4C, 0.9), (View.OTHER, 0.1)))
    label_maps = np.random.default_rng(0).integers(0, 4, (3, 48, 64), dtype=np.uint8)
    outlines = Segmentation(label_maps, (Structure.LV_CAVITY, Structure.LEFT_ATRIUM))
    analysis = ClipAnalysis(
        INSTANCE, clip=clip, view=view, segmentation=outlines, measurement=measurement, notes=(note,), trust=0.93
    )
    return Finding(analysis, b"\x89PNG")


def archived(value: str, array: np.ndarray) -> bytes:
    """Return a whole file that holds any JSON and an array."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("value.json", value)
        with archive.open("0.npy", "w") as file:
            np.lib.format.write_array(file, array)
    return hashlib.sha256(content.getvalue()).digest() + content.getvalue()


def same(first: object, second: object) -> bool:
    return repr_of(first) == repr_of(second)


def repr_of(value: object) -> str:
    with np.printoptions(threshold=10**9, floatmode="unique"):
        return repr(value)


@given(st.floats(allow_infinity=True, allow_nan=True), st.text())
def test_a_value_comes_back_as_it_was(ef_percent, text):
    """Types, arrays and every bit of a number."""
    finding = make_finding(ef_percent, text)

    back = read_value(Finding, write_value(finding, Instance), INSTANCE)

    assert same(back, finding)
    assert back.analysis.instance is INSTANCE
    assert back.analysis.clip.instance is INSTANCE
    assert np.array_equal(back.analysis.segmentation.label_maps, finding.analysis.segmentation.label_maps)
    assert back.analysis.clip.frames.shape == (0, 48, 64)


def test_a_clip_without_a_number_comes_back_too():
    """What was not assessed needs no second look either."""
    refusal = NotAssessed(Reason.VIEW_NOT_MEASURED, "taken for PLAX")
    finding = Finding(ClipAnalysis(INSTANCE, not_assessed=refusal))

    assert same(read_value(Finding, write_value(finding, Instance), INSTANCE), finding)


@given(st.data())
def test_damaged_bytes_are_never_a_value(data):
    """A flipped bit or a missing end is found, whatever it hits."""
    good = write_value(make_finding(), Instance)
    place = data.draw(st.integers(0, len(good) - 1))
    flipped = bytearray(good)
    flipped[place] ^= data.draw(st.integers(1, 255))

    for damaged in (bytes(flipped), good[:place]):
        with pytest.raises(UnreadableValueError):
            read_value(Finding, damaged, INSTANCE)


@pytest.mark.parametrize(
    "value",
    [
        '{"analysis": {}, "picture": 0}',
        '{"analysis": null}',
        '{"picture": 0}',
        "[]",
        "{",
        '{"analysis": {"clip": null, "view": 5, "segmentation": null, "measurement": null, "not_assessed": null,'
        ' "notes": []}, "picture": 0}',
    ],
)
def test_a_value_of_another_shape_is_refused(value):
    """A field that came or went makes the file unreadable, not the value wrong."""
    with pytest.raises(UnreadableValueError):
        read_value(Finding, archived(value, np.zeros(3, np.uint8)), INSTANCE)


def test_an_array_of_objects_is_refused():
    """Nothing that is read may run: pickles are not opened."""
    content = archived('{"label_maps": 0, "structures": []}', np.array([{}], dtype=object))

    with pytest.raises(UnreadableValueError, match="pickle"):
        read_value(Segmentation, content, INSTANCE)


def test_what_is_no_value_of_the_model_cannot_be_kept():
    """A mistake of ours shows at once, not at the next revision."""
    with pytest.raises(TypeError, match="set"):
        write_value(Finding(ClipAnalysis(INSTANCE, notes=({"a set"},))), Instance)
