"""The TensorRT runtime from the plan to the answers, over a fake device; what needs no GPU with the real library."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import structlog

from echo_scp.config import AnalysisConfig
from echo_scp.errors import GpuError, GpuFault
from echo_scp.inference import tensorrt
from echo_scp.inference.loaded_plan import LoadedPlan
from echo_scp.inference.manifest import Manifest
from echo_scp.inference.onnxruntime import OnnxRuntimeEngine
from tests.unit.inference.fake_tensorrt import FakeCudaEngine, FakeMachine
from tests.unit.inference.networks import make_network


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> FakeMachine:
    return FakeMachine(monkeypatch)


@pytest.fixture
def config(tmp_path: Path) -> AnalysisConfig:
    return AnalysisConfig(runtime="tensorrt", plan_folder=tmp_path / "plans")


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return make_network(tmp_path / "engine")


def make_frames(manifest: Manifest, count: int) -> np.ndarray:
    size = manifest.input.size
    return np.random.default_rng(count).random((count, 1, size, size), dtype=np.float32)


def test_answers_are_those_of_the_network(machine, config, manifest):
    """Through buckets, slots and graphs, they are what ONNX Runtime says."""
    frames = make_frames(manifest, 21)

    logits = tensorrt.open_tensorrt(manifest, "fp32", config).run(frames)

    assert np.allclose(logits, OnnxRuntimeEngine(manifest).run(frames), atol=1e-5)


def test_a_canvas_that_is_no_square_is_framed_with_black(machine, config, tmp_path):
    """One plan serves every clip: its answer is what the network says of the canvas amid black."""
    manifest = make_network(tmp_path / "free", multiple_of=8, mean=0.5)
    frames = make_frames(manifest, 5)[:, :, 8:24]
    framed = np.pad(frames, [(0, 0), (0, 0), (8, 8), (0, 0)], constant_values=-0.5)

    logits = tensorrt.open_tensorrt(manifest, "fp32", config).run(frames)

    assert np.allclose(logits, OnnxRuntimeEngine(manifest).run(framed)[:, :, 8:24], atol=1e-5)


def test_a_plan_of_one_size_serves_a_network_of_many(machine, config, tmp_path, monkeypatch):
    """A library may say of the plan what it was built for; the artefact's own axes were looked at before that."""
    manifest = make_network(tmp_path / "free", multiple_of=8)
    told = FakeCudaEngine.get_tensor_shape
    size = manifest.input.size
    monkeypatch.setattr(FakeCudaEngine, "get_tensor_shape", lambda *name: (*told(*name)[:2], size, size))

    logits = tensorrt.open_tensorrt(manifest, "fp32", config).run(make_frames(manifest, 5)[:, :, 8:24])

    assert logits.shape[2:] == (16, size)


def test_a_plan_is_built_once(machine, config, manifest):
    """The second start finds it."""
    tensorrt.open_tensorrt(manifest, "fp32", config).close()
    tensorrt.open_tensorrt(manifest, "fp32", config).close()

    assert machine.built == [64]


def test_the_same_artefact_at_another_size_gets_a_plan_of_its_own(machine, config, tmp_path):
    """A network of free sides says in its manifest alone how large the frames of its plan are."""
    manifest = make_network(tmp_path / "free", multiple_of=8)
    smaller = make_network(tmp_path / "free", multiple_of=8, size=24)
    tensorrt.open_tensorrt(manifest, "fp32", config).close()

    logits = tensorrt.open_tensorrt(smaller, "fp32", config).run(make_frames(smaller, 2))

    assert machine.built == [64, 64]
    assert logits.shape[2:] == (24, 24)


def test_a_plan_is_built_anew_when_asked(machine, config, manifest):
    """`engines build` does not trust what lies there."""
    tensorrt.open_tensorrt(manifest, "fp32", config).close()
    tensorrt.open_tensorrt(manifest, "fp32", config, rebuild=True).close()

    assert machine.built == [64, 64]


def test_a_plan_that_tensorrt_refuses_is_built_anew(machine, config, manifest, monkeypatch):
    """Its file is whole and its key right, and still it is no plan for this machine."""
    with monkeypatch.context() as patch:
        patch.setattr(tensorrt, "build_plan", lambda *arguments, **settings: b"of another GPU")
        with pytest.raises(GpuError) as caught:
            tensorrt.open_tensorrt(manifest, "fp32", config)

    engine = tensorrt.open_tensorrt(manifest, "fp32", config)

    assert caught.value.fault is GpuFault.PLAN_REFUSED
    assert machine.trt.refused_plans == 2
    assert machine.built == [64]
    assert engine.run(make_frames(manifest, 1)).shape[:2] == (1, len(manifest.output.labels))


def test_batches_shrink_until_the_memory_is_enough(machine, config, manifest):
    """TensorRT cannot build for 64; 16 do."""
    machine.too_large = 64

    with structlog.testing.capture_logs() as logs:
        engine = tensorrt.open_tensorrt(manifest, "fp32", config)

    assert machine.built == [64, 16]
    assert [entry["batch"] for entry in logs if entry["event"] == "engine.batch_reduced"] == [16]
    assert engine.run(make_frames(manifest, 40)).shape[:2] == (40, len(manifest.output.labels))


