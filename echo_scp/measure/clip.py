"""Measure one clip: label maps -> shapes per frame -> beats -> ejection fraction, volumes and how far to trust them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from echo_scp.config import MeasureConfig
from echo_scp.errors import InstanceError
from echo_scp.measure.atrium import cut_off_share, find_atria
from echo_scp.measure.beats import Cycle, find_cycles
from echo_scp.measure.curve import TimedCurve
from echo_scp.measure.interval import single_plane_interval
from echo_scp.measure.outliers import in_range, without_outliers
from echo_scp.measure.outlines import Outlines
from echo_scp.measure.plausible import (
    require_continuity,
    require_motion,
    require_order,
    require_rhythm,
    require_stability,
    require_ventricle,
)
from echo_scp.measure.quality import examine, quality_notes, score
from echo_scp.measure.reproduce import echonet_dynamic, usal_echo
from echo_scp.measure.rhythm import Rhythm, find_rhythm, find_systoles, rr_variation_percent
from echo_scp.measure.sector import SectorEdge, find_sector
from echo_scp.measure.shape import MM3_PER_ML, Shapes, as_ventricle, scale_of
from echo_scp.measure.steady import steady, without_turned
from echo_scp.model import (
    Atrium,
    Beat,
    Clip,
    ClipMeasurement,
    Curve,
    Flag,
    NotAssessed,
    Note,
    Reason,
    Reproduction,
    Segmentation,
)

VOTE_FRAMES_PER_CYCLE = 30  # so dense that a neighbour of the extreme frame differs by about 1 % of the stroke volume
RAGGED_FRAMES_PER_CYCLE = 12  # below, a true peak looks like a ragged frame


def measure_clip(
    clip: Clip, segmentation: Segmentation, config: MeasureConfig | None = None
) -> ClipMeasurement | NotAssessed:
    """Return EF and volumes over every whole beat of the clip, or why there are none.

    EF is a ratio within the clip and needs no calibration; without one, pixels are taken as square, as scanners draw
    them.
    """
    try:
        return _Measuring(clip, segmentation, config or MeasureConfig()).measure()
    except InstanceError as error:
        return NotAssessed(error.reason, error.detail)


def doubted(measurement: ClipMeasurement, trust: float, config: MeasureConfig) -> ClipMeasurement:
    """Return the measurement with what test-time variation says of its outlines in its interval.

    `trust` is the Dice, 0..1, to be expected of them; what is missing to 1 is what the EF may be wrong by.
    """
    sd_percent = config.doubt_sd_percent * 100 * (1 - trust)
    efs = [beat.ef_percent for beat in measurement.beats]
    interval = single_plane_interval(efs, sd_percent, config)
    return replace(measurement, segmentation_sd_percent=sd_percent, ef_interval=interval)


@dataclass(frozen=True, slots=True)
class _Traced:
    """The LV on every frame: as it was outlined (`raw`, `areas`) and steadied in time (`shapes`, `steady_areas`)."""

    rhythm: Rhythm
    raw: Shapes
    areas: TimedCurve
    shapes: Shapes
    steady_areas: TimedCurve
    fragments: Curve


@dataclass(frozen=True, slots=True)
class _Measuring:
    """One clip under measurement."""

    clip: Clip
    segmentation: Segmentation
    config: MeasureConfig

    def measure(self) -> ClipMeasurement:
        traced = self._trace()
        systoles_ms = find_systoles(traced.steady_areas, traced.rhythm)
        r_waves_ms = self.clip.r_wave_times_ms if traced.rhythm.r_waves_hold else ()
        cycles = find_cycles(traced.steady_areas, traced.rhythm, systoles_ms, r_waves_ms)
        if not cycles:
            detail = f"no beat lies wholly inside the clip, which shows {len(systoles_ms)} end-systoles"
            raise InstanceError(Reason.NO_BEAT, detail)
        variation = rr_variation_percent(r_waves_ms, systoles_ms)
        return self._summarise(traced, cycles, variation)

    def _trace(self) -> _Traced:
        """Return the LV's shapes; raise InstanceError where they carry no number."""
        outlines = Outlines.around_ventricle(self.segmentation)
        counts = outlines.pixel_counts()
        require_ventricle(counts, self.clip.region, self.config)
        counted = _curve_of(self.clip, np.where(counts > 0, counts, np.nan))
        require_motion(counted)
        rhythm = require_rhythm(counted, find_rhythm(self.clip, counted, self.config.heart_rate_agreement_percent))
        require_continuity(counted, rhythm, self.config)
        require_order(counted, rhythm)
        frames_per_cycle = rhythm.cycle_ms / counted.interval_ms
        fragments = outlines.fragment_shares()
        if frames_per_cycle >= VOTE_FRAMES_PER_CYCLE:
            outlines = outlines.steadied()
        scale = scale_of(self.clip.region.spacing)
        shapes = without_turned(outlines.shapes(self.clip.region.spacing), scale)
        areas = _curve_of(self.clip, _areas_of(shapes))
        if frames_per_cycle >= RAGGED_FRAMES_PER_CYCLE:
            areas = areas.without_ragged_frames()
        require_motion(areas)
        require_stability(areas, rhythm, self.config)
        used = tuple(shape if kept else None for shape, kept in zip(shapes, areas.measured, strict=True))
        steadied = steady(used, self.clip.frame_times_ms, rhythm.cycle_ms, scale)
        steady_areas = _curve_of(self.clip, np.where(areas.measured, _areas_of(steadied), np.nan))
        return _Traced(rhythm, used, areas, steadied, steady_areas, fragments)

    def _summarise(self, traced: _Traced, cycles: tuple[Cycle, ...], variation: float | None) -> ClipMeasurement:
        clip, config, rhythm = self.clip, self.config, traced.rhythm
        calibrated = clip.region.spacing is not None
        atria = find_atria(clip, self.segmentation, cycles, rhythm.cycle_ms)
        edge = SectorEdge(find_sector(clip, self.segmentation.label_maps.shape[1:]))
        cut_off = 100 * cut_off_share(atria, edge)
        if cut_off > config.sector_edge_percent:
            atria = {}
        found = tuple(_beat(cycle, traced.shapes, atria, calibrated=calibrated) for cycle in cycles)
        beats = without_outliers(found, config)
        edge_share = float(np.mean([edge.share(beat.end_diastole.contour) for beat in beats]))
        findings = examine(
            traced.areas, rhythm, traced.fragments, edge_share, beats, scale=scale_of(clip.region.spacing)
        )
        quality = score(findings, config)
        efs = [beat.ef_percent for beat in beats]
        return ClipMeasurement(
            beats=beats,
            ef_percent=float(np.mean(efs)),
            ef_sd_percent=float(np.std(efs, ddof=1)) if len(beats) > 1 else None,
            ef_area_length_percent=float(np.mean([beat.ef_area_length_percent for beat in beats])),
            edv_ml=_mean_ml([beat.end_diastole.disks_ml for beat in beats]),
            esv_ml=_mean_ml([beat.end_systole.disks_ml for beat in beats]),
            heart_rate_bpm=rhythm.heart_rate_bpm,
            calibrated=calibrated,
            volume_curve=_volume_curve(clip, traced, calibrated=calibrated),
            notes=(
                *_rhythm_notes(rhythm, variation, beats, config),
                *_range_notes(found, beats, config),
                *quality_notes(findings, quality, config),
                *_atrium_notes(cut_off, config),
            ),
            ef_interval=single_plane_interval(efs, None, config),
            la_volume_ml=_mean_ml([beat.left_atrium.area_length_ml for beat in beats if beat.left_atrium]),
            quality=quality,
            reproduction=self._reproduce(traced),
        )

    def _reproduce(self, traced: _Traced) -> Reproduction | None:
        """Return what the configured published pipeline makes of the outlines, which it does not steady."""
        clip, spacing = self.clip, self.clip.region.spacing
        if self.config.aggregation == "usal" and spacing is not None:
            every = range(len(clip.frame_times_ms))
            atrium = Outlines.around_atrium(self.segmentation).atrial_shapes(spacing, every)
            return usal_echo(traced.raw, atrium, traced.areas.interval_ms, traced.rhythm)
        if self.config.aggregation == "echonet-dynamic":
            volumes = [shape.disks / MM3_PER_ML if shape else np.nan for shape in traced.raw]
            return echonet_dynamic(_curve_of(clip, np.array(volumes)), traced.areas, calibrated=spacing is not None)
        return None


