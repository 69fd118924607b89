"""The figures of the report: confusion matrix, scatter, Bland-Altman, ROC, calibration, drift."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import norm

from echo_scp.assess import THRESHOLDS_PERCENT
from echo_scp.evaluate.drift import Drift
from echo_scp.evaluate.statistics import AGREEMENT, Estimate, agreement, area_under_curve, roc_points
from echo_scp.evaluate.summary import NORMAL_95, Pair, below, measured_and_true, stated_errors
from echo_scp.evaluate.svg import GRID, INK, MUTED, SERIES, Axes, Drawing
from echo_scp.evaluate.tables import number
from echo_scp.evaluate.views import Confusion

SIDE = 380
CELL, LABELS = 72, 110
ROW, NAMES, PLOT = 20, 190, 300


def confusion_figure(views: Confusion) -> str:
    """Return the confusion matrix; a cell is as dark as its share of the true view."""
    drawing = Drawing(LABELS + CELL * len(views.columns) + 20, 70 + CELL * len(views.rows), "Views")
    drawing.text((LABELS, 18), "answered", colour=MUTED)
    drawing.text((LABELS - 8, 40), "true", anchor="end", colour=MUTED)
    for column, name in enumerate(views.columns):
        drawing.text((LABELS + CELL * (column + 0.5), 40), name, anchor="middle", size=11)
    for row, (name, counts) in enumerate(zip(views.rows, views.counts, strict=True)):
        y, total = 50 + CELL * row, max(sum(counts), 1)
        drawing.text((LABELS - 8, y + CELL / 2 + 4), name, anchor="end")
        for column, count in enumerate(counts):
            x, share = LABELS + CELL * column, count / total
            drawing.box((x + 1, y + 1), CELL - 2, CELL - 2, SERIES[0], 0.06 + 0.84 * share)
            colour = "#ffffff" if share > 0.5 else INK
            drawing.text((x + CELL / 2, y + CELL / 2 + 5), str(count), anchor="middle", size=15, colour=colour)
    return drawing.render()


def scatter_figure(pairs: Sequence[Pair]) -> str:
    """Return measured against true EF with the line of identity and, where stated, the intervals."""
    measured, truth = measured_and_true(pairs)
    low, high = _padded(float(min(measured.min(), truth.min())), float(max(measured.max(), truth.max())))
    drawing = Drawing(SIDE, SIDE, "Measured against true EF")
    axes = Axes(drawing, (low, high), (low, high))
    axes.draw("true EF, %", "measured EF, %")
    drawing.line(axes.at(low, low), axes.at(high, high), MUTED, dash="4 3")
    for pair in pairs:
        if pair.interval is not None:
            ends = [min(max(end, low), high) for end in pair.interval]
            drawing.line(axes.at(pair.truth, ends[0]), axes.at(pair.truth, ends[1]), SERIES[0], 0.6)
        drawing.dot(axes.at(pair.truth, pair.measured), SERIES[0], title=_label(pair))
    return drawing.render()


def bland_altman_figure(pairs: Sequence[Pair]) -> str:
    """Return the difference against the mean, with bias and limits of agreement."""
    measured, truth = measured_and_true(pairs)
    means, differences = (measured + truth) / 2, measured - truth
    values = dict(zip(AGREEMENT, agreement(measured, truth).tolist(), strict=True))
    lines = [values[name] for name in ("bias", "low", "high") if np.isfinite(values[name])]
    reach = 1.15 * max(1.0, *(abs(value) for value in (*lines, *differences.tolist())))
    drawing = Drawing(SIDE, SIDE, "Bland-Altman")
    axes = Axes(drawing, _padded(float(means.min()), float(means.max())), (-reach, reach))
    axes.draw("mean of measured and true EF, %", "measured - true, points")
    for value, dash in zip(lines, ("", "5 4", "5 4"), strict=False):
        start, end = axes.at(axes.x_range[0], value), axes.at(axes.x_range[1], value)
        drawing.line(start, end, SERIES[1], 1.2, dash)
        drawing.text((end[0], end[1] - 4), f"{value:+.1f}", anchor="end", size=11, colour=SERIES[1])
    for pair, mean, difference in zip(pairs, means.tolist(), differences.tolist(), strict=True):
        drawing.dot(axes.at(mean, difference), SERIES[0], title=_label(pair))
    return drawing.render()


def roc_figure(pairs: Sequence[Pair]) -> str:
    """Return a curve per EF threshold under which both kinds of patients occur."""
    measured, truth = measured_and_true(pairs)
    drawing = Drawing(SIDE, SIDE, "Finding a reduced EF")
    axes = Axes(drawing, (0, 1), (0, 1))
    axes.draw("false positive rate", "true positive rate")
    drawing.line(axes.at(0, 0), axes.at(1, 1), MUTED, dash="4 3")
    for rank, limit in enumerate(sorted(THRESHOLDS_PERCENT)):
        positive = below(truth, limit)
        area = area_under_curve(-measured, positive)
        told = f"EF < {limit} %: AUC {area:.3f}" if np.isfinite(area) else f"EF < {limit} %: one kind only"
        if np.isfinite(area):
            drawing.polyline((axes.at(x, y) for x, y in roc_points(-measured, positive).tolist()), SERIES[rank])
        drawing.text(axes.at(0.42, 0.26 - 0.065 * rank), told, colour=SERIES[rank])
    return drawing.render()


def calibration_figure(pairs: Sequence[Pair]) -> str:
    """Return how often intervals of any size, shrunk or widened as a normal distribution has it, hold the truth."""
    errors = np.abs(stated_errors(pairs))
    stated = np.linspace(0.02, 0.99, 98)
    held = (errors[:, None] <= norm.ppf(0.5 + stated / 2)).mean(axis=0)
    drawing = Drawing(SIDE, SIDE, "Calibration of the stated interval")
    axes = Axes(drawing, (0, 1), (0, 1))
    axes.draw("stated probability", "share that holds the truth")
    drawing.line(axes.at(0, 0), axes.at(1, 1), MUTED, dash="4 3")
    drawing.polyline((axes.at(x, y) for x, y in zip(stated.tolist(), held.tolist(), strict=True)), SERIES[0])
    share = float((errors <= NORMAL_95).mean())
    drawing.dot(axes.at(0.95, share), SERIES[1], 4)
    drawing.text(axes.at(0.42, 0.06), f"95 %: {100 * share:.0f} % of {len(errors)}", colour=SERIES[1])
    return drawing.render()


def drift_figure(drift: Drift) -> str:
    """Return the mean difference of LV Dice and the mean absolute move of EF per change, with their intervals."""
    method = drift.ef[0].measured_by if drift.ef else ""
    dices = {row.change: row.difference for row in drift.dice}
    moves = {row.change: row.mean_absolute for row in drift.ef if row.measured_by == method}
    names = tuple(dices or moves)
    drawing = Drawing(NAMES + 2 * PLOT + 40, 70 + ROW * len(names), "Robustness")
    panels = ((dices, "LV Dice: difference"), (moves, "EF: mean absolute move, points"))
    for column, (values, title) in enumerate((values, title) for values, title in panels if values):
        left = NAMES + column * (PLOT + 20)
        drawing.text((left, 18), title, size=12)
        _draw_bars(drawing, left, names, values)
    for row, name in enumerate(names):
        drawing.text((NAMES - 10, 46 + ROW * row), name, anchor="end", size=11)
    drawing.text((NAMES, 60 + ROW * len(names)), f"EF by: {method}" if moves else "", size=11, colour=MUTED)
    return drawing.render()


def _draw_bars(drawing: Drawing, left: float, names: Sequence[str], values: dict[str, Estimate]) -> None:
    known = [end for value in values.values() for end in (value.value, value.low, value.high) if np.isfinite(end)]
    low, high = min(0.0, *known, -1e-9), max(0.0, *known, 1e-9)
    scale = (PLOT - 60) / (high - low)
    zero = left + 10 - low * scale
    drawing.line((zero, 28), (zero, 36 + ROW * len(names)), GRID)
    for row, name in enumerate(names):
        value, y = values[name], 42 + ROW * row
        if not np.isfinite(value.value):
            continue
        start, end = sorted((zero, zero + value.value * scale))
        drawing.box((start, y - 6), max(end - start, 1), 12, SERIES[0], 0.75)
        if np.isfinite(value.low):
            drawing.line((zero + value.low * scale, y), (zero + value.high * scale, y), INK)
        digits = 3 if high - low < 1 else 1
        drawing.text((left + PLOT - 2, y + 4), number(value.value, digits), anchor="end", size=11, colour=MUTED)


def _padded(low: float, high: float) -> tuple[float, float]:
    margin = max(0.06 * (high - low), 2.0)
    return low - margin, high + margin


def _label(pair: Pair) -> str:
    return f"{pair.clip}: measured {pair.measured:.1f}, true {pair.truth:.1f}"
