"""ONNX to plan with the real TensorRT-RTX, which needs no GPU for that."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest

from echo_scp.errors import GpuError, GpuFault, ManifestError
from echo_scp.inference.building import build_plan, flavour, load_tensorrt, messages
from echo_scp.inference.catalogue import list_manifests, shipped_folder
from echo_scp.inference.half import half_precision
from echo_scp.inference.manifest import Manifest, Precision
from tests.unit.inference.networks import make_network

GIGABYTE = 1 << 30
SHIPPED = [
    pytest.param(manifest, precision, id=f"{manifest.name}-{precision}")
    for manifest in list_manifests(shipped_folder())
    for precision in manifest.artefacts
]


@pytest.fixture(scope="module")
def trt() -> Iterator[object]:
    module = pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed (extra 'dev')")
    yield module
    gc.collect()


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return make_network(tmp_path / "engine")


def build(trt, manifest: Manifest, precision: Precision = "fp32", **changes: object) -> bytes:
    settings = {"largest_batch": 4, "workspace_bytes": GIGABYTE} | changes
    return build_plan(trt, manifest, manifest.artefact_path(precision), **settings)


@pytest.mark.parametrize(("manifest", "precision"), SHIPPED)
def test_every_shipped_artefact_becomes_a_plan(trt, manifest, precision):
    """Parsed, optimised and serialised with batches up to 64."""
    plan = build(trt, manifest, precision, largest_batch=64)

    assert len(plan) > 100_000


@pytest.mark.parametrize("task", ["segmentation", "view"])
def test_the_half_of_a_network_becomes_a_plan(trt, tmp_path, task):
    """Strongly typed fp16 with float32 input and output."""
    manifest = make_network(tmp_path, task)
    artefact = tmp_path / "half.onnx"
    artefact.write_bytes(half_precision((tmp_path / "model.onnx").read_bytes()))

    assert build_plan(trt, manifest, artefact, largest_batch=4, workspace_bytes=GIGABYTE)


def test_progress_grows_to_the_whole(trt, manifest):
    """`engines build` shows it."""
    told: list[tuple[str, float]] = []

    build(trt, manifest, progress=lambda phase, share: told.append((phase, share)))

    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert len(set(shares)) > 5
    assert all(phase for phase, _ in told)


def test_a_damaged_artefact_is_named(trt, manifest):
    """With what the parser said."""
    manifest.artefact_path("fp32").write_bytes(b"damaged")

    with pytest.raises(GpuError, match=r"model\.onnx: TensorRT cannot parse it") as caught:
        build(trt, manifest)

    assert caught.value.fault is GpuFault.PLAN_REFUSED


def test_an_operator_that_tensorrt_does_not_know_is_named(trt, manifest):
    """The engine may still run on the CPU."""
    artefact = manifest.artefact_path("fp32")
    model = onnx.load(artefact)
    model.graph.node[4].op_type = "Peculiar"
    onnx.save(model, artefact)

    with pytest.raises(GpuError, match="Peculiar") as caught:
        build(trt, manifest)

    assert caught.value.fault is GpuFault.PLAN_REFUSED


@pytest.mark.parametrize("workspace_bytes", [1 << 20, 1 << 26])
def test_too_little_memory_is_told_as_such(trt, workspace_bytes):
    """TensorRT says it in several ways; the caller then tries smaller batches."""
    manifest = next(manifest for manifest in list_manifests(shipped_folder()) if manifest.task == "segmentation")

    with pytest.raises(GpuError) as caught:
        build(trt, manifest, largest_batch=64, workspace_bytes=workspace_bytes)

    assert caught.value.fault is GpuFault.OUT_OF_MEMORY


@pytest.mark.parametrize("table", ["input", "output"])
def test_tensors_of_another_name_are_refused(trt, manifest, table):
    """The manifest and the file must speak of the same tensors."""
    wrong = getattr(manifest, table).model_copy(update={"tensor": "absent"})

    with pytest.raises(ManifestError, match=rf"{table}\.tensor"):
        build(trt, manifest.model_copy(update={table: wrong}))


def test_half_floats_at_the_rim_are_refused(trt, manifest):
    """The runtime copies float32."""
    artefact = manifest.artefact_path("fp32")
    model = onnx.load(artefact)
    model.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    model.graph.node[-1].output[0] = "single"
    model.graph.node.append(onnx.helper.make_node("Cast", ["single"], ["logits"], to=onnx.TensorProto.FLOAT16))
    onnx.save(model, artefact)

    with pytest.raises(GpuError, match="expected float32 tensors, logits is not"):
        build(trt, manifest)


def test_outputs_that_nobody_reads_are_left_out(trt, manifest):
    """They would need memory and copies."""
    artefact = manifest.artefact_path("fp32")
    model = onnx.load(artefact)
    model.graph.output.append(onnx.helper.make_tensor_value_info("relu", onnx.TensorProto.FLOAT, None))
    onnx.save(model, artefact)

    assert build(trt, manifest)


def test_no_tensorrt_is_a_typed_error_that_names_the_extra(monkeypatch):
    """It is never needed for anything else."""
    monkeypatch.setattr("echo_scp.inference.building.FLAVOURS", ("absent_tensorrt",))

    with pytest.raises(GpuError, match=r"absent_tensorrt.*extra 'gpu'") as caught:
        load_tensorrt()

    assert caught.value.fault is GpuFault.NO_RUNTIME


def test_the_flavour_names_library_and_version(trt):
    """A plan of another one is stale."""
    assert flavour(trt) == f"tensorrt_rtx {trt.__version__}"


def test_what_was_told_of_a_build_that_succeeded_is_not_the_reason_of_a_later_failure(trt, manifest):
    """A tactic that finds too little memory is passed over; the run that fails later did not lack any."""
    messages(trt).logger.log(trt.ILogger.ERROR, "Error Code 2: OutOfMemory")

    build(trt, manifest)

    assert messages(trt).error(GpuFault.EXECUTION_FAILED, "a run failed").fault is GpuFault.EXECUTION_FAILED
