"""Run batches of any size through a network that takes a few fixed ones: buckets, padding, overlapped copies."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Protocol

import numpy as np

from echo_scp.errors import GpuError, GpuFault
from echo_scp.inference.device import Address, Device, Stream, Work
from echo_scp.inference.engine import Batch

SLOTS = 2  # one computes while the host fills the other
_FLOAT_BYTES = 4
_MB = 1048576


class Network(Protocol):
    """What a runtime has loaded: float32 frames in, float32 answers out."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Return the shape of one frame."""
        ...

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Return the shape of one answer."""
        ...

    @property
    def scratch_bytes(self) -> int:
        """Device memory that a run needs beside its input and output."""
        ...

    def prepare(self, bucket: int, source: Address, target: Address, scratch: Address, stream: Stream) -> Work:
        """Return what queues one run of `bucket` frames on `stream`, with these addresses."""
        ...


@dataclass(frozen=True, slots=True)
class Chunk:
    """Frames `start` to `start + count`, padded to `bucket`."""

    start: int
    count: int
    bucket: int


def chunks(count: int, buckets: Sequence[int]) -> tuple[Chunk, ...]:
    """Cut `count` frames into runs. `buckets` ascend from 1.

    The largest bucket as often as it fits; for the rest a larger bucket when more than half of it would be filled,
    else the largest that the rest fills: a run costs about its bucket.
    """
    cut: list[Chunk] = []
    start = 0
    while start < count:
        rest = count - start
        fitting = max(bucket for bucket in buckets if bucket <= rest)
        padded = min((bucket for bucket in buckets if bucket >= rest), default=fitting)
        bucket = padded if 2 * rest > padded else fitting
        cut.append(Chunk(start, min(rest, bucket), bucket))
        start += cut[-1].count
    return tuple(cut)


class BatchRunner:
    """Two slots of device memory through which chunks go in turn; used inside `device.current()`, by one thread."""

    def __init__(self, device: Device, network: Network, buckets: Sequence[int], limit_bytes: int) -> None:
        """Take the memory and prepare every bucket; raises GpuError OUT_OF_MEMORY when `limit_bytes` is too little."""
        needed = SLOTS * _slot_bytes(network, buckets[-1])
        if needed > limit_bytes:
            raise GpuError(
                GpuFault.OUT_OF_MEMORY,
                f"batches of {buckets[-1]} need {needed // _MB} MB of {limit_bytes // _MB} MB that are allowed",
            )
        self._network = network
        self._buckets = tuple(buckets)
        self._slots = tuple(_Slot(device, network, self._buckets) for _ in range(SLOTS))

    def run(self, batch: Batch) -> Batch:
        """Return the answers to `batch` (N, ...), N of any size."""
        answers = np.empty((len(batch), *self._network.output_shape), dtype=np.float32)
        free, busy = deque(self._slots), deque[tuple[_Slot, Chunk]]()
        for chunk in chunks(len(batch), self._buckets):
            if not free:
                free.append(_collect(*busy.popleft(), answers))
            slot = free.popleft()
            slot.submit(batch[chunk.start : chunk.start + chunk.count], chunk.bucket)
            busy.append((slot, chunk))
        while busy:
            _collect(*busy.popleft(), answers)
        return answers


def _collect(slot: _Slot, chunk: Chunk, answers: Batch) -> _Slot:
    slot.collect(answers[chunk.start : chunk.start + chunk.count])
    return slot


def _slot_bytes(network: Network, bucket: int) -> int:
    return network.scratch_bytes + bucket * _FLOAT_BYTES * (prod(network.input_shape) + prod(network.output_shape))


class _Slot:
    """A stream with its buffers on both sides, and a launcher per bucket.

    Rows of a padded run that no frame fills keep what lay there: frames do not see each other.
    """

    def __init__(self, device: Device, network: Network, buckets: Sequence[int]) -> None:
        self._device = device
        self._stream = device.stream()
        largest = buckets[-1]
        self._frame_bytes = _FLOAT_BYTES * prod(network.input_shape)
        self._answer_bytes = _FLOAT_BYTES * prod(network.output_shape)
        self._source = device.allocate(largest * self._frame_bytes)
        self._target = device.allocate(largest * self._answer_bytes)
        scratch = device.allocate(network.scratch_bytes) if network.scratch_bytes else 0
        self._frames = device.pin(largest * self._frame_bytes)
        self._answers = device.pin(largest * self._answer_bytes)
        self._frames[:] = 0
        device.copy_in(self._source, self._frames, self._stream)
        self._launchers = {}
        for bucket in buckets:
            enqueue = network.prepare(bucket, self._source, self._target, scratch, self._stream)
            self._launchers[bucket] = device.capture(enqueue, self._stream)

    def submit(self, frames: Batch, bucket: int) -> None:
        """Queue copy, run and copy back; returns before they are done."""
        frame_bytes = self._frames[: len(frames) * self._frame_bytes]
        np.copyto(frame_bytes.view(np.float32).reshape(frames.shape), frames)
        self._device.copy_in(self._source, frame_bytes, self._stream)
        self._launchers[bucket]()
        self._device.copy_out(self._answers[: len(frames) * self._answer_bytes], self._target, self._stream)

    def collect(self, answers: Batch) -> None:
        """Wait, and put the answers of the last `submit` where they belong."""
        self._device.synchronise(self._stream)
        done = self._answers[: len(answers) * self._answer_bytes]
        np.copyto(answers, done.view(np.float32).reshape(answers.shape))