def test_memory_that_is_too_little_for_one_frame_is_a_typed_error(machine, config, manifest):
    """The device is full; everything taken is given back."""
    machine.device.memory_bytes = 1000

    with pytest.raises(GpuError, match=r"analysis\.gpu_memory_mb") as caught:
        tensorrt.open_tensorrt(manifest, "fp32", config)

    assert caught.value.fault is GpuFault.OUT_OF_MEMORY
    assert machine.device.closed


def test_the_configured_memory_bounds_what_is_taken(machine, config, manifest):
    """1 MB for frames and answers of 20 kB in two slots hold batches of 16, not of 64."""
    tensorrt.open_tensorrt(manifest, "fp32", config.model_copy(update={"gpu_memory_mb": 1}))

    assert machine.built == [64, 16]
    assert machine.device.allocated_bytes <= 1 << 20


def test_no_context_for_lack_of_memory_is_told_as_such(machine, config, manifest):
    """TensorRT only says so in its log."""
    machine.trt.fails.add("context")

    with pytest.raises(GpuError, match="OutOfMemory") as caught:
        tensorrt.open_tensorrt(manifest, "fp32", config)

    assert caught.value.fault is GpuFault.OUT_OF_MEMORY


def test_a_run_that_fails_is_a_typed_error_with_what_tensorrt_said(machine, config, manifest):
    """While graphs are made, as later."""
    machine.trt.fails.add("execution")

    with pytest.raises(GpuError, match="illegal memory access") as caught:
        tensorrt.open_tensorrt(manifest, "fp32", config)

    assert caught.value.fault is GpuFault.EXECUTION_FAILED


def test_a_closed_engine_gave_its_memory_back(machine, config, manifest):
    """Closing twice is harmless, running is an error."""
    engine = tensorrt.open_tensorrt(manifest, "fp32", config)

    engine.close()
    engine.close()

    assert machine.device.closed
    with pytest.raises(GpuError, match="closed"):
        engine.run(make_frames(manifest, 1))


def test_the_driver_is_asked_before_tensorrt_is_loaded(machine, config, manifest, monkeypatch):
    """Without one, a TensorRT may end the whole process."""

    def no_driver():
        raise GpuError(GpuFault.NO_DRIVER, "no libcuda")

    monkeypatch.setattr(tensorrt, "probe_gpu", no_driver)
    monkeypatch.setattr(tensorrt, "load_tensorrt", lambda: pytest.fail("TensorRT was loaded"))

    with pytest.raises(GpuError, match="no libcuda"):
        tensorrt.open_tensorrt(manifest, "fp32", config)


def test_what_tensorrt_rtx_compiled_is_given_to_the_next_start(monkeypatch, config, manifest):
    """Its kernels are compiled when they first run; that would be at every start."""
    machine = FakeMachine(monkeypatch, compiles=True)

    tensorrt.open_tensorrt(manifest, "fp32", config).close()
    tensorrt.open_tensorrt(manifest, "fp32", config).close()

    assert machine.trt.told_kernels == [b"compiled"]


def test_the_identity_is_that_of_the_artefact(machine, config, manifest):
    """Reports name what ran."""
    assert tensorrt.open_tensorrt(manifest, "fp32", config).identity == manifest.identity("fp32")


# With the real library


@pytest.fixture(scope="module")
def trt() -> Iterator[object]:
    module = pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed (extra 'dev')")
    yield module
    gc.collect()  # its objects go in an order that it likes while the module is still whole


def test_a_plan_on_a_machine_without_a_gpu_is_a_typed_error(trt, manifest):
    """TensorRT returns None; its log says why."""
    if Path("/dev/nvidia0").exists():
        pytest.skip("this machine has a GPU")

    with pytest.raises(GpuError, match=r"does not take the plan.*CUDA") as caught:
        LoadedPlan(trt, build(trt, manifest), manifest)

    assert caught.value.fault is GpuFault.PLAN_REFUSED


@pytest.mark.parametrize(
    ("fake", "real"),
    [
        ("FakeRuntime", "Runtime"),
        ("FakeCudaEngine", "ICudaEngine"),
        ("FakeContext", "IExecutionContext"),
        ("FakeRuntimeConfig", "IRuntimeConfig"),
        ("FakeKernels", "IRuntimeCache"),
    ],
)
def test_the_fake_has_no_method_that_tensorrt_does_not_have(trt, fake, real):
    """So that a name in our code is a name of the library."""
    from tests.unit.inference import fake_tensorrt

    public = {name for name in vars(getattr(fake_tensorrt, fake)) if not name.startswith("_")}

    assert public <= set(dir(getattr(trt, real)))


def build(trt, manifest: Manifest) -> bytes:
    artefact = manifest.artefact_path("fp32")
    return tensorrt.build_plan(trt, manifest, artefact, largest_batch=4, workspace_bytes=1 << 30, progress=None)
