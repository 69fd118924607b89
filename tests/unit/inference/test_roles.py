"""An engine is loaded only for what it can do; additional ones beside the two that every study needs."""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog

from echo_scp.errors import ConfigurationError, ManifestError
from echo_scp.imports import ImportOptions, import_engine
from echo_scp.inference.catalogue import load_engines
from echo_scp.inference.listing import list_engines
from echo_scp.model import View
from tests.unit.inference.engines import site_config
from tests.unit.inference.networks import network_bytes

CONSTANTS = ("input.mean=0", "input.std=1")
LABELS = 'output.labels=["background", "lv_cavity", "left_atrium", "aortic_root"]'


def make_segmentation(site: Path, name: str, view: str) -> str:
    (site / "network.onnx").write_bytes(network_bytes("segmentation"))
    settings = ("task=segmentation", f'views=["{view}"]', LABELS, *CONSTANTS)
    import_engine("onnx", [site / "network.onnx"], ImportOptions(name, settings=settings), site)
    return name


def make_phenotype(site: Path, name: str) -> str:
    (site / "head.onnx").write_bytes(network_bytes("view"))
    values = ", ".join(f'{{name = "n{number}", unit = "1"}}' for number in range(4))
    options = ImportOptions(name, settings=(f"output.values=[{values}]", *CONSTANTS))
    import_engine("echonet-phenotype", [site / "head.onnx"], options, site)
    return name


def test_without_additional_engines_there_are_two(tmp_path):
    """As shipped."""
    engines = load_engines(site_config(tmp_path))

    assert engines.additional == ()
    assert engines.segmentation_of(View.A4C) is engines.segmentation
    assert engines.estimators_of(View.A4C) == ()


def test_additional_engines_are_asked_for_their_views(tmp_path):
    """The first segmentation keeps the view that it knows; the head gives numbers for A4C."""
    first = make_segmentation(tmp_path, "first-a4c", "A4C")
    names = (make_segmentation(tmp_path, "other-a2c", "A2C"), make_phenotype(tmp_path, "head"))
    changes = {"segmentation_engine": first, "additional_engines": (*names, *names), "research_phenotypes": True}

    engines = load_engines(site_config(tmp_path, **changes))

    assert [engine.manifest.name for engine in engines.additional] == ["other-a2c", "head"]
    assert engines.segmentation_of(View.A4C) is engines.segmentation
    assert engines.segmentation_of(View.A2C) is engines.additional[0]
    assert [engine.manifest.name for engine in engines.estimators_of(View.A4C)] == ["head"]
    assert engines.estimators_of(View.A2C) == ()
    assert [identity.name for identity in engines.identities] == ["view", "first-a4c", "other-a2c", "head"]


def test_a_segmentation_that_would_never_be_asked_is_not_loaded(tmp_path):
    """Reports would name it among the engines that ran; the log says which key gives it work."""
    config = site_config(tmp_path, additional_engines=(make_segmentation(tmp_path, "other-a4c", "A4C"),))

    with structlog.testing.capture_logs() as logs:
        engines = load_engines(config)

    assert engines.additional == ()
    found = [(entry["event"], entry["engine"], entry["key"]) for entry in logs]
    assert found == [("engine.never_asked", "other-a4c", "analysis.segmentation_engine")]


def test_a_phenotype_engine_needs_the_switch_too(tmp_path):
    """Named but not enabled: not loaded, and the log says which key is missing."""
    config = site_config(tmp_path, additional_engines=(make_phenotype(tmp_path, "head"),))

    with structlog.testing.capture_logs() as logs:
        engines = load_engines(config)

    assert engines.additional == ()
    assert [(entry["event"], entry["engine"]) for entry in logs] == [("engine.not_enabled", "head")]


def test_an_engine_for_plax_is_accepted_and_listed_and_measures_nothing(tmp_path):
    """The slot is ready; what PLAX outlines would be measured as is not."""
    name = make_segmentation(tmp_path, "plax", "PLAX")
    config = site_config(tmp_path, additional_engines=(name,))

    engines = load_engines(config)
    (listed,) = [engine for engine in list_engines(config).engines if engine.folder.name == name]

    assert [engine.manifest.views for engine in engines.segmentations] == [("A4C", "A2C"), ("PLAX",)]
    assert engines.segmentation_of(View.PLAX) is None
    assert (listed.runs, listed.problem, listed.roles) == (True, "", ("additional_engines",))


def test_the_segmentation_of_every_study_must_know_a_view_that_is_measured(tmp_path):
    """Else nothing would ever be measured, silently."""
    name = make_segmentation(tmp_path, "plax", "PLAX")

    with pytest.raises(ManifestError, match="views: expected A4C or A2C, got PLAX"):
        load_engines(site_config(tmp_path, segmentation_engine=name))


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("view_engine", "lv-apical", "task: expected 'view', got 'segmentation'"),
        ("segmentation_engine", "view", "task: expected 'segmentation', got 'view'"),
        ("additional_engines", ("view",), "task: expected 'segmentation' or 'ejection_fraction' or 'phenotype'"),
    ],
)
def test_an_engine_of_another_task_is_refused(tmp_path, key, value, expected):
    """With the file and the field."""
    with pytest.raises(ManifestError, match=f"manifest.toml: {expected}"):
        load_engines(site_config(tmp_path, **{key: value}))


def test_an_additional_engine_that_is_not_there_is_named_with_its_key(tmp_path):
    """The node does not start without it."""
    with pytest.raises(ConfigurationError, match=r"analysis\.additional_engines: no engine 'absent'"):
        load_engines(site_config(tmp_path, additional_engines=("absent",)))
