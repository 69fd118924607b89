"""What a network sees of a picture, and its answer back in the picture's pixels."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from echo_scp.inference.framing import Framing, framing
from echo_scp.inference.interface import InputTensor
from echo_scp.model import PixelSpacing, Region

TENSOR = InputTensor(tensor="frames", size=64, mean=0.0, std=1.0)
ECHONET = InputTensor(
    tensor="frames",
    size=112,
    channels=3,
    scale=1.0,
    mean=32.7,
    std=50.0,
    fit="crop",
    border=0.1,
    interpolation="cubic",
    sector_degrees=90.0,
)


def fit(region: Region, **changes: object) -> Framing:
    return framing(region, TENSOR.model_copy(update=changes))


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def disk(height: int, width: int) -> np.ndarray:
    truth = np.zeros((height, width), dtype=np.uint8)
    cv2.ellipse(truth, (width * 6 // 10, height // 2), (50, 35), 20, 0, 360, 1, -1)
    return truth


@given(
    height=st.integers(20, 300),
    width=st.integers(20, 300),
    row_mm=st.floats(0.1, 1.0),
    column_mm=st.floats(0.1, 1.0),
)
def test_the_longer_side_in_millimetres_fills_the_square(height, width, row_mm, column_mm):
    """Whatever the spacing, one millimetre is as long across as it is down."""
    target = fit(Region(0, 0, width, height, PixelSpacing(row_mm, column_mm))).target

    assert max(target.width, target.height) == 64
    tall, wide = height * row_mm, width * column_mm
    assert target.height == pytest.approx(max(1, 64 * tall / max(tall, wide)), abs=0.51)


@given(
    height=st.integers(20, 300),
    width=st.integers(20, 300),
    row_mm=st.floats(0.1, 1.0),
    step=st.sampled_from([8, 16, 32]),
)
def test_a_network_of_many_sizes_is_spared_the_black(height, width, row_mm, step):
    """Its canvas is the square's middle; what is left out was black, and less than one step more would be needed."""
    frame = noise(1, height, width) | 1
    region = Region(0, 0, width, height, PixelSpacing(row_mm, 0.4))
    square, canvas = fit(region).batch(frame), fit(region, multiple_of=step).batch(frame)

    cut = [(64 - side) // 2 for side in canvas.shape[2:]]
    middle = square[..., cut[0] : 64 - cut[0], cut[1] : 64 - cut[1]]
    assert np.array_equal(canvas, middle)
    assert np.count_nonzero(canvas) == np.count_nonzero(square)
    target = fit(region).target
    assert [side % step for side in canvas.shape[2:]] == [0, 0]
    assert canvas.shape[2] - target.height < step
    assert canvas.shape[3] - target.width < step


@given(
    height=st.integers(20, 300),
    width=st.integers(20, 300),
    row_mm=st.floats(0.2, 0.5),
    column_mm=st.floats(0.2, 0.5),
    border=st.floats(0.0, 0.3),
)
def test_a_crop_is_a_centred_square_in_millimetres(height, width, row_mm, column_mm, border):
    """The shorter side, without the border on both of its ends."""
    region = Region(7, 11, 7 + width, 11 + height, PixelSpacing(row_mm, column_mm))

    source = fit(region, fit="crop", border=border).source

    side_mm = min(height * row_mm, width * column_mm) * (1 - 2 * border)
    assert source.width * column_mm == pytest.approx(side_mm, abs=0.51 * column_mm)
    assert source.height * row_mm == pytest.approx(side_mm, abs=0.51 * row_mm)
    assert (source.x0 + source.x1) / 2 == pytest.approx(7 + width / 2, abs=0.51)
    assert (source.y0 + source.y1) / 2 == pytest.approx(11 + height / 2, abs=0.51)


def test_without_calibration_pixels_are_square():
    """Twice as wide as high stays twice as wide as high."""
    target = fit(Region(10, 10, 210, 110, None)).target

    assert (target.width, target.height) == (64, 32)


def test_a_stretched_region_fills_the_whole_square():
    """Nothing is padded, nothing is cut."""
    frame = np.full((100, 200), 200, dtype=np.uint8)

    fitted = fit(Region(10, 10, 190, 40, None), fit="stretch").fitted(frame[None])

    assert (fitted == 200).all()


def test_a_network_of_whole_pictures_sees_beyond_the_region():
    """Published view networks were trained on the screen as it is."""
    frame = noise(1, 80, 120)
    tensor = TENSOR.model_copy(update={"area": "picture", "fit": "stretch"})

    fitted = framing(Region(50, 30, 60, 40, None), tensor, frame.shape).fitted(frame)

    assert np.array_equal(fitted[0], cv2.resize(frame[0], (64, 64), interpolation=cv2.INTER_AREA))


@pytest.mark.parametrize(
    ("interpolation", "side", "expected"),
    [
        ("area", 128, cv2.INTER_AREA),
        ("area", 32, cv2.INTER_LINEAR),
        ("linear", 128, cv2.INTER_LINEAR),
        ("cubic", 128, cv2.INTER_CUBIC),
    ],
)
def test_the_resampler_is_the_one_that_the_manifest_names(interpolation, side, expected):
    """It is a part of the network; only averaging changes when there is nothing to average."""
    frame = noise(1, side, side)

    fitted = fit(Region(0, 0, side, side, None), interpolation=interpolation).fitted(frame)

    assert np.array_equal(fitted[0], cv2.resize(frame[0], (64, 64), interpolation=expected))


def test_a_circle_in_millimetres_is_a_circle_for_the_network():
    """Pixels half as high as wide show a circle as an upright ellipse; the network sees the circle again."""
    frame = np.zeros((200, 100), dtype=np.uint8)
    cv2.ellipse(frame, (50, 100), (30, 60), 0, 0, 360, 255, -1)

    (seen,) = fit(Region(0, 0, 100, 200, PixelSpacing(0.5, 1.0))).batch(frame[None])[0]

    rows, columns = np.nonzero(seen > 0.5)
    assert np.ptp(rows) == pytest.approx(np.ptp(columns), abs=2)


@pytest.mark.parametrize(
    "how", [{"fit": "letterbox"}, {"multiple_of": 32}, {"fit": "stretch"}, {"fit": "crop"}], ids=str
)
def test_labels_come_back_to_the_pixels_that_they_were_drawn_on(how):
    """A disk in an off-centre region of an anisotropic picture returns with Dice over 0.98, however it was fitted."""
    truth = disk(150, 260)
    box = fit(Region(60, 20, 240, 140, PixelSpacing(0.4, 0.3)), size=128, **how)
    drawn = box.batch((truth * 255)[None])[0, 0]

    labels = box.labels(np.stack([1 - drawn, drawn]), (150, 260))

    seen = np.zeros_like(truth)
    seen[box.source.pixels] = truth[box.source.pixels]
    assert 2 * ((labels == 1) & (seen == 1)).sum() / (labels.sum() + seen.sum()) > 0.98


def test_a_single_channel_counts_where_it_is_positive():
    """One logit per pixel draws the same outline as two channels that differ by it."""
    truth = disk(150, 260)
    box = fit(Region(60, 20, 240, 140, None), size=128)
    logit = box.batch((truth * 255)[None])[0] - 0.5

    labels = box.labels(logit, (150, 260))

    assert np.array_equal(labels, box.labels(np.concatenate([np.zeros_like(logit), logit]), (150, 260)))
    assert 0.98 < labels.sum() / truth.sum() < 1.02


def test_channels_may_come_last():
    """A network converted from TensorFlow counts (N, H, W, C), in and out."""
    frames = noise(2, 90, 120)
    region = Region(0, 0, 120, 90, None)
    first, last = fit(region, channels=3), fit(region, channels=3, layout="NHWC")
    logits = np.random.default_rng(1).normal(size=(4, 64, 64)).astype(np.float32)

    assert np.array_equal(last.batch(frames), first.batch(frames).transpose(0, 2, 3, 1))
    assert np.array_equal(last.labels(logits.transpose(1, 2, 0), (90, 120)), first.labels(logits, (90, 120)))


def test_nothing_is_labelled_outside_the_region():
    """The banner can hold no ventricle."""
    box = fit(Region(30, 10, 60, 50, None))

    labels = box.labels(np.stack([np.zeros((64, 64)), np.ones((64, 64))]).astype(np.float32), (80, 80))

    assert labels.sum() == 30 * 40
    assert labels[10:50, 30:60].all()


def test_grey_values_are_normalised_by_the_manifest():
    """(grey / 255 - mean) / std, and the padding is black before that."""
    batch = fit(Region(0, 0, 64, 32, None), mean=0.5, std=0.25).batch(np.full((1, 32, 64), 255, dtype=np.uint8))

    assert batch.shape == (1, 1, 64, 64)
    assert batch[0, 0, 32, 32] == pytest.approx(2.0)
    assert batch[0, 0, 0, 0] == pytest.approx(-2.0)


def test_each_channel_has_its_own_constants():
    """Grey is given three times; the published constants differ a little."""
    tensor = {"channels": 3, "scale": 1.0, "mean": (30.0, 32.0, 34.0), "std": (50.0, 40.0, 20.0)}

    batch = fit(Region(0, 0, 64, 64, None), **tensor).batch(np.full((1, 64, 64), 130, dtype=np.uint8))

    assert batch[0, :, 10, 10] == pytest.approx([2.0, 2.45, 4.8])


def test_echonets_preprocessing_is_its_published_one():
    """Centred square without a tenth on each side, plain cubic, black beside the sector, (x - mean) / std."""
    frames = noise(1, 600, 800)

    seen = framing(Region(0, 0, 800, 600, None), ECHONET, frames.shape).batch(frames)

    square = cv2.resize(frames[0, 60:540, 160:640], (112, 112), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    rows, columns = np.mgrid[:112, :112] + 0.5
    # The sector opens by 90 degrees from the top centre of the region, a tenth of its height above the crop.
    beyond = np.abs(columns - 56) - (rows + 112 * 60 / 480)
    square[beyond > 0] = 0
    expected = np.repeat((square[None, None] - 32.7) / 50, 3, axis=1)
    assert np.allclose(seen[..., beyond != 0], expected[..., beyond != 0], atol=1e-5)


def test_a_sector_is_as_wide_in_millimetres_whatever_the_pixels_are():
    """90 degrees open to the half width of the depth; rows twice as high reach it in half as many."""
    box = framing(Region(0, 0, 200, 100, PixelSpacing(2.0, 1.0)), TENSOR.model_copy(update={"sector_degrees": 90.0}))

    assert box.outside is not None
    middle_row = ~box.outside[32]
    assert middle_row.sum() == pytest.approx(64, abs=1)
    assert (~box.outside[16]).sum() == pytest.approx(33, abs=2)
