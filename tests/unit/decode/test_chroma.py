"""Colour Doppler is told from a tinted display."""

from __future__ import annotations

import numpy as np
import pytest
import simplejpeg

from echo_scp.decode.chroma import coloured_share
from tests.unit.decode.builders import make_frames, rgb

FRAMES = make_frames(480, 640, 6)
ELIGIBLE = 0.003  # what decode_clip lets through


def tint(red: float, green: float, blue: float, gamma: float = 1.0) -> np.ndarray:
    """Return the frames through a colour map that depends on luminance only."""
    levels = (np.arange(256) / 255) ** gamma * 255
    return np.stack([levels * red, levels * green, levels * blue], axis=-1).clip(0, 255).astype(np.uint8)[FRAMES]


def with_flow(radius: int, colour: tuple[int, int, int], frames: tuple[int, ...] = (2, 3)) -> np.ndarray:
    """Return grey frames with a disc of flow in some of them."""
    pixels = rgb(FRAMES)
    ys, xs = np.mgrid[:480, :640]
    disc = (ys - 250) ** 2 + (xs - 320) ** 2 < radius**2
    for index in frames:
        pixels[index][disc] = np.array(colour) * (0.4 + 0.6 * FRAMES[index][disc, None] / 255)
    return pixels


def as_jpeg(pixels: np.ndarray) -> np.ndarray:
    streams = [
        simplejpeg.encode_jpeg(np.ascontiguousarray(p), quality=75, colorspace="RGB", colorsubsampling="420")
        for p in pixels
    ]
    return np.stack([simplejpeg.decode_jpeg(stream, colorspace="RGB") for stream in streams])


@pytest.mark.parametrize(
    "pixels",
    [
        rgb(FRAMES),
        tint(1.0, 0.85, 0.6),
        tint(0.6, 0.8, 1.0),
        tint(1.0, 0.6, 0.2),
        tint(1.2, 1.0, 0.5, gamma=0.8),
    ],
    ids=["grey", "sepia", "blue", "orange", "candle"],
)
def test_a_tint_is_not_colour_doppler(pixels: np.ndarray) -> None:
    """Pixels of one luminance have one colour; also after JPEG has averaged colours over 2 x 2 pixels."""
    assert coloured_share(pixels) <= ELIGIBLE
    assert coloured_share(as_jpeg(pixels)) <= ELIGIBLE


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 0, 255), (255, 220, 0), (0, 230, 255), (0, 220, 60)])
def test_flow_in_some_frames_is_colour_doppler(colour: tuple[int, int, int]) -> None:
    """One hue, in two of six frames, is enough."""
    assert coloured_share(with_flow(50, colour)) > ELIGIBLE
    assert coloured_share(as_jpeg(with_flow(50, colour))) > ELIGIBLE


def test_flow_over_a_tinted_picture_is_colour_doppler() -> None:
    """The tint does not hide it."""
    pixels = tint(1.0, 0.85, 0.6)
    pixels[2:4, 200:300, 270:370] = with_flow(200, (40, 80, 255))[2:4, 200:300, 270:370]

    assert coloured_share(pixels) > ELIGIBLE


def test_marks_and_traces_are_not_colour_doppler() -> None:
    """An orientation dot, a green ECG and the outline of a box are too small or too thin."""
    pixels = with_flow(8, (40, 220, 120), tuple(range(6)))
    column = np.arange(640)
    for thickness in range(3):
        pixels[:, (440 + 12 * np.sin(column / 9)).astype(int) + thickness, column] = (0, 255, 60)
    pixels[:, 100:102, 200:440] = (255, 255, 0)
    pixels[:, 100:300, 200:202] = (255, 255, 0)

    assert coloured_share(pixels) <= ELIGIBLE


def test_what_is_coloured_and_still_is_not_colour_doppler() -> None:
    """The logo and the buttons of a screen that is listed as one region."""
    pixels = rgb(FRAMES)
    pixels[:, 430:470, 20:60] = (0, 90, 200)
    pixels[:, 10:40, 500:600] = (230, 120, 0)

    assert coloured_share(pixels) <= ELIGIBLE
    assert coloured_share(as_jpeg(pixels)) <= ELIGIBLE


def test_flow_that_never_ceases_is_colour_doppler() -> None:
    """It is in the same place on every frame, and flickers."""
    assert coloured_share(with_flow(50, (255, 0, 0), tuple(range(6)))) > ELIGIBLE


def test_a_grey_clip_with_flow_in_one_frame_is_not_taken_for_grey() -> None:
    """Nothing is looked into further only where every frame is grey."""
    assert coloured_share(with_flow(50, (255, 0, 0), frames=(5,))) > ELIGIBLE
    assert coloured_share(rgb(FRAMES)) == 0
