"""The manifest and the artefact must speak of the same tensors, in every runtime's words for a free axis."""

from __future__ import annotations

import numpy as np
import pytest

from echo_scp.errors import EngineError, ManifestError
from echo_scp.inference.tensors import check_batch, check_tensors
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
