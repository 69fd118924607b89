"""Checkpoints are data: names and shapes are compared, code in them never runs. Needs torch (extra train)."""

from __future__ import annotations

import os

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra train): torch checkpoints go untested")

from torch import nn  # noqa: E402

from echo_scp.errors import EngineError  # noqa: E402
from echo_scp.imports import torch_export  # noqa: E402


class Harmful:
    """What a checkpoint could be if it were believed."""

    def __reduce__(self):
        return os.getenv, ("HOME",)


def make_network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2))


def save(content: object, path, zipped: bool = True):
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "format of 2019"])
@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("nested", [True, False], ids=["with optimiser", "weights alone"])
def test_published_checkpoints_are_read_whatever_is_around_the_weights(tmp_path, zipped, prefix, nested):
    """DataParallel's prefix, the optimiser's state and numpy's scalars, in both formats of torch."""
    network = make_network()
    state = {f"{prefix}{key}": value for key, value in network.state_dict().items()}
    around = {
        "state_dict": state,
        "epoch": 3,
        "best_loss": float("inf"),
        "r2": np.float64(0.5),
        "opt_dict": {"state": {}},
    }
    path = save(around if nested else state, tmp_path / "best.pt", zipped)

    weights = torch_export.weights_of(torch_export.read_checkpoint(path), path)

    assert {key: value.tolist() for key, value in weights.items()} == {
        key: value.tolist() for key, value in network.state_dict().items()
    }


def test_a_head_that_only_training_uses_is_left_out(tmp_path):
    """torchvision's networks can have one."""
    state = {**make_network().state_dict(), "aux_classifier.0.weight": torch.zeros(1)}
    path = save(state, tmp_path / "aux.pt")

    weights = torch_export.weights_of(torch_export.read_checkpoint(path), path)

    torch_export.load_weights(make_network(), weights, path)
    assert "aux_classifier.0.weight" not in weights


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("0.bias"), "expected 0.bias, which is missing"),
        (lambda state: state.update(extra=torch.zeros(1)), "extra is not of this architecture"),
        (lambda state: state.update({"0.bias": torch.zeros(5)}), r"0.bias: expected shape \(2,\), got \(5,\)"),
    ],
)
def test_weights_of_another_architecture_are_named(tmp_path, change, message):
    """With the file, so that the right one can be looked for."""
    state = make_network().state_dict()
    change(state)

    with pytest.raises(EngineError, match=message) as raised:
        torch_export.load_weights(make_network(), state, tmp_path / "best.pt")

    assert "best.pt" in str(raised.value)


@pytest.mark.parametrize(
    "content", [{"state_dict": {}, "hook": Harmful()}, [1, 2], {"state_dict": {"a": 1}}, {"epoch": 1}]
)
def test_a_checkpoint_with_code_or_without_weights_is_refused(tmp_path, content):
    """It is an error that names the file, not a program."""
    path = save(content, tmp_path / "other.pt")

    with pytest.raises(EngineError, match=r"other\.pt: expected"):
        torch_export.weights_of(torch_export.read_checkpoint(path), path)


def test_bytes_that_are_no_checkpoint_are_refused(tmp_path):
    """A web page that was saved under the file's name, for instance."""
    (tmp_path / "page.pt").write_text("<html>Not found</html>")

    with pytest.raises(EngineError, match=r"page\.pt: expected a torch checkpoint"):
        torch_export.read_checkpoint(tmp_path / "page.pt")


def test_an_onnx_that_answers_otherwise_is_refused(tmp_path):
    """A layer that the exporter freezes, such as dropout in training mode, would differ from torch."""

    class Fickle(nn.Module):
        def __init__(self):
            super().__init__()
            self.calls = 0

        def forward(self, frames):
            self.calls += 1
            return frames * self.calls

    with pytest.raises(EngineError, match="ONNX Runtime differs from torch by"):
        torch_export.write_onnx(Fickle(), torch.rand(2, 1, 4, 4), "out", tmp_path / "model.onnx")


def test_a_network_that_cannot_be_exported_is_named(tmp_path):
    """What it computes depends on what it sees: ONNX has no such program."""

    class Choosing(nn.Module):
        def forward(self, frames):
            return frames if frames.sum() > 0 else -frames

    with pytest.raises(EngineError, match=r"model\.onnx: torch cannot export it"):
        torch_export.write_onnx(Choosing(), torch.rand(2, 1, 4, 4), "out", tmp_path / "model.onnx")


def test_a_network_that_gives_more_than_a_tensor_is_named(tmp_path):
    """A table of outputs, as torchvision's segmentation networks give."""

    class Several(nn.Module):
        def forward(self, frames):
            return {"out": frames, "aux": 2 * frames}

    with pytest.raises(EngineError, match="expected a network that gives one tensor, got a dict"):
        torch_export.write_onnx(Several(), torch.rand(2, 1, 8, 8), "answer", tmp_path / "model.onnx")
