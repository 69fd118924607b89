"""Frames with a view label, by source, cropped to what moves on a real machine's screen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import camus
import cv2
import numpy as np
from numpy.typing import NDArray
from phantom_frames import random_frame

from echo_scp.model import View

LABELS = ("A4C", "A2C", "A3C", "A5C", "PLAX", "PSAX", "SUBCOSTAL", "other")
SOURCE_SIZE = 192
Picture = NDArray[np.uint8]  # (SOURCE_SIZE, SOURCE_SIZE)


@dataclass(frozen=True)
class LabelledView:
    """One frame; `variants` are ways to crop it, the first being what the product would see.

    `gated` frames (Doppler, M-mode) are refused by the product before a network sees them.
    """

    source: str
    label: int
    variants: tuple[Picture, ...]
    gated: bool = False


def read_all(data: Path, phantoms: int, rng: np.random.Generator) -> list[LabelledView]:
    """Return every labelled frame: the atlas, CAMUS train frames, phantoms and pictures of no heart."""
    return [
        *_atlas(data / "views.npz"),
        *_camus(data / "camus-a4c.npz", "train", "A4C"),
        *_camus(data / "camus-a2c.npz", None, "A2C"),
        *_phantoms(phantoms, rng),
        *_nothing(phantoms // 3, rng),
    ]


def read_valid(data: Path) -> list[LabelledView]:
    """Return CAMUS A4C frames of patients that no training sees."""
    return _camus(data / "camus-a4c.npz", "valid", "A4C")


def _atlas(path: Path) -> list[LabelledView]:
    with np.load(path) as file:
        images, meta = file["images"], file["meta"]
    found = []
    for image, row in zip(images, meta, strict=True):
        label = LABELS.index(row["view"]) if row["view"] in LABELS else LABELS.index("other")
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        variants = (_square(_crop(grey)), _square(grey))
        found.append(LabelledView(str(row["source"]), label, variants, row["view"] in {"DOPPLER", "MMODE"}))
    return found


def _camus(path: Path, split: str | None, view: str) -> list[LabelledView]:
    frames = camus.read(path, split, SOURCE_SIZE)
    return [LabelledView("CAMUS", LABELS.index(view), (image,)) for image in frames.images]


def _phantoms(count: int, rng: np.random.Generator) -> list[LabelledView]:
    views = (View.A4C, View.A2C, View.PLAX)
    return [
        LabelledView("phantom", LABELS.index(view), (random_frame(view, SOURCE_SIZE, rng)[0],))
        for view in views
        for _ in range(count)
    ]


def _nothing(count: int, rng: np.random.Generator) -> list[LabelledView]:
    """Return traces over time and sectors of plain speckle: what a sweep or an empty probe shows."""
    return [LabelledView("phantom", LABELS.index("other"), ((_trace, _speckle)[k % 2](rng),)) for k in range(count)]


def _trace(rng: np.random.Generator) -> Picture:
    base = cv2.GaussianBlur(rng.random((SOURCE_SIZE, 1)).astype(np.float32), (1, 21), 0)
    phase = np.linspace(0, rng.uniform(2, 6) * 2 * np.pi, SOURCE_SIZE)
    shift = rng.uniform(2, 10) * np.sin(phase)
    rows = np.clip(np.arange(SOURCE_SIZE)[:, None] + shift[None, :], 0, SOURCE_SIZE - 1).astype(np.intp)
    picture = base[rows, 0] + 0.15 * rng.standard_normal((SOURCE_SIZE, SOURCE_SIZE))
    picture = (picture - picture.min()) / np.ptp(picture)
    picture[: int(rng.uniform(0, 0.45) * SOURCE_SIZE)] = 0
    return (picture * 255).astype(np.uint8)


def _speckle(rng: np.random.Generator) -> Picture:
    noise = np.abs(rng.standard_normal((SOURCE_SIZE, SOURCE_SIZE))).astype(np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), rng.uniform(0.6, 3))
    noise *= np.interp(np.linspace(0, 1, SOURCE_SIZE), [0, 0.5, 1], rng.random(3))[:, None]
    mask = np.zeros(noise.shape, dtype=np.uint8)
    half = rng.uniform(0.3, 0.5) * SOURCE_SIZE
    middle = SOURCE_SIZE / 2
    cv2.fillPoly(
        mask, [np.array([[middle, 0], [middle - half, SOURCE_SIZE], [middle + half, SOURCE_SIZE]], np.int32)], 1
    )
    return (np.clip(noise / noise.max(), 0, 1) * 255 * mask).astype(np.uint8)


def _crop(grey: Picture) -> Picture:
    """Return the largest connected bright area: the sector, without rulers, text and colour bars."""
    mask = cv2.morphologyEx((grey > 12).astype(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask)
    if count < 2:
        return grey
    x, y, width, height, _ = stats[1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())]
    return grey[y : y + height, x : x + width]


def _square(grey: Picture) -> Picture:
    height, width = grey.shape
    scale = SOURCE_SIZE / max(height, width)
    resized = cv2.resize(
        grey, (max(1, round(width * scale)), max(1, round(height * scale))), interpolation=cv2.INTER_AREA
    )
    square = np.zeros((SOURCE_SIZE, SOURCE_SIZE), dtype=np.uint8)
    top, left = (SOURCE_SIZE - resized.shape[0]) // 2, (SOURCE_SIZE - resized.shape[1]) // 2
    square[top : top + resized.shape[0], left : left + resized.shape[1]] = resized
    return square
