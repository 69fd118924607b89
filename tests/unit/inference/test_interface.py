"""What a manifest may say of a network, per task, and what contradicts itself."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from echo_scp.errors import EngineError, ManifestError
from echo_scp.imports.manifest_text import to_toml
from echo_scp.inference.manifest import Manifest, read_manifest
from echo_scp.inference.tensors import check_batch, check_tensors
from echo_scp.model import Structure, View
from tests.unit.inference.manifests import VALID, make_values

WEIGHTS = b"weights"


def read(tmp_path: Path, values: dict[str, Any]) -> Manifest:
    (tmp_path / "model.onnx").write_bytes(WEIGHTS)
    values["artefacts"] = {"fp32": {"file": "model.onnx", "sha256": hashlib.sha256(WEIGHTS).hexdigest()}}
    (tmp_path / "manifest.toml").write_text(to_toml(values))
    return read_manifest(tmp_path)


@pytest.mark.parametrize("task", VALID)
def test_every_task_can_be_described(tmp_path, task):
    """What was written is what is read."""
    manifest = read(tmp_path, make_values(task))

    assert manifest.task == task
    assert manifest.output.channels == len(VALID[task]["output"].get("labels", VALID[task]["output"].get("values")))


def test_classes_that_nobody_asks_for_are_no_structures(tmp_path):
    """Class 4 of the network is the second structure of its outlines; two classes may be one structure."""
    labels = ["background", "lv_cavity", "ignore", "lv_cavity", "left_atrium"]

    output = read(tmp_path, make_values("segmentation", output={"labels": labels})).output

    assert output.structures == (Structure.LV_CAVITY, Structure.LEFT_ATRIUM)
    assert output.label_values == (0, 1, 0, 1, 2)


def test_several_classes_may_be_one_view(tmp_path):
    """Zhang's network tells three kinds of a four chamber view apart."""
    output = read(tmp_path, make_values("view", output={"labels": ["other", "A4C", "A4C", "A2C"]})).output

    assert output.views == (View.OTHER, View.A4C, View.A2C)


def test_one_logit_per_pixel_is_one_channel(tmp_path):
    """Two labels, of which only the second has a channel."""
    changes = {"activation": "sigmoid", "labels": ["background", "lv_cavity"]}

    manifest = read(tmp_path, make_values("segmentation", output=changes))

    assert manifest.output.channels == 1
    assert manifest.output_shape == (1, 64, 64)


@pytest.mark.parametrize(
    ("layout", "item", "answer"),
    [("NCHW", (3, 64, 64), (2, 64, 64)), ("NHWC", (64, 64, 3), (64, 64, 2))],
)
def test_the_layout_gives_the_shapes(tmp_path, layout, item, answer):
    """Without the first axis, which is any batch."""
    values = make_values("segmentation", input={"layout": layout, "channels": 3})
    values["output"]["labels"] = ["background", "lv_cavity"]

    manifest = read(tmp_path, values)

    assert manifest.input_shape == item
    assert manifest.output_shape == answer


def test_a_network_that_sees_time_takes_clips(tmp_path):
    """(C, T, H, W), T as the sampling says."""
    values = make_values("ejection_fraction", input={"layout": "NCTHW", "channels": 3})

    assert read(tmp_path, values).input_shape == (3, 32, 64, 64)


@pytest.mark.parametrize(
    ("task", "table", "changes", "field"),
    [
        ("segmentation", "input", {"mean": [1.0, 2.0]}, "input.mean: expected one number, or 1"),
        ("segmentation", "input", {"channels": 3, "std": [1.0, 2.0]}, "input.std: expected one number, or 3"),
        ("segmentation", "input", {"std": [0.0]}, "input.std"),
        ("segmentation", "input", {"border": 0.1}, 'input.border: expected 0, or fit = "crop"'),
        ("segmentation", "input", {"channels": 2}, "input.channels"),
        ("segmentation", "input", {"multiple_of": 24}, "input.multiple_of: expected a divisor of size, 64"),
        (
            "segmentation",
            "input",
            {"multiple_of": 32, "fit": "crop"},
            'input.multiple_of: expected layout = "NCHW" and',
        ),
        ("segmentation", "input", {"multiple_of": 0}, "input.multiple_of"),
        ("segmentation", "input", {"layout": "NCTHW"}, "input.layout: expected single frames"),
        ("segmentation", "input", {"sector_degrees": 190.0}, "input.sector_degrees"),
        ("segmentation", "input", {"size": float("nan")}, "input.size"),
        (
            "segmentation",
            "output",
            {"labels": ["lv_cavity", "background"]},
            "output.labels: expected 'background' first",
        ),
        ("segmentation", "output", {"labels": ["background", "spleen"]}, "output.labels: .*not spleen"),
        ("segmentation", "output", {"labels": ["background", "ignore"]}, "output.labels: expected at least one"),
        ("segmentation", "output", {"labels": ["background"]}, "output.labels: expected two labels or more"),
        (
            "segmentation",
            "output",
            {"activation": "sigmoid"},
            "output.labels: expected two labels or more, exactly two",
        ),
        ("segmentation", "output", {"activation": "regression"}, "output.values"),
        ("view", "output", {"labels": ["A4C", "B7"]}, "output.labels: .*not B7"),
        ("view", "output", {"labels": ["A4C", "ignore"]}, "output.labels: .*not ignore"),
        (
            "view",
            "output",
            {"activation": "sigmoid"},
            "output.labels: expected two labels|output.labels: expected one view",
        ),
        ("ejection_fraction", "output", {"values": []}, "output.labels: expected either labels or values"),
        (
            "ejection_fraction",
            "output",
            {"values": [{"name": "ef", "unit": "%"}]},
            "output.values: expected one value named ejection_fraction",
        ),
        (
            "ejection_fraction",
            "output",
            {"values": [{"name": "ejection_fraction", "unit": "1"}]},
            "output.values: expected one value named ejection_fraction",
        ),
        ("ejection_fraction", "output", {"activation": "logits"}, "output.activation"),
        ("ejection_fraction", "sampling", {"interval_ms": 40.0}, "sampling.period: expected either"),
        ("ejection_fraction", "sampling", {"mode": "all"}, "sampling.mode"),
        ("phenotype", "output", {"values": [{"name": "a", "unit": "1"}] * 2}, "output.values"),
        ("phenotype", "output", {"values": [{"name": "LA size", "unit": "1"}]}, r"output.values.0.name"),
        ("phenotype", "sampling", {"interval_ms": -1.0}, "sampling.interval_ms"),
    ],
)
def test_what_contradicts_itself_is_named_with_file_and_field(tmp_path, task, table, changes, field):
    """And with what was expected."""
    with pytest.raises(ManifestError, match=field) as raised:
        read(tmp_path, make_values(task, **{table: changes}))

    assert str(raised.value).startswith(f"{tmp_path / 'manifest.toml'}: ")


