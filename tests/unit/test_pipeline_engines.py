"""Engines beside the two that every study needs: other outlines, other views, numbers given directly."""

from __future__ import annotations

import json

import numpy as np
import pytest

from echo_scp.config import Config
from echo_scp.inference.catalogue import Engines
from echo_scp.kept import KeptResults
from echo_scp.model import NotAssessed, Reason, View
from echo_scp.pipeline import Pipeline, Request
from echo_scp.report.results import results_json
from echo_scp.tables import estimate_lines
from tests.unit.fakes import FakeEngine, make_manifest
from tests.unit.test_estimate import make_head_manifest, make_video_manifest
from tests.unit.test_pipeline import NOW, darkness_is_ventricle, saying, write_cine

A4C, A2C, PLAX, OTHER = range(4)  # channels of the fake view engine


@pytest.fixture(scope="module")
def instance(tmp_path_factory):
    return write_cine(tmp_path_factory.mktemp("study"), 1)


def analyse(instance, engines, kept=None):
    config = Config.model_validate({"analysis": {"batch_frames": 64}})
    pipeline = Pipeline(config, engines, kept)
    return pipeline.analyse(Request("1.2.3", 1, (instance,), NOW), lambda file, content: None).analysis


def constant(manifest, value):
    return FakeEngine(manifest, lambda batch: np.full((len(batch), manifest.output.channels), value, np.float32))


def ventricle_alone(size=96) -> FakeEngine:
    """Draw what `darkness_is_ventricle` draws, without wall and atrium, as one logit per pixel."""
    whole = darkness_is_ventricle()
    output = {"tensor": "logits", "activation": "sigmoid", "labels": ("background", "lv_cavity")}
    return FakeEngine(
        make_manifest("segmentation", size, output=output),
        lambda batch: whole.run(batch)[:, 1:2] - np.float32(6),  # 8 inside of the cavity, else 0
    )


def outlining_nothing(view: str, name: str = "blank") -> FakeEngine:
    labels = ("background", "lv_cavity", "ignore", "aortic_root")
    output = {"tensor": "logits", "labels": labels}
    manifest = make_manifest("segmentation", name=name, views=(view,), output=output)
    return FakeEngine(manifest, lambda batch: np.zeros((len(batch), len(labels), 32, 32), np.float32))


def test_outlines_of_the_ventricle_alone_are_measured(instance):
    """A network such as EchoNet-Dynamic's draws neither wall nor atrium."""
    whole = analyse(instance, Engines(saying(A4C), darkness_is_ventricle())).clips[0]

    alone = analyse(instance, Engines(saying(A4C), ventricle_alone())).clips[0]

    assert alone.measurement is not None
    assert alone.measurement.ef_percent == pytest.approx(whole.measurement.ef_percent, abs=3)


def test_a_network_that_draws_nothing_gives_a_reason(instance):
    """Untrained weights, for instance: not assessed, not a crash."""
    output = {"tensor": "logits", "activation": "sigmoid", "labels": ("background", "lv_cavity")}
    manifest = make_manifest("segmentation", output=output)
    noise = np.random.default_rng(0)
    for answer in (
        lambda batch: np.full((len(batch), 1, 32, 32), -1, np.float32),
        lambda batch: np.full((len(batch), 1, 32, 32), 1, np.float32),
        lambda batch: noise.normal(size=(len(batch), 1, 32, 32)).astype(np.float32),
    ):
        clip = analyse(instance, Engines(saying(A4C), FakeEngine(manifest, answer))).clips[0]

        assert isinstance(clip.not_assessed, NotAssessed)
        assert clip.not_assessed.reason is not Reason.INTERNAL_ERROR


def test_another_segmentation_outlines_the_views_that_the_first_does_not_know(instance):
    """One network per view, as usal_echo has them."""
    first = darkness_is_ventricle()
    first.manifest = first.manifest.model_copy(update={"views": (View.A4C,)})
    second = darkness_is_ventricle()
    second.manifest = second.manifest.model_copy(update={"views": (View.A2C,), "name": "second"})

    clip = analyse(instance, Engines(saying(A2C), first, (second,))).clips[0]

    assert clip.measurement is not None
    assert first.batches == []


