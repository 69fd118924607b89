"""Frames of the phantom for the self-test of engines: the truth about each is known."""

from __future__ import annotations

from echo_scp.inference.verify import Probe
from echo_scp.model import PixelSpacing, Region, Structure, View
from echo_scp.phantom.heart import Heart
from echo_scp.phantom.scene import Rhythm, Scanner, render

_VIEWS = (View.A4C, View.A2C)
_STRUCTURES = (Structure.LV_CAVITY, Structure.LV_MYOCARDIUM, Structure.LEFT_ATRIUM)  # as the phantom counts its labels


def probes() -> tuple[Probe, ...]:
    """Return an end-diastolic and an end-systolic frame of each apical view."""
    scanner = Scanner(rows=480, columns=640, seed=7)
    spacing = PixelSpacing(scanner.mm_per_px, scanner.mm_per_px)
    region = Region(0, 0, scanner.columns, scanner.rows, spacing)
    rhythm = Rhythm(heart_rate_bpm=60.0, frame_rate_hz=2.5, frame_count=2)  # 0.4 s later the ventricle is smallest
    cines = ((view, render(Heart(view), scanner, rhythm)) for view in _VIEWS)
    return tuple(
        Probe(view, frame, region, label_map, _STRUCTURES)
        for view, cine in cines
        for frame, label_map in zip(cine.frames, cine.label_maps, strict=True)
    )
