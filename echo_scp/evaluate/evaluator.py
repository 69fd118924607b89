"""One case through the product -> its result; and, for the report, its picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import structlog

from echo_scp.config import Config, MeasureConfig
from echo_scp.evaluate.case import Case, ClipSource, Refusal
from echo_scp.evaluate.changes import UNCHANGED, Change
from echo_scp.evaluate.compare import (
    clip_comparisons,
    clip_outcome,
    frame_scores,
    headline_comparisons,
    regression_comparisons,
    study_comparisons,
    two_view_comparisons,
)
from echo_scp.evaluate.outcome import CaseResult, ClipOutcome, Comparison, FrameScore
from echo_scp.evaluate.overlays import draw_labelled_frames
from echo_scp.evaluate.trial import Trial, Trials, let_go
from echo_scp.inference.catalogue import load_engines
from echo_scp.measure import find_body, measure_study, several_patients
from echo_scp.model import EngineIdentity, NotAssessed, Reason, StudyMeasurement
from echo_scp.pipeline import Pipeline
from echo_scp.report import draw_summary

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Settings:
    """What a result depends on beside its case: the configuration, and whether cines get their true view."""

    config: Config
    true_views: bool = False


class Evaluator:
    """The product, asked about cases whose answer is known."""

    def __init__(self, pipeline: Pipeline, settings: Settings) -> None:
        self._measure = settings.config.measure
        self._trials = Trials(pipeline, settings.config, true_views=settings.true_views)
        self.engines: tuple[EngineIdentity, ...] = pipeline.engines.identities
        self._regresses = any(engine.manifest.task == "ejection_fraction" for engine in pipeline.engines.additional)
        self.known_views = pipeline.engines.view.manifest.output.views

    def evaluate(self, case: Case, change: Change = UNCHANGED) -> CaseResult:
        """Return what became of every clip of a case and of the study as a whole."""
        parts = [self._evaluate_clip(case, source, change) for source in case.clips]
        trials = [part.trial for part in parts]
        comparisons = [comparison for part in parts for comparison in part.comparisons]
        if self._regresses:
            comparisons.extend(comparison for trial in trials for comparison in regression_comparisons(trial))
        comparisons.extend(two_view_comparisons(case, trials, self._measure))
        comparisons.extend(headline_comparisons(case, trials, self._measure))
        if any(source.cine for source in case.clips) or not case.clips:
            comparisons.extend(study_comparisons(case, trials, _conclude(trials, self._measure)))
        return CaseResult(
            identifier=case.identifier,
            patient=case.patient,
            change=change.name,
            sex=case.sex,
            clips=tuple(part.outcome for part in parts),
            frames=tuple(frame for part in parts for frame in part.frames),
            comparisons=tuple(comparisons),
            problem=case.problem,
        )

    def _evaluate_clip(self, case: Case, source: ClipSource, change: Change) -> _Part:
        try:
            return _part(case, self._trials.run(case, source, change), self._measure)
        except Exception as error:  # one clip, whatever is wrong with it, must not end a run over thousands
            log.exception("evaluation.clip_failed", clip=source.name)
            refusal = Refusal(Reason.INTERNAL_ERROR, f"{type(error).__name__}: {error}")
            return _part(case, Trial(source, refusal=refusal), self._measure)

    def picture(self, case: Case, clip: str) -> bytes | None:
        """Return a PNG of a clip with its outlines, experts' and ours; None when there is nothing to draw."""
        source = next((source for source in case.clips if source.name == clip), None)
        if source is None:
            return None
        trial = self._trials.run(case, source, UNCHANGED)
        if trial.frames:
            picture = draw_labelled_frames(trial)
        elif trial.analysis is not None and trial.analysis.measurement is not None:
            picture = draw_summary(trial.analysis)
        else:
            return None
        encoded, png = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        return png.tobytes() if encoded else None


@dataclass(frozen=True, slots=True)
class _Part:
    """What one clip adds to its case's result."""

    trial: Trial
    outcome: ClipOutcome
    frames: tuple[FrameScore, ...]
    comparisons: tuple[Comparison, ...]


def _part(case: Case, trial: Trial, config: MeasureConfig) -> _Part:
    frames, comparisons = tuple(frame_scores(trial)), tuple(clip_comparisons(case, trial, config))
    return _Part(let_go(trial), clip_outcome(trial, config), frames, comparisons)


@lru_cache(maxsize=1)
def evaluator_for(settings: Settings) -> Evaluator:
    """Return this process's evaluator: engines are loaded once per process, not per case."""
    return Evaluator(Pipeline(settings.config, load_engines(settings.config.analysis)), settings)


def _conclude(trials: Sequence[Trial], config: MeasureConfig) -> StudyMeasurement | NotAssessed | None:
    analyses = [trial.analysis for trial in trials if trial.analysis is not None]
    if not analyses:
        return None
    instances = [clip.instance for clip in analyses]
    if patients := several_patients(instances):
        return NotAssessed(Reason.SEVERAL_PATIENTS, patients)
    return measure_study(analyses, config, find_body(instances, config.bsa_formula))
