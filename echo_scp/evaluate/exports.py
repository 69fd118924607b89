"""The same results in the layouts of EchoNet-Dynamic and usal_echo, for whoever has scripts that read those."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from echo_scp.evaluate.outcome import CaseResult, ClipOutcome
from echo_scp.evaluate.views import NOT_ASSESSED, Confusion
from echo_scp.model import EngineIdentity, View

Cell = str | int | float

SIZES = ("Filename", "Frame", "Size", "HumanLarge", "HumanSmall", "ComputerSmall")
VIEW_PREDICTIONS = (
    *("study_id", "file_name", "model_name", "date_run", "view_mapping", "img_dir"),
    *("view23_pred", "view4_dev", "view4_seg", "prediction_id"),
)
VIEW_EVALUATIONS = (
    *("model_name", "img_dir", "date_run", "view_mapping", "study_filter", "view"),
    *("tn", "fp", "fn", "tp", "evaluation_id"),
)
CALCULATIONS = (
    *("calculation_id", "date_run", "file_name", "instance_id"),
    *("measurement_name", "measurement_unit", "measurement_value", "study_id"),
)
USAL_VIEWS = {View.A4C: "a4c", View.A2C: "a2c", View.PLAX: "plax"}  # the others are "other" there
USAL_EVALUATED = ("a2c", "a4c", "plax", "other")
USAL_23_VIEWS = {View.A3C: "a3c", View.A5C: "a5c", View.PLAX: "plax_plax", View.SUBCOSTAL: "subcostal"}
PLANES = {View.A4C: "ps4", View.A2C: "ps2"}
NORMAL_PERCENT, ABNORMAL_PERCENT = 60, 40


def write_exports(
    folder: Path,
    results: Sequence[CaseResult],
    views: Confusion | None,
    engines: Sequence[EngineIdentity],
    now: datetime,
) -> None:
    """Write the five files into `folder`, which is made when absent."""
    folder.mkdir(parents=True, exist_ok=True)
    model = " ".join(f"{engine.name}-{engine.version}" for engine in engines)
    date = now.isoformat(sep=" ", timespec="seconds")
    _write(folder / "size.csv", SIZES, _sizes(results))
    _write(folder / "test_predictions.csv", None, _predictions(results))
    _write(folder / "classification_predictions.csv", VIEW_PREDICTIONS, _view_predictions(results, model, date))
    _write(folder / "classification_evaluations.csv", VIEW_EVALUATIONS, _view_evaluations(views, model, date))
    _write(folder / "measurement_calculations.csv", CALCULATIONS, _calculations(results, date))


def _write(path: Path, header: tuple[str, ...] | None, rows: Iterable[tuple[Cell, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if header is not None:
            writer.writerow(header)
        writer.writerows(rows)


def _clips(results: Iterable[CaseResult]) -> Iterator[tuple[int, int, ClipOutcome]]:
    """Yield (study number, instance number, clip): usal_echo's keys are integers, ours are UIDs and names."""
    for study, result in enumerate(results, start=1):
        for instance, clip in enumerate(result.clips, start=1):
            yield study, instance, clip


def _sizes(results: Iterable[CaseResult]) -> Iterator[tuple[Cell, ...]]:
    """EchoNet-Dynamic's size.csv: LV pixels per frame, the frames people traced, the end-systoles that we used."""
    for _, _, clip in _clips(results):
        systoles = {beat.end_systole for beat in clip.beats}
        for frame, size in enumerate(clip.sizes_px):
            human = int(frame == clip.true_end_diastole), int(frame == clip.true_end_systole)
            yield (clip.name, frame, size, *human, int(frame in systoles))


def _predictions(results: Iterable[CaseResult]) -> Iterator[tuple[Cell, ...]]:
    """EchoNet-Dynamic's test_predictions.csv, which has no header: file, first frame, EF; here a row per beat."""
    for _, _, clip in _clips(results):
        for beat in clip.beats:
            yield clip.name, beat.end_diastole, f"{beat.ef_percent:.4f}"


def _view_predictions(results: Iterable[CaseResult], model: str, date: str) -> Iterator[tuple[Cell, ...]]:
    numbered = ((study, clip) for study, _, clip in _clips(results) if clip.view is not None)
    for number, (study, clip) in enumerate(numbered, start=1):
        assert clip.view is not None
        four = _usal_view(clip.view)
        fine = USAL_23_VIEWS.get(clip.view, four)
        yield study, clip.name, model, date, "view4_seg", "", fine, four, four, number


def _view_evaluations(views: Confusion | None, model: str, date: str) -> Iterator[tuple[Cell, ...]]:
    """usal_echo gives tn, fp, fn and tp as shares of all clips, of its own four views; what has no answer is a miss."""
    for number, name in enumerate(USAL_EVALUATED if views is not None else (), start=1):
        assert views is not None  # nothing is enumerated without
        counts = Counter[tuple[bool, bool]]()
        for row, answers in zip(views.rows, views.counts, strict=True):
            for column, count in zip(views.columns, answers, strict=True):
                counts[_usal_view(row) == name, column != NOT_ASSESSED and _usal_view(column) == name] += count
        shares = (
            counts[kind] / counts.total() for kind in ((False, False), (False, True), (True, False), (True, True))
        )
        yield model, "", date, "view4_seg", "", name, *shares, number


def _usal_view(view: str) -> str:
    return USAL_VIEWS.get(View(view), "other")


def _calculations(results: Iterable[CaseResult], date: str) -> Iterator[tuple[Cell, ...]]:
    number = 0
    for study, instance, clip in _clips(results):
        view = clip.true_view or clip.view
        if view not in PLANES:
            continue
        for name, unit, value in _measured(clip, PLANES[view]):
            yield number, date, clip.name, instance, name, unit, value, study
            number += 1


def _measured(clip: ClipOutcome, plane: str) -> tuple[tuple[str, str, str], ...]:
    """Return the four measurements of usal_echo; empty where there is no number."""
    return (
        (f"VTD(MDD-{plane})", "mL", _text(clip.edv_ml)),
        (f"VTS(MDD-{plane})", "mL", _text(clip.esv_ml)),
        (f"FE(MDD-{plane})", "%", _text(clip.ef_percent)),
        ("recommendation", "", _recommendation(clip.ef_percent)),
    )


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _recommendation(ef_percent: float | None) -> str:
    if ef_percent is None:
        return ""
    return "normal" if ef_percent >= NORMAL_PERCENT else "abnormal" if ef_percent < ABNORMAL_PERCENT else "greyzone"
