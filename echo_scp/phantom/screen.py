"""Lay pictures out as an ultrasound machine's screen does: banner above, sector or trace in the middle, ECG below."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from echo_scp.model import Frames, LabelMaps

Colour = NDArray[np.uint8]  # (T, H, W, 3) RGB
ROWS, COLUMNS = 600, 800
LEFT_PX, TOP_PX = 80, 50  # corner of the area that holds the sector or the trace
TRACE_ROWS, TRACE_COLUMNS = 300, 640
_BANNER = (230, 230, 230)
_ECG = (0, 210, 60)
_BOX = (240, 240, 240)


@dataclass(frozen=True, slots=True)
class Flow:
    """The colour box of a Doppler clip, in pixels of the sector's picture (half-open)."""

    x0: int
    y0: int
    x1: int
    y1: int


def compose(pictures: Frames | Colour, banner: tuple[str, ...], phases: tuple[float, ...]) -> Colour:
    """Return (T, ROWS, COLUMNS, 3): each picture at (LEFT_PX, TOP_PX), the banner lines above, an ECG strip below."""
    screen = np.zeros((len(pictures), ROWS, COLUMNS, 3), dtype=np.uint8)
    rows, columns = pictures.shape[1:3]
    colour = pictures if pictures.ndim == 4 else pictures[..., None]
    screen[:, TOP_PX : TOP_PX + rows, LEFT_PX : LEFT_PX + columns] = colour
    for frame, phase in zip(screen, phases, strict=True):
        _write(frame, banner)
        _draw_ecg(frame, phase)
    return screen


def colour_flow(frames: Frames, label_maps: LabelMaps, phases: tuple[float, ...], flow: Flow, seed: int) -> Colour:
    """Return the frames in colour, with red and blue flow over the blood inside the box and the box's outline."""
    rng = np.random.default_rng(seed)
    coarse = rng.standard_normal((len(frames), 8, 8)).astype(np.float32)
    pictures = np.repeat(frames[..., None], 3, axis=-1)
    size = (flow.x1 - flow.x0, flow.y1 - flow.y0)
    for picture, labels, phase, noise in zip(pictures, label_maps, phases, coarse, strict=True):
        towards = np.float32(np.sin(2 * np.pi * (phase + 0.6)))  # inflow is towards the probe, ejection away
        velocity = 1.4 * towards + 0.7 * cv2.resize(noise, size, interpolation=cv2.INTER_CUBIC)
        box = picture[flow.y0 : flow.y1, flow.x0 : flow.x1]
        blood = np.isin(labels[flow.y0 : flow.y1, flow.x0 : flow.x1], (1, 3)) & (np.abs(velocity) > 0.35)
        box[blood] = _doppler_colours(velocity[blood])
        cv2.rectangle(picture, (flow.x0, flow.y0), (flow.x1 - 1, flow.y1 - 1), _BOX, 1)
    return pictures


def m_mode(frames: Frames, picture_count: int) -> Frames:
    """Return (picture_count, TRACE_ROWS, TRACE_COLUMNS): the middle scan line against time, sweeping to the left."""
    line = frames[:, :, frames.shape[2] // 2].T  # (depth, time)
    trace = cv2.resize(line, (TRACE_COLUMNS, TRACE_ROWS), interpolation=cv2.INTER_LINEAR)
    return np.stack([np.roll(trace, -6 * index, axis=1) for index in range(picture_count)]).astype(np.uint8)


def spectral(phases: tuple[float, ...], picture_count: int, seed: int) -> Frames:
    """Return (picture_count, TRACE_ROWS, TRACE_COLUMNS): mitral inflow, an E and an A wave per beat."""
    rng = np.random.default_rng(seed)
    phase = np.linspace(phases[0], phases[-1], TRACE_COLUMNS) % 1.0
    peak = 0.55 * np.exp(-(((phase - 0.52) / 0.07) ** 2)) + 0.35 * np.exp(-(((phase - 0.92) / 0.05) ** 2))
    height = np.linspace(0.75, -0.25, TRACE_ROWS)[:, None]  # share of the velocity scale above the baseline
    filled = np.exp(-np.abs(height - 0.8 * peak) / 0.12) * ((height > 0.01) & (height < peak))
    grain = rng.rayleigh(0.8, (TRACE_ROWS, TRACE_COLUMNS))
    trace = np.clip(255 * (filled + 0.03) * grain, 0, 255)
    trace[np.abs(height[:, 0]) < 0.005] = 200
    return np.stack([np.roll(trace, -6 * index, axis=1) for index in range(picture_count)]).astype(np.uint8)


def _write(frame: NDArray[np.uint8], banner: tuple[str, ...]) -> None:
    for line, text in enumerate(banner):
        cv2.putText(frame, text, (8, 16 + 18 * line), cv2.FONT_HERSHEY_SIMPLEX, 0.45, _BANNER, 1, cv2.LINE_AA)


def _draw_ecg(frame: NDArray[np.uint8], phase: float) -> None:
    """Draw the last two beats up to `phase`; the R wave is at phase 0."""
    x = np.arange(LEFT_PX, COLUMNS - LEFT_PX)
    cycle = (phase - 2 * (1 - np.linspace(0, 1, len(x)))) % 1.0
    from_r = np.minimum(cycle, 1 - cycle)
    wave = 30 * np.exp(-((from_r / 0.012) ** 2)) + 8 * np.exp(-(((cycle - 0.34) / 0.05) ** 2))
    points = np.column_stack([x, ROWS - 15 - wave]).round().astype(np.int32)
    cv2.polylines(frame, [points], False, _ECG, 1, cv2.LINE_AA)


def _doppler_colours(velocity: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return (N, 3) RGB: towards the probe red to yellow, away blue to cyan."""
    speed = np.clip(np.abs(velocity) / 2, 0, 1)
    strong = (120 + 135 * speed).astype(np.uint8)
    mixed = (220 * speed**2).astype(np.uint8)
    none = np.zeros_like(strong)
    red, blue = np.stack([strong, mixed, none], axis=-1), np.stack([none, mixed, strong], axis=-1)
    return np.where(velocity[:, None] > 0, red, blue)
