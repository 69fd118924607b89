"""Which runtime and precision runs an engine, and what happens when the GPU cannot."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest
import structlog

from echo_scp.config import AnalysisConfig
from echo_scp.errors import EngineError, GpuError, GpuFault, ManifestError
from echo_scp.inference import runtime
from echo_scp.inference.engine import Engine
from echo_scp.inference.half import half_precision
from echo_scp.inference.manifest import Manifest
from echo_scp.inference.onnxruntime import OnnxRuntimeEngine
from echo_scp.inference.runtime import FallingBackEngine, choose_precision, open_engine
from echo_scp.metrics import render
from tests.unit.fakes import FakeEngine
from tests.unit.inference.networks import SIZE, make_network

FALLBACKS = "echo_scp_engine_fallbacks_total"


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return make_network(tmp_path / "engine")


def with_half(manifest: Manifest) -> Manifest:
    """Return the manifest with an fp16 artefact beside the fp32 one."""
    content = half_precision(manifest.artefact_path("fp32").read_bytes())
    (manifest.folder / "half.onnx").write_bytes(content)
    artefact = {"file": "half.onnx", "sha256": hashlib.sha256(content).hexdigest()}
    artefacts = {**manifest.model_dump()["artefacts"], "fp16": artefact}
    return Manifest.model_validate({**manifest.model_dump(by_alias=True), "artefacts": artefacts})


def make_config(tmp_path: Path, **changes: object) -> AnalysisConfig:
    return AnalysisConfig.model_validate({"runtime": "tensorrt", "plan_folder": tmp_path / "plans"} | changes)


def make_frames(count: int) -> np.ndarray:
    return np.random.default_rng(0).random((count, 1, SIZE, SIZE), dtype=np.float32)


def fallbacks(task: str, fault: GpuFault) -> float:
    wanted = f'{FALLBACKS}{{fault="{fault}",task="{task}"}}'
    return next((float(line.split()[-1]) for line in render().decode().splitlines() if line.startswith(wanted)), 0.0)


class FailingEngine(FakeEngine):
    """A GPU that answers a few batches and is then gone."""

    def __init__(self, manifest: Manifest, good_runs: int) -> None:
        super().__init__(manifest, lambda batch: np.full((len(batch), 4), 7, np.float32))
        self.good_runs = good_runs
        self.closed = 0

    def run(self, batch):
        if len(self.batches) == self.good_runs:
            raise GpuError(GpuFault.EXECUTION_FAILED, "the GPU fell off the bus")
        return super().run(batch)

    def close(self):
        self.closed += 1
        raise GpuError(GpuFault.EXECUTION_FAILED, "the context is lost")


def no_gpu(*arguments: object) -> Engine:
    raise GpuError(GpuFault.NO_DRIVER, "no libcuda")


def test_onnxruntime_is_the_default(manifest):
    """On the processor, nothing else asked."""
    assert isinstance(open_engine(manifest, AnalysisConfig()), OnnxRuntimeEngine)


def test_without_a_gpu_the_engine_runs_on_the_cpu_and_says_so(manifest, tmp_path, monkeypatch):
    """Late is better than never: a warning in the log and a metric tell."""
    monkeypatch.setattr(runtime, "open_on_gpu", no_gpu)
    before = fallbacks("segmentation", GpuFault.NO_DRIVER)

    with structlog.testing.capture_logs() as logs:
        engine = open_engine(manifest, make_config(tmp_path))

    assert isinstance(engine, OnnxRuntimeEngine)
    assert [(entry["log_level"], entry["fault"]) for entry in logs if entry["event"] == "engine.fell_back"] == [
        ("warning", "no_driver")
    ]
    assert fallbacks("segmentation", GpuFault.NO_DRIVER) == before + 1


def test_without_a_gpu_and_without_falling_back_the_start_fails(manifest, tmp_path, monkeypatch):
    """With what to do."""
    monkeypatch.setattr(runtime, "open_on_gpu", no_gpu)

    with pytest.raises(GpuError, match="no libcuda; install NVIDIA's driver"):
        open_engine(manifest, make_config(tmp_path, fall_back_to_cpu=False))


@pytest.mark.skipif(Path("/dev/nvidia0").exists(), reason="this machine has a GPU")
def test_this_very_machine_without_a_gpu_falls_back(manifest, tmp_path):
    """With what is really installed."""
    assert open_engine(manifest, make_config(tmp_path)).run(make_frames(2)).shape[0] == 2


def test_a_gpu_that_fails_in_the_middle_hands_its_batch_to_the_cpu(manifest, tmp_path):
    """No batch is lost, and it stays on the CPU."""
    gpu = FailingEngine(manifest, good_runs=1)
    engine = FallingBackEngine(gpu, make_config(tmp_path), runtime.open_on_cpu)
    frames = make_frames(2)
    before = fallbacks("segmentation", GpuFault.EXECUTION_FAILED)

    first, second, third = engine.run(frames), engine.run(frames), engine.run(frames)

    assert (first == 7).all()
    assert np.array_equal(second, OnnxRuntimeEngine(manifest).run(frames))
    assert np.array_equal(third, second)
    assert len(gpu.batches) == gpu.closed == 1
    assert fallbacks("segmentation", GpuFault.EXECUTION_FAILED) == before + 1


def test_a_wrong_batch_does_not_send_an_engine_to_the_cpu(manifest, tmp_path):
    """It would be wrong there too."""

    def refuse(batch):
        raise EngineError("wrong shape")

    engine = FallingBackEngine(FakeEngine(manifest, refuse), make_config(tmp_path), no_gpu)

    with pytest.raises(EngineError, match="wrong shape"):
        engine.run(make_frames(1))


def test_the_identity_is_that_of_what_runs_now(manifest, tmp_path):
    """fp16 on the GPU, fp32 after it failed: reports name the artefact."""
    manifest = with_half(manifest)
    gpu = FailingEngine(manifest, good_runs=0)
    config = make_config(tmp_path, precision="fp16")
    engine = FallingBackEngine(gpu, config, runtime.open_on_cpu)

    engine.run(make_frames(1))

    assert engine.identity == manifest.identity("fp32")
    assert engine.manifest is manifest


def test_a_precision_that_an_engine_has_is_taken(manifest):
    """The artefact says what is computed."""
    assert choose_precision("fp16", with_half(manifest)) == "fp16"


def test_a_precision_that_an_engine_lacks_is_fp32_and_said(manifest):
    """A site may mix engines."""
    with structlog.testing.capture_logs() as logs:
        precision = choose_precision("int8", manifest)

    assert precision == "fp32"
    assert logs[0]["event"] == "engine.precision_missing"
    assert (logs[0]["wanted"], logs[0]["runs"]) == ("int8", "fp32")


def test_the_cpu_does_not_run_fp16(manifest):
    """It would only be slower there."""
    engine = open_engine(with_half(manifest), AnalysisConfig(precision="fp16"))

    assert engine.identity == manifest.identity("fp32")


def test_weights_in_a_file_that_no_hash_covers_are_refused(tmp_path, monkeypatch):
    """Also when such a file lies in the folder, or where the command was started."""
    manifest = make_network(tmp_path)
    artefact = manifest.artefact_path("fp32")
    onnx.save(onnx.load(artefact), artefact, save_as_external_data=True, location="weights", size_threshold=64)
    monkeypatch.chdir(tmp_path)

    with pytest.raises(EngineError, match=r"model\.onnx: ONNX Runtime cannot load it"):
        OnnxRuntimeEngine(manifest)


def test_a_network_that_takes_another_type_is_refused_when_it_is_loaded(tmp_path):
    """At the start of the node, not by its first study."""
    manifest = make_network(tmp_path)
    model = onnx.load(manifest.artefact_path("fp32"))
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    for node in model.graph.node:
        node.input[:] = ["single" if name == "frames" else name for name in node.input]
    model.graph.node.insert(0, onnx.helper.make_node("Cast", ["frames"], ["single"], to=onnx.TensorProto.FLOAT))
    onnx.save(model, manifest.artefact_path("fp32"))

    with pytest.raises(ManifestError, match=r"fp32\.file: expected .*; model\.onnx takes tensor\(float16\)"):
        OnnxRuntimeEngine(manifest)


@pytest.mark.parametrize("multiple_of", [8, None])
def test_outlines_of_another_size_than_the_frames_are_refused_when_the_network_is_loaded(tmp_path, multiple_of):
    """Where the file leaves the size open: outlines of half the size would be put in the wrong place."""
    manifest = make_network(tmp_path, multiple_of=8)
    model = onnx.load(manifest.artefact_path("fp32"))
    next(node for node in model.graph.node if node.op_type == "Conv" and "logits" in node.output).output[0] = "whole"
    model.graph.node.append(
        onnx.helper.make_node("MaxPool", ["whole"], ["logits"], kernel_shape=[2, 2], strides=[2, 2])
    )
    model.graph.output[0].type.tensor_type.shape.dim[2].dim_param = "fewer rows"
    model.graph.output[0].type.tensor_type.shape.dim[3].dim_param = "fewer columns"
    onnx.save(model, manifest.artefact_path("fp32"))
    tensor = manifest.input.model_copy(update={"multiple_of": multiple_of})

    with pytest.raises(EngineError, match=r"expected answers of shape \(1, 4, (\d+), \1\) for \(1, 1, \1, \1\), got"):
        OnnxRuntimeEngine(manifest.model_copy(update={"input": tensor}))
