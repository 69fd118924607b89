"""What is written: JSON, CSV, Markdown, HTML and the exports."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from echo_scp.errors import StorageError
from echo_scp.evaluate import Selection, plan_of, report
from echo_scp.evaluate import evaluation as evaluation_module
from echo_scp.evaluate import run as run_module
from echo_scp.evaluate.case import Refusal
from echo_scp.evaluate.evaluation import Plan, evaluate
from echo_scp.evaluate.exports import write_exports
from echo_scp.evaluate.files import write_files
from echo_scp.evaluate.layouts import open_data
from echo_scp.evaluate.outcome import ClipOutcome, MeasuredBeat
from echo_scp.evaluate.views import confusion
from echo_scp.model import View
from tests.unit.evaluate.builders import (
    make_comparison,
    make_evaluator,
    make_result,
    make_settings,
    write_archive,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """An evaluation of five drawn patients, with robustness limited to what is cheap."""
    folder = tmp_path_factory.mktemp("evaluation")
    evaluator = make_evaluator()
    with pytest.MonkeyPatch.context() as patch:
        for module in (evaluation_module, run_module):
            patch.setattr(module, "evaluator_for", lambda settings: evaluator)
        patch.setattr(evaluation_module, "ROBUSTNESS", evaluation_module.ROBUSTNESS[:2])
        data = open_data((write_archive(folder / "a4c.npz", patients=5, ef_percent=44.0),), None)
        plan = Plan(data, "a4c.npz <script>", folder / "out", robustness=True, jobs=1)
        found, results = evaluate(plan, make_settings(), NOW)
    write_files(found, results, plan.out)
    return plan.out, found, results


def test_the_page_needs_nothing_from_elsewhere(written):
    """No address, no script; every picture and figure is inside; words are escaped."""
    page = (written[0] / "report.html").read_text()

    assert not re.search(r"(src|href)=[\"'](?!data:)", page)
    assert "<script" not in page
    assert "a4c.npz &lt;script&gt;" in page
    assert page.count("<svg") >= 4
    assert page.count("data:image/png;base64,") == len(written[1].worst)
    for title in ("Agreement of numbers", "Agreement of outlines", "confusion matrix", "Robustness", "Bland-Altman"):
        assert title in page


def test_json_holds_every_number(written):
    """Undefined ones are null, as JSON has no other word for them."""
    content = json.loads((written[0] / "evaluation.json").read_text())

    assert content["summary"]["cases"] == 5
    assert content["summary"]["overlap"][0]["dice"]["value"] > 0.97
    assert content["drift"]["dice"][1]["change"] == "dropped pixels 10 %"
    assert {
        row["r2"]["value"] for row in content["summary"]["agreement"] if row["series"]["against"] == "reference"
    } == {None}


def test_tables_name_each_comparison_and_frame(written):
    """A row per comparison and per structure of a frame."""
    with (written[0] / "comparisons.csv").open() as file:
        comparisons = list(csv.DictReader(file))
    with (written[0] / "frames.csv").open() as file:
        frames = list(csv.DictReader(file))

    assert len(comparisons) == sum(len(result.comparisons) for result in written[2])
    assert float(comparisons[0]["difference"]) == pytest.approx(
        float(comparisons[0]["measured"]) - float(comparisons[0]["truth"]), abs=2e-3
    )
    assert len(frames) == 5 * 2 * 3
    assert frames[0]["hausdorff_unit"] == "mm"


def test_markdown_tables_have_as_many_cells_as_columns(written):
    """They go into a document as they are."""
    text = (written[0] / "tables.md").read_text()

    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        assert len({line.count(" | ") for line in block.splitlines()}) == 1
    assert "#### Robustness: EF" in text


def test_worst_cases_are_pictures_in_the_output_folder(written):
    """Each named once."""
    names = [case.worst.clip for case in written[1].worst]

    assert len(set(names)) == len(names)
    assert all((written[0] / case.picture).is_file() for case in written[1].worst)


def read(path):
    with path.open() as file:
        return list(csv.reader(file))


def test_exports_have_the_seeds_columns(tmp_path):
    """size.csv and test_predictions.csv of EchoNet-Dynamic; usal_echo's predictions, evaluations, calculations."""
    cine = ClipOutcome(
        "0XA.avi",
        View.A4C,
        View.A4C,
        0.9,
        ef_percent=38.04,
        edv_ml=120.0,
        esv_ml=74.4,
        beats=(MeasuredBeat(0, 2, 38.04),),
        sizes_px=(900, 700, 500),
        true_end_diastole=0,
        true_end_systole=2,
    )
    refused = ClipOutcome("0XB.avi", View.A2C, View.PLAX, 0.8, Refusal("view_not_measured", "PLAX"))
    results = (make_result(clips=(cine,)), make_result("b", clips=(refused,)))
    short_axis = ClipOutcome("0XC.avi", View.PSAX, View.A5C, 0.7, Refusal("view_not_measured", "A5C"))
    unread = ClipOutcome("0XD.avi", View.SUBCOSTAL, None, None, Refusal("undecodable", "broken"))
    views = confusion((cine, refused, short_axis, unread), tuple(View))

    write_exports(tmp_path, results, views, (), NOW)

    assert read(tmp_path / "size.csv") == [
        ["Filename", "Frame", "Size", "HumanLarge", "HumanSmall", "ComputerSmall"],
        ["0XA.avi", "0", "900", "1", "0", "0"],
        ["0XA.avi", "1", "700", "0", "0", "0"],
        ["0XA.avi", "2", "500", "0", "1", "1"],
    ]
    assert read(tmp_path / "test_predictions.csv") == [["0XA.avi", "0", "38.0400"]]
    header, first, second = read(tmp_path / "classification_predictions.csv")
    assert header[-4:] == ["view23_pred", "view4_dev", "view4_seg", "prediction_id"]
    assert first[-4:] == ["a4c", "a4c", "a4c", "1"]
    assert second[-4:] == ["plax_plax", "plax", "plax", "2"]
    shares = [row[5:10] for row in read(tmp_path / "classification_evaluations.csv")[1:]]
    assert shares == [
        ["a2c", "0.75", "0.0", "0.25", "0.0"],
        ["a4c", "0.75", "0.0", "0.0", "0.25"],
        ["plax", "0.75", "0.25", "0.0", "0.0"],
        ["other", "0.5", "0.0", "0.25", "0.25"],
    ]
    calculations = [(row[2], row[4], row[6]) for row in read(tmp_path / "measurement_calculations.csv")[1:]]
    assert calculations[:4] == [
        ("0XA.avi", "VTD(MDD-ps4)", "120.00"),
        ("0XA.avi", "VTS(MDD-ps4)", "74.40"),
        ("0XA.avi", "FE(MDD-ps4)", "38.04"),
        ("0XA.avi", "recommendation", "abnormal"),
    ]
    assert calculations[4:] == [("0XB.avi", name.replace("ps4", "ps2"), "") for _, name, _ in calculations[:4]]


