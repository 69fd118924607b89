"""The list of engines says what would run and what is wrong, and breaks on nothing."""

from __future__ import annotations

from datetime import UTC, datetime

from echo_scp.inference.listing import list_engines
from echo_scp.inference.pins import Decision, write_history
from tests.unit.inference.engines import make_engine, site_config


def listed(config):
    return {engine.folder.path.name: engine for engine in list_engines(config).engines}


def test_what_runs_and_in_which_role_is_told(tmp_path):
    """The site's view engine hides the shipped one."""
    make_engine(tmp_path / "view", "7.0.0")
    engines = list_engines(site_config(tmp_path)).engines

    view, lv, shipped_view = engines

    assert (view.runs, view.roles, view.folder.source) == (True, ("view_engine",), "site")
    assert (lv.runs, lv.roles) == (True, ("segmentation_engine",))
    assert (shipped_view.runs, shipped_view.roles) == (False, ())


def test_a_broken_engine_is_listed_with_what_is_wrong(tmp_path):
    """The others are still listed."""
    folder = make_engine(tmp_path / "mine", "1.0.0", name="mine")
    (folder / "manifest.toml").write_text("schema = 2")

    engines = listed(site_config(tmp_path))

    assert engines["mine"].manifest is None
    assert "schema" in engines["mine"].problem
    assert engines["view"].problem == ""


def test_what_would_stop_the_node_is_a_problem(tmp_path):
    """A pin that nothing matches, and an unknown name."""
    at = datetime(2026, 1, 5, tzinfo=UTC)
    write_history(tmp_path, (Decision(engine="view", action="pin", version="9", sha256="f" * 64, at=at),))

    problems = list_engines(site_config(tmp_path, segmentation_engine="absent")).problems

    assert len(problems) == 2
    assert "analysis.segmentation_engine: no engine 'absent'" in problems[0]
    assert "pins.toml: view: expected version 9" in problems[1]


def test_an_engine_that_nobody_uses_is_no_problem(tmp_path):
    """A version that waits to be pinned, under a name that is not configured."""
    make_engine(tmp_path / "mine@2.0.0", "2.0.0", name="mine")

    listing = list_engines(site_config(tmp_path))

    assert listing.problems == ()
    assert not listing.engines[0].runs


def test_an_engine_in_use_that_is_broken_or_does_something_else_is_a_problem(tmp_path):
    """The node reads both at its start."""
    folder = make_engine(tmp_path / "view", "7.0.0")
    (folder / "model.onnx").unlink()

    problems = list_engines(site_config(tmp_path, segmentation_engine="view")).problems
    assert len(problems) == 1
    assert "artefacts.fp32.file: expected a readable file model.onnx" in problems[0]

    problems = list_engines(site_config(tmp_path, view_engine="lv-apical")).problems
    assert len(problems) == 1
    assert "task: expected 'view', got 'segmentation'" in problems[0]
