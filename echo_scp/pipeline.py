"""The ordered stages: decode -> gate -> classify -> segment -> measure -> assess -> report.

Only this file knows the order, the same for a study from the network and for a folder of files. A study's instances go
their way side by side; what comes out does not depend on that.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import chain

import cv2
import structlog
from pydicom import Dataset

from echo_scp.assess import assess
from echo_scp.classify import classify
from echo_scp.config import Config, MeasureConfig, ReportConfig
from echo_scp.decode import Cine, decode_all, decoded_pixels, open_cine
from echo_scp.errors import EngineError, InstanceError
from echo_scp.estimate import estimate
from echo_scp.evidence import read_evidence, weigh
from echo_scp.inference.catalogue import Engines
from echo_scp.inference.engine import Engine
from echo_scp.inference.shared import SharedEngine
from echo_scp.kept import Finding, Findings, KeptResults
from echo_scp.measure import (
    doubted,
    find_body,
    measure_clip,
    measure_study,
    note_child,
    refuse_other_views,
    several_patients,
    upended_outlines,
    upright,
)
from echo_scp.metrics import CLIPS, STAGE_DURATION
from echo_scp.model import (
    MEASURED_VIEWS,
    Clip,
    ClipAnalysis,
    Estimate,
    Flag,
    Instance,
    NotAssessed,
    OverlayCine,
    Reason,
    Sex,
    StudyAnalysis,
    StudyMeasurement,
    View,
    ViewEstimate,
)
from echo_scp.report import (
    PredecessorReference,
    ResultFile,
    build_cine,
    draw_cine,
    draw_summary,
    encode,
    object_file,
    picture_file,
    study_objects,
    write_seg,
)
from echo_scp.schedule import Budget, each_in_order
from echo_scp.segment import segment_keeping
from echo_scp.trust import asked_again, judge

_THREADS = (os.cpu_count() or 1) + 1  # one of them waits for an engine at any time
_BYTES_PER_PIXEL = 4  # frames and label maps, and what measuring and writing the SEG take beside them
_MB = 1048576
_UNGRADED = frozenset({Flag.NOT_AN_ADULT, Flag.STRESS_STAGE})  # the scales are of adults at rest

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be analysed; `now` is the only clock of the results."""

    study_instance_uid: str
    revision: int
    instances: tuple[Instance, ...]
    now: datetime
    predecessors: tuple[PredecessorReference, ...] = ()


@dataclass(frozen=True, slots=True)
class AnalysedStudy:
    """A study's values, and what was published of it: the reports, then the objects of each measured clip."""

    analysis: StudyAnalysis
    files: tuple[ResultFile, ...]


@dataclass(frozen=True, slots=True)
class _Done:
    """A clip whose files are published."""

    analysis: ClipAnalysis
    files: tuple[ResultFile, ...] = ()
    picture: bytes = b""


Progress = Callable[[ClipAnalysis], None]
Publish = Callable[[ResultFile, bytes], None]


