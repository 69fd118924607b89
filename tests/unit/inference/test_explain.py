"""What is explained of an answer depends on the task; what cannot be explained is said."""

from __future__ import annotations

import numpy as np
import pytest

from echo_scp.errors import EngineError
from echo_scp.inference.explain import ask, explain
from echo_scp.model import Region
from tests.unit.fakes import FakeEngine, make_manifest

REGION = Region(0, 0, 64, 64, None)


def looks_left(batch):
    """A view engine that says A4C as far as the left half is bright, A2C as far as the right half is."""
    half = batch.shape[-1] // 2
    left, right = batch[..., :half].mean(axis=(1, 2, 3)), batch[..., half:].mean(axis=(1, 2, 3))
    return np.stack([10 * left, 10 * right, 0 * left, 0 * left], axis=1).astype(np.float32)


def outlines_what_is_bright(batch):
    logits = np.zeros((len(batch), 4, *batch.shape[2:]), dtype=np.float32)
    logits[:, 1] = 20 * (batch[:, 0] - 0.5)
    logits[:, 0] = 0.1
    return logits


def make_frame(left=160, right=60):
    """Checks around a mean brightness per half."""
    rows, columns = np.mgrid[:64, :64]
    frame = np.where(columns < 32, left, right) + np.where((rows // 2 + columns // 2) % 2, 40, -40)
    return frame[None].astype(np.uint8)


def explained(engine, frames, label="", method="smoothgrad"):
    return explain(engine, frames, REGION, label, method=method, batch=64)


def test_a_view_is_explained_where_its_evidence_lies():
    """The gradient of A4C by brightness is positive on the left; heat shows both sides."""
    engine = FakeEngine(make_manifest("view", size=64), looks_left)

    explanation = explained(engine, make_frame())

    assert explanation.answer.startswith("view A4C")
    assert explanation.engine.name == "fake-view"
    assert explanation.heat[:, :8].mean() > explanation.heat[:, 12:].mean() > 0
    assert explanation.picture.shape == (64, 64)


def test_a_label_that_is_asked_for_is_explained():
    """Why not A2C?"""
    engine = FakeEngine(make_manifest("view", size=64), looks_left)

    explanation = explained(engine, make_frame(), "A2C")

    assert explanation.answer.startswith("view A2C, 0.")
    assert "A2C" in explanation.measure


def test_an_outline_is_explained_by_how_it_changes():
    """Hiding what is not outlined changes nothing, hiding the bright half does."""
    engine = FakeEngine(make_manifest("segmentation", size=64), outlines_what_is_bright)

    explanation = explained(engine, make_frame(left=150, right=50), method="occlusion")

    assert explanation.answer == "outline of lv_cavity"
    assert explanation.heat[:, :8].max() > 0
    assert explanation.heat[:, 13:].max() == pytest.approx(0, abs=1e-6)


def test_a_structure_that_is_not_seen_cannot_be_explained():
    """The message says what to do."""
    engine = FakeEngine(make_manifest("segmentation", size=64), outlines_what_is_bright)

    with pytest.raises(EngineError, match="sees no left_atrium in this frame; choose another with --frame"):
        explained(engine, make_frame(), "left_atrium")


def test_an_unknown_label_is_told_with_the_known_ones():
    """A mistyped view."""
    engine = FakeEngine(make_manifest("view", size=64), looks_left)

    with pytest.raises(EngineError, match="no label 'A4D'; it has A4C, A2C, PLAX, other"):
        explained(engine, make_frame(), "A4D")


def test_classes_of_one_view_count_together():
    """A network that knows two kinds of A4C: their probabilities add up."""
    manifest = make_manifest("view", output={"tensor": "logits", "labels": ("A4C", "A4C", "other")})

    question = ask(manifest, np.zeros((1, 3), dtype=np.float32), "A4C")

    assert question.answer == "view A4C, 0.67"


def test_a_number_is_explained_in_its_unit():
    """EF in percent, any direction of change."""
    manifest = make_manifest(
        "ejection_fraction",
        name="fake-ef",
        views=("A4C",),
        input={"tensor": "frames", "size": 32, "mean": 0.0, "std": 1.0, "layout": "NCTHW"},
        output={
            "tensor": "ef",
            "activation": "regression",
            "values": ({"name": "ejection_fraction", "unit": "%"},),
        },
        sampling={"frames": 4, "period": 2},
    )

    question = ask(manifest, np.array([[55.0]], dtype=np.float32), "")

    assert question.answer == "ejection_fraction 55.0 %"
    assert question.change(np.array([[50.0], [58.0]], dtype=np.float32)).tolist() == [5.0, 3.0]


def test_a_network_that_sees_time_gets_clips():
    """(N, C, T, H, W), the frames of each variant together."""
    manifest = make_manifest(
        "ejection_fraction",
        name="fake-ef",
        views=("A4C",),
        input={"tensor": "frames", "size": 32, "channels": 3, "mean": 0.0, "std": 1.0, "layout": "NCTHW"},
        output={"tensor": "ef", "activation": "regression", "values": ({"name": "ejection_fraction", "unit": "%"},)},
        sampling={"frames": 4, "period": 1},
    )
    engine = FakeEngine(manifest, lambda batch: batch.mean(axis=(1, 2, 3, 4))[:, None])
    frames = np.concatenate([make_frame(left=level, right=level) for level in (50, 100, 150, 200)])

    explanation = explained(engine, frames, method="occlusion")

    assert {batch.shape[1:] for batch in engine.batches} == {(3, 4, 32, 32)}
    assert np.diff(engine.batches[0][0, 0].mean(axis=(1, 2))).min() > 0
    assert np.array_equal(explanation.picture, frames[2])
