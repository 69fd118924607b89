"""Measure one clip: label maps -> shapes per frame -> beats -> ejection fraction."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from echo_scp.errors import InstanceError
from echo_scp.measure.beats import Cycle, find_cycles
from echo_scp.measure.curve import TimedCurve
from echo_scp.measure.outlines import Outlines
from echo_scp.measure.plausible import (
    require_continuity,
    require_motion,
    require_rhythm,
    require_stability,
    require_ventricle,
)
from echo_scp.measure.rhythm import IRREGULAR_VARIATION, Rhythm, find_rhythm, find_systoles, rr_variation
from echo_scp.measure.shape import MM3_PER_ML, Shape, as_ventricle
from echo_scp.model import Beat, Clip, ClipMeasurement, Curve, Flag, NotAssessed, Note, Reason, Segmentation

VOTE_FRAMES_PER_CYCLE = 30  # so dense that a neighbour of the extreme frame differs by about 1 % of the stroke volume
RAGGED_FRAMES_PER_CYCLE = 12  # below, a true peak looks like a ragged frame
LOWEST_EF_PERCENT, HIGHEST_EF_PERCENT = 10.0, 80.0  # outside is flagged, never deleted

Shapes = tuple[Shape | None, ...]


def measure_clip(clip: Clip, segmentation: Segmentation) -> ClipMeasurement | NotAssessed:
    """Return EF and volumes over every whole beat of the clip, or why there are none.

    EF is a ratio within the clip and needs no calibration; without one, pixels are taken as square, as scanners draw
    them. In time, outlines are steadied by a vote of three frames where frames are dense, ED and ES are picked on the
    smoothed area curve, and a frame whose area leaps off its neighbours' is not used.
    """
    try:
        return _measure(clip, segmentation)
    except InstanceError as error:
        return NotAssessed(error.reason, error.detail)


def _measure(clip: Clip, segmentation: Segmentation) -> ClipMeasurement:
    outlines = Outlines.around_ventricle(segmentation)
    counts = outlines.pixel_counts()
    require_ventricle(counts, clip.region)
    counted = _curve_of(clip, np.where(counts > 0, counts, np.nan))
    require_motion(counted)
    rhythm = require_rhythm(counted, find_rhythm(clip, counted))
    require_continuity(counted, rhythm)
    frames_per_cycle = rhythm.cycle_ms / counted.interval_ms
    if frames_per_cycle >= VOTE_FRAMES_PER_CYCLE:
        outlines = outlines.steadied()
    shapes = outlines.shapes(clip.region.spacing)
    areas = _curve_of(clip, np.array([shape.area if shape else np.nan for shape in shapes]))
    if frames_per_cycle >= RAGGED_FRAMES_PER_CYCLE:
        areas = areas.without_ragged_frames()
    require_motion(areas)
    require_stability(areas, rhythm)
    return _summarise(clip, rhythm, areas, shapes)


def _curve_of(clip: Clip, values: Curve) -> TimedCurve:
    if len(values) < 2:
        raise InstanceError(Reason.SHORTER_THAN_A_BEAT, f"{len(values)} frame")
    if not np.isfinite(values).any():
        raise InstanceError(Reason.NO_VENTRICLE, "the LV has no shape on any frame")
    return TimedCurve.of(clip.frame_times_ms, values)


def _summarise(clip: Clip, rhythm: Rhythm, areas: TimedCurve, shapes: Shapes) -> ClipMeasurement:
    systoles_ms = find_systoles(areas, rhythm)
    cycles = find_cycles(areas, rhythm, systoles_ms, clip.r_wave_times_ms)
    if not cycles:
        raise InstanceError(
            Reason.NO_BEAT, f"no beat lies wholly inside the clip, which shows {len(systoles_ms)} end-systoles"
        )
    calibrated = clip.region.spacing is not None
    beats = tuple(_beat(cycle, shapes, calibrated=calibrated) for cycle in cycles)
    efs = np.array([beat.ef_percent for beat in beats])
    return ClipMeasurement(
        beats=beats,
        ef_percent=float(efs.mean()),
        ef_sd_percent=float(efs.std(ddof=1)) if len(beats) > 1 else None,
        ef_area_length_percent=float(np.mean([beat.ef_area_length_percent for beat in beats])),
        edv_ml=_mean_ml([beat.end_diastole.disks_ml for beat in beats]),
        esv_ml=_mean_ml([beat.end_systole.disks_ml for beat in beats]),
        heart_rate_bpm=rhythm.heart_rate_bpm,
        calibrated=calibrated,
        volume_curve=_volume_curve(clip, areas, shapes, calibrated=calibrated),
        notes=tuple(_notes(rhythm, rr_variation(clip, systoles_ms), beats)),
    )


def _beat(cycle: Cycle, shapes: Shapes, *, calibrated: bool) -> Beat:
    diastole, systole = shapes[cycle.end_diastole], shapes[cycle.end_systole]
    if diastole is None or systole is None:
        raise AssertionError("a cycle names measured frames only")
    return Beat(
        end_diastole=as_ventricle(diastole, cycle.end_diastole, calibrated=calibrated),
        end_systole=as_ventricle(systole, cycle.end_systole, calibrated=calibrated),
        ef_percent=100 * (1 - systole.disks / diastole.disks),
        ef_area_length_percent=100 * (1 - systole.area_length / diastole.area_length),
    )


def _mean_ml(volumes: list[float | None]) -> float | None:
    known = [volume for volume in volumes if volume is not None]
    return float(np.mean(known)) if known else None


def _volume_curve(clip: Clip, areas: TimedCurve, shapes: Shapes, *, calibrated: bool) -> Curve:
    """Return (T,) in mL, or in percent of the largest; interpolated over frames that were not used."""
    known = zip(shapes, areas.measured, strict=True)
    volumes = np.array([shape.disks if shape and used else np.nan for shape, used in known])
    filled = TimedCurve.of(clip.frame_times_ms, volumes).values
    return filled / MM3_PER_ML if calibrated else 100 * filled / filled.max()


def _notes(rhythm: Rhythm, variation: float | None, beats: tuple[Beat, ...]) -> Iterator[Note]:
    if rhythm.estimated:
        yield Note(Flag.HEART_RATE_ESTIMATED, f"{rhythm.heart_rate_bpm:.0f}/min from the area curve")
    if variation is not None and variation > IRREGULAR_VARIATION:
        yield Note(Flag.IRREGULAR_RHYTHM, f"RR intervals vary by {100 * variation:.0f} %; average at least 5 beats")
    if len(beats) == 1:
        yield Note(Flag.SINGLE_BEAT, "one whole beat in the clip")
    outside = [beat.ef_percent for beat in beats if not LOWEST_EF_PERCENT <= beat.ef_percent <= HIGHEST_EF_PERCENT]
    if outside:
        listed = ", ".join(f"{ef:.1f}" for ef in outside)
        yield Note(Flag.EF_OUT_OF_RANGE, f"EF of {listed} % in {len(outside)} of {len(beats)} beats")