class Pipeline:
    """The stages with their engines and settings. Several threads may each analyse a study at the same time."""

    def __init__(self, config: Config, engines: Engines, kept: KeptResults | None = None) -> None:
        """Remember findings in `kept`, where it is given. Memory is bounded over all studies in hand."""
        analysis = config.analysis
        self._config = config
        self._engines = _shared(engines, analysis.batch_frames)
        self.settings = f"{analysis.settings()} {config.measure.model_dump_json()}"
        self._findings = Findings(kept, self.settings, *_drawn(config.report))
        self._budget = Budget(analysis.memory_mb * _MB)

    @property
    def engines(self) -> Engines:
        return self._engines

    def analyse(self, request: Request, publish: Publish, progress: Progress = lambda analysis: None) -> AnalysedStudy:
        """Analyse every instance of a study and publish its files; same instances, engines and `now`, same bytes.

        Nothing in one instance stops the others: what cannot be analysed carries its reason. `publish` is called from
        several threads, for SEG and picture of each measured clip and at last for the SR; what it raises ends the
        analysis. `progress` is called in order of series and instance number. Raises EngineError when an engine failed
        or was exchanged meanwhile: nothing is reported under an engine that did not run.
        """
        begun = self._begin(request)
        patients = several_patients(request.instances)
        if patients:
            run = partial(_refused, reason=Reason.SEVERAL_PATIENTS, detail=patients)
        else:
            run = partial(self._run, begun, request.now, publish)
        done = []
        for clip in each_in_order(run, [clip.instance for clip in begun.clips], _THREADS, "clip"):
            done.append(clip)
            _count(clip.analysis)
            progress(clip.analysis)
        if self._engines.identities != begun.engines:
            raise EngineError("an engine was exchanged while the study was analysed")
        study = _conclude(begun, [clip.analysis for clip in done], self._config.measure)
        files = tuple(chain.from_iterable(clip.files for clip in done))
        with _stage("report"):
            segs = [file.as_evidence(study.study_instance_uid) for file in files if file.kind == "SEG"]
            reports = self._report(study, segs, _pictures(study, done), request)
        for file, content in reports:
            publish(file, content)
        self._findings.trim()
        return AnalysedStudy(study, (*(file for file, _ in reports), *files))

    def _report(
        self, study: StudyAnalysis, segs: Sequence[Dataset], pictures: Sequence[bytes], request: Request
    ) -> list[tuple[ResultFile, bytes]]:
        config, earlier = self._config.report, request.predecessors
        return list(study_objects(study, segs, pictures, config, request.now, predecessors=earlier))

    def _begin(self, request: Request) -> StudyAnalysis:
        """Return the study as far as it is known before anything is measured: all that its SEGs say of it."""
        return StudyAnalysis(
            study_instance_uid=request.study_instance_uid,
            revision=request.revision,
            clips=tuple(ClipAnalysis(instance) for instance in sorted(request.instances, key=_order)),
            result=NotAssessed(Reason.NO_ELIGIBLE_CLIP, "no clip is analysed yet"),
            assessment=None,
            engines=self._engines.identities,
            settings=self.settings,
            measure_settings=_differing(self._config.measure),
        )

    def _run(self, study: StudyAnalysis, now: datetime, publish: Publish, instance: Instance) -> _Done:
        """Take one instance all the way; its bytes are free for another when its pixels are gone."""
        if instance.is_lost:
            return _refused(instance, Reason.FILE_LOST, "its file is gone from the store, or damaged")
        with self._budget.hold(_bytes_in_hand(instance)):
            try:
                finding = self._findings.recall(instance, study.engines) or self._find(instance, study)
                objects = tuple(self._objects(finding, study, now))
            except InstanceError as error:
                return _refused(instance, error.reason, error.detail)
            except EngineError:  # the engine's fault, not the clip's: the whole study is tried again
                raise
            except Exception:  # one instance, whatever is wrong with it, must not take the study's other clips with it
                log.exception("clip.failed", sop_instance_uid=instance.sop_instance_uid)
                return _refused(instance, Reason.INTERNAL_ERROR, "an internal error; see the log")
            for file, content in objects:
                publish(file, content)
            files = tuple(file for file, _ in objects)
            return _Done(replace(finding.analysis, segmentation=None), files, finding.picture)

    def _find(self, instance: Instance, study: StudyAnalysis) -> Finding:
        """Analyse one instance; raises InstanceError when it is nothing to ask an engine about."""
        decision = self._engines.view.manifest.decision
        with _stage("decode"):
            cine = open_cine(instance, self._config.analysis, decision.frames_per_clip if decision else 1)
        analysis = self._measure(cine.preview, self._classify(cine.preview), partial(_decode_all, cine))
        drawn = () if analysis.measurement is None else self._draw(analysis)
        finding = Finding(_without_pixels(analysis), *drawn)
        if self._engines.identities == study.engines:
            with _stage("keep"):
                self._findings.remember(instance, study.engines, finding)
        return finding

    def analyse_clip(self, clip: Clip, view: ViewEstimate | None = None) -> ClipAnalysis:
        """Take one decoded clip through the stages; a given `view` is taken as it is. The analysis keeps the pixels."""
        return self._measure(clip, view or self._classify(clip), lambda: clip)

    def _classify(self, preview: Clip) -> ViewEstimate:
        engine = self._engines.view
        with _stage("classify"):
            estimate = classify(upright(preview), engine)
        threshold = engine.manifest.decision.threshold if engine.manifest.decision else 0.0
        return weigh(estimate, read_evidence(preview.instance.header), threshold)

    def _measure(self, preview: Clip, view: ViewEstimate, decode: Callable[[], Clip]) -> ClipAnalysis:
        """Return what is found of a clip; all its frames are decoded only when an engine is to see them."""
        analysis = ClipAnalysis(preview.instance, clip=preview, view=view, notes=preview.notes)
        segmentation, estimators = self._engines.segmentation_of(view.view), self._engines.estimators_of(view.view)
        if segmentation is None:
            analysis = replace(analysis, not_assessed=_not_measured(view, self._engines))
        if segmentation is None and not estimators:
            return analysis
        analysis = replace(analysis, clip=decode())
        analysis = analysis if segmentation is None else self._outline(analysis, segmentation)
        return self._estimate(analysis, estimators)

    def _estimate(self, analysis: ClipAnalysis, engines: Sequence[Engine]) -> ClipAnalysis:
        """Return the analysis with what networks say of the clip directly, unless it shows another view after all."""
        clip, refusal = analysis.clip, analysis.not_assessed
        assert clip is not None  # the caller decoded it
        if refusal is not None and refusal.reason is Reason.NOT_APICAL:
            return analysis
        found: list[Estimate] = []
        seen = upright(clip) if engines else clip
        for engine in engines:
            with _stage("estimate"):
                found.extend(estimate(seen, analysis.measurement, engine, self._config.analysis.batch_frames))
        return replace(analysis, estimates=tuple(found))

    def _outline(self, analysis: ClipAnalysis, engine: Engine) -> ClipAnalysis:
        """Return the analysis with a measurement and the label maps that it rests on, or with the reason why not."""
        clip = analysis.clip
        assert clip is not None  # the caller decoded it
        seen = upright(clip)
        with _stage("segment"):
            outlined, answers = segment_keeping(
                asked_again(len(seen.frames)), seen, engine, self._config.analysis.batch_frames
            )
        segmentation = outlined if seen is clip else upended_outlines(outlined)
        with _stage("measure"):
            outcome = refuse_other_views(seen, outlined) or measure_clip(clip, segmentation, self._config.measure)
        if isinstance(outcome, NotAssessed):
            return replace(analysis, not_assessed=outcome)
        with _stage("trust"):  # last: it asks the engine again
            trust = judge(seen, outlined, engine, answers)
        analysis = replace(analysis, trust=None if trust is None else trust.score)
        if trust is not None and trust.not_assessed is not None:
            return replace(analysis, not_assessed=trust.not_assessed)
        if trust is not None:
            outcome = doubted(outcome, trust.score, self._config.measure)
        notes = (*analysis.notes, *(trust.notes if trust else ()), *outcome.notes)
        return replace(analysis, segmentation=segmentation, measurement=outcome, notes=notes)

    def _draw(self, analysis: ClipAnalysis) -> tuple[bytes, OverlayCine | None]:
        config = self._config.report
        with _stage("draw"):
            picture = draw_summary(analysis, research_use=config.research_use)
            ok, png = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
            wanted = "CINE" in config.objects
            cine = draw_cine(analysis, research_use=config.research_use) if wanted else None
        if not ok:
            raise ValueError("OpenCV could not encode a PNG")
        return png.tobytes(), cine

    def _objects(self, finding: Finding, study: StudyAnalysis, now: datetime) -> Iterator[tuple[ResultFile, bytes]]:
        """Yield the objects and the picture of a measured clip."""
        config = self._config.report
        if finding.analysis.measurement is None:
            return
        with _stage("report"):
            if "SEG" in config.objects:
                yield write_seg(finding.analysis, study, config, now)
            if finding.cine is not None:
                cine = build_cine(finding.analysis, finding.cine, study, config, now)
                yield object_file("CINE", cine), encode(cine)
        yield picture_file(finding.analysis.instance.sop_instance_uid), finding.picture


