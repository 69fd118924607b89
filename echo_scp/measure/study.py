"""The headline of a study from its clips: biplane where two clips fit together, else from one plane."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from echo_scp.config import MeasureConfig
from echo_scp.measure.biplane import atrial_volume_ml, biplane_interval, biplane_volumes
from echo_scp.measure.choice import PREFERRED_VIEWS, Candidate, Pair, candidates, choose, of_one_stage, of_view
from echo_scp.measure.interval import around, beat_variance, outline_variance
from echo_scp.measure.published import published_headline
from echo_scp.measure.regressed import Regressed, regressed_ef
from echo_scp.model import (
    Atrium,
    Beat,
    BodySize,
    ClipAnalysis,
    Flag,
    NotAssessed,
    Note,
    Reason,
    StudyMeasurement,
    View,
    VolumeMethod,
)


def measure_study(
    clips: Sequence[ClipAnalysis],
    config: MeasureConfig | None = None,
    body: BodySize | Note | None = None,
) -> StudyMeasurement | NotAssessed:
    """Return the study's numbers, or why there are none.

    `body` is what `find_body` gave. The EF that a network gave for the clips without outlining them stands beside the
    result, and is the result only when the configuration asks for EchoNet-Dynamic's way.
    """
    config = config or MeasureConfig()
    measured = candidates(clips)
    if not measured:
        return none_measured(map(_reason, clips))
    found = of_one_stage(measured)
    choice = choose(found, config)
    result = (_from_one_plane if choice.pair is None else _from_two_planes)(choice.clips, config)
    result = replace(result, choice=choice.because)
    beside = regressed_ef(choice.clips) or regressed_ef(found)
    notes = (*_disagreement(result.ef_percent, beside, config), *_foreshortening(choice.closest, config))
    headline = result if config.aggregation == "beats" else published_headline(found, config)
    if isinstance(headline, NotAssessed):
        return headline
    used = [clip for clip in found if clip.sop_instance_uid in headline.sop_instance_uids]
    return replace(
        headline,
        choice=f"{headline.choice}{_stages(found, measured)}",
        heart_rate_bpm=_heart_rate(used),
        body=body if isinstance(body, BodySize) else None,
        regressed_ef_percent=None if beside is None else beside.ef_percent,
        notes=(*_notes(headline, used, config), *notes, *((body,) if isinstance(body, Note) else ()), *_stress(found)),
    )


def none_measured(reasons: Iterable[str]) -> NotAssessed:
    """Return the refusal of a study that tells such as '2 x colour_doppler, 1 x m_mode', the most frequent first."""
    ordered = sorted(Counter(reasons).items(), key=lambda item: (-item[1], item[0]))
    listed = ", ".join(f"{count} x {reason}" for reason, count in ordered) or "there are no clips"
    return NotAssessed(Reason.NO_ELIGIBLE_CLIP, f"no clip could be measured: {listed}")


def _stress(found: Sequence[Candidate]) -> tuple[Note, ...]:
    stage = found[0].stage
    return (Note(Flag.STRESS_STAGE, f"{stage}: the scales are of hearts at rest; no grade"),) if stage else ()


def _from_two_planes(clips: Sequence[Candidate], config: MeasureConfig) -> StudyMeasurement:
    """Return the mean over all combinations of a beat in A4C and one in A2C; the clips of a pair come first."""
    planes = [[clip.measurement for clip in of_view(clips, view)] for view in PREFERRED_VIEWS]
    four, two = ([beat for clip in plane for beat in clip.beats] for plane in planes)
    volumes = biplane_volumes(four, two)
    beats = (*four, *two)
    la_volume = atrial_volume_ml(_atria(four), _atria(two))
    seen_by = View.A4C if _atria(four) else View.A2C
    single_la, single_method = _single_plane_atrium(beats)
    return StudyMeasurement(
        ef_percent=volumes.ef_percent,
        edv_ml=volumes.edv_ml,
        esv_ml=volumes.esv_ml,
        view=View.A4C,
        method=VolumeMethod.DISKS_BIPLANE,
        beat_count=len(beats),
        sop_instance_uids=tuple(clip.sop_instance_uid for clip in clips),
        ef_interval=biplane_interval(volumes.ef_percent, planes, config),
        ef_sd_percent=_spread([clip.measurement.beats for clip in clips]),
        ef_area_length_percent=volumes.ef_area_length_percent,
        edv_area_length_ml=volumes.edv_area_length_ml,
        esv_area_length_ml=volumes.esv_area_length_ml,
        length_mm=max(clip.length_mm or 0.0 for clip in clips[:2]),
        area_mm2=_mean(beat.end_diastole.area_mm2 for beat in four),
        la_volume_ml=single_la if la_volume is None else la_volume,
        la_method=single_method if la_volume is None else VolumeMethod.AREA_LENGTH_BIPLANE,
        la_view=seen_by if la_volume is None and single_la is not None else None,
    )


def _from_one_plane(clips: Sequence[Candidate], config: MeasureConfig) -> StudyMeasurement:
    """Return the mean over all beats of the clips; volumes rest on the beats of calibrated clips alone."""
    beats = [beat for clip in clips for beat in clip.measurement.beats]
    efs = [beat.ef_percent for beat in beats]
    ef_percent = float(np.mean(efs))
    doubts = [clip.measurement.segmentation_sd_percent for clip in clips]
    outlines = max(outline_variance(doubt, config) for doubt in doubts)
    la_volume, la_method = _single_plane_atrium(beats)
    return StudyMeasurement(
        ef_percent=ef_percent,
        edv_ml=_mean(beat.end_diastole.disks_ml for beat in beats),
        esv_ml=_mean(beat.end_systole.disks_ml for beat in beats),
        view=clips[0].view,
        method=VolumeMethod.DISKS_SINGLE_PLANE,
        beat_count=len(beats),
        sop_instance_uids=tuple(clip.sop_instance_uid for clip in clips),
        ef_interval=around(ef_percent, beat_variance(efs, config) + outlines + config.plane_sd_percent**2),
        ef_sd_percent=_spread([clip.measurement.beats for clip in clips]),
        ef_area_length_percent=float(np.mean([beat.ef_area_length_percent for beat in beats])),
        edv_area_length_ml=_mean(beat.end_diastole.area_length_ml for beat in beats),
        esv_area_length_ml=_mean(beat.end_systole.area_length_ml for beat in beats),
        length_mm=_mean(beat.end_diastole.length_mm for beat in beats),
        area_mm2=_mean(beat.end_diastole.area_mm2 for beat in beats),
        la_volume_ml=la_volume,
        la_method=la_method,
        la_view=None if la_volume is None else clips[0].view,
    )


def _spread(clips: Sequence[Sequence[Beat]]) -> float | None:
    """Return the SD between beats, each about the mean of its clip: what differs between planes is no beat's spread."""
    freedom = sum(len(beats) - 1 for beats in clips)
    if freedom < 1:
        return None
    squares = sum(float(np.var([beat.ef_percent for beat in beats]) * len(beats)) for beats in clips)
    return float(np.sqrt(squares / freedom))


