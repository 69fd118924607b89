"""Trials of a case -> numbers beside their truth, scores of outlines, and what is left without a number."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from echo_scp.config import MeasureConfig
from echo_scp.evaluate.case import NOTHING_KNOWN, Case, Phase, Reference, Refusal
from echo_scp.evaluate.outcome import Against, ClipOutcome, Comparison, FrameScore, MeasuredBeat, Quantity
from echo_scp.evaluate.overlap import dice, hausdorff95, intersection_over_union
from echo_scp.evaluate.trial import OutlinedFrame, Trial
from echo_scp.evaluate.volumes import Measured, Outcome, biplane, headline, single_plane
from echo_scp.measure import none_measured
from echo_scp.measure.regressed import is_ef
from echo_scp.model import (
    MEASURED_VIEWS,
    ClipAnalysis,
    ClipMeasurement,
    NotAssessed,
    PixelSpacing,
    Reason,
    Structure,
    StudyMeasurement,
    View,
)

SQUARE = PixelSpacing(1, 1)
STUDY = "study"
HEADLINE = "headline, labelled frames"
NO_OUTLINE = Refusal(Reason.NO_VENTRICLE, "no LV is outlined at end-diastole or end-systole")
ONE_PHASE = Refusal("one_phase", "the labelled frames are of end-diastole or of end-systole alone")
NO_REGRESSION = Refusal(Reason.VIEW_NOT_MEASURED, "no regression network is for the view that the clip was taken for")
NOT_CALIBRATED = Refusal("not_calibrated", "the clip has no scale, so there is no volume")


def clip_outcome(trial: Trial, config: MeasureConfig) -> ClipOutcome:
    """Return what the product said of a clip."""
    measured = None if trial.analysis is None else trial.analysis.measurement
    outcome = _cine_outcome(trial) if trial.source.cine else trial.refusal or _alone(trial.plane(config))
    told = outcome.numbers if isinstance(outcome, Measured) else NOTHING_KNOWN
    phases = {} if trial.loaded is None else {frame.phase: frame.frame_index for frame in trial.loaded.labelled}
    return ClipOutcome(
        name=trial.source.name,
        true_view=trial.source.view,
        view=None if trial.view is None else trial.view.view,
        view_confidence=None if trial.view is None else trial.view.confidence,
        refusal=_why(trial),
        ef_percent=told.ef_percent,
        edv_ml=told.edv_ml,
        esv_ml=told.esv_ml,
        trust=trial.trust if trial.analysis is None or trial.analysis.trust is None else trial.analysis.trust,
        ef_interval=outcome.interval if isinstance(outcome, Measured) else None,
        beats=_beats(measured),
        sizes_px=_sizes(trial),
        true_end_diastole=phases.get(Phase.END_DIASTOLE),
        true_end_systole=phases.get(Phase.END_SYSTOLE),
    )


def frame_scores(trial: Trial) -> Iterator[FrameScore]:
    """Yield a score per traced structure of every traced frame."""
    if trial.loaded is None:
        return
    spacing = trial.loaded.clip.region.spacing
    for frame in trial.frames:
        for structure in frame.labelled.structures:
            yield _score(trial, frame, structure, spacing)


def clip_comparisons(case: Case, trial: Trial, config: MeasureConfig) -> Iterator[Comparison]:
    """Yield what one clip says of its labelled frames and, for a cine, of its beats."""
    if trial.paired or (not trial.source.cine and (trial.loaded is None or trial.loaded.labelled)):
        yield from _labelled_comparisons(case, trial, config)
    if trial.source.cine:
        method, outcome = f"{_view_name(trial)} cine", _cine_outcome(trial)
        yield from _compare(method, Against.REFERENCE, trial.source.name, trial.source.reference, outcome)


def regression_comparisons(trial: Trial) -> Iterator[Comparison]:
    """Yield the EF that the first regression network gives for a cine, whatever becomes of its outlines."""
    if not trial.source.cine:
        return
    estimates = () if trial.analysis is None else trial.analysis.estimates
    given = next((estimate.value for estimate in estimates if is_ef(estimate)), None)
    outcome = _why(trial) or NO_REGRESSION if given is None else Measured(Reference(given))
    method, truth = f"{_view_name(trial)} cine, regression", Reference(trial.source.reference.ef_percent)
    yield from _compare(method, Against.REFERENCE, trial.source.name, truth, outcome)


def two_view_comparisons(case: Case, trials: Sequence[Trial], config: MeasureConfig) -> Iterator[Comparison]:
    """Yield what the labelled frames of an A4C and an A2C clip say together."""
    found = [next((t for t in trials if t.source.view is view and _pairs(t)), None) for view in (View.A4C, View.A2C)]
    pair = [trial for trial in found if trial is not None]
    if len(pair) != 2:
        return
    refusal = next((trial.refusal for trial in pair if trial.refusal is not None), None)
    planes = _both(None if refusal is not None else trial.plane(config) for trial in pair)
    ours = refusal or (NO_OUTLINE if planes is None else biplane(planes, config))
    name, method = f"{case.identifier} A4C + A2C", "biplane, labelled frames"
    if all(trial.traced for trial in pair):
        traced = _both(trial.traced_plane(config) for trial in pair)
        experts = NO_OUTLINE if traced is None else biplane(traced, config)
        if isinstance(experts, Measured):
            yield from _compare(method, Against.EXPERTS, name, experts.numbers, ours)
        yield from _compare(f"experts' outlines, {method}", Against.REFERENCE, name, case.reference, _unstated(experts))
    yield from _compare(method, Against.REFERENCE, name, case.reference, ours)


def headline_comparisons(case: Case, trials: Sequence[Trial], config: MeasureConfig) -> Iterator[Comparison]:
    """Yield what the product would report of labelled stills: without those it does not trust, by its own choice."""
    asked = [trial for trial in trials if trial.source.view in MEASURED_VIEWS and _pairs(trial)]
    if not asked or any(trial.source.cine for trial in trials):
        return
    told = [trial.refusal or trial.doubt or trial.plane(config) or NO_OUTLINE for trial in asked]
    planes = [plane for plane in told if isinstance(plane, ClipAnalysis)]
    refusals = [refusal for refusal in told if isinstance(refusal, Refusal)]
    ours = headline(planes, config) if planes else refusals[0]
    traced = [plane for trial in asked if trial.traced and (plane := trial.traced_plane(config)) is not None]
    experts = headline(traced, config) if len(traced) == len(asked) else NO_OUTLINE
    if isinstance(experts, Measured):
        yield from _compare(HEADLINE, Against.EXPERTS, case.identifier, experts.numbers, ours)
    yield from _compare(HEADLINE, Against.REFERENCE, case.identifier, case.reference, ours)


def study_comparisons(
    case: Case, trials: Sequence[Trial], result: StudyMeasurement | NotAssessed | None
) -> Iterator[Comparison]:
    """Yield the study's headline, and the EF of a regression network beside it, with the study's truth."""
    outcome: Outcome
    if isinstance(result, StudyMeasurement):
        outcome = Measured.of(result)
    else:
        outcome = case.problem or _no_headline(trials, result)
    yield from _compare(STUDY, Against.REFERENCE, case.identifier, case.reference, outcome)
    if isinstance(result, StudyMeasurement) and result.regressed_ef_percent is not None:
        beside, truth = Reference(result.regressed_ef_percent), Reference(case.reference.ef_percent)
        yield from _compare(f"{STUDY}, regression", Against.REFERENCE, case.identifier, truth, Measured(beside))


def _no_headline(trials: Sequence[Trial], result: NotAssessed | None) -> Refusal:
    """Say why a study has no headline: by the reasons of all its clips where none was measured, as the product does."""
    refusals = [refusal for trial in trials if (refusal := _why(trial)) is not None]
    if result is None or (result.reason is Reason.NO_ELIGIBLE_CLIP and len(refusals) == len(trials)):
        result = none_measured(refusal.reason for refusal in refusals)
    return Refusal(result.reason, result.detail)


def _labelled_comparisons(case: Case, trial: Trial, config: MeasureConfig) -> Iterator[Comparison]:
    """Yield single-plane numbers of the labelled frames beside the experts' outlines and beside the reference."""
    method, name = f"{_view_name(trial)} single plane, labelled frames", trial.source.name
    known = case.reference if trial.source.reference == NOTHING_KNOWN else trial.source.reference
    ours = trial.refusal or (_alone(trial.plane(config)) if trial.paired else ONE_PHASE)
    if trial.traced:
        experts = _alone(trial.traced_plane(config))
        if isinstance(experts, Measured):
            yield from _compare(method, Against.EXPERTS, name, experts.numbers, ours)
        yield from _compare(f"experts' outlines, {method}", Against.REFERENCE, name, known, _unstated(experts))
    yield from _compare(method, Against.REFERENCE, name, known, ours)


