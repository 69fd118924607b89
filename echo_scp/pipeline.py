"""The ordered stages: decode -> gate -> classify -> segment -> measure -> assess -> report.

Only this file knows the order, the same for a study from the network and for a folder of files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from io import BytesIO

import cv2
import structlog
from pydicom import Dataset, dcmwrite

from echo_scp.assess import assess
from echo_scp.classify import classify
from echo_scp.config import Config
from echo_scp.decode import decode_clip
from echo_scp.errors import InstanceError
from echo_scp.inference.catalogue import Engines
from echo_scp.measure import measure_clip, measure_study
from echo_scp.metrics import CLIPS, STAGE_DURATION
from echo_scp.model import (
    Assessment,
    Clip,
    ClipAnalysis,
    Instance,
    NotAssessed,
    Reason,
    Sex,
    StudyAnalysis,
    StudyMeasurement,
    ViewEstimate,
)
from echo_scp.report import PredecessorReference, build_seg, build_sr, draw_summary
from echo_scp.segment import segment

log = structlog.get_logger(__name__)

Progress = Callable[[ClipAnalysis], None]


@dataclass(frozen=True, slots=True)
class ResultFile:
    """One file that a study's analysis gives: a DICOM object (SR, SEG) or a picture (PNG)."""

    kind: str
    name: str
    content: bytes
    sop_instance_uid: str = ""
    series_instance_uid: str = ""
    sop_class_uid: str = ""


@dataclass(frozen=True, slots=True)
class AnalysedStudy:
    """A study's values, and its pictures, drawn while each clip's frames were in memory."""

    analysis: StudyAnalysis
    pictures: tuple[ResultFile, ...]


class Pipeline:
    """The stages with their engines and settings."""

    def __init__(self, config: Config, engines: Engines) -> None:
        self._config = config
        self._engines = engines

    @property
    def engines(self) -> Engines:
        return self._engines

    def analyse(
        self,
        study_instance_uid: str,
        revision: int,
        instances: Sequence[Instance],
        progress: Progress = lambda analysis: None,
    ) -> AnalysedStudy:
        """Analyse every instance of a study in order of series and instance number; `progress` is called after each.

        Nothing in one instance stops the others: what cannot be analysed carries its reason.
        """
        clips: list[ClipAnalysis] = []
        pictures: list[ResultFile] = []
        for instance in sorted(instances, key=_order):
            analysis, picture = self._analyse_instance(instance)
            pictures.extend(picture)
            clips.append(_let_go(analysis))
            _count(analysis)
            progress(analysis)
        result = measure_study(clips)
        study = StudyAnalysis(
            study_instance_uid=study_instance_uid,
            revision=revision,
            clips=tuple(clips),
            result=result,
            assessment=_assess(result, instances),
            engines=self._engines.identities,
        )
        return AnalysedStudy(study, tuple(pictures))

    def report(
        self, study: StudyAnalysis, now: datetime, predecessor: PredecessorReference | None = None
    ) -> tuple[ResultFile, ...]:
        """Build the SEG of every measured clip and the SR of the study; same values and `now`, same bytes."""
        config = self._config.report
        with STAGE_DURATION.time(stage="report"):
            segs = [build_seg(clip, study, config, now) for clip in study.clips if clip.measurement is not None]
            sr = build_sr(study, segs, config, now, predecessor)
            return (_encode("SR", sr), *(_encode("SEG", seg) for seg in segs))

    def _analyse_instance(self, instance: Instance) -> tuple[ClipAnalysis, tuple[ResultFile, ...]]:
        """Return the analysis and, when the clip was measured, its picture."""
        try:
            analysis = self._measure(instance)
            return analysis, self._draw(analysis)
        except InstanceError as error:
            return ClipAnalysis(instance, not_assessed=NotAssessed(error.reason, error.detail)), ()
        except Exception:  # one instance, whatever is wrong with it, must not take the study's other clips with it
            log.exception("clip.failed", sop_instance_uid=instance.sop_instance_uid)
            refusal = NotAssessed(Reason.INTERNAL_ERROR, "an internal error; see the log")
            return ClipAnalysis(instance, not_assessed=refusal), ()

    def _measure(self, instance: Instance) -> ClipAnalysis:
        with _stage("decode"):
            clip = decode_clip(instance, self._config.analysis)
        return self.analyse_clip(clip)

    def analyse_clip(self, clip: Clip, view: ViewEstimate | None = None) -> ClipAnalysis:
        """Run the stages after decoding; a given `view` is taken as it is instead of asking the view engine."""
        if view is None:
            with _stage("classify"):
                view = classify(clip, self._engines.view)
        analysis = ClipAnalysis(clip.instance, clip=clip, view=view, notes=clip.notes)
        measurable = self._engines.segmentation.manifest.views
        if view.view not in measurable:
            guess, probability = max(view.probabilities, key=lambda item: item[1])
            detail = f"taken for {view.view} ({guess} {probability:.2f}); measured are {', '.join(measurable)}"
            return replace(analysis, not_assessed=NotAssessed(Reason.VIEW_NOT_MEASURED, detail))
        with _stage("segment"):
            segmentation = segment(clip, self._engines.segmentation, self._config.analysis.batch_frames)
        with _stage("measure"):
            outcome = measure_clip(clip, segmentation)
        if isinstance(outcome, NotAssessed):
            return replace(analysis, segmentation=segmentation, not_assessed=outcome)
        return replace(analysis, segmentation=segmentation, measurement=outcome, notes=(*clip.notes, *outcome.notes))

    def _draw(self, analysis: ClipAnalysis) -> tuple[ResultFile, ...]:
        if analysis.measurement is None:
            return ()
        with _stage("draw"):
            picture = draw_summary(analysis, research_use=self._config.report.research_use)
            ok, png = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        if not ok:
            raise ValueError("OpenCV could not encode a PNG")
        uid = analysis.instance.sop_instance_uid
        return (ResultFile("PNG", f"{uid}.png", png.tobytes(), uid),)