def _curve_of(clip: Clip, values: Curve) -> TimedCurve:
    if len(values) < 2:
        raise InstanceError(Reason.SHORTER_THAN_A_BEAT, f"{len(values)} frame")
    if not np.isfinite(values).any():
        raise InstanceError(Reason.NO_VENTRICLE, "the LV has no shape on any frame")
    return TimedCurve.of(clip.frame_times_ms, values)


def _areas_of(shapes: Shapes) -> Curve:
    return np.array([shape.area if shape else np.nan for shape in shapes])


def _beat(cycle: Cycle, shapes: Shapes, atria: Mapping[int, Atrium], *, calibrated: bool) -> Beat:
    diastole, systole = shapes[cycle.end_diastole], shapes[cycle.end_systole]
    if diastole is None or systole is None:
        raise AssertionError("a cycle names measured frames only")
    return Beat(
        end_diastole=as_ventricle(diastole, cycle.end_diastole, calibrated=calibrated),
        end_systole=as_ventricle(systole, cycle.end_systole, calibrated=calibrated),
        ef_percent=100 * (1 - systole.disks / diastole.disks),
        ef_area_length_percent=100 * (1 - systole.area_length / diastole.area_length),
        left_atrium=atria.get(cycle.end_systole),
    )


def _mean_ml(volumes: Sequence[float | None]) -> float | None:
    known = [volume for volume in volumes if volume is not None]
    return float(np.mean(known)) if known else None


