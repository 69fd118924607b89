"""Put one clip of a case through the product, and its outlines beside what experts drew."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from echo_scp.classify import classify
from echo_scp.config import Config, MeasureConfig
from echo_scp.errors import EvaluationError, InstanceError, UnindexableFileError
from echo_scp.evaluate.case import UNREADABLE, Case, ClipSource, LabelledFrame, LabelMap, LoadedClip, Phase, Refusal
from echo_scp.evaluate.changes import Change
from echo_scp.evaluate.volumes import measure_frames, trusted
from echo_scp.inference.engine import Engine
from echo_scp.measure import refuse_other_views, upended_outlines, upright
from echo_scp.model import Clip, ClipAnalysis, Segmentation, Structure, View, ViewEstimate, renumbered
from echo_scp.pipeline import Pipeline
from echo_scp.segment import segment
from echo_scp.trust import judge


@dataclass(frozen=True, slots=True)
class OutlinedFrame:
    """A labelled frame with the product's outline of it."""

    labelled: LabelledFrame
    outline: LabelMap
    structures: tuple[Structure, ...]

    @property
    def size_px(self) -> int:
        """The area of the product's LV."""
        cavity = self.structures.index(Structure.LV_CAVITY) + 1 if Structure.LV_CAVITY in self.structures else -1
        return int(np.count_nonzero(self.outline == cavity))

    @property
    def comparable(self) -> LabelMap:
        """The outline without the structures that the experts did not trace: they would help one side only."""
        kept = self.labelled.structures or self.structures
        values = [index for index, structure in enumerate(self.structures, start=1) if structure in kept]
        return np.where(np.isin(self.outline, values), self.outline, 0).astype(np.uint8)


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of one clip. `analysis` is None for stills; `refusal` says why nothing at all could be done.

    `trust` is the Dice, 0..1, to be expected of the outlines; `doubt` is why the product would give no number of them.
    """

    source: ClipSource
    loaded: LoadedClip | None = None
    view: ViewEstimate | None = None
    analysis: ClipAnalysis | None = None
    frames: tuple[OutlinedFrame, ...] = ()
    trust: float | None = None
    doubt: Refusal | None = None
    refusal: Refusal | None = None

    @property
    def grouping_view(self) -> View | None:
        """The view under which labelled frames are reported: the true one, else the product's."""
        return self.source.view or (None if self.view is None else self.view.view)

    @property
    def paired(self) -> bool:
        """Whether both ED and ES are known."""
        return len(self._ends) == 2

    @property
    def traced(self) -> bool:
        """Whether experts outlined the LV at both ED and ES."""
        return self.paired and all(frame.labelled.label_map is not None for frame in self._ends)

    def plane(self, config: MeasureConfig) -> ClipAnalysis | None:
        """Return the product's LV at ED and ES; None where either frame is not given or shows none."""
        if not self.paired:
            return None
        ends = self._ends
        maps, spacing = (ends[0].comparable, ends[1].comparable), self._clip.region.spacing
        plane = measure_frames(self.grouping_view, maps, ends[0].structures, spacing, config)
        return plane if plane is None or self.trust is None else trusted(plane, self.trust, config)

    def traced_plane(self, config: MeasureConfig) -> ClipAnalysis | None:
        """Return the experts' LV at ED and ES; None where they did not trace both."""
        if not self.traced:
            return None
        first, second = (frame.labelled for frame in self._ends)
        both = tuple(structure for structure in first.structures if structure in second.structures)
        maps = _numbered_as(first, both), _numbered_as(second, both)
        return measure_frames(self.grouping_view, maps, both, self._clip.region.spacing, config)

    @property
    def _clip(self) -> Clip:
        assert self.loaded is not None  # frames come from a loaded clip only
        return self.loaded.clip

    @property
    def _ends(self) -> tuple[OutlinedFrame, ...]:
        found = (next((f for f in self.frames if f.labelled.phase is phase), None) for phase in Phase)
        return tuple(frame for frame in found if frame is not None)