@pytest.mark.parametrize(
    ("task", "missing", "field"),
    [
        ("segmentation", "views", "views: expected the views that a segmentation engine"),
        ("view", "decision", "decision: expected a table"),
        ("ejection_fraction", "views", "views: expected the views"),
        ("ejection_fraction", "sampling", "sampling: expected a table"),
        ("phenotype", "sampling", "sampling: expected a table"),
    ],
)
def test_what_a_task_needs_is_named(tmp_path, task, missing, field):
    """A forgotten table is found when the manifest is read."""
    values = make_values(task)
    del values[missing]

    with pytest.raises(ManifestError, match=field):
        read(tmp_path, values)


def test_the_measured_ventricle_must_be_trusted_by_its_logits(tmp_path):
    """A [trust] table of a network without the LV would never be asked."""
    trust = dict.fromkeys(("bias", "certain", "mirrored", "turned", "refuse_below", "doubt_below"), 0.5)
    values = make_values("segmentation", output={"labels": ["background", "left_atrium"]})

    with pytest.raises(ManifestError, match="trust: expected logits of 'lv_cavity'"):
        read(tmp_path, values | {"trust": trust})


@pytest.mark.parametrize(
    ("inputs", "outputs", "field"),
    [
        ({"other": ("n", 1, 64, 64)}, {"logits": ("n", 4, 64, 64)}, "input.tensor"),
        ({"frames": ("n", 1, 64, 64), "more": (1,)}, {"logits": ("n", 4, 64, 64)}, "input.tensor"),
        ({"frames": ("n", 1, 64, 64)}, {"other": ("n", 4, 64, 64)}, "output.tensor"),
        ({"frames": ("n", 1, 4, 64, 64)}, {"logits": ("n", 4, 64, 64)}, "input.layout: expected one of 5 axes"),
        (
            {"frames": (1, 1, 64, 64)},
            {"logits": ("n", 4, 64, 64)},
            "input.tensor: expected a first axis that takes any",
        ),
        ({"frames": ("n", 3, 64, 64)}, {"logits": ("n", 4, 64, 64)}, "input.channels: expected what .* has, 3"),
        ({"frames": ("n", 1, 96, 96)}, {"logits": ("n", 4, 64, 64)}, "input.size: expected what .* has, 96"),
        ({"frames": ("n", 1, 64, 64)}, {"logits": ("n", 3, 64, 64)}, "output.labels: expected what .* has, 3"),
        ({"frames": ("n", 1, 64, 64)}, {"logits": ("n", 4)}, "output.tensor: expected an output of 4 axes"),
        ({"frames": ("n", 1, 64, 64)}, {"logits": ("n", 4, 32, 32)}, "input.size: expected what .* has, 32"),
    ],
)
def test_an_artefact_of_other_shapes_is_refused(tmp_path, inputs, outputs, field):
    """The message names the field of the manifest that does not hold."""
    manifest = read(tmp_path, make_values("segmentation"))

    with pytest.raises(ManifestError, match=field):
        check_tensors(manifest, inputs, outputs)


def test_free_axes_fit_everything(tmp_path):
    """Fully convolutional networks fix no size."""
    manifest = read(tmp_path, make_values("segmentation"))

    check_tensors(manifest, {"frames": ("n", 1, "h", "w")}, {"logits": ("n", None, -1, "w")})


def test_a_batch_of_another_shape_names_the_whole_shape(tmp_path):
    """Also where it has five axes."""
    values = make_values("ejection_fraction", input={"layout": "NCTHW", "channels": 3})
    manifest = read(tmp_path, values)

    with pytest.raises(EngineError, match=r"\(N, 3, 32, 64, 64\)"):
        check_batch(manifest, np.zeros((1, 3, 16, 64, 64), dtype=np.float32))
