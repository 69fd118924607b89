"""Build a TensorRT plan from an ONNX artefact: parse, optimise, serialise. Needs no GPU with TensorRT-RTX.

One code for TensorRT 10 and 11 and TensorRT-RTX: networks are strongly typed, so the precision lies in the artefact.
"""

from __future__ import annotations

import importlib
from collections import deque
from functools import cache
from pathlib import Path
from typing import Any

import structlog

from echo_scp.errors import GpuError, GpuFault
from echo_scp.inference.build_progress import Progress, monitor
from echo_scp.inference.manifest import Manifest
from echo_scp.inference.tensors import check_sides, check_tensors

RTX = "tensorrt_rtx"
FLAVOURS = ("tensorrt", RTX)
# TF32 would round fp32 engines to 10 bits of mantissa; who wants that speed asks for fp16.
FLAGS = "strongly typed, no TF32"
# How TensorRT's messages, without case and blanks, tell that memory or the allowed workspace is too small.
_SIGNS_OF_SHORT_MEMORY = ("outofmemory", "memoryallocation", "workspacelimit", "insufficientworkspace")

log = structlog.get_logger(__name__)


def load_tensorrt() -> Any:  # noqa: ANN401 - a module without type stubs
    """Return the module `tensorrt`, else `tensorrt_rtx`; raises GpuError when neither is installed."""
    missing = []
    for name in FLAVOURS:
        try:
            return importlib.import_module(name)
        except (ImportError, OSError) as error:  # OSError: the binding is there, its library is not
            missing.append(str(error))
    raise GpuError(GpuFault.NO_RUNTIME, f"TensorRT cannot be loaded ({'; '.join(missing)})")


def flavour(trt: Any) -> str:  # noqa: ANN401
    """Return the name and version of the TensorRT in use."""
    return f"{trt.__name__} {trt.__version__}"


class Messages:
    """TensorRT's log: errors are kept for the exception that follows, warnings go to our log at level debug."""

    def __init__(self, trt: Any) -> None:  # noqa: ANN401
        self._errors: deque[str] = deque(maxlen=20)
        self.logger = _make_logger(trt, self._errors)

    def forget(self) -> None:
        """Drop what was told of work that succeeded all the same: a tactic that found too little memory."""
        self._errors.clear()

    def error(self, fault: GpuFault, detail: str) -> GpuError:
        """Return the exception for a call of TensorRT that failed: lack of memory when it says so, else `fault`."""
        reason = " ".join(self._errors) or "TensorRT gave no reason"
        self._errors.clear()
        squeezed = reason.lower().replace(" ", "")
        if any(sign in squeezed for sign in _SIGNS_OF_SHORT_MEMORY):
            fault = GpuFault.OUT_OF_MEMORY
        return GpuError(fault, f"{detail}: {reason}")


@cache
def messages(trt: Any) -> Messages:  # noqa: ANN401
    """Return the one log of the process: TensorRT keeps the first logger that it was given and ignores others."""
    return Messages(trt)


def _make_logger(trt: Any, errors: deque[str]) -> Any:  # noqa: ANN401
    class Logger(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:  # noqa: ANN401
            if severity in (trt.ILogger.INTERNAL_ERROR, trt.ILogger.ERROR):
                errors.append(message.strip())
            elif severity == trt.ILogger.WARNING:
                log.debug("tensorrt.warned", detail=message)

    return Logger()


def build_plan(
    trt: Any,  # noqa: ANN401
    manifest: Manifest,
    artefact: Path,
    *,
    largest_batch: int,
    workspace_bytes: int,
    progress: Progress | None = None,
) -> bytes:
    """Return the serialised plan of `artefact` for 1 to `largest_batch` frames.

    Raises ManifestError when its tensors are not the manifest's, GpuError when TensorRT cannot parse or build it.
    """
    told = messages(trt)
    builder = trt.Builder(told.logger)
    network = builder.create_network(_strongly_typed(trt))
    parser = trt.OnnxParser(network, told.logger)
    if not parser.parse(artefact.read_bytes()) or network.num_layers == 0:  # it takes some garbage for an empty network
        raise told.error(GpuFault.PLAN_REFUSED, f"{artefact}: TensorRT cannot parse it")
    _check_network(network, manifest, trt)
    config = builder.create_builder_config()
    config.clear_flag(trt.BuilderFlag.TF32)
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace_bytes)
    config.add_optimization_profile(_profile(builder, manifest, largest_batch))
    if progress is not None:
        config.progress_monitor = monitor(trt, progress)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise told.error(GpuFault.PLAN_REFUSED, f"{artefact}: TensorRT cannot build it")
    told.forget()
    return bytes(plan)


def _strongly_typed(trt: Any) -> int:  # noqa: ANN401
    """Return the flag of create_network; TensorRT 11 knows no other kind of network and may drop it."""
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def _check_network(network: Any, manifest: Manifest, trt: Any) -> None:  # noqa: ANN401
    """Compare with the manifest, and leave only the output that it names."""
    inputs = [network.get_input(index) for index in range(network.num_inputs)]
    outputs = [network.get_output(index) for index in range(network.num_outputs)]
    taken = {t.name: tuple(t.shape) for t in inputs}
    check_tensors(manifest, taken, {t.name: tuple(t.shape) for t in outputs})
    check_sides(manifest, taken)
    for tensor in outputs:
        if tensor.name != manifest.output.tensor:
            network.unmark_output(tensor)
    wrong = [tensor.name for tensor in (inputs[0], network.get_output(0)) if tensor.dtype != trt.float32]
    if wrong:
        raise GpuError(GpuFault.PLAN_REFUSED, f"{manifest.name}: expected float32 tensors, {', '.join(wrong)} is not")


def _profile(builder: Any, manifest: Manifest, largest_batch: int) -> Any:  # noqa: ANN401
    """Allow 1 to `largest_batch` frames, tuned for the largest: that is where the time goes."""
    profile = builder.create_optimization_profile()
    frame = manifest.input_shape
    profile.set_shape(manifest.input.tensor, (1, *frame), (largest_batch, *frame), (largest_batch, *frame))
    return profile
