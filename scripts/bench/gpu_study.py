"""Analyse the benchmark's study of 80 instances with engines on the GPU, and say where the time goes."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from gpu_roads import TorchGraphEngine
from study import write_study

from echo_scp import metrics
from echo_scp.config import AnalysisConfig, Config
from echo_scp.errors import EchoScpError
from echo_scp.folder import StudyFiles, find_studies
from echo_scp.inference.catalogue import Engines, list_manifests
from echo_scp.inference.engine import Batch, Engine
from echo_scp.inference.manifest import Manifest, Precision
from echo_scp.inference.runtime import open_engine
from echo_scp.model import EngineIdentity
from echo_scp.pipeline import Pipeline, Request

ROUNDS = 3
BATCH_FRAMES = 128
SEED = 1
NOW = datetime(2026, 1, 1, tzinfo=UTC)

Open = Callable[[Manifest], Engine]


@dataclass(frozen=True, slots=True)
class StudyTime:
    """The best of a few rounds: the whole, the seconds inside the engines, and the summed seconds of each stage."""

    road: str
    seconds: float
    engine_s: float
    stages_s: tuple[tuple[str, float], ...]

    def line(self) -> str:
        stages = ", ".join(f"{name} {seconds:.2f}" for name, seconds in self.stages_s)
        return f"| {self.road} | {self.seconds:.2f} | {self.engine_s:.2f} | {stages} |"


def study_table(folder: Path, engines: Path, plans: Path) -> str:
    """Return one row per road; a road that refuses is a row with its reason."""
    (study,), _ = find_studies(write_study(folder, SEED))
    roads: tuple[tuple[str, Open], ...] = (
        ("ours fp16", _ours("fp16", plans)),
        ("ours fp32", _ours("fp32", plans)),
        ("torch + CUDA graph fp16 (stand-in)", lambda manifest: TorchGraphEngine(manifest, "fp16")),
        ("ONNX Runtime fp32, CPU", lambda manifest: open_engine(manifest, AnalysisConfig())),
    )
    lines = ["| engines by | study s | in the engines s | stages, summed s |", "|---|---|---|---|"]
    for name, open_road in roads:
        try:
            lines.append(_measure(name, study, engines, open_road).line())
        except (EchoScpError, RuntimeError) as error:
            lines.append(f"| {name} | - | - | refused: {error} |")
    return "\n".join(lines)


class TimedEngine:
    """An engine that adds up the seconds in `run`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.seconds = 0.0

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
        start = time.perf_counter()
        try:
            return self._engine.run(batch)
        finally:
            self.seconds += time.perf_counter() - start

    def close(self) -> None:
        self._engine.close()


def _ours(precision: Precision, plans: Path) -> Open:
    config = AnalysisConfig(runtime="tensorrt", precision=precision, plan_folder=plans, fall_back_to_cpu=False)
    return lambda manifest: open_engine(manifest, config)


def _measure(road: str, study: StudyFiles, folder: Path, open_road: Open) -> StudyTime:
    config = Config(analysis=AnalysisConfig(batch_frames=BATCH_FRAMES))
    manifests = {manifest.name: manifest for manifest in list_manifests(folder)}
    view = TimedEngine(open_road(manifests[config.analysis.view_engine]))
    segmentation = TimedEngine(open_road(manifests[config.analysis.segmentation_engine]))
    pipeline = Pipeline(config, Engines(view, segmentation))
    try:
        return min((_round(road, pipeline, study, view, segmentation) for _ in range(ROUNDS)), key=lambda t: t.seconds)
    finally:
        view.close()
        segmentation.close()


def _round(road: str, pipeline: Pipeline, study: StudyFiles, *engines: TimedEngine) -> StudyTime:
    stages_before, engines_before = _stage_seconds(), sum(engine.seconds for engine in engines)
    start = time.perf_counter()
    request = Request(study.study_instance_uid, 1, study.instances, NOW)
    pipeline.analyse(request, lambda file, content: None)
    seconds = time.perf_counter() - start
    stages = tuple((name, after - stages_before.get(name, 0.0)) for name, after in _stage_seconds().items())
    return StudyTime(road, seconds, sum(engine.seconds for engine in engines) - engines_before, stages)


def _stage_seconds() -> dict[str, float]:
    found = re.findall(rf'^{metrics.STAGE_DURATION.name}_sum{{stage="(\w+)"}} (\S+)$', metrics.render().decode(), re.M)
    return {name: float(seconds) for name, seconds in found}