class Trials:
    """Runs the clips of cases through the stages."""

    def __init__(self, pipeline: Pipeline, config: Config, *, true_views: bool) -> None:
        """With `true_views`, cines are measured under their true view where it is known."""
        self._pipeline = pipeline
        self._config = config.analysis
        self._true_views = true_views

    def run(self, case: Case, source: ClipSource, change: Change) -> Trial:
        """Return what came of a clip; a clip that cannot be read or analysed carries its refusal."""
        if case.problem is not None:
            return Trial(source, refusal=case.problem)
        try:
            return self._run(source, change)
        except InstanceError as error:
            return Trial(source, refusal=Refusal(error.reason, error.detail))
        except (EvaluationError, UnindexableFileError) as error:
            return Trial(source, refusal=Refusal(UNREADABLE, str(error)))

    def _run(self, source: ClipSource, change: Change) -> Trial:
        loaded = change.apply(source.load(self._config), source.name)
        if not source.cine:
            view = classify(upright(loaded.clip), self._pipeline.engines.view)
            return self._outline(Trial(source, loaded, view))
        told = source.view if self._true_views else None
        analysis = self._pipeline.analyse_clip(loaded.clip, None if told is None else _certain(told))
        return self._outline(Trial(source, loaded, analysis.view, analysis))

    def _outline(self, trial: Trial) -> Trial:
        """Outline the labelled frames, of a refused clip too: how good outlines are is a question of its own."""
        loaded, analysis = trial.loaded, trial.analysis
        if loaded is None or not loaded.labelled:
            return trial
        indices = [frame.frame_index for frame in loaded.labelled]
        if analysis is not None and analysis.segmentation is not None:
            return replace(trial, frames=_outlined(loaded, analysis.segmentation, indices), trust=analysis.trust)
        engine, excerpt = self._engine_of(trial.source), _excerpt(loaded.clip, indices)
        seen = upright(excerpt)
        outlined = segment(seen, engine, len(indices))
        known = outlined if seen is excerpt else upended_outlines(outlined)
        trust = judge(seen, outlined, engine)
        doubt = refuse_other_views(seen, outlined) or (None if trust is None else trust.not_assessed)
        return replace(
            trial,
            frames=_outlined(loaded, known, range(len(indices))),
            trust=None if trust is None else trust.score,
            doubt=None if doubt is None else Refusal(doubt.reason, doubt.detail),
        )

    def _engine_of(self, source: ClipSource) -> Engine:
        """Return the engine for the true view; where none is meant for it, the first one has to try."""
        engines = self._pipeline.engines
        return (engines.segmentation_of(source.view) if source.view else None) or engines.segmentation


def let_go(trial: Trial) -> Trial:
    """Drop the pixels of a cine: what concludes a study of many clips does not look at them."""
    analysis, loaded = trial.analysis, trial.loaded
    if loaded is None or analysis is None:
        return trial
    clip = replace(loaded.clip, frames=loaded.clip.frames[:0].copy())
    kept = analysis.segmentation if analysis.measurement is not None else None
    analysis = replace(analysis, clip=clip, segmentation=kept)
    return replace(trial, loaded=replace(loaded, clip=clip), analysis=analysis)


def _outlined(loaded: LoadedClip, known: Segmentation, indices: Iterable[int]) -> tuple[OutlinedFrame, ...]:
    return tuple(
        OutlinedFrame(frame, known.label_maps[index], known.structures)
        for frame, index in zip(loaded.labelled, indices, strict=True)
    )


def _numbered_as(frame: LabelledFrame, structures: tuple[Structure, ...]) -> LabelMap:
    """Return the experts' label map with value k for structures[k - 1], without what else they traced on the frame."""
    assert frame.label_map is not None  # the caller looked
    return renumbered(frame.label_map, frame.structures, structures)


def _certain(view: View) -> ViewEstimate:
    return ViewEstimate(view, 1.0, ((view, 1.0),))


def _excerpt(clip: Clip, indices: list[int]) -> Clip:
    return replace(clip, frames=clip.frames[indices], frame_times_ms=clip.frame_times_ms[indices])
