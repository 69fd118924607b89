"""A plan in the GPU's hands: one execution context per bucket and slot, as CUDA graphs demand."""

from __future__ import annotations

from typing import Any

from echo_scp.errors import GpuFault
from echo_scp.inference.building import RTX, messages
from echo_scp.inference.device import Address, Stream, Work
from echo_scp.inference.manifest import Manifest
from echo_scp.inference.tensors import check_tensors


class LoadedPlan:
    """The network of `batching`, by TensorRT. Made and used inside `device.current()`."""

    def __init__(self, trt: Any, plan: bytes, manifest: Manifest, kernels: bytes | None = None) -> None:  # noqa: ANN401
        """Deserialise `plan`; `kernels` are those that `kernels()` gave for it.

        Raises GpuError when TensorRT does not take the plan, ManifestError when the manifest names other tensors.
        """
        self._trt = trt
        self._manifest = manifest
        self._name = manifest.name
        self._messages = messages(trt)
        self._runtime = trt.Runtime(self._messages.logger)
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise self._messages.error(GpuFault.PLAN_REFUSED, f"{self._name}: TensorRT does not take the plan")
        self._check(manifest)
        self._kernels: Any = None
        self._known_kernels = kernels
        self._contexts: list[Any] = []

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self._manifest.input_shape

    @property
    def output_shape(self) -> tuple[int, ...]:
        return self._manifest.output_shape

    @property
    def scratch_bytes(self) -> int:
        return int(self._engine.device_memory_size_v2)

    def prepare(self, bucket: int, source: Address, target: Address, scratch: Address, stream: Stream) -> Work:
        context = self._create_context()
        if context is None:
            raise self._messages.error(GpuFault.PLAN_REFUSED, f"{self._name}: TensorRT gives no execution context")
        if scratch:
            context.set_device_memory(scratch, self.scratch_bytes)
        done = context.set_input_shape(self._manifest.input.tensor, (bucket, *self.input_shape))
        done = context.set_tensor_address(self._manifest.input.tensor, source) and done
        done = context.set_tensor_address(self._manifest.output.tensor, target) and done
        given = tuple(context.get_tensor_shape(self._manifest.output.tensor))
        if not done or given != (bucket, *self.output_shape):
            raise self._messages.error(GpuFault.PLAN_REFUSED, f"{self._name}: a batch of {bucket} gives {given}")
        self._contexts.append(context)  # a graph does not keep it alive

        def enqueue() -> None:
            if not context.execute_async_v3(stream):
                raise self._messages.error(GpuFault.EXECUTION_FAILED, f"{self._name}: a batch of {bucket} failed")

        return enqueue

    def kernels(self) -> bytes | None:
        """Return what TensorRT-RTX compiled for this GPU, to start faster the next time; None when there is nothing."""
        blob = None if self._kernels is None else self._kernels.serialize()
        return None if blob is None else bytes(blob)

    def _check(self, manifest: Manifest) -> None:
        engine, modes = self._engine, self._trt.TensorIOMode
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        inputs = {n: tuple(engine.get_tensor_shape(n)) for n in names if engine.get_tensor_mode(n) == modes.INPUT}
        outputs = {n: tuple(engine.get_tensor_shape(n)) for n in names if engine.get_tensor_mode(n) == modes.OUTPUT}
        check_tensors(manifest, inputs, outputs)

    def _create_context(self) -> Any:  # noqa: ANN401
        managed = self._trt.ExecutionContextAllocationStrategy.USER_MANAGED
        if self._trt.__name__ != RTX:
            return self._engine.create_execution_context(managed)
        config = self._engine.create_runtime_config()
        config.set_execution_context_allocation_strategy(managed)
        # TensorRT-RTX compiles kernels when they run. At once: later, a graph would hold those that bridge the wait.
        eager = self._trt.DynamicShapesKernelSpecializationStrategy.EAGER
        config.dynamic_shapes_kernel_specialization_strategy = eager
        if self._kernels is None:
            self._kernels = config.create_runtime_cache()
            if self._known_kernels is not None:
                self._kernels.deserialize(
                    self._known_kernels
                )  # False, and compiled again, when they are of another GPU
        config.set_runtime_cache(self._kernels)
        return self._engine.create_execution_context(config)
