"""Batches of any size through a few fixed ones, over a device that does nothing before it must."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from echo_scp.errors import GpuError, GpuFault
from echo_scp.inference.batching import SLOTS, BatchRunner, Chunk, chunks
from tests.unit.inference.fake_gpu import FakeDevice, FakeNetwork, answers

BUCKETS = (1, 4, 16)
ROOM = 1 << 24


def make_frames(count: int, network: FakeNetwork) -> np.ndarray:
    return np.random.default_rng(count).random((count, *network.input_shape), dtype=np.float32)


def make_runner(device: FakeDevice, network: FakeNetwork, limit_bytes: int = ROOM) -> BatchRunner:
    with device.current():
        return BatchRunner(device, network, BUCKETS, limit_bytes)


@given(st.integers(0, 500), st.sampled_from([(1,), (1, 4), (1, 4, 16, 64), (1, 2, 4, 8)]))
def test_chunks_cover_every_frame_once_and_waste_less_than_half_of_a_run(count, buckets):
    """In order, each within its bucket."""
    cut = chunks(count, buckets)

    assert [frame for chunk in cut for frame in range(chunk.start, chunk.start + chunk.count)] == list(range(count))
    assert all(chunk.bucket in buckets and chunk.count <= chunk.bucket < 2 * chunk.count for chunk in cut)


def test_a_rest_is_padded_when_that_is_cheaper_than_many_small_runs():
    """63 frames are one run of 64; 20 are 16 and 4."""
    assert chunks(63, (1, 4, 16, 64)) == (Chunk(0, 63, 64),)
    assert chunks(20, (1, 4, 16, 64)) == (Chunk(0, 16, 16), Chunk(16, 4, 4))


@pytest.mark.parametrize("count", [0, 1, 3, 4, 15, 16, 17, 100])
def test_every_frame_gets_its_own_answer(count):
    """Whatever the chunks, padding and slots, and whatever lay in the buffers before."""
    device = FakeDevice()
    network = FakeNetwork(device)
    runner = make_runner(device, network)
    frames = make_frames(count, network)

    with device.current():
        runner.run(make_frames(33, network))
        logits = runner.run(frames)

    assert np.array_equal(logits, answers(frames) if count else np.empty((0, 3), np.float32))


def test_the_copy_of_the_next_chunk_overlaps_the_run_of_this_one():
    """Two streams hold work at the same time, and never more than there are slots."""
    device = FakeDevice()
    network = FakeNetwork(device)
    runner = make_runner(device, network)

    with device.current():
        runner.run(make_frames(64, network))

    assert device.most_pending_streams == SLOTS


def test_a_single_chunk_uses_one_stream():
    """Nothing waits for a second slot when there is nothing to overlap."""
    device = FakeDevice()
    network = FakeNetwork(device)
    runner = make_runner(device, network)
    device.most_pending_streams = 0

    with device.current():
        runner.run(make_frames(4, network))

    assert device.most_pending_streams == 1


def test_each_slot_has_one_graph_per_bucket():
    """They are recorded at the start; a run only launches."""
    device = FakeDevice()
    network = FakeNetwork(device)
    runner = make_runner(device, network)

    with device.current():
        runner.run(make_frames(21, network))

    assert device.graphs == SLOTS * len(BUCKETS)
    assert network.ran[-3:] == [16, 4, 1]


def test_frames_of_any_layout_are_taken():
    """A view with other strides, as a stage may cut it, gives the same answers."""
    device = FakeDevice()
    network = FakeNetwork(device)
    runner = make_runner(device, network)
    frames = make_frames(10, network)[::-1]

    with device.current():
        logits = runner.run(frames)

    assert np.array_equal(logits, answers(np.ascontiguousarray(frames)))


def test_memory_that_is_not_allowed_is_refused_before_it_is_taken():
    """The error names both numbers."""
    device = FakeDevice()
    network = FakeNetwork(device, scratch_bytes=3 << 20)

    with pytest.raises(GpuError, match="6 MB of 4 MB") as caught:
        make_runner(device, network, limit_bytes=4 << 20)

    assert caught.value.fault is GpuFault.OUT_OF_MEMORY
    assert device.allocated_bytes == 0


def test_a_device_that_is_full_says_so():
    """What another process took is not ours to give."""
    device = FakeDevice(memory_bytes=1024)
    network = FakeNetwork(device)

    with pytest.raises(GpuError) as caught:
        make_runner(device, network)

    assert caught.value.fault is GpuFault.OUT_OF_MEMORY


def test_a_network_without_scratch_memory_runs():
    """Nothing of size 0 is asked for."""
    device = FakeDevice()
    network = FakeNetwork(device, scratch_bytes=0)
    frames = make_frames(5, network)

    with device.current():
        logits = BatchRunner(device, network, BUCKETS, ROOM).run(frames)

    assert np.array_equal(logits, answers(frames))