def _pairs(trial: Trial) -> bool:
    """Whether both ED and ES are known, or would be if the stills could be read."""
    return trial.paired or (trial.refusal is not None and not trial.source.cine)


def _compare(measured_by: str, against: Against, clip: str, truth: Reference, outcome: Outcome) -> Iterator[Comparison]:
    """Yield a comparison per quantity whose truth is known."""
    for quantity in Quantity:
        true = getattr(truth, quantity)
        if true is None:
            continue
        if isinstance(outcome, Refusal):
            yield Comparison(quantity, measured_by, against, clip, true, refusal=outcome)
            continue
        measured = getattr(outcome.numbers, quantity)
        refusal = NOT_CALIBRATED if measured is None else None
        stated = outcome.interval if quantity is Quantity.EF else None
        yield Comparison(quantity, measured_by, against, clip, true, measured, refusal, stated)


def _alone(plane: ClipAnalysis | None) -> Outcome:
    return NO_OUTLINE if plane is None else single_plane(plane)


def _both(planes: Iterable[ClipAnalysis | None]) -> tuple[ClipAnalysis, ClipAnalysis] | None:
    four_chamber, two_chamber = planes
    return None if four_chamber is None or two_chamber is None else (four_chamber, two_chamber)


def _unstated(outcome: Outcome) -> Outcome:
    """Drop the interval: it is for outlines of an engine, not for those of experts."""
    return replace(outcome, interval=None) if isinstance(outcome, Measured) else outcome


