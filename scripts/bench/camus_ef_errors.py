"""Where the EF of the outlines goes wrong: parts of the engine's outlines put in the place of the experts'.

python scripts/bench/camus_ef_errors.py camus-a4c.npz --split train

Each row is the error of EF, in points, when only the named part is the engine's and the rest the experts'. The axis is
the experts': the apex is its first 30 %, the base its last 25 % and what lies below.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from echo_scp.config import AnalysisConfig, MeasureConfig
from echo_scp.evaluate.case import LabelMap, Phase
from echo_scp.evaluate.frames_file import STRUCTURES, find_cases
from echo_scp.evaluate.volumes import measure_frames
from echo_scp.inference.catalogue import load_engines
from echo_scp.measure.geometry import area_length_volume
from echo_scp.model import Beat, PixelSpacing, Ventricle, View
from echo_scp.segment import segment

ZONES = {"apex": (-np.inf, 0.3), "middle": (0.3, 0.75), "base": (0.75, np.inf)}
BANDS = (0, 30, 40, 50, 60, 100)


@dataclass(frozen=True)
class Pair:
    """ED and ES label maps of a patient, the experts' and the engine's."""

    traced: tuple[LabelMap, LabelMap]
    outlined: tuple[LabelMap, LabelMap]
    spacing: PixelSpacing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--split", default="train")
    arguments = parser.parse_args()
    rows = [errors_of(pair) for pair in read(arguments.archive, arguments.split)]
    found = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    print(f"{len(rows)} patients; bias, SD and MAE of EF in points")
    for name in [name for name in found if name.startswith("EF,")]:
        print(f"  {name:<38}{_told(found[name])}")
    print("relative error of the volume, %")
    for phase in Phase:
        print(f"  {phase:<38}{_told(100 * found[phase])}")
    print(f"  correlation of ED and ES {np.corrcoef(found['ED'], found['ES'])[0, 1]:.2f}")
    print("EF by true EF")
    for low, high in pairwise(BANDS):
        chosen = (found["true"] >= low) & (found["true"] < high)
        if chosen.any():
            print(f"  {low:>3} to {high:<3} ({chosen.sum():>3})".ljust(40) + _told(found["EF, all ours"][chosen]))


def read(archive: Path, split: str) -> Iterator[Pair]:
    """Yield each patient's frames, outlined by the configured engine."""
    config = AnalysisConfig()
    engine = load_engines(config).segmentation
    for case in find_cases([archive], split):
        loaded = case.clips[0].load(config)
        maps = segment(loaded.clip, engine, len(loaded.labelled)).label_maps
        frames = {frame.phase: frame for frame in loaded.labelled}
        ends = [frames[phase] for phase in Phase]
        assert loaded.clip.region.spacing is not None
        yield Pair(
            tuple(frame.label_map for frame in ends),
            tuple(maps[frame.frame_index] for frame in ends),
            loaded.clip.region.spacing,
        )


def errors_of(pair: Pair) -> dict[str, float]:
    """Return the errors by what is the engine's."""
    (ed, es), (our_ed, our_es) = pair.traced, pair.outlined
    true, ours = beat_of((ed, es), pair.spacing), beat_of((our_ed, our_es), pair.spacing)
    ef = true.ef_percent
    mixed = {
        "EF, all ours": (our_ed, our_es),
        "EF, ED ours": (our_ed, es),
        "EF, ES ours": (ed, our_es),
        **{
            f"EF, {zone} ours": tuple(
                np.where(_zone(end, limits, their.shape, pair.spacing), our, their)
                for end, our, their in zip(
                    (true.end_diastole, true.end_systole), pair.outlined, pair.traced, strict=True
                )
            )
            for zone, limits in ZONES.items()
        },
    }
    errors = {name: beat_of(maps, pair.spacing).ef_percent - ef for name, maps in mixed.items()}
    by_parts = {"EF, area ours (area-length)": (ours, true), "EF, length ours (area-length)": (true, ours)}
    errors |= {name: _area_length(*beats) - _area_length(true, true) for name, beats in by_parts.items()}
    volumes = ((ours.end_diastole, true.end_diastole), (ours.end_systole, true.end_systole))
    errors |= {phase: mine.disks_ml / theirs.disks_ml - 1 for phase, (mine, theirs) in zip(Phase, volumes, strict=True)}
    return errors | {"true": ef}


def beat_of(maps: tuple[LabelMap, LabelMap], spacing: PixelSpacing) -> Beat:
    """Return the beat that the product makes of (ED, ES) label maps."""
    plane = measure_frames(View.A4C, maps, STRUCTURES, spacing, MeasureConfig())
    assert plane is not None
    assert plane.measurement is not None
    return plane.measurement.beats[0]


def _zone(
    end: Ventricle, limits: tuple[float, float], shape: tuple[int, ...], spacing: PixelSpacing
) -> NDArray[np.bool_]:
    """Return which pixels lie within `limits` of the long axis, 0 at the apex and 1 at the annulus."""
    scale = np.array([spacing.column_mm, spacing.row_mm])
    apex, base = np.array(end.apex) * scale, np.mean(end.annulus, axis=0) * scale
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]] + 0.5
    points = np.stack([columns * scale[0], rows * scale[1]], axis=-1)
    along = (points - apex) @ (base - apex) / np.sum((base - apex) ** 2)
    return (along >= limits[0]) & (along < limits[1])


def _area_length(areas: Beat, lengths: Beat) -> float:
    volumes = [
        area_length_volume(getattr(areas, end).area_mm2, getattr(lengths, end).length_mm)
        for end in ("end_diastole", "end_systole")
    ]
    return 100 * (1 - volumes[1] / volumes[0])


def _told(values: NDArray[np.float64]) -> str:
    spread = values.std(ddof=1) if len(values) > 1 else float("nan")
    return f"{values.mean():+6.1f} {spread:6.1f} {np.abs(values).mean():6.1f}"


if __name__ == "__main__":
    main()
