"""Analyse the benchmark's study by the product's own pipeline, in a process of its own, and say where the time goes."""

from __future__ import annotations

import gc
import os
import resource
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from echo_scp import metrics
from echo_scp.config import Config
from echo_scp.folder import StudyFiles, find_studies
from echo_scp.inference.catalogue import Engines, load_engines
from echo_scp.inference.engine import Batch, Engine
from echo_scp.inference.manifest import Manifest
from echo_scp.kept import KeptResults
from echo_scp.model import EngineIdentity, StudyMeasurement
from echo_scp.pipeline import Pipeline, Request

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MB = 1048576
OTHER = "decoder's threads, the interpreter, all else"


@dataclass(frozen=True)
class Road:
    """How to analyse: "onnxruntime" or "openvino", its arithmetic, threads of an engine, memory, revisited or not.

    `objects` are the kinds that are made; () are all.
    """

    runtime: str = "onnxruntime"
    arithmetic: str = "fp32"
    threads: int = 0
    memory_mb: int = 1024
    again: bool = False
    objects: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        threads = f", {self.threads} engine threads" if self.threads else ""
        again = ", a revision with every clip known" if self.again else ""
        objects = f", {' and '.join(self.objects)} alone" if self.objects else ""
        return f"{self.runtime} {self.arithmetic}{threads}{again}{objects}"


@dataclass(frozen=True)
class StudyTime:
    """What one analysis took, end to end: headers, decoding, engines, measuring, SR, SEGs and pictures on disk."""

    seconds: float
    cpu_s: float
    peak_mb: float
    stages: tuple[tuple[str, float], ...]  # CPU seconds
    outcomes: tuple[tuple[str, int], ...]
    segmented_frames: int
    engines: tuple[str, ...]
    ef_percent: float | None
    clip_efs: tuple[float, ...]


class Clock:
    """CPU seconds per stage and per engine, over all threads; an engine's are not counted to the stage that asks it."""

    def __init__(self) -> None:
        self.spent: Counter[str] = Counter()
        self.frames: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._inside = threading.local()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start, engine = time.thread_time(), self._engine_s()
        try:
            yield
        finally:
            self._add(name, time.thread_time() - start - (self._engine_s() - engine))

    def run(self, engine: Engine, batch: Batch) -> Batch:
        start = time.thread_time()
        logits = engine.run(batch)
        spent = time.thread_time() - start
        self._inside.engine_s = self._engine_s() + spent
        self._add(f"engine {engine.manifest.name}", spent)
        self.frames[engine.manifest.task] += len(batch)
        return logits

    def _engine_s(self) -> float:
        return getattr(self._inside, "engine_s", 0.0)

    def _add(self, name: str, seconds: float) -> None:
        with self._lock:
            self.spent[name] += seconds


class TimedEngine:
    """An engine whose time counts as its own."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    @property
    def manifest(self) -> Manifest:
        return self._engine.manifest

    @property
    def identity(self) -> EngineIdentity:
        return self._engine.identity

    @property
    def at_once(self) -> int:
        return self._engine.at_once

    def run(self, batch: Batch) -> Batch:
        return self._clock.run(self._engine, batch)

    def close(self) -> None:
        self._engine.close()


def measure(paths: Sequence[Path], road: Road) -> StudyTime:
    """Analyse one study; meant for a fresh process, whose peak memory is then the analysis's own."""
    clock = Clock()
    # Stages time themselves into a histogram of wall seconds; with threads side by side, CPU seconds say more.
    metrics.Histogram.time = lambda self, **labels: clock.stage(labels["stage"])  # type: ignore[method-assign]
    config = Config.model_validate(
        {
            "analysis": {"threads": road.threads, "memory_mb": road.memory_mb, "precision": _precision(road)},
            "report": {"objects": road.objects} if road.objects else {},
        }
    )
    engines = _engines(config, road)
    view, segmentation = TimedEngine(engines.view, clock), TimedEngine(engines.segmentation, clock)
    timed = replace(engines, view=view, segmentation=segmentation)
    with tempfile.TemporaryDirectory() as folder:
        kept = KeptResults(Path(folder) / "kept", 4096 * MB, lambda count: None) if road.again else None
        pipeline = Pipeline(config, timed, kept)
        gc.freeze()  # as the worker does
        if road.again:
            _analyse(pipeline, paths, Path(folder))
            clock.spent.clear()
            clock.frames.clear()
        wall, cpu = time.perf_counter(), time.process_time()
        analysed = _analyse(pipeline, paths, Path(folder))
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    clips, result = analysed.analysis.clips, analysed.analysis.result
    clock.spent[OTHER] = max(0.0, cpu - sum(clock.spent.values()))
    return StudyTime(
        seconds=wall,
        cpu_s=cpu,
        peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        stages=tuple(clock.spent.most_common()),
        outcomes=tuple(Counter(c.not_assessed.reason if c.not_assessed else "measured" for c in clips).most_common()),
        segmented_frames=clock.frames["segmentation"],
        engines=tuple(f"{engine.name} {engine.version}" for engine in engines.identities),
        ef_percent=result.ef_percent if isinstance(result, StudyMeasurement) else None,
        clip_efs=tuple(clip.measurement.ef_percent for clip in clips if clip.measurement is not None),
    )


def _analyse(pipeline: Pipeline, paths: Sequence[Path], folder: Path):
    ((study,), _) = find_studies(paths)
    return pipeline.analyse(_request(study), lambda file, content: _write(folder / file.name, content))


def _request(study: StudyFiles) -> Request:
    return Request(study.study_instance_uid, 1, study.instances, NOW)


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _precision(road: Road) -> str:
    return "int8" if road.arithmetic == "int8" else "fp32"


def _engines(config: Config, road: Road) -> Engines:
    engines = load_engines(config.analysis)
    if road.runtime != "openvino":
        return engines
    from openvino_engine import OpenVinoEngine

    threads = road.threads or max(1, (os.cpu_count() or 2) - 1)
    view, segmentation = engines.view.manifest, engines.segmentation.manifest
    return replace(
        engines,
        view=OpenVinoEngine(view, road.arithmetic, threads),
        segmentation=OpenVinoEngine(segmentation, road.arithmetic, threads),
    )