def test_intervals_are_drawn_and_tabled(written, tmp_path):
    """A stated uncertainty, once there is one, reaches the page."""
    _, found, _ = written
    results = tuple(
        make_result(str(n), comparisons=(make_comparison(50 + n, 52, interval=(45, 56)),)) for n in range(4)
    )
    summary = evaluation_module.summarise(results, (View.A4C,))

    write_files(replace(found, summary=summary, worst=(), drift=None), results, tmp_path)

    page = (tmp_path / "report.html").read_text()
    assert "Calibration of the stated uncertainty" in page
    assert "95 %: 100 % of 4" in page
    assert "100 % (51 to 100)" in (tmp_path / "tables.md").read_text()


def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    """In one line; the command prints it in place of a traceback."""
    (tmp_path / "taken").write_text("a file")
    archive = write_archive(tmp_path / "a4c.npz", patients=1)
    monkeypatch.setattr(evaluation_module, "evaluator_for", lambda settings: make_evaluator())
    monkeypatch.setattr(run_module, "evaluator_for", lambda settings: make_evaluator())
    plan = plan_of((archive,), None, Selection(), tmp_path / "taken", jobs=1)

    with pytest.raises(StorageError, match=r"taken/cases: Not a directory"):
        report(plan, make_settings(), NOW, lambda result: None)
