"""How steady an engine's outlines are over a cine: phantoms whose speckle decorrelates, and a real one without truth.

    python scripts/train/stability.py --engine engines/lv-apical

The real cine is a SonoSite's from the package pydicom-data, or the one given by --cine. The phantoms' truth has its own
row: what moves there is the heart.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.data import get_testdata_file

from echo_scp.config import AnalysisConfig
from echo_scp.decode import decode_clip
from echo_scp.decode.header import read_instance
from echo_scp.inference.engine import Engine
from echo_scp.inference.manifest import read_manifest
from echo_scp.inference.onnxruntime import OnnxRuntimeEngine
from echo_scp.model import Clip, Instance, PixelSpacing, Region, Structure, View
from echo_scp.phantom.heart import Heart
from echo_scp.phantom.scene import LV_CAVITY, Rhythm, Scanner, render
from echo_scp.segment import segment
from echo_scp.trust import judge

REAL_CINE = "color3d_jpeg_baseline.dcm"
BATCH_FRAMES = 16
RHYTHM = Rhythm(heart_rate_bpm=66, frame_rate_hz=40, frame_count=60, first_phase=0.85)
# View, share of the speckle that is new on each frame, shadows and clutter (1 is strong), gain in dB.
PHANTOMS = (
    (View.A4C, 0.0, 0.5, 0.0),
    (View.A4C, 0.1, 0.5, 0.0),
    (View.A4C, 0.5, 0.5, 0.0),
    (View.A4C, 0.5, 1.5, -6.0),
    (View.A2C, 0.1, 0.5, 0.0),
    (View.A2C, 0.5, 1.5, -6.0),
)

Masks = NDArray[np.bool_]  # (T, H, W)


@dataclass(frozen=True)
class Stability:
    """How the LV's masks (T, H, W) behave from frame to frame."""

    neighbour_dice: float
    lowest_neighbour_dice: float
    area_jitter_percent: float
    torn_percent: float
    empty_percent: float

    @classmethod
    def of(cls, masks: Masks) -> Stability:
        """Jitter is the RMS of the area's second difference; torn is a frame whose LV has several parts."""
        areas = masks.sum(axis=(1, 2)).astype(np.float64)
        dice = dice_per_frame(masks[1:], masks[:-1])
        second = np.diff(areas, 2)
        parts = [cv2.connectedComponents(mask.astype(np.uint8))[0] - 1 for mask in masks]
        return cls(
            neighbour_dice=float(dice.mean()),
            lowest_neighbour_dice=float(dice.min()),
            area_jitter_percent=100 * float(np.sqrt(np.mean(second**2))) / max(float(areas.mean()), 1.0),
            torn_percent=100 * float(np.mean(np.array(parts) > 1)),
            empty_percent=100 * float(np.mean(areas == 0)),
        )

    @property
    def line(self) -> str:
        return (
            f"{self.neighbour_dice:9.4f} {self.lowest_neighbour_dice:7.3f} {self.area_jitter_percent:8.2f} "
            f"{self.torn_percent:6.1f} {self.empty_percent:6.1f}"
        )


def dice_per_frame(some: Masks, others: Masks) -> NDArray[np.float64]:
    total = some.sum(axis=(1, 2)) + others.sum(axis=(1, 2))
    return np.where(total > 0, 2 * (some & others).sum(axis=(1, 2)) / np.maximum(total, 1), 1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", type=Path, required=True, help="engine folder")
    parser.add_argument("--cine", type=Path, help="an apical cine; default: the SonoSite's of pydicom-data")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    engine = OnnxRuntimeEngine(read_manifest(arguments.engine), threads=arguments.threads)
    print(f"{'cine':40s} neighbour  lowest jitter % torn % empty %   Dice  trust")
    for name, clip, truth in (*phantoms(), real(arguments.cine)):
        if truth is not None:
            print(f"{name + ', truth':40s} {Stability.of(truth).line}", flush=True)
        print(measured(name, clip, truth, engine), flush=True)


def measured(name: str, clip: Clip, truth: Masks | None, engine: Engine) -> str:
    """Return the engine's row for one cine."""
    segmentation = segment(clip, engine, BATCH_FRAMES)
    masks = segmentation.masks(Structure.LV_CAVITY)
    dice = "-" if truth is None else f"{dice_per_frame(masks, truth).mean():.3f}"
    trust = judge(clip, segmentation, engine)
    score = "-" if trust is None else f"{trust.score:.2f}"
    return f"{name:40s} {Stability.of(masks).line} {dice:>6s} {score:>6s}"


def phantoms() -> Iterator[tuple[str, Clip, Masks]]:
    """Yield name, clip and true LV of each phantom."""
    for seed, (view, decorrelation, trouble, gain_db) in enumerate(PHANTOMS):
        heart = Heart(view, edv_ml=120, ef_percent=55, length_mm=84, tilt_deg=-8.0 if view is View.A2C else 5.0)
        scanner = Scanner(
            rows=480,
            columns=640,
            dropout=trouble,
            clutter=trouble,
            gain_db=gain_db,
            decorrelation=decorrelation,
            seed=seed,
        )
        cine = render(heart, scanner, RHYTHM)
        spacing = PixelSpacing(scanner.mm_per_px, scanner.mm_per_px)
        region = Region(0, 0, scanner.columns, scanner.rows, spacing)
        times_ms = np.arange(len(cine.frames)) * 1000 / RHYTHM.frame_rate_hz
        name = f"{view}, {100 * decorrelation:.0f} % new speckle, trouble {trouble:g}"
        yield name, Clip(Instance(Dataset(), Path()), cine.frames, times_ms, region), cine.label_maps == LV_CAVITY


def real(path: Path | None) -> tuple[str, Clip, None]:
    """Return the real cine, decoded as the product does."""
    found = path or get_testdata_file(REAL_CINE, download=False)
    if found is None:
        raise SystemExit(f"{REAL_CINE} is not here: pip install pydicom-data, or give --cine")
    return f"real, {Path(found).name}", decode_clip(read_instance(Path(found)), AnalysisConfig()), None


if __name__ == "__main__":
    main()
