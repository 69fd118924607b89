"""The tables of an evaluation as text: the same for the terminal, the documents and the HTML report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite

from echo_scp.evaluate.drift import Drift
from echo_scp.evaluate.outcome import Quantity
from echo_scp.evaluate.statistics import Estimate
from echo_scp.evaluate.summary import Series, Summary
from echo_scp.evaluate.views import Confusion

NAMES = {Quantity.EF: "EF, %", Quantity.EDV: "EDV, mL", Quantity.ESV: "ESV, mL"}
ABSENT = "-"


@dataclass(frozen=True, slots=True)
class TextTable:
    """Columns and rows of text; the first `words` columns are words, the others numbers.

    Rows that agree in the first `grouped` columns belong together. The `brief` tables are enough for a terminal.
    """

    title: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: int = 1
    grouped: int = 0
    brief: bool = False


def summary_tables(summary: Summary) -> Iterator[TextTable]:
    """Yield every table that has rows."""
    found = (
        _agreement_table(summary),
        _overlap_table(summary),
        *(_view_tables(summary.views) if summary.views is not None else ()),
        _threshold_table(summary),
        _grade_table(summary),
        _calibration_table(summary),
        _coverage_table(summary),
        _clip_table(summary),
    )
    yield from (table for table in found if table.rows)


def drift_tables(drift: Drift) -> Iterator[TextTable]:
    """Yield how Dice and EF move under changes."""
    dice_rows = tuple(
        (row.change, str(row.frames), number(row.dice, 3), estimate(row.difference, 3, signed=True))
        for row in drift.dice
    )
    ef_rows = tuple(
        (
            row.measured_by,
            row.change,
            str(row.count),
            str(row.lost),
            estimate(row.mean_absolute, 1),
            estimate(row.mean, 1, signed=True),
            f"{row.inside} of {row.stated}" if row.stated else ABSENT,
        )
        for row in sorted(drift.ef, key=lambda row: row.measured_by)
    )
    tables = (
        TextTable(
            "Robustness: LV Dice",
            "Mean over the labelled frames under one change, and its mean difference from the same frames unchanged.",
            ("change", "frames", "Dice", "difference"),
            dice_rows,
            brief=True,
        ),
        TextTable(
            "Robustness: EF",
            "Points of EF by which the same clips move. Lost: had an EF unchanged and have none now. "
            "Inside: the moved EF lies in the 95 % interval that is stated with the unmoved one.",
            ("measured by", "change", "n", "lost", "mean absolute move", "mean move", "inside"),
            ef_rows,
            words=2,
            grouped=1,
            brief=True,
        ),
    )
    yield from (table for table in tables if table.rows)


def estimate(value: Estimate, digits: int, *, signed: bool = False) -> str:
    """Return such as '4.1 (3.6, 4.7)'; '-' for what is not defined."""
    if not isfinite(value.value):
        return ABSENT
    text = number(value.value, digits, signed=signed)
    if not (isfinite(value.low) and isfinite(value.high)):
        return text
    return f"{text} ({number(value.low, digits, signed=signed)}, {number(value.high, digits, signed=signed)})"


def number(value: float, digits: int, *, signed: bool = False) -> str:
    """Return a number with so many decimals, never a negative zero."""
    if not isfinite(value):
        return ABSENT
    rounded = round(value, digits) + 0.0
    return f"{rounded:{'+' if signed and rounded else ''}.{digits}f}"


def _words(series: Series) -> tuple[str, str, str]:
    return series.measured_by, series.against, NAMES[series.quantity]


def _agreement_table(summary: Summary) -> TextTable:
    rows = tuple(
        (
            *_words(row.series),
            f"{row.count} ({row.patients})",
            estimate(row.mae, 1),
            estimate(row.rmse, 1),
            estimate(row.bias, 1, signed=True),
            f"{number(row.low.value, 1, signed=True)} to {number(row.high.value, 1, signed=True)}",
            number(row.r2.value, 2),
            number(row.r.value, 2),
        )
        for row in summary.agreement
    )
    return TextTable(
        "Agreement of numbers",
        "Bias is measured minus true; limits of agreement are bias +- 1.96 SD; R2 is 1 - residual / total variance.",
        ("measured by", "against", "quantity", "n (patients)", "MAE", "RMSE", "bias", "limits", "R2", "r"),
        rows,
        words=3,
        grouped=2,
        brief=True,
    )


def _overlap_table(summary: Summary) -> TextTable:
    rows = tuple(
        (
            row.structure.replace("_", " "),
            row.view,
            row.phase,
            f"{row.frames} ({row.patients})",
            str(row.one_sided),
            estimate(row.dice, 3),
            estimate(row.intersection_over_union, 3),
            f"{estimate(row.hausdorff95, 1)} {row.hausdorff_unit}",
        )
        for row in summary.overlap
    )
    return TextTable(
        "Agreement of outlines",
        "Means over labelled frames. One-sided: outlined by the experts or by us alone (Dice 0, no distance).",
        ("structure", "view", "phase", "frames (patients)", "one-sided", "Dice", "IoU", "Hausdorff 95 %"),
        rows,
        words=3,
        brief=True,
    )


def _view_tables(views: Confusion) -> tuple[TextTable, TextTable]:
    matrix = tuple((row, *map(str, counts)) for row, counts in zip(views.rows, views.counts, strict=True))
    per_view = tuple(
        (
            str(row.view),
            *map(str, (row.tn, row.fp, row.fn, row.tp)),
            number(float("nan") if row.recall is None else row.recall, 3),
            number(float("nan") if row.precision is None else row.precision, 3),
        )
        for row in views.per_view
    )
    return (
        TextTable("Views: confusion matrix", "Rows are true, columns are answers.", ("true", *views.columns), matrix),
        TextTable(
            "Views, one against all",
            "A true view that the engine has no answer for counts as other; an unsure engine answers other.",
            ("view", "tn", "fp", "fn", "tp", "recall", "precision"),
            per_view,
            brief=True,
        ),
    )


def _threshold_table(summary: Summary) -> TextTable:
    rows = tuple(
        (
            *_words(row.series)[:2],
            f"< {row.threshold_percent} %",
            estimate(row.auc, 3),
            *map(str, (row.tn, row.fp, row.fn, row.tp)),
            _share(row.tp, row.tp + row.fn),
            _share(row.tn, row.tn + row.fp),
        )
        for row in summary.thresholds
    )
    columns = ("measured by", "against", "EF", "AUC", "tn", "fp", "fn", "tp", "sensitivity", "specificity")
    note = "Positive: the true EF is below the threshold. AUC over all cut-offs; counts at the same one."
    return TextTable("Reduced EF found", note, columns, rows, words=3, grouped=2)


def _grade_table(summary: Summary) -> TextTable:
    rows = tuple(
        (*_words(row.series)[:2], row.scale, str(row.count), estimate(row.accuracy, 3)) for row in summary.grades
    )
    note = "How often the measured EF falls into the true EF's grade."
    return TextTable("Assessment", note, ("measured by", "against", "scale", "n", "accuracy"), rows, words=3, grouped=2)


def _calibration_table(summary: Summary) -> TextTable:
    rows = tuple(
        (
            *_words(row.series)[:2],
            str(row.count),
            f"{100 * row.covered:.0f} % ({100 * row.low:.0f} to {100 * row.high:.0f})",
            number(row.mean_width, 1),
            number(row.spread, 2),
        )
        for row in summary.calibration
    )
    note = (
        "How often the stated 95 % interval of EF holds the true EF, and the root mean square of error / stated SD: "
        "95 % and 1 when it says what it means."
    )
    columns = ("measured by", "against", "n", "holds the truth", "mean width, points", "error / stated SD")
    return TextTable("Calibration of the stated uncertainty", note, columns, rows, words=2, brief=True)


def _coverage_table(summary: Summary) -> TextTable:
    rows = tuple(
        (
            *_words(row.series),
            str(row.total),
            str(row.assessed),
            _reasons(row.reasons),
        )
        for row in summary.coverage
    )
    note = "Every known truth is here; what has no number carries its reason (not_assessed.csv names each)."
    columns = ("measured by", "against", "quantity", "truths", "assessed", "not assessed")
    return TextTable("Coverage", note, columns, rows, words=3, grouped=2, brief=True)


def _clip_table(summary: Summary) -> TextTable:
    rows = tuple((row.view, str(row.total), str(row.assessed), _reasons(row.reasons)) for row in summary.answers)
    note = "What became of the clips, by the view that they were taken for, truth or not."
    columns = ("taken for", "clips", "with an EF", "without")
    return TextTable("Clips", note, columns, rows)


def _reasons(reasons: Sequence[tuple[str, int]]) -> str:
    return ", ".join(f"{count} x {reason}" for reason, count in reasons) or ABSENT


def _share(count: int, total: int) -> str:
    return f"{count / total:.2f}" if total else ABSENT