def _cine_outcome(trial: Trial) -> Outcome:
    why = _why(trial)
    if why is not None or trial.analysis is None or trial.analysis.measurement is None:
        return why or NO_OUTLINE
    return Measured.of(trial.analysis.measurement)


def _why(trial: Trial) -> Refusal | None:
    if trial.refusal is not None or trial.analysis is None:
        return trial.refusal
    refused = trial.analysis.not_assessed
    return None if refused is None else Refusal(refused.reason, refused.detail)


def _view_name(trial: Trial) -> str:
    return trial.grouping_view or "view unknown"


def _beats(measured: ClipMeasurement | None) -> tuple[MeasuredBeat, ...]:
    return tuple(
        MeasuredBeat(beat.end_diastole.frame_index, beat.end_systole.frame_index, beat.ef_percent)
        for beat in (measured.beats if measured is not None else ())
    )


def _sizes(trial: Trial) -> tuple[int, ...]:
    """Return the LV's area on each frame that was outlined whole: of a cine that was measured, of stills."""
    if trial.analysis is not None and trial.analysis.segmentation is not None:
        masks = trial.analysis.segmentation.masks(Structure.LV_CAVITY)
        return tuple(int(np.count_nonzero(mask)) for mask in masks)
    if trial.source.cine:
        return ()
    frames = sorted(trial.frames, key=lambda frame: frame.labelled.frame_index)
    return tuple(frame.size_px for frame in frames)


def _score(trial: Trial, frame: OutlinedFrame, structure: Structure, spacing: PixelSpacing | None) -> FrameScore:
    assert frame.labelled.label_map is not None  # structures are listed for traced frames only
    traced = frame.labelled.label_map == frame.labelled.structures.index(structure) + 1
    known = structure in frame.structures
    outlined = np.equal(frame.outline, frame.structures.index(structure) + 1) if known else np.zeros_like(traced)
    return FrameScore(
        clip=trial.source.name,
        view=trial.grouping_view,
        phase=frame.labelled.phase,
        structure=structure,
        dice=dice(outlined, traced),
        intersection_over_union=intersection_over_union(outlined, traced),
        hausdorff95=hausdorff95(outlined, traced, spacing or SQUARE),
        calibrated=spacing is not None,
    )
