"""Choose what runs an engine, as configured: the runtime, the precision, and the CPU when the GPU cannot."""

from __future__ import annotations

from collections.abc import Callable, Collection

import structlog

from echo_scp.config import AnalysisConfig
from echo_scp.errors import GpuError
from echo_scp.inference.build_progress import Progress
from echo_scp.inference.engine import Batch, Engine
from echo_scp.inference.manifest import Manifest, Precision
from echo_scp.inference.onnxruntime import OnnxRuntimeEngine
from echo_scp.inference.tensorrt import open_tensorrt
from echo_scp.metrics import ENGINE_FALLBACKS
from echo_scp.model import EngineIdentity

Open = Callable[[Manifest, AnalysisConfig], Engine]

log = structlog.get_logger(__name__)


def open_engine(manifest: Manifest, config: AnalysisConfig) -> Engine:
    """Load an engine as configured.

    Raises ManifestError or EngineError naming what to mend; GpuError only when falling back is switched off.
    """
    if config.runtime == "onnxruntime":
        return open_on_cpu(manifest, config)
    if not config.fall_back_to_cpu:
        return open_on_gpu(manifest, config)
    try:
        return FallingBackEngine(open_on_gpu(manifest, config), config, open_on_cpu)
    except GpuError as error:
        return _fall_back(manifest, config, error, open_on_cpu)


def open_on_cpu(manifest: Manifest, config: AnalysisConfig) -> Engine:
    """Load an engine into ONNX Runtime. fp16 is slower than fp32 there, so it is not taken."""
    precision = choose_precision("fp32" if config.precision == "fp16" else config.precision, manifest)
    return OnnxRuntimeEngine(manifest, precision, config.threads)


def open_on_gpu(manifest: Manifest, config: AnalysisConfig) -> Engine:
    """Load an engine into TensorRT; raises GpuError when this machine cannot run it."""
    return open_tensorrt(manifest, choose_precision(config.precision, manifest), config)


def build_ahead(manifest: Manifest, config: AnalysisConfig, progress: Progress) -> EngineIdentity:
    """Build the TensorRT plan that `open_engine` will find, anew, and prove that the GPU takes it.

    Raises GpuError when this machine cannot build or run it, ManifestError when the manifest is wrong.
    """
    engine = open_tensorrt(manifest, choose_precision(config.precision, manifest), config, progress, rebuild=True)
    engine.close()
    return engine.identity


def choose_precision(wanted: Precision, manifest: Manifest) -> Precision:
    """Return `wanted` when the engine has such an artefact, else fp32, and say so in the log."""
    return _available(wanted, manifest.artefacts, manifest.name)


def _available(wanted: Precision, available: Collection[Precision], engine: str) -> Precision:
    if wanted in available:
        return wanted
    log.warning("engine.precision_missing", engine=engine, wanted=wanted, runs="fp32")
    return "fp32"


class FallingBackEngine:
    """An engine on the GPU that goes on, on the CPU, from the batch at which the GPU failed."""

    def __init__(self, engine: Engine, config: AnalysisConfig, open_instead: Open) -> None:
        self._engine = engine
        self._config = config
        self._open_instead = open_instead

    @property
    def manifest(self) -> Manifest:
        return self._engine.manifest

    @property
    def identity(self) -> EngineIdentity:
        return self._engine.identity

    @property
    def at_once(self) -> int:
        return 1  # as the GPU; going over to the CPU is not made for two

    def run(self, batch: Batch) -> Batch:
        """Return the logits of `batch`, from the GPU as long as it works; raises EngineError."""
        try:
            return self._engine.run(batch)
        except GpuError as error:
            failed = self._engine
            self._engine = _fall_back(failed.manifest, self._config, error, self._open_instead)
            _close_failed(failed)
        return self._engine.run(batch)

    def close(self) -> None:
        """Close what runs now."""
        self._engine.close()


def _fall_back(manifest: Manifest, config: AnalysisConfig, error: GpuError, open_instead: Open) -> Engine:
    log.warning("engine.fell_back", engine=manifest.name, fault=error.fault, detail=str(error))
    ENGINE_FALLBACKS.add(task=manifest.task, fault=error.fault)
    return open_instead(manifest, config)


def _close_failed(engine: Engine) -> None:
    """Give the GPU's memory back if it still listens; a context that is lost cannot."""
    try:
        engine.close()
    except GpuError as error:
        log.debug("engine.close_failed", engine=engine.manifest.name, detail=str(error))
