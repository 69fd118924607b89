"""The roads that a batch can take on a GPU: torch in several ways, and ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import torch
from torch_network import HalfNetwork, TorchNetwork

from echo_scp.config import AnalysisConfig
from echo_scp.inference.batching import chunks
from echo_scp.inference.building import build_plan, load_tensorrt
from echo_scp.inference.device import open_device
from echo_scp.inference.engine import Batch
from echo_scp.inference.loaded_plan import LoadedPlan
from echo_scp.inference.manifest import Manifest, Precision
from echo_scp.inference.tensorrt import BUCKETS, open_tensorrt
from echo_scp.inference.tensors import run_whole
from echo_scp.model import EngineIdentity

MATMUL_SIZE = 8192
WORKSPACE_BYTES = 4 << 30
LAYOUTS = (torch.contiguous_format, torch.channels_last)

Run = Callable[[], object]
Wait = Callable[[], None]


@dataclass(frozen=True)
class Case:
    """What to run: frames (batch, ...) of an engine in a precision; plans are kept below `folder`."""

    manifest: Manifest
    precision: Precision
    frames: Batch
    folder: Path


@dataclass(frozen=True)
class Road:
    """A name, and ways to open it of which the faster counts. A host road's run returns the answers."""

    name: str
    variants: tuple[Callable[[Case], Iterator[tuple[Run, Wait]]], ...]


def prepare_torch() -> None:
    """Let torch be as fast as it can with the arithmetic that is asked for."""
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.set_grad_enabled(mode=False)


def measure_limit(precision: Precision, time_runs: Callable[[Run, Wait], float]) -> float:
    """Return the floating-point operations per second of a large matrix product: what the card gives in practice."""
    kind = torch.float16 if precision == "fp16" else torch.float32
    a = torch.randn(MATMUL_SIZE, MATMUL_SIZE, device="cuda", dtype=kind)
    period_s = time_runs(lambda: a @ a, torch.cuda.synchronize)
    return 2 * MATMUL_SIZE**3 / period_s


def torch_module(manifest: Manifest, precision: Precision, layout: torch.memory_format) -> torch.nn.Module:
    """Return the engine's fp32 artefact on the card, in fp16 when asked."""
    kind = HalfNetwork if precision == "fp16" else TorchNetwork
    return kind(manifest.artefact_path("fp32")).eval().to("cuda").to(memory_format=layout)


def _eager(layout: torch.memory_format) -> Callable[[Case], Iterator[tuple[Run, Wait]]]:
    def open_road(case: Case) -> Iterator[tuple[Run, Wait]]:
        module = torch_module(case.manifest, case.precision, layout)
        x = torch.from_numpy(case.frames).to("cuda").to(memory_format=layout)
        yield lambda: module(x), torch.cuda.synchronize

    return open_road


def _graph(layout: torch.memory_format) -> Callable[[Case], Iterator[tuple[Run, Wait]]]:
    def open_road(case: Case) -> Iterator[tuple[Run, Wait]]:
        module = torch_module(case.manifest, case.precision, layout)
        x = torch.from_numpy(case.frames).to("cuda").to(memory_format=layout)
        graph, _ = capture(module, x)
        yield graph.replay, torch.cuda.synchronize

    return open_road


def _eager_from_host(layout: torch.memory_format) -> Callable[[Case], Iterator[tuple[Run, Wait]]]:
    def open_road(case: Case) -> Iterator[tuple[Run, Wait]]:
        module = torch_module(case.manifest, case.precision, layout)

        def run() -> Batch:
            return module(torch.from_numpy(case.frames).to("cuda").to(memory_format=layout)).cpu().numpy()

        yield run, torch.cuda.synchronize

    return open_road


def _ours(case: Case) -> Iterator[tuple[Run, Wait]]:
    manifest, batch = case.manifest, len(case.frames)
    trt = load_tensorrt()
    artefact = manifest.artefact_path(case.precision)
    plan = build_plan(trt, manifest, artefact, largest_batch=BUCKETS[-1], workspace_bytes=WORKSPACE_BYTES)
    device = open_device()
    try:
        with device.current():
            network = LoadedPlan(trt, plan, manifest)
            stream = device.stream()
            source = device.allocate(case.frames.nbytes)
            target = device.allocate(4 * batch * prod(network.output_shape))
            scratch = device.allocate(network.scratch_bytes) if network.scratch_bytes else 0
            frames = device.pin(case.frames.nbytes)
            frames[:] = np.ascontiguousarray(case.frames).reshape(-1).view(np.uint8)
            device.copy_in(source, frames, stream)
            launch = device.capture(network.prepare(batch, source, target, scratch, stream), stream)
            yield launch, lambda: device.synchronise(stream)
            del network
    finally:
        device.close()


def _ours_from_host(case: Case) -> Iterator[tuple[Run, Wait]]:
    config = AnalysisConfig(runtime="tensorrt", precision=case.precision, plan_folder=case.folder / "plans")
    engine = open_tensorrt(case.manifest, case.precision, config)
    try:
        yield lambda: engine.run(case.frames), lambda: None
    finally:
        engine.close()


ROADS = (
    Road("torch eager, device", tuple(_eager(layout) for layout in LAYOUTS)),
    Road("torch + CUDA graph, device", tuple(_graph(layout) for layout in LAYOUTS)),
    Road("ours, device", (_ours,)),
    Road("torch eager, host", tuple(_eager_from_host(layout) for layout in LAYOUTS)),
    Road("ours, host", (_ours_from_host,)),
)


@contextmanager
def opened(variant: Callable[[Case], Iterator[tuple[Run, Wait]]], case: Case) -> Iterator[tuple[Run, Wait]]:
    """Open a variant of a road, and give its memory back at the end."""
    road = contextmanager(variant)(case)
    try:
        with road as run_and_wait:
            yield run_and_wait
    finally:
        torch.cuda.empty_cache()


def capture(module: torch.nn.Module, x: torch.Tensor) -> tuple[torch.cuda.CUDAGraph, torch.Tensor]:
    """Return the module as a graph over `x`, and where its answer will be."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            module(x)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        answer = module(x)
    return graph, answer


class TorchGraphEngine:
    """The engine's port over torch and CUDA graphs: what stands in where TensorRT refuses the card."""

    at_once = 1  # its graphs have one set of inputs

    def __init__(self, manifest: Manifest, precision: Precision) -> None:
        self.manifest = manifest
        self.identity: EngineIdentity = manifest.identity("fp32")
        module = torch_module(manifest, precision, torch.channels_last)
        self._inputs = {bucket: torch.zeros((bucket, *manifest.input_shape), device="cuda") for bucket in BUCKETS}
        self._graphs = {bucket: capture(module, x) for bucket, x in self._inputs.items()}
        self._module = module

    def run(self, batch: Batch) -> Batch:
        return run_whole(self.manifest, batch, self._run)

    def _run(self, batch: Batch) -> Batch:
        answers = []
        for chunk in chunks(len(batch), BUCKETS):
            frames = torch.from_numpy(np.ascontiguousarray(batch[chunk.start : chunk.start + chunk.count]))
            self._inputs[chunk.bucket][: chunk.count].copy_(frames)
            graph, answer = self._graphs[chunk.bucket]
            graph.replay()
            answers.append(answer[: chunk.count].float().cpu().numpy())
        return np.concatenate(answers)

    def close(self) -> None:
        self._graphs.clear()
        self._inputs.clear()
        torch.cuda.empty_cache()