def _pictures(study: StudyAnalysis, done: Iterable[_Done]) -> list[bytes]:
    """Return the pictures of the measured clips, those that the result rests on first: a page shows the first two."""
    used = study.result.sop_instance_uids if isinstance(study.result, StudyMeasurement) else ()

    def place(clip: _Done) -> int:
        uid = clip.analysis.instance.sop_instance_uid
        return used.index(uid) if uid in used else len(used)

    return [clip.picture for clip in sorted(done, key=place) if clip.picture]


def _drawn(config: ReportConfig) -> tuple[str, ...]:
    """Return what the pictures of a clip depend on beside the clip."""
    return f"research_use {config.research_use}", f"cine {'CINE' in config.objects}"


def _shared(engines: Engines, batch_frames: int) -> Engines:
    """Return the engines for any thread; those that see clips take as many at once as have so many frames."""

    def share(engine: Engine) -> Engine:
        manifest = engine.manifest
        frames = manifest.sampling.frames if manifest.sampling and manifest.input.layout == "NCTHW" else 1
        return SharedEngine(engine, max(1, batch_frames // frames))

    return Engines(share(engines.view), share(engines.segmentation), tuple(map(share, engines.additional)))


def _not_measured(view: ViewEstimate, engines: Engines) -> NotAssessed:
    """Say what the clip was taken for, what is measured, and whether any engine at all is there for the view."""
    guess, probability = max(view.probabilities, key=lambda item: item[1])
    measured = ", ".join(known for known in MEASURED_VIEWS if engines.segmentation_of(known))
    detail = f"taken for {view.view} ({guess} {probability:.2f}); measured are {measured}"
    if view.view is not View.OTHER and not any(view.view in engine.manifest.views for engine in engines.segmentations):
        detail = f"{detail}; no engine for {view.view}"
    detail = f"{detail}; {view.evidence}" if view.evidence else detail
    return NotAssessed(Reason.VIEW_NOT_MEASURED, detail)


def _stage(name: str) -> AbstractContextManager[None]:
    return STAGE_DURATION.time(stage=name)


def _bytes_in_hand(instance: Instance) -> int:
    """Return how much memory an instance takes on its way: its file, and what is made of its pixels."""
    with suppress(OSError):  # whoever reads the file says what is wrong with it
        return instance.path.stat().st_size + _BYTES_PER_PIXEL * decoded_pixels(instance.header)
    return 0


def _order(instance: Instance) -> tuple[int, int, str]:
    header = instance.header
    return _integer(header.get("SeriesNumber")), _integer(header.get("InstanceNumber")), instance.sop_instance_uid


def _integer(value: object) -> int:
    try:
        return int(str(value))
    except ValueError:
        return 0


def _decode_all(cine: Cine) -> Clip:
    with _stage("decode"):
        return decode_all(cine)


def _without_pixels(analysis: ClipAnalysis) -> ClipAnalysis:
    clip = analysis.clip
    return replace(analysis, clip=None if clip is None else replace(clip, frames=clip.frames[:0].copy()))


def _refused(instance: Instance, reason: Reason, detail: str) -> _Done:
    return _Done(ClipAnalysis(instance, not_assessed=NotAssessed(reason, detail)))


def _count(analysis: ClipAnalysis) -> None:
    refusal = analysis.not_assessed
    CLIPS.add(
        outcome="measured" if refusal is None else "not_assessed", reason="" if refusal is None else refusal.reason
    )


def _conclude(begun: StudyAnalysis, clips: Sequence[ClipAnalysis], config: MeasureConfig) -> StudyAnalysis:
    """Return the study's result, from its clips."""
    instances = [clip.instance for clip in clips]
    result = measure_study(clips, config, find_body(instances, config.bsa_formula))
    child, assessment = note_child(instances), None
    if isinstance(result, StudyMeasurement):
        result = replace(result, notes=(*result.notes, *(() if child is None else (child,))))
        graded = _UNGRADED.isdisjoint(note.flag for note in result.notes)
        assessment = assess(result, _sex(instances)) if graded else None
    return replace(begun, clips=tuple(clips), result=result, assessment=assessment)


def _differing(settings: MeasureConfig) -> tuple[tuple[str, str], ...]:
    """Return the settings that a site has changed."""
    return tuple(sorted((key, str(value)) for key, value in settings.model_dump(exclude_defaults=True).items()))


def _sex(instances: Iterable[Instance]) -> Sex | None:
    """Return the patient's sex when every instance that tells it agrees."""
    told = {str(instance.header.get("PatientSex", "") or "").strip().upper() for instance in instances} - {""}
    return Sex(told.pop()) if len(told) == 1 and told <= set(Sex) else None
