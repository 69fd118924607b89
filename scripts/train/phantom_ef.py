"""The engine's EF on phantoms of known EF, by the product's own road from frames to EF.

python scripts/train/phantom_ef.py --engine engines/lv-apical
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from pydicom import Dataset

from echo_scp.inference.engine import Engine
from echo_scp.inference.manifest import read_manifest
from echo_scp.inference.onnxruntime import OnnxRuntimeEngine
from echo_scp.measure.clip import measure_clip
from echo_scp.model import Clip, Instance, NotAssessed, PixelSpacing, Region, View
from echo_scp.phantom.heart import Heart
from echo_scp.phantom.scene import Cine, Rhythm, Scanner, render
from echo_scp.segment import segment

EF_PERCENT = (20.0, 32.0, 45.0, 58.0, 70.0)
BATCH_FRAMES = 16
RHYTHM = Rhythm(heart_rate_bpm=68, frame_rate_hz=40, frame_count=80, first_phase=0.85)


@dataclass(frozen=True)
class PhantomResult:
    """Truth and measurement of one phantom; `ef_percent` is None when the clip was refused."""

    view: View
    true_ef_percent: float
    true_edv_ml: float
    ef_percent: float | None
    edv_ml: float | None
    refused: str = ""

    @property
    def line(self) -> str:
        truth = f"{self.view} EF {self.true_ef_percent:.0f} % EDV {self.true_edv_ml:.0f} mL"
        if self.ef_percent is None or self.edv_ml is None:
            return f"{truth} -> {self.refused}"
        return f"{truth} -> EF {self.ef_percent:.1f} % EDV {self.edv_ml:.0f} mL"


def measure_phantoms(engine: Engine) -> tuple[PhantomResult, ...]:
    """Measure a range of EF in both views; larger hearts have the lower EF."""
    return tuple(_measure(engine, view, ef) for view, ef in product((View.A4C, View.A2C), EF_PERCENT))


def _measure(engine: Engine, view: View, ef_percent: float) -> PhantomResult:
    edv_ml = float(np.interp(ef_percent, (20, 70), (180, 100)))
    length_mm = 82 * (edv_ml / 110) ** (1 / 3)
    tilt_deg = -8.0 if view is View.A2C else 0.0
    heart = Heart(view, edv_ml, ef_percent, length_mm, tilt_deg=tilt_deg)
    scanner = Scanner(rows=480, columns=640, depth_mm=155 * max(1.0, edv_ml / 140) ** (1 / 3), seed=round(ef_percent))
    clip = _clip(render(heart, scanner, RHYTHM), scanner)
    measured = measure_clip(clip, segment(clip, engine, BATCH_FRAMES))
    if isinstance(measured, NotAssessed):
        return PhantomResult(view, ef_percent, edv_ml, None, None, f"{measured.reason}: {measured.detail}")
    return PhantomResult(view, ef_percent, edv_ml, measured.ef_percent, measured.edv_ml)


def _clip(cine: Cine, scanner: Scanner) -> Clip:
    spacing = PixelSpacing(scanner.mm_per_px, scanner.mm_per_px)
    region = Region(0, 0, scanner.columns, scanner.rows, spacing)
    times_ms = np.arange(len(cine.frames)) * 1000 / RHYTHM.frame_rate_hz
    return Clip(Instance(Dataset(), Path()), cine.frames, times_ms, region, RHYTHM.heart_rate_bpm)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", type=Path, required=True)
    results = measure_phantoms(OnnxRuntimeEngine(read_manifest(parser.parse_args().engine)))
    for result in results:
        print(result.line, flush=True)
    errors = [abs(r.ef_percent - r.true_ef_percent) for r in results if r.ef_percent is not None]
    print(f"measured {len(errors)} of {len(results)}; largest EF error {max(errors, default=float('nan')):.1f} points")


if __name__ == "__main__":
    main()