def _stage(name: str) -> AbstractContextManager[None]:
    return STAGE_DURATION.time(stage=name)


def _order(instance: Instance) -> tuple[int, int, str]:
    header = instance.header
    return _integer(header.get("SeriesNumber")), _integer(header.get("InstanceNumber")), instance.sop_instance_uid


def _integer(value: object) -> int:
    try:
        return int(str(value))
    except ValueError:
        return 0


def _let_go(analysis: ClipAnalysis) -> ClipAnalysis:
    """Drop the pixels that no later stage reads: a study of many clips would not fit into memory otherwise."""
    if analysis.clip is None:
        return analysis
    clip = replace(analysis.clip, frames=analysis.clip.frames[:0].copy())
    segmentation = analysis.segmentation if analysis.measurement is not None else None
    return replace(analysis, clip=clip, segmentation=segmentation)


def _count(analysis: ClipAnalysis) -> None:
    refusal = analysis.not_assessed
    CLIPS.add(
        outcome="measured" if refusal is None else "not_assessed", reason="" if refusal is None else refusal.reason
    )


def _assess(result: StudyMeasurement | NotAssessed, instances: Sequence[Instance]) -> Assessment | None:
    return None if isinstance(result, NotAssessed) else assess(result, _sex(instances))


def _sex(instances: Sequence[Instance]) -> Sex | None:
    """Return the patient's sex when every instance that tells it agrees."""
    told = {str(instance.header.get("PatientSex", "") or "").strip().upper() for instance in instances} - {""}
    return Sex(told.pop()) if len(told) == 1 and told <= set(Sex) else None


def _encode(kind: str, dataset: Dataset) -> ResultFile:
    buffer = BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    uid = str(dataset.SOPInstanceUID)
    return ResultFile(
        kind, f"{kind}-{uid}.dcm", buffer.getvalue(), uid, str(dataset.SeriesInstanceUID), str(dataset.SOPClassUID)
    )
