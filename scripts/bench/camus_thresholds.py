"""Where three defaults of [measure] come from: the experts' tracings of CAMUS, measured by the product's own geometry.

python scripts/bench/camus_thresholds.py --a4c camus-a4c.npz --a2c camus-a2c.npz

The files hold `labels` (N, H, W), 1 LV cavity, 2 myocardium, 3 LA, and `meta` with patient, phase and spacing.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from echo_scp.measure.biplane import biplane_volumes
from echo_scp.measure.quality import apex_motion_percent
from echo_scp.measure.shape import as_ventricle, find_shape, scale_of
from echo_scp.model import Beat, PixelSpacing, Ventricle

PERCENTILES = (50, 90, 95, 99)
Tracings = dict[tuple[str, str], Ventricle]
Scales = dict[str, tuple[float, float]]  # (column, row) spacing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--a4c", type=Path, required=True)
    parser.add_argument("--a2c", type=Path, required=True)
    arguments = parser.parse_args()
    four, _, scales = read(arguments.a4c, "train")
    beats = beats_of(four)
    motion = np.percentile([apex_motion_percent(beat, scales[name]) for name, beat in beats.items()], PERCENTILES)
    listed = ", ".join(f"p{percent} {value:.1f}" for percent, value in zip(PERCENTILES, motion, strict=True))
    print(f"apex motion in % of the LV's length, A4C of {len(beats)} patients: {listed}")
    compare_planes(arguments.a4c, arguments.a2c)


def read(path: Path, split: str | None = None) -> tuple[Tracings, dict[str, float], Scales]:
    """Return the LV by (patient, phase), the reference EF by patient where the file has one, and the spacing."""
    with np.load(path) as file:
        meta, labels = file["meta"], file["labels"]
    found: Tracings = {}
    scales: Scales = {}
    for row, label in zip(meta, labels, strict=True):
        if split is not None and str(row["split"]) != split:
            continue
        spacing = PixelSpacing(float(row["mm_per_px_y"]), float(row["mm_per_px_x"]))
        scales[str(row["patient"])] = scale_of(spacing)
        shape = find_shape(label == 1, label == 3, label == 2, spacing)
        if shape is not None:
            found[str(row["patient"]), str(row["phase"])] = as_ventricle(shape, 0, calibrated=True)
    told = {str(row["patient"]): float(row["lvef"]) for row in meta} if "lvef" in meta.dtype.names else {}
    return found, told, scales


def beats_of(tracings: Tracings) -> dict[str, Beat]:
    """Return one beat per patient with both phases."""
    beats = {}
    for patient in sorted({patient for patient, _ in tracings}):
        diastole, systole = (tracings.get((patient, phase)) for phase in ("ED", "ES"))
        if diastole is not None and systole is not None and diastole.disks_ml and systole.disks_ml:
            ef = 100 * (1 - systole.disks_ml / diastole.disks_ml)
            beats[patient] = Beat(diastole, systole, ef, ef)
    return beats


def compare_planes(a4c: Path, a2c: Path) -> None:
    """Print single-plane and biplane EF beside the reference."""
    (four, _, _), (two, told, _) = read(a4c), read(a2c)
    of_four, of_two = beats_of(four), beats_of(two)
    errors = {"A4C": [], "A2C": [], "biplane": []}
    for patient, reference in told.items():
        beats = of_four[patient], of_two[patient]
        biplane = biplane_volumes(beats[:1], beats[1:]).ef_percent
        efs = dict(zip(errors, (beats[0].ef_percent, beats[1].ef_percent, biplane), strict=True))
        print(f"{patient}: reference {reference:.1f}, " + ", ".join(f"{name} {ef:.1f}" for name, ef in efs.items()))
        for name, ef in efs.items():
            errors[name].append(ef - reference)
    for name, values in errors.items():
        print(f"{name}: rms {np.sqrt(np.mean(np.square(values))):.1f} points off the reference")


if __name__ == "__main__":
    main()