def _volume_curve(clip: Clip, traced: _Traced, *, calibrated: bool) -> Curve:
    """Return (T,) in mL, or in percent of the largest; interpolated over frames that were not used."""
    known = zip(traced.shapes, traced.steady_areas.measured, strict=True)
    volumes = np.array([shape.disks if shape and used else np.nan for shape, used in known])
    filled = TimedCurve.of(clip.frame_times_ms, volumes).values
    return filled / MM3_PER_ML if calibrated else 100 * filled / filled.max()


def _rhythm_notes(
    rhythm: Rhythm, variation: float | None, beats: tuple[Beat, ...], config: MeasureConfig
) -> Iterator[Note]:
    if rhythm.overruled_bpm is not None:
        detail = f"the machine says {rhythm.overruled_bpm:.0f}/min, the clip shows {rhythm.heart_rate_bpm:.0f}/min"
        yield Note(Flag.HEART_RATE_DISAGREES, detail)
    elif rhythm.estimated:
        yield Note(Flag.HEART_RATE_ESTIMATED, f"{rhythm.heart_rate_bpm:.0f}/min from the area curve")
    if variation is not None and variation > config.irregular_variation_percent:
        detail = f"RR intervals vary by {variation:.0f} %; average at least {config.irregular_beats} beats"
        yield Note(Flag.IRREGULAR_RHYTHM, detail)
    if len(beats) == 1:
        yield Note(Flag.SINGLE_BEAT, "one whole beat in the clip")


def _range_notes(found: tuple[Beat, ...], beats: tuple[Beat, ...], config: MeasureConfig) -> Iterator[Note]:
    lowest, highest = config.lowest_ef_percent, config.highest_ef_percent
    mean = float(np.mean([beat.ef_percent for beat in beats]))
    if not lowest <= mean <= highest:
        yield Note(Flag.EF_OUT_OF_RANGE, f"EF of {mean:.1f} %; {lowest:g} to {highest:g} % is usual")
    dropped = [beat.ef_percent for beat in found if not any(beat is one for one in beats)]
    kept = [beat.ef_percent for beat in beats if not in_range(beat, config)] if lowest <= mean <= highest else []
    for efs, fate in ((dropped, "left out of the mean"), (kept, "in the mean")):
        if efs:
            listed = ", ".join(f"{ef:.1f}" for ef in efs)
            yield Note(Flag.BEAT_OUT_OF_RANGE, f"EF of {listed} % in {len(efs)} of {len(found)} beats, {fate}")


def _atrium_notes(cut_off_percent: float, config: MeasureConfig) -> Iterator[Note]:
    if cut_off_percent > config.sector_edge_percent:
        detail = f"{cut_off_percent:.0f} % of the LA's wall lies at the edge of the sector: no LA volume"
        yield Note(Flag.ATRIUM_CUT_OFF, detail)
