"""Make the benchmark's study: 80 instances as one examination of an adult sends them, all JPEG Baseline, 480 x 640.

Every pixel follows from the seed. The files are made once and kept.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from echo_scp.model import View
from echo_scp.phantom import instance, screen
from echo_scp.phantom.heart import Heart
from echo_scp.phantom.instance import Area, Patient, Picture
from echo_scp.phantom.scene import Cine, Rhythm, Scanner, render

ROWS, COLUMNS = 480, 640
SECTOR_ROWS, SECTOR_COLUMNS = 400, 520
LEFT_PX, TOP_PX = 60, 44
FEWEST_FRAMES, MOST_FRAMES = 60, 120
FLOW = screen.Flow(160, 110, 350, 330)
FORMAT = 1  # of the study: count up when any pixel changes


@dataclass(frozen=True)
class Part:
    """So many instances of one sort; `draw` returns the picture of the one with a number."""

    count: int
    draw: Callable[[int, int], Picture]


def write_study(folder: Path, seed: int) -> tuple[Path, ...]:
    """Return the files of the study in `folder`, made unless they are there."""
    target = folder / f"study80-{FORMAT}-{seed}"
    if not target.is_dir():
        partial = folder / f".{target.name}.{os.getpid()}"
        partial.mkdir(parents=True)
        draws = list(chain.from_iterable(repeat(part.draw, part.count) for part in _parts()))
        with ProcessPoolExecutor() as pool:
            jobs = [pool.submit(_write, partial, seed, number, draw) for number, draw in enumerate(draws, start=1)]
            for job in jobs:
                job.result()
        partial.rename(target)
    return tuple(sorted(target.glob("*.dcm")))


def _parts() -> tuple[Part, ...]:
    return (
        Part(10, _apical_four),
        Part(6, _apical_two),
        Part(24, _other_two_d),
        Part(12, _declared_colour),
        Part(6, _undeclared_colour),
        Part(4, _m_mode),
        Part(6, _spectral),
        Part(12, _still),
    )


def _write(folder: Path, seed: int, number: int, draw: Callable[[int, int], Picture]) -> None:
    cv2.setNumThreads(1)
    picture = draw(seed, number)
    patient = Patient(name=f"Phantom^Bench{seed}", patient_id=f"BENCH-{seed}")
    ds = instance.build(picture, patient, 1000 + seed, number, instance.jpeg_baseline)
    instance.save(ds, folder / f"{number:02d}-{picture.label}.dcm")


def _cine(seed: int, number: int, view: View, *, mirrored: bool = False) -> tuple[Cine, Rhythm, Scanner]:
    rng = np.random.default_rng((seed, number))
    frame_count = int(rng.integers(FEWEST_FRAMES, MOST_FRAMES + 1))
    rhythm = Rhythm(float(rng.uniform(58, 84)), 40.0, frame_count, first_phase=0.85)
    heart = Heart(view, 118.0, 56.0, 84.0, tilt_deg=float(rng.uniform(-9, 4)), mirrored=mirrored)
    scanner = Scanner(SECTOR_ROWS, SECTOR_COLUMNS, depth_mm=158.0, seed=10_000 * seed + number)
    return render(heart, scanner, rhythm), rhythm, scanner


def _apical_four(seed: int, number: int) -> Picture:
    return _two_d("a4c", *_cine(seed, number, View.A4C))


def _apical_two(seed: int, number: int) -> Picture:
    return _two_d("a2c", *_cine(seed, number, View.A2C))


def _other_two_d(seed: int, number: int) -> Picture:
    return _two_d("other", *_cine(seed, number, View.PLAX, mirrored=number % 2 == 0))


def _two_d(label: str, cine: Cine, rhythm: Rhythm, scanner: Scanner) -> Picture:
    return _picture(label, _screen(cine.frames), rhythm, "0001", (_tissue(scanner),))


def _declared_colour(seed: int, number: int) -> Picture:
    return _colour(seed, number, declared=True)


def _undeclared_colour(seed: int, number: int) -> Picture:
    """Colour Doppler of which only the pixels tell, as from carts that describe one region."""
    return _colour(seed, number, declared=False)


def _colour(seed: int, number: int, *, declared: bool) -> Picture:
    cine, rhythm, scanner = _cine(seed, number, View.A4C)
    flow = screen.colour_flow(cine.frames, cine.label_maps, rhythm.phases(), FLOW, seed)
    tissue = _tissue(scanner)
    box = Area(
        LEFT_PX + FLOW.x0, TOP_PX + FLOW.y0, LEFT_PX + FLOW.x1, TOP_PX + FLOW.y1, 1, 2, tissue.delta_x, tissue.delta_y
    )
    areas, image_type = ((tissue, box), "0011") if declared else ((tissue,), "0001")
    return _picture("colour", _screen(flow), rhythm, image_type, areas)


def _m_mode(seed: int, number: int) -> Picture:
    cine, rhythm, _ = _cine(seed, number, View.PLAX)
    pixels = _screen(screen.m_mode(cine.frames, len(cine.frames))[:, :, :SECTOR_COLUMNS])
    return _picture("m-mode", pixels, rhythm, "0002", (_trace(2, 1),))


def _spectral(seed: int, number: int) -> Picture:
    rhythm = Rhythm(66.0, 40.0, 1)
    pixels = _screen(screen.spectral((0.0, 3.3), 1, seed + number)[:, :, :SECTOR_COLUMNS])
    return _picture("doppler", pixels, rhythm, "0008", (_trace(3, 3),))


def _still(seed: int, number: int) -> Picture:
    heart = Heart(View.A4C, 118.0, 56.0, 84.0)
    scanner = Scanner(SECTOR_ROWS, SECTOR_COLUMNS, depth_mm=158.0, seed=10_000 * seed + number)
    rhythm = Rhythm(66.0, 40.0, 1)
    return _two_d("still", render(heart, scanner, rhythm), rhythm, scanner)


def _screen(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return (T, ROWS, COLUMNS, 3): banner above, picture in the middle, a moving trace below."""
    shown = np.zeros((len(pixels), ROWS, COLUMNS, 3), dtype=np.uint8)
    colour = pixels if pixels.ndim == 4 else pixels[..., None]
    shown[:, TOP_PX : TOP_PX + pixels.shape[1], LEFT_PX : LEFT_PX + pixels.shape[2]] = colour
    for index, frame in enumerate(shown):
        cv2.putText(frame, "Phantom^Bench  SYNTHETIC", (8, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (230, 230, 230), 1)
        cv2.line(frame, (40, 465), (40 + 5 * (index % 110), 465), (0, 210, 60), 1, cv2.LINE_AA)
    return shown


def _tissue(scanner: Scanner) -> Area:
    delta_cm = scanner.mm_per_px / 10
    return Area(LEFT_PX, TOP_PX, LEFT_PX + scanner.columns, TOP_PX + scanner.rows, 1, 1, delta_cm, delta_cm)


def _trace(spatial_format: int, data_type: int) -> Area:
    return Area(LEFT_PX, TOP_PX, LEFT_PX + SECTOR_COLUMNS, TOP_PX + 300, spatial_format, data_type, 0.006, 0.05)


def _picture(
    label: str, pixels: NDArray[np.uint8], rhythm: Rhythm, image_type: str, areas: tuple[Area, ...]
) -> Picture:
    return Picture(label, pixels, areas, image_type, 1000 / rhythm.frame_rate_hz, rhythm.heart_rate_bpm)
