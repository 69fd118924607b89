"""Run an engine with TensorRT or TensorRT-RTX on an NVIDIA GPU."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import structlog

from echo_scp.config import AnalysisConfig
from echo_scp.errors import GpuError, GpuFault
from echo_scp.inference.batching import SLOTS, BatchRunner
from echo_scp.inference.build_progress import Progress
from echo_scp.inference.building import FLAGS, build_plan, flavour, load_tensorrt
from echo_scp.inference.device import Device, GpuIdentity, open_device, probe_gpu
from echo_scp.inference.engine import Batch
from echo_scp.inference.loaded_plan import LoadedPlan
from echo_scp.inference.manifest import Manifest, Precision
from echo_scp.inference.plans import PlanCache, PlanKey
from echo_scp.inference.tensors import check_batch, run_whole
from echo_scp.model import EngineIdentity

BUCKETS = (1, 4, 16, 64)
_MB = 1048576

log = structlog.get_logger(__name__)


class TensorRtEngine:
    """A plan on the GPU, with its memory and one CUDA graph per batch size; `close` gives the memory back."""

    def __init__(self, manifest: Manifest, precision: Precision, device: Device, runner: BatchRunner) -> None:
        self._manifest = manifest
        self._identity = manifest.identity(precision)
        self._device = device
        self._runner: BatchRunner | None = runner

    @property
    def manifest(self) -> Manifest:
        return self._manifest

    @property
    def identity(self) -> EngineIdentity:
        return self._identity

    @property
    def at_once(self) -> int:
        return 1  # a plan's context, its graphs and buffers are not made for two

    def run(self, batch: Batch) -> Batch:
        """Return logits (N, K, ...) for float32 `batch` (N, ...); raises EngineError."""
        check_batch(self._manifest, batch)
        return run_whole(self._manifest, batch, self._run)

    def _run(self, batch: Batch) -> Batch:
        if self._runner is None:
            raise GpuError(GpuFault.EXECUTION_FAILED, f"{self._manifest.name}: the engine is closed")
        with self._device.current():
            return self._runner.run(batch)

    def close(self) -> None:
        """Give the GPU's memory back; a second call does nothing."""
        if self._runner is not None:
            with self._device.current():
                self._runner = None  # TensorRT's contexts go before the memory that they use
            self._device.close()


def open_tensorrt(
    manifest: Manifest,
    precision: Precision,
    config: AnalysisConfig,
    progress: Progress | None = None,
    *,
    rebuild: bool = False,
) -> TensorRtEngine:
    """Load an artefact's plan, built first when there is none or `rebuild`; smaller batches when memory is short.

    Raises GpuError when this machine cannot run it, ManifestError when its tensors are not the manifest's.
    """
    gpu = probe_gpu()  # before TensorRT, which does not survive everything that a machine can lack
    trt, plans = load_tensorrt(), PlanCache(config.plan_folder)
    source = _PlanSource(trt, gpu, plans, manifest, precision, BUCKETS, config.gpu_memory_mb * _MB, progress)
    while len(source.buckets) > 1:
        try:
            return _open(source, rebuild=rebuild)
        except GpuError as error:
            if error.fault is not GpuFault.OUT_OF_MEMORY:
                raise
            source = replace(source, buckets=source.buckets[:-1])
            log.warning("engine.batch_reduced", engine=manifest.name, batch=source.buckets[-1], detail=error.detail)
    return _open(source, rebuild=rebuild)


@dataclass(frozen=True, slots=True)
class _PlanSource:
    """Everything that a plan is made of."""

    trt: Any
    gpu: GpuIdentity
    plans: PlanCache
    manifest: Manifest
    precision: Precision
    buckets: tuple[int, ...]
    limit_bytes: int
    progress: Progress | None

    @property
    def workspace_bytes(self) -> int:
        return self.limit_bytes // SLOTS

    @property
    def artefact(self) -> Path:
        return self.manifest.artefact_path(self.precision)

    def key(self) -> PlanKey:
        frame = "x".join(map(str, self.manifest.input_shape))  # free axes of the artefact, fixed in the plan
        return PlanKey.of(
            engine=self.manifest.name,
            precision=self.precision,
            artefact=self.artefact.read_bytes(),
            tensorrt=flavour(self.trt),
            gpu=self.gpu,
            batch=self.buckets[-1],
            flags=f"{FLAGS}, frames {frame}, output {self.manifest.output.tensor}, "
            f"workspace {self.workspace_bytes // _MB} MB",
        )

    def build(self) -> bytes:
        return build_plan(
            self.trt,
            self.manifest,
            self.artefact,
            largest_batch=self.buckets[-1],
            workspace_bytes=self.workspace_bytes,
            progress=self.progress,
        )


def _open(source: _PlanSource, *, rebuild: bool) -> TensorRtEngine:
    key = source.key()
    with ExitStack() as undo:
        device = open_device()
        undo.callback(device.close)
        with device.current():
            plan = _load(source, key, rebuild=rebuild)
            runner = BatchRunner(device, plan, source.buckets, source.limit_bytes)
            kernels = plan.kernels()
        undo.pop_all()
    if kernels is not None:
        source.plans.save_kernels(key, kernels)
    log.info("engine.loaded", engine=key.engine, precision=key.precision, gpu=key.gpu, batch=key.largest_batch)
    return TensorRtEngine(source.manifest, source.precision, device, runner)


def _load(source: _PlanSource, key: PlanKey, *, rebuild: bool) -> LoadedPlan:
    kept = None if rebuild else source.plans.load(key)
    if kept is not None:
        try:
            return LoadedPlan(source.trt, kept, source.manifest, source.plans.load_kernels(key))
        except GpuError as error:
            if error.fault is not GpuFault.PLAN_REFUSED:
                raise
            log.warning("plan.refused", engine=key.engine, detail=error.detail)
    return LoadedPlan(source.trt, source.plans.renew(key, source.build), source.manifest)
