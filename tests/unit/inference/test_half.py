"""The fp16 artefact: half the size, float32 at the rim, the same answer."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from echo_scp.errors import EngineError
from echo_scp.inference.catalogue import list_manifests, shipped_folder
from echo_scp.inference.framing import framing
from echo_scp.inference.half import half_precision
from echo_scp.model import Region, View
from echo_scp.phantom.heart import Heart
from echo_scp.phantom.scene import Rhythm, Scanner, render
from tests.unit.inference.networks import SIZE, network_bytes

FLOAT = onnx.TensorProto.FLOAT


def run(model: bytes, frames: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: frames})[0]


@pytest.mark.parametrize("task", ["segmentation", "view"])
def test_it_answers_as_the_whole_network_does(task):
    """Within half a per cent of the largest logit."""
    model = network_bytes(task)
    frames = np.random.default_rng(0).random((3, 1, SIZE, SIZE), dtype=np.float32)

    whole, half = run(model, frames), run(half_precision(model), frames)

    assert half.dtype == np.float32
    assert np.abs(half - whole).max() < 0.005 * np.abs(whole).max()
    assert not np.array_equal(half, whole)


@pytest.mark.parametrize("manifest", list_manifests(shipped_folder()), ids=lambda manifest: manifest.name)
def test_shipped_networks_keep_their_answer(manifest):
    """On a phantom's heart the most likely label changes in at most 1 of 1000 places; the size halves."""
    model = manifest.artefact_path("fp32").read_bytes()
    half = half_precision(model)
    cine = render(Heart(View.A4C, 118.0, 56.0, 84.0), Scanner(480, 640, depth_mm=158.0), Rhythm(frame_count=2))
    frames = framing(Region(0, 0, 640, 480, None), manifest.input, cine.frames.shape).batch(cine.frames)

    same = run(model, frames).argmax(1) == run(half, frames).argmax(1)

    assert same.mean() >= 0.999
    assert len(half) < 0.6 * len(model)


def test_all_weights_are_halved_but_the_scales_of_a_resize():
    """Their type in the operator's schema is float32, always."""
    model = onnx.load_from_string(half_precision(network_bytes()))

    singles = {tensor.name for tensor in model.graph.initializer if tensor.data_type == FLOAT}

    assert singles == {"scales"}


def test_input_and_output_keep_their_names_and_type():
    """The manifest stays as it is."""
    graph = onnx.load_from_string(half_precision(network_bytes())).graph

    rim = [(tensor.name, tensor.type.tensor_type.elem_type) for tensor in (*graph.input, *graph.output)]

    assert rim == [("frames", FLOAT), ("logits", FLOAT)]


def test_a_constant_and_a_cast_inside_become_half():
    """Exporters leave both."""
    model = onnx.load_from_string(network_bytes("view"))
    scale = onnx.helper.make_tensor("s", FLOAT, [], [0.5])
    model.graph.node[-1].output[0] = "gemm"
    model.graph.node.extend(
        [
            onnx.helper.make_node("Constant", [], ["scale"], value=scale),
            onnx.helper.make_node("Cast", ["gemm"], ["again"], to=FLOAT),
            onnx.helper.make_node("Mul", ["again", "scale"], ["logits"]),
        ]
    )
    frames = np.random.default_rng(0).random((2, 1, SIZE, SIZE), dtype=np.float32)

    half = half_precision(model.SerializeToString())

    assert np.allclose(run(half, frames), run(model.SerializeToString(), frames), rtol=0.01, atol=0.01)


def test_weights_that_fp16_cannot_hold_are_refused():
    """70000 would become infinite."""
    model = onnx.load_from_string(network_bytes())
    weights = onnx.numpy_helper.to_array(model.graph.initializer[0]).copy()
    weights[0] = 70000
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(weights, "w0"))

    with pytest.raises(EngineError, match="w0: fp16 cannot hold 70000"):
        half_precision(model.SerializeToString())


def test_a_quantised_network_is_refused():
    """There is nothing to halve."""
    model = onnx.load_from_string(network_bytes())
    model.graph.node.append(onnx.helper.make_node("QuantizeLinear", ["relu", "zero"], ["quantised"]))

    with pytest.raises(EngineError, match="quantised"):
        half_precision(model.SerializeToString())


def test_a_network_that_mixes_types_is_refused():
    """Its resize takes scales that it computes from its data: fp16 by then, where float32 must be."""
    model = onnx.load_from_string(network_bytes())
    nodes = model.graph.node
    nodes[5].input[2] = "computed"
    nodes.insert(5, onnx.helper.make_node("Mul", ["scales", "one"], ["computed"]))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(1), "one"))

    with pytest.raises(EngineError, match="cannot be halved"):
        half_precision(model.SerializeToString())
