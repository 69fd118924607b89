"""TensorRT in this process: its plans name an artefact, which ONNX Runtime runs on the fake device's memory."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from echo_scp.errors import GpuError, GpuFault
from echo_scp.inference import tensorrt
from echo_scp.inference.building import RTX
from echo_scp.inference.device import Address, GpuIdentity, Stream
from echo_scp.inference.manifest import Manifest
from tests.unit.inference.fake_gpu import FakeDevice

GPU = GpuIdentity("Fake GPU", (9, 0), "1.0")


class FakeTensorRt:
    """Stands for the module: what `loaded_plan` and `building.Messages` use of it, with the same names.

    `compiles` makes it a TensorRT-RTX, which compiles kernels when it runs.
    """

    __name__ = "tensorrt_fake"
    __version__ = "1.0"
    ExecutionContextAllocationStrategy = SimpleNamespace(USER_MANAGED="user managed")
    TensorIOMode = SimpleNamespace(INPUT="input", OUTPUT="output")

    class ILogger:
        INTERNAL_ERROR, ERROR, WARNING = "internal error", "error", "warning"

    def __init__(self, device: FakeDevice, *, compiles: bool = False) -> None:
        self.device = device
        self.refused_plans = 0
        self.fails: set[str] = set()
        self.told_kernels: list[bytes] = []
        if compiles:
            self.__name__ = RTX
            self.DynamicShapesKernelSpecializationStrategy = SimpleNamespace(EAGER="eager")

    def Runtime(self, logger: Any) -> FakeRuntime:
        return FakeRuntime(self, logger)


class FakeMachine:
    """A machine with a fake GPU, as our module `tensorrt` finds it; remembers the largest batch of each plan built."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, compiles: bool = False) -> None:
        self.device = FakeDevice()
        self.trt = FakeTensorRt(self.device, compiles=compiles)
        self.built: list[int] = []
        self.too_large = 1000
        monkeypatch.setattr(tensorrt, "load_tensorrt", lambda: self.trt)
        monkeypatch.setattr(tensorrt, "probe_gpu", lambda: GPU)
        monkeypatch.setattr(tensorrt, "open_device", self.open_device)
        monkeypatch.setattr(tensorrt, "build_plan", self.build)

    def open_device(self) -> FakeDevice:
        self.device = self.trt.device = FakeDevice(self.device.memory_bytes)
        return self.device

    def build(
        self, trt: object, manifest: Manifest, artefact: Path, *, largest_batch: int, **settings: object
    ) -> bytes:
        """Return what the fake takes for a plan: which artefact, and how large a batch."""
        self.built.append(largest_batch)
        if largest_batch >= self.too_large:
            raise GpuError(GpuFault.OUT_OF_MEMORY, "requested too much")
        try:
            ort.InferenceSession(artefact, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise GpuError(GpuFault.PLAN_REFUSED, f"{artefact}: cannot be parsed: {error}") from error
        return json.dumps({"artefact": str(artefact), "largest_batch": largest_batch, "scratch": 4096}).encode()


class FakeRuntime:
    def __init__(self, trt: FakeTensorRt, logger: Any) -> None:
        self._trt, self._logger = trt, logger

    def deserialize_cuda_engine(self, plan: bytes) -> FakeCudaEngine | None:
        try:
            return FakeCudaEngine(self._trt, self._logger, **json.loads(plan))
        except ValueError:
            self._trt.refused_plans += 1
            self._logger.log(self._trt.ILogger.ERROR, "Serialization assertion failed")
            return None


class FakeCudaEngine:
    def __init__(self, trt: FakeTensorRt, logger: Any, artefact: str, largest_batch: int, scratch: int) -> None:
        self.trt, self.logger, self.largest_batch = trt, logger, largest_batch
        self.memory_of = trt.device
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1  # networks of tests are tiny
        self.session = ort.InferenceSession(artefact, options, providers=["CPUExecutionProvider"])
        self.device_memory_size_v2 = scratch
        self._tensors = {tensor.name: ("input", tensor.shape) for tensor in self.session.get_inputs()}
        self._tensors |= {tensor.name: ("output", tensor.shape) for tensor in self.session.get_outputs()}
        self.num_io_tensors = len(self._tensors)

    def get_tensor_name(self, index: int) -> str:
        return list(self._tensors)[index]

    def get_tensor_mode(self, name: str) -> str:
        return self._tensors[name][0]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return tuple(side if isinstance(side, int) else -1 for side in self._tensors[name][1])

    def create_execution_context(self, strategy: Any) -> FakeContext | None:
        managed = strategy if isinstance(strategy, str) else strategy.strategy
        assert managed == "user managed"
        if "context" in self.trt.fails:
            self.logger.log(self.trt.ILogger.ERROR, "Error Code 2: OutOfMemory (Requested size was 1 bytes.)")
            return None
        return FakeContext(self)

    def create_runtime_config(self) -> FakeRuntimeConfig:
        return FakeRuntimeConfig(self.trt)


class FakeRuntimeConfig:
    def __init__(self, trt: FakeTensorRt) -> None:
        self.strategy = ""
        self.dynamic_shapes_kernel_specialization_strategy = "lazy"
        self._trt = trt

    def set_execution_context_allocation_strategy(self, strategy: str) -> None:
        self.strategy = strategy

    def create_runtime_cache(self) -> FakeKernels:
        return FakeKernels(self._trt)

    def set_runtime_cache(self, cache: FakeKernels) -> bool:
        assert isinstance(cache, FakeKernels)
        assert self.dynamic_shapes_kernel_specialization_strategy == "eager"
        return True


class FakeKernels:
    def __init__(self, trt: FakeTensorRt) -> None:
        self._trt = trt

    def deserialize(self, blob: bytes) -> bool:
        self._trt.told_kernels.append(blob)
        return True

    def serialize(self) -> bytes:
        return b"compiled"


class FakeContext:
    def __init__(self, engine: FakeCudaEngine) -> None:
        self._engine = engine
        self._addresses: dict[str, Address] = {}
        self._shape: tuple[int, ...] = ()
        self._scratch = 0

    def set_device_memory(self, memory: Address, size: int) -> None:
        self._scratch = size

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self._shape = shape
        return shape[0] <= self._engine.largest_batch

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        _, *answer = self._engine.get_tensor_shape(name)
        if -1 in answer:  # the sides of a segmentation are those of its input
            answer[1:] = self._shape[2:]
        return (self._shape[0], *answer)

    def set_tensor_address(self, name: str, memory: Address) -> bool:
        self._addresses[name] = memory
        return True

    def execute_async_v3(self, stream: Stream) -> bool:
        trt = self._engine.trt
        assert self._scratch >= self._engine.device_memory_size_v2
        if "execution" in trt.fails:
            self._engine.logger.log(trt.ILogger.ERROR, "Cuda failure: an illegal memory access")
            return False
        self._engine.memory_of.queue(self._kernel, stream)
        return True

    def _kernel(self) -> None:
        session, device = self._engine.session, self._engine.memory_of
        source, target = session.get_inputs()[0].name, session.get_outputs()[0].name
        frames = device.memory(self._addresses[source], 4 * int(np.prod(self._shape))).view(np.float32)
        (logits,) = session.run([target], {source: np.nan_to_num(frames.reshape(self._shape))})
        device.memory(self._addresses[target], logits.nbytes)[:] = logits.reshape(-1).view(np.uint8)
