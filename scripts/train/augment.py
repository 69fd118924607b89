"""Make one machine's frames look like every machine's: geometry, sector shape, gain, noise, compression, overlays."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]  # (S, S) in 0..1
Labels = NDArray[np.uint8]


def augment(
    image: NDArray[np.uint8],
    labels: Labels,
    size: int,
    rng: np.random.Generator,
    strength: float = 1.0,
    zoom: float = 1.0,
) -> tuple[Image, Labels]:
    """Return a random variant of one frame, (size, size), from a square source of any size.

    `strength` 0..1 scales how often each change is made and how strong a geometric one may be; `zoom` is the picture's
    share of the square before that.
    """
    warped, labels = _warp(image, labels, size, rng, strength, zoom)
    picture = warped.astype(np.float32) / 255
    steps = (
        (0.25, _resector), (0.35, _depth_gain), (0.8, _grey_curve), (0.25, _shadow), (0.15, _dropout), (0.3, _soften),
        (0.35, _speckle), (0.2, _downsample), (0.15, _jpeg), (0.2, _overlay),
    )  # fmt: skip
    for probability, step in steps:
        if rng.random() < probability * strength:
            picture = step(picture, rng)
    return np.clip(picture, 0, 1).astype(np.float32), labels


def _warp(
    image: NDArray[np.uint8], labels: Labels, size: int, rng: np.random.Generator, strength: float, zoom: float
) -> tuple[NDArray[np.uint8], Labels]:
    source = image.shape[0]
    strong = rng.random() < 0.4 * strength
    scale = zoom * size / source * np.exp(rng.uniform(-0.5, 0.4) if strong else rng.uniform(-0.25, 0.25) * strength)
    aspect = np.exp((rng.uniform(-0.2, 0.2) if strong else rng.uniform(-0.08, 0.08)) * strength)
    angle = np.radians(rng.uniform(-30, 30) if strong else rng.uniform(-15, 15) * strength)
    mirror = -1 if rng.random() < 0.3 * strength else 1
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = turn @ np.diag([mirror * scale * aspect, scale / aspect])
    shift = rng.uniform(-0.12, 0.12, 2) * size * strength
    if strong and rng.random() < 0.25:
        shift[1] -= rng.uniform(0, 0.2) * size  # a crop that cuts the apex off
    offset = size / 2 + shift - linear @ np.array([source / 2, source / 2])
    matrix = np.column_stack([linear, offset])
    return (
        np.asarray(cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR), dtype=np.uint8),
        np.asarray(cv2.warpAffine(labels, matrix, (size, size), flags=cv2.INTER_NEAREST), dtype=np.uint8),
    )


def _resector(picture: Image, rng: np.random.Generator) -> Image:
    """Cut the sector narrower, shorter or off-centre; the heart beyond it goes dark."""
    size = picture.shape[0]
    apex = (size / 2 + rng.uniform(-0.15, 0.15) * size, rng.uniform(-0.25, 0.08) * size)
    middle = rng.uniform(-0.2, 0.2) + np.pi / 2
    half = np.radians(rng.uniform(28, 50))
    radius = rng.uniform(0.85, 1.25) * size
    mask = np.zeros(picture.shape, dtype=np.uint8)
    angles = np.linspace(middle - half, middle + half, 24)
    arc = np.column_stack([apex[0] + radius * np.cos(angles), apex[1] + radius * np.sin(angles)])
    cv2.fillPoly(mask, [np.vstack([[apex], arc]).astype(np.int32)], 1)
    return picture * mask


def _depth_gain(picture: Image, rng: np.random.Generator) -> Image:
    ramp = np.interp(np.linspace(0, 1, picture.shape[0]), np.linspace(0, 1, 4), rng.uniform(0.55, 1.5, 4))
    return picture * ramp[:, None].astype(np.float32)


def _grey_curve(picture: Image, rng: np.random.Generator) -> Image:
    gamma = np.exp(rng.uniform(-0.6, 0.6))
    lifted = np.clip(picture, 0, 1) ** gamma * rng.uniform(0.7, 1.5) + rng.uniform(-0.12, 0.06) * (picture > 0.01)
    return np.clip(lifted, 0, 1)


def _shadow(picture: Image, rng: np.random.Generator) -> Image:
    """Darken a wedge or a blob, as ribs, lung and poor contact do."""
    size = picture.shape[0]
    mask = np.zeros(picture.shape, dtype=np.float32)
    if rng.random() < 0.5:
        top = (size / 2 + rng.uniform(-0.1, 0.1) * size, 0)
        left, width = rng.uniform(-0.2, 1.0) * size, rng.uniform(0.08, 0.3) * size
        cv2.fillPoly(mask, [np.array([top, (left, size), (left + width, size)], dtype=np.int32)], 1.0)
    else:
        centre = tuple(int(v) for v in rng.uniform(0.15, 0.85, 2) * size)
        axes = tuple(int(v) for v in rng.uniform(0.06, 0.2, 2) * size)
        cv2.ellipse(mask, centre, axes, float(rng.uniform(0, 180)), 0, 360, 1.0, -1)
    mask = cv2.GaussianBlur(mask, (0, 0), 0.02 * size)
    return picture * (1 - rng.uniform(0.4, 0.95) * mask)


def _dropout(picture: Image, rng: np.random.Generator) -> Image:
    """Lose scan lines from the apex down, each with its own loss of signal."""
    size = picture.shape[0]
    apex = np.array([size / 2 + rng.uniform(-0.1, 0.1) * size, rng.uniform(-0.2, 0.02) * size])
    rows, columns = np.mgrid[0:size, 0:size]
    angle = np.arctan2(columns - apex[0], rows - apex[1])
    knots = np.linspace(-1.2, 1.2, int(rng.integers(8, 40)))
    loss = np.where(rng.random(len(knots)) < 0.35, rng.uniform(0.1, 0.8, len(knots)), 1.0)
    return picture * np.interp(angle, knots, loss).astype(np.float32)


def _soften(picture: Image, rng: np.random.Generator) -> Image:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 1.5)), dtype=np.float32)


def _speckle(picture: Image, rng: np.random.Generator) -> Image:
    grain = cv2.GaussianBlur(rng.standard_normal(picture.shape).astype(np.float32), (0, 0), rng.uniform(0.3, 1.2))
    grain /= grain.std() + 1e-6
    return picture * (1 + rng.uniform(0.05, 0.3) * grain)


def _downsample(picture: Image, rng: np.random.Generator) -> Image:
    size = picture.shape[0]
    small = int(rng.integers(56, 128))
    shrunk = cv2.resize(picture, (small, small), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(shrunk, (size, size), interpolation=cv2.INTER_CUBIC), dtype=np.float32)


def _jpeg(picture: Image, rng: np.random.Generator) -> Image:
    quality = int(rng.integers(25, 80))
    ok, data = cv2.imencode(
        ".jpg", (np.clip(picture, 0, 1) * 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    assert ok
    return cv2.imdecode(data, cv2.IMREAD_GRAYSCALE).astype(np.float32) / 255


def _overlay(picture: Image, rng: np.random.Generator) -> Image:
    """Draw what machines draw: text, depth ticks, an ECG strip."""
    size = picture.shape[0]
    drawn = (np.clip(picture, 0, 1) * 255).astype(np.uint8)
    bright = int(rng.integers(128, 256))
    if rng.random() < 0.5:
        at = (int(rng.uniform(0, 0.7) * size), int(rng.uniform(0.05, 1) * size))
        text = "".join(rng.choice(list("ABCHRMIcms0123456789 "), 9))
        cv2.putText(drawn, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.3, bright, 1, cv2.LINE_AA)
    if rng.random() < 0.5:
        x = np.arange(size)
        wave = 0.92 * size - 0.06 * size * np.exp(-(((x + rng.uniform(0, 60)) % 60 - 30) ** 2) / 8)
        cv2.polylines(drawn, [np.column_stack([x, wave]).astype(np.int32)], False, bright, 1, cv2.LINE_AA)
    if rng.random() < 0.5:
        column = int(rng.uniform(0.02, 0.98) * size)
        for row in range(0, size, int(rng.integers(8, 20))):
            cv2.line(drawn, (column, row), (column + 2, row), bright, 1)
    return drawn.astype(np.float32) / 255