def _atria(beats: Iterable[Beat]) -> list[Atrium]:
    return [beat.left_atrium for beat in beats if beat.left_atrium is not None]


def _single_plane_atrium(beats: Sequence[Beat]) -> tuple[float | None, VolumeMethod | None]:
    volume_ml = _mean(atrium.area_length_ml for atrium in _atria(beats))
    return volume_ml, None if volume_ml is None else VolumeMethod.AREA_LENGTH_SINGLE_PLANE


def _heart_rate(clips: Iterable[Candidate]) -> float | None:
    """Return the mean of the machine's rates; None unless every clip has one that its outlines bear out."""
    measured = [clip.measurement for clip in clips]
    if not all(measurement.heart_rate_is_told for measurement in measured):
        return None
    return float(np.mean([measurement.heart_rate_bpm for measurement in measured]))


def _notes(result: StudyMeasurement, clips: Sequence[Candidate], config: MeasureConfig) -> Iterator[Note]:
    if not config.lowest_ef_percent <= result.ef_percent <= config.highest_ef_percent:
        yield Note(Flag.EF_OUT_OF_RANGE, f"EF of {result.ef_percent:.1f} %")
    flags = [note.flag for clip in clips for note in clip.measurement.notes]
    if Flag.IRREGULAR_RHYTHM in flags:
        yield Note(Flag.IRREGULAR_RHYTHM, f"in {flags.count(Flag.IRREGULAR_RHYTHM)} of {len(clips)} clips")
        if result.beat_count < config.irregular_beats:
            there = "1 beat was" if result.beat_count == 1 else f"{result.beat_count} beats were"
            detail = f"{there} there; an irregular rhythm asks for {config.irregular_beats}"
            yield Note(Flag.FEW_BEATS, detail)


def _disagreement(geometric: float, regressed: Regressed | None, config: MeasureConfig) -> Iterator[Note]:
    if regressed is not None and abs(regressed.ef_percent - geometric) > config.ef_disagreement_percent:
        detail = f"{geometric:.1f} % from outlines, {regressed.ef_percent:.1f} % by regression ({regressed.engine})"
        yield Note(Flag.EF_DISAGREES, detail)


def _foreshortening(closest: Pair | None, config: MeasureConfig) -> Iterator[Note]:
    """Yield a note when even the closest pair of planes differs in length: the shorter one misses the apex."""
    if closest is None or not config.length_agreement_percent < closest.length_difference_percent < float("inf"):
        return
    shorter = min((closest.four, closest.two), key=lambda clip: clip.length_mm or 0.0)
    difference = f"{closest.length_difference_percent:.0f} %"
    yield Note(
        Flag.FORESHORTENED, f"{shorter.label} ({shorter.view}): the LV is {difference} shorter than in the other plane"
    )


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _stages(found: Sequence[Candidate], measured: Sequence[Candidate]) -> str:
    """Say which stage of a stress protocol the result is of, where there is more to it than the rest."""
    stage = found[0].stage
    others = len(measured) - len(found)
    told = [f"of the stage whose {stage}"] if stage else []
    if others == 1:
        told.append("1 measured clip of another stage stands by itself")
    elif others:
        told.append(f"{others} measured clips of other stages stand by themselves")
    return f" Stress protocol: {'; '.join(told)}." if told else ""


def _reason(clip: ClipAnalysis) -> Reason:
    return clip.not_assessed.reason if clip.not_assessed is not None else Reason.VIEW_NOT_MEASURED
