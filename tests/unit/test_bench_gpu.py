"""The GPU bench: where there is no GPU it says so; what it compares with computes what the artefact computes."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import onnxruntime as ort
import pytest

from tests.unit.inference.networks import SIZE, make_network

BENCH = Path(__file__).parents[2] / "scripts" / "bench"


def load(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCH))
    return importlib.import_module(name)


@pytest.mark.skipif(Path("/dev/nvidia0").exists(), reason="this machine has a GPU")
def test_without_a_gpu_the_bench_ends_with_one_sentence():
    """No traceback, status 1, and what to do."""
    done = subprocess.run([sys.executable, BENCH / "gpu.py"], capture_output=True, text=True, timeout=120, check=False)

    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("gpu.py measures on an NVIDIA GPU, and there is none: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("task", "operations"),
    [
        # 3x3 convolution 1 -> 4 on 32x32, depthwise 3x3 on 4 x 16x16, 1x1 convolution 8 -> 4 on 32x32
        ("segmentation", 2 * (4 * 32 * 32 * 9 + 4 * 16 * 16 * 9 + 4 * 32 * 32 * 8)),
        # 3x3 convolution 1 -> 4 to 15x15, matrix product 4 -> 4
        ("view", 2 * (4 * 15 * 15 * 9 + 4 * 4)),
    ],
)
def test_operations_are_those_of_convolutions_and_products(tmp_path, monkeypatch, task, operations):
    """Two per multiply-add."""
    cost = load("network_cost", monkeypatch)
    manifest = make_network(tmp_path, task)

    assert cost.flops(manifest.artefact_path("fp32"), manifest.input_shape) == operations


@pytest.mark.parametrize("task", ["segmentation", "view"])
def test_torch_computes_what_the_artefact_does(tmp_path, monkeypatch, task):
    """Node by node, in fp32 and in fp16."""
    torch = pytest.importorskip("torch", reason="torch is not installed (extra 'train')")
    networks = load("torch_network", monkeypatch)
    artefact = make_network(tmp_path, task).artefact_path("fp32")
    frames = np.random.default_rng(0).random((3, 1, SIZE, SIZE), dtype=np.float32)
    (expected,) = ort.InferenceSession(artefact, providers=["CPUExecutionProvider"]).run(None, {"frames": frames})

    with torch.no_grad():
        whole = networks.TorchNetwork(artefact)(torch.from_numpy(frames)).numpy()
        half = networks.HalfNetwork(artefact)(torch.from_numpy(frames)).numpy()

    assert np.allclose(whole, expected, atol=1e-5)
    assert np.abs(half - expected).max() < 0.01 * np.abs(expected).max()


def test_the_table_compares_with_torch_eager_of_the_same_place(monkeypatch):
    """A road from host memory is not compared with one that stays on the card; a refusal is a row."""
    table = load("gpu_table", monkeypatch)
    timing = table.Timing
    rows = [
        table.Row("lv", "fp16", 16, "torch eager, device", timing(2.0, 2.0), 0.05),
        table.Row("lv", "fp16", 16, "torch eager, host", timing(6.0, 6.0), 0.02),
        table.Row("lv", "fp16", 16, "ours, device", timing(0.5, 0.4), 0.25),
        table.Row("lv", "fp16", 16, "ours, host", timing(1.5, 1.0), 0.1, "labels agree 1.0000"),
        table.Row("lv", "fp32", 16, "ours, host", None, None, "refused: no plan"),
    ]

    lines = table.markdown(rows).splitlines()[2:]

    assert lines[2] == "| lv | fp16 | 16 | ours, device | 0.500 | 40000 | 25.0% | 5.0x |  |"
    assert "| 6.0x | labels agree 1.0000 |" in lines[3]
    assert lines[4] == "| lv | fp32 | 16 | ours, host | - | - | - | - | refused: no plan |"


def test_a_period_is_the_time_per_run_of_many_in_flight(monkeypatch):
    """Runs that are waited for together take less each than one alone."""
    table = load("gpu_table", monkeypatch)
    clock = [0.0]
    waiting: list[float] = []
    monkeypatch.setattr(table.time, "perf_counter", lambda: clock[0])

    def wait() -> None:
        clock[0] += 1e-3 + sum(waiting)
        waiting.clear()

    timing = table.time_runs(lambda: waiting.append(2e-3), wait)

    assert timing.latency_ms == pytest.approx(3.0)
    assert 2.0 < timing.period_ms < 2.1
