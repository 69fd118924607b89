"""Results are stored case by case, taken up again, and computed anew when what they rest on has changed."""

from __future__ import annotations

import os

import numpy as np
import pytest

from echo_scp.config import Config
from echo_scp.evaluate import run as run_module
from echo_scp.evaluate.case import Refusal
from echo_scp.evaluate.changes import UNCHANGED, Change, Kind
from echo_scp.evaluate.evaluator import Settings
from echo_scp.evaluate.frames_file import find_cases
from echo_scp.evaluate.outcome import ClipOutcome
from echo_scp.evaluate.run import plan, run
from echo_scp.evaluate.store import ResultStore, read_result, write_result
from echo_scp.model import EngineIdentity
from tests.unit.evaluate.builders import (
    make_comparison,
    make_evaluator,
    make_result,
    make_score,
    make_settings,
    write_archive,
)

ENGINES = (EngineIdentity("lv", "1.0.0", "a" * 64),)


class Counting:
    """An evaluator that counts its cases and may be stopped."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.asked: list[str] = []
        self._inner = make_evaluator()
        self._stop_after = stop_after

    def evaluate(self, case, change):
        if len(self.asked) == self._stop_after:
            raise KeyboardInterrupt
        self.asked.append(case.identifier)
        return self._inner.evaluate(case, change)


@pytest.fixture
def cases(tmp_path):
    return find_cases([write_archive(tmp_path / "a4c.npz", patients=4)], None)


def tasks_of(cases, folder, settings=None, engines=ENGINES):
    return plan(cases, (UNCHANGED,), ResultStore(folder, settings or make_settings(), engines))


def run_with(monkeypatch, evaluator, tasks, **options):
    monkeypatch.setattr(run_module, "evaluator_for", lambda settings: evaluator)
    return run(tasks, make_settings(), 1, **options)


def test_a_stopped_run_goes_on_where_it_was(cases, tmp_path, monkeypatch):
    """Two cases are done before the stop; the second run asks for the other two and returns all four, in order."""
    tasks = tasks_of(cases, tmp_path / "out")
    stopped, resumed = Counting(stop_after=2), Counting()

    with pytest.raises(KeyboardInterrupt):
        run_with(monkeypatch, stopped, tasks)
    results = run_with(monkeypatch, resumed, tasks)

    assert stopped.asked + resumed.asked == [case.identifier for case in cases]
    assert [result.identifier for result in results] == [case.identifier for case in cases]


def test_a_half_written_result_is_computed_again(cases, tmp_path, monkeypatch):
    """A file cut short is not believed."""
    tasks = tasks_of(cases, tmp_path / "out")
    run_with(monkeypatch, Counting(), tasks)
    path = tasks[1].path
    path.write_bytes(path.read_bytes()[:-20])
    again = Counting()

    run_with(monkeypatch, again, tasks)

    assert again.asked == [cases[1].identifier]


def test_a_case_on_which_the_software_failed_is_tried_again(cases, tmp_path, monkeypatch):
    """The disk may have been away, or closed to us; what was refused for its own reasons stays."""
    tasks = tasks_of(cases, tmp_path / "out")
    run_with(monkeypatch, Counting(), tasks)
    for task, reason in zip(tasks, ("internal_error", "unreadable", "not_apical"), strict=False):
        clip = ClipOutcome("clip", refusal=Refusal(reason, "OSError: stale file handle"))
        write_result(task.path, make_result(task.case.identifier, clips=(clip,)))
    again = Counting()

    run_with(monkeypatch, again, tasks)

    assert again.asked == [cases[0].identifier, cases[1].identifier]


def test_fresh_computes_everything(cases, tmp_path, monkeypatch):
    """Whatever is stored."""
    tasks = tasks_of(cases, tmp_path / "out")
    run_with(monkeypatch, Counting(), tasks)
    again = Counting()

    run_with(monkeypatch, again, tasks, fresh=True)

    assert len(again.asked) == len(cases)


def test_progress_counts_what_was_there_already(cases, tmp_path, monkeypatch):
    """The bar of a resumed run begins where the first one ended."""
    tasks = tasks_of(cases, tmp_path / "out")
    run_with(monkeypatch, Counting(), tasks[:2])
    seen = []

    run_with(monkeypatch, Counting(), tasks, progress=lambda result: seen.append(result.identifier))

    assert len(seen) == len(cases)


def test_a_result_belongs_to_its_engine_setting_change_and_file(cases, tmp_path):
    """Another of each is another file; the same is the same."""
    other_rule = Config.model_validate({"analysis": {"minimum_frames": 12}})
    other_place = Config.model_validate({"analysis": {"threads": 3}, "web": {"port": 1}})
    store = ResultStore(tmp_path, make_settings(), ENGINES)
    path = store.path(cases[0], UNCHANGED)
    others = {
        ResultStore(tmp_path, make_settings(), (EngineIdentity("lv", "1.0.0", "b" * 64),)).path(cases[0], UNCHANGED),
        ResultStore(tmp_path, make_settings(true_views=True), ENGINES).path(cases[0], UNCHANGED),
        ResultStore(tmp_path, Settings(other_rule), ENGINES).path(cases[0], UNCHANGED),
        store.path(cases[0], Change(Kind.GAIN, 6)),
        store.path(cases[1], UNCHANGED),
    }
    same = ResultStore(tmp_path, Settings(other_place), ENGINES).path(cases[0], UNCHANGED)
    os.utime(tmp_path / "a4c.npz", ns=(1, 1))

    assert path == same
    assert len(others | {path}) == 6
    assert store.path(cases[0], UNCHANGED) != path


def test_a_result_comes_back_as_it_was(tmp_path):
    """Enums, intervals and absences included."""
    result = make_result(frames=(make_score(None),), comparisons=(make_comparison(50.5, 52, interval=(45, 56)),))

    write_result(tmp_path / "new" / "r.json", result)

    assert read_result(tmp_path / "new" / "r.json") == result
    assert read_result(tmp_path / "gone.json") is None
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["r.json"]


def test_results_do_not_depend_on_who_computes_them(cases, tmp_path):
    """The same case twice gives the same numbers."""
    first, second = (make_evaluator().evaluate(cases[0]) for _ in range(2))

    assert first == second
    assert np.isfinite([frame.dice for frame in first.frames]).all()
