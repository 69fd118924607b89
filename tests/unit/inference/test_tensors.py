"""The manifest and the artefact must speak of the same tensors, in every runtime's words for a free axis."""

from __future__ import annotations

import numpy as np
import pytest

from echo_scp.errors import EngineError, ManifestError
from echo_scp.inference.tensors import check_batch, check_sides, check_tensors
from tests.unit.fakes import make_manifest

FITTING = {"frames": ["batch", 1, 32, 32]}, {"logits": ["batch", 4, 32, 32]}


@pytest.mark.parametrize("free", ["batch", None, -1])
def test_what_fits_is_accepted(free):
    """ONNX Runtime names free axes or gives None, TensorRT says -1."""
    check_tensors(make_manifest("segmentation"), {"frames": [free, 1, free, free]}, {"logits": [free, free, 32, 32]})


@pytest.mark.parametrize(
    ("inputs", "outputs", "field"),
    [
        ({"other": ["batch", 1, 32, 32]}, FITTING[1], "input.tensor"),
        ({**FITTING[0], "second": ["batch", 1]}, FITTING[1], "input.tensor"),
        (FITTING[0], {"other": ["batch", 4, 32, 32]}, "output.tensor"),
        (FITTING[0], {"logits": ["batch", 3, 32, 32]}, "output.labels"),
        ({"frames": ["batch", 1, 64, 64]}, FITTING[1], "input.size"),
    ],
)
def test_what_does_not_fit_is_named(inputs, outputs, field):
    """File, field, and what was expected."""
    with pytest.raises(ManifestError, match=r"manifest\.toml: .*expected") as caught:
        check_tensors(make_manifest("segmentation"), inputs, outputs)

    assert caught.value.field == field


def many_sizes():
    tensor = {"tensor": "frames", "size": 32, "mean": 0.0, "std": 1.0, "multiple_of": 8}
    return make_manifest("segmentation", input=tensor)


def test_a_network_said_to_take_many_sizes_must_take_them():
    """An artefact of one size would fail at the first clip that is no square."""
    with pytest.raises(ManifestError, match="takes 32 x 32 alone") as caught:
        check_sides(many_sizes(), FITTING[0])

    assert caught.value.field == "input.multiple_of"


def test_a_network_of_many_sizes_takes_multiples_up_to_its_longest_side():
    """Down to one step, in either direction."""
    for rows, columns in ((8, 32), (32, 8), (24, 16), (32, 32)):
        check_batch(many_sizes(), np.zeros((1, 1, rows, columns), np.float32))


@pytest.mark.parametrize("sides", [(12, 32), (40, 32), (0, 32), (32,)])
def test_other_sizes_are_refused_with_those_that_are_not(sides):
    """The message says both."""
    with pytest.raises(EngineError, match=r"\(N, 1, 32, 32\) or sides of fewer multiples of 8"):
        check_batch(many_sizes(), np.zeros((1, 1, *sides), np.float32))


@pytest.mark.parametrize(
    "batch",
    [
        np.zeros((1, 1, 8, 8), np.float32),
        np.zeros((1, 3, 32, 32), np.float32),
        np.zeros((32, 32), np.float32),
        np.zeros((1, 1, 32, 32), np.float64),
    ],
)
def test_a_batch_of_another_shape_or_type_is_refused(batch):
    """Before any runtime sees it."""
    with pytest.raises(EngineError, match="expected float32"):
        check_batch(make_manifest("segmentation"), batch)
