"""Measure how Dice holds when valid frames are turned, shrunk, darkened, blurred or shadowed, one change at a time."""

from __future__ import annotations

from collections.abc import Callable

import camus
import cv2
import numpy as np
from numpy.typing import NDArray

from echo_scp.inference.engine import Engine

Picture = NDArray[np.uint8]
Change = Callable[[Picture], Picture]
_GEOMETRY = (
    "turned 15 degrees",
    "shrunk to 70 %",
    "mirrored left to right",
    "stretched by 15 % across",
    "apex cut off (upper tenth lost)",
)


def changes(size: int) -> dict[str, Change]:
    """Return each change of a square picture by its name in the model card."""
    return {
        "as acquired": lambda picture: picture,
        "turned 15 degrees": lambda picture: _warp(picture, cv2.getRotationMatrix2D((size / 2, size / 2), 15, 1.0)),
        "shrunk to 70 %": lambda picture: _warp(picture, cv2.getRotationMatrix2D((size / 2, size / 2), 0, 0.7)),
        "mirrored left to right": lambda picture: np.ascontiguousarray(picture[:, ::-1]),
        "stretched by 15 % across": lambda picture: _warp(picture, np.array([[1.15, 0, -0.075 * size], [0, 1, 0]])),
        "apex cut off (upper tenth lost)": lambda picture: _warp(picture, np.array([[1.0, 0, 0], [0, 1, -0.1 * size]])),
        "sector narrowed to 50 degrees": _narrow,
        "darker (gamma 1.8)": lambda picture: _curve(picture, 1.8),
        "brighter (gamma 0.6)": lambda picture: _curve(picture, 0.6),
        "blurred (sigma 1.5 px)": lambda picture: np.asarray(cv2.GaussianBlur(picture, (0, 0), 1.5), dtype=np.uint8),
        "at 112 x 112 and back": lambda picture: _resample(picture, 112),
        "at 64 x 64 and back": lambda picture: _resample(picture, 64),
        "noise (sigma 20 grey levels)": _noise,
        "JPEG quality 15": _jpeg,
        "text, depth ticks and ECG over the picture": _overlay,
        "one scan line in four lost": _dropout,
        "shadow over a third of the sector": _shadow,
    }


def dice_by_change(engine: Engine, frames: camus.LabelledFrames) -> dict[str, NDArray[np.float64]]:
    """Return mean Dice of LV, myocardium and left atrium per change, on the engine's own canvas."""
    size = engine.manifest.input.size
    return {name: _mean_dice(engine, frames, change, name in _GEOMETRY) for name, change in changes(size).items()}


def _mean_dice(engine: Engine, frames: camus.LabelledFrames, change: Change, moves: bool) -> NDArray[np.float64]:
    rows = []
    step = engine.manifest.input.shortest
    for image, labels, box in zip(frames.images, frames.labels, frames.boxes, strict=True):
        shown = camus.shown(box, step)
        predicted = engine.run(change(image)[None, None, *shown].astype(np.float32) / 255)[0].argmax(axis=0)
        truth = (_per_label(labels, change) if moves else labels)[shown]
        rows.append([_dice(predicted == label, truth == label) for label in range(1, len(camus.LABELS))])
    return np.asarray(np.nanmean(rows, axis=0))


def _per_label(labels: Picture, change: Change) -> Picture:
    """Move a label map without mixing its values: each structure moves as a picture of its own."""
    moved = np.stack([change(np.where(labels == k, 255, 0).astype(np.uint8)) for k in range(len(camus.LABELS))])
    moved[0] = np.maximum(moved[0], 1)
    return moved.argmax(axis=0).astype(np.uint8)


def _dice(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    total = int(a.sum() + b.sum())
    return float("nan") if total == 0 else 2 * int((a & b).sum()) / total


def _warp(picture: Picture, matrix: NDArray[np.float64]) -> Picture:
    return np.asarray(cv2.warpAffine(picture, matrix, picture.shape[::-1]), dtype=np.uint8)


def _curve(picture: Picture, gamma: float) -> Picture:
    return np.asarray(255 * (picture / 255) ** gamma, dtype=np.uint8)


def _resample(picture: Picture, side: int) -> Picture:
    small = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, picture.shape[::-1], interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def _noise(picture: Picture) -> Picture:
    grain = np.random.default_rng(0).normal(0, 20, picture.shape)
    return np.where(picture > 0, np.clip(picture + grain, 0, 255), 0).astype(np.uint8)


def _jpeg(picture: Picture) -> Picture:
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 15])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), dtype=np.uint8)


def _shadow(picture: Picture) -> Picture:
    """Darken the wedge over the right third to a fifth of its brightness, as a rib or lung does."""
    side = picture.shape[0]
    corners = np.array([[side // 2, 0], [int(0.7 * side), side], [side, side], [side, side // 2]], np.int32)
    dark = cv2.fillPoly(np.zeros(picture.shape, np.float32), [corners], 1.0)
    return (picture * (1 - 0.8 * cv2.GaussianBlur(dark, (0, 0), 3))).astype(np.uint8)


def _sector(side: int, half_deg: float) -> Picture:
    angles = np.radians(np.linspace(90 - half_deg, 90 + half_deg, 32))
    arc = side / 2 + 1.2 * side * np.cos(angles), 1.2 * side * np.sin(angles)
    corners = np.vstack([[[side / 2, 0]], np.column_stack(arc)]).astype(np.int32)
    return np.asarray(cv2.fillPoly(np.zeros((side, side), np.uint8), [corners], 1), dtype=np.uint8)


def _narrow(picture: Picture) -> Picture:
    return picture * _sector(picture.shape[0], 25)


def _overlay(picture: Picture) -> Picture:
    side = picture.shape[0]
    drawn = picture.copy()
    cv2.putText(drawn, "62 bpm A4C", (side // 3, side // 3), cv2.FONT_HERSHEY_SIMPLEX, 0.4, 255, 1, cv2.LINE_AA)
    x = np.arange(side)
    wave = 0.9 * side - 0.1 * side * np.exp(-(((x % 60) - 30) ** 2) / 8)
    cv2.polylines(drawn, [np.column_stack([x, wave]).astype(np.int32)], False, 255, 1, cv2.LINE_AA)
    for row in range(0, side, 16):
        cv2.line(drawn, (side // 2, row), (side // 2 + 3, row), 255, 1)
    return drawn


def _dropout(picture: Picture) -> Picture:
    """Darken every fourth of 48 scan lines to a quarter."""
    side = picture.shape[0]
    rows, columns = np.mgrid[0:side, 0:side]
    line = np.floor((np.arctan2(columns - side / 2, rows + 1) + np.pi / 4) / (np.pi / 2) * 48).astype(int)
    return np.where(line % 4 == 0, picture // 4, picture).astype(np.uint8)