def test_numbers_that_networks_give_stand_beside_the_measurement(instance):
    """An ejection fraction by beats, and a research head; the headline is still the measured one."""
    ejection_fraction = constant(make_video_manifest(mode="beat"), 57.5)
    head = constant(make_head_manifest("sigmoid"), 0.0)

    study = analyse(instance, Engines(saying(A4C), darkness_is_ventricle(), (ejection_fraction, head)))

    (clip,) = study.clips
    assert [(found.name, found.value, found.research) for found in clip.estimates] == [
        ("ejection_fraction", 57.5, False),
        ("brightness", 0.5, True),
        ("twice", 0.5, True),
    ]
    assert clip.estimates[0].run_count == len(clip.measurement.beats)
    assert study.result.ef_percent == clip.measurement.ef_percent
    assert {engine.name for engine in study.engines} >= {"fake-ejection-fraction", "fake-phenotype"}


def test_numbers_are_given_where_the_outlines_are_not_believed(instance):
    """The network that gives them does not use the outlines, unless it looks beat by beat."""
    engines = (constant(make_video_manifest(), 40.0), constant(make_video_manifest(mode="beat"), 50.0))

    clip = analyse(instance, Engines(saying(A4C), outlining_nothing("A4C"), engines)).clips[0]

    assert clip.measurement is None
    assert [found.value for found in clip.estimates] == [40.0]


@pytest.mark.parametrize("view", [PLAX, OTHER])
def test_a_view_that_an_engine_is_not_valid_for_gets_no_numbers(instance, view):
    """Not even decoded for it."""
    engine = constant(make_video_manifest(), 40.0)

    clip = analyse(instance, Engines(saying(view), darkness_is_ventricle(), (engine,))).clips[0]

    assert clip.estimates == ()
    assert engine.batches == []


def test_numbers_are_remembered_with_the_clip(instance, tmp_path):
    """A revision of the study asks nobody again."""
    kept = KeptResults(tmp_path, 10**9, lambda count: None)
    engine = constant(make_video_manifest(), 40.0)
    engines = Engines(saying(A4C), darkness_is_ventricle(), (engine,))
    first = analyse(instance, engines, kept)
    asked = len(engine.batches)

    again = analyse(instance, engines, kept)

    assert again.clips[0].estimates == first.clips[0].estimates != ()
    assert len(engine.batches) == asked


@pytest.mark.parametrize(
    ("view", "additional", "expected"),
    [
        (PLAX, (), "taken for PLAX (PLAX 1.00); measured are A4C, A2C; no engine for PLAX"),
        (PLAX, ("plax",), "taken for PLAX (PLAX 1.00); measured are A4C, A2C"),
        (OTHER, (), "taken for other (other 1.00); measured are A4C, A2C"),
    ],
)
def test_the_reason_says_honestly_what_there_is_no_engine_for(instance, view, additional, expected):
    """An engine for PLAX may be installed; its outlines are not measured yet."""
    engines = Engines(
        saying(view), darkness_is_ventricle(), tuple(outlining_nothing("PLAX", name) for name in additional)
    )

    refusal = analyse(instance, engines).clips[0].not_assessed

    assert refusal == NotAssessed(Reason.VIEW_NOT_MEASURED, expected)


def test_results_and_terminal_show_the_numbers(instance):
    """With unit, engine and the mark of research."""
    engines = (constant(make_video_manifest(), 57.5), constant(make_head_manifest("regression"), 2.0))
    study = analyse(instance, Engines(saying(A4C), darkness_is_ventricle(), engines))

    results = json.loads(results_json(study))
    lines = list(estimate_lines(results))

    (clip,) = results["instances"]
    assert clip["estimates"][0] == {
        "name": "ejection_fraction",
        "value": 57.5,
        "unit": "%",
        "engine": "fake-ejection-fraction 1.0.0",
        "run_count": 3,
        "research": False,
    }
    assert lines[0] == "  1/1: ejection fraction 57.5 % [dim](fake-ejection-fraction 1.0.0)[/]"
    assert lines[1] == "  1/1: brightness 2 [dim](fake-phenotype 1.0.0, [bold]research[/])[/]"
