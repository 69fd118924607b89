"""Results of all cases -> the tables of an evaluation. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from echo_scp.assess import ASE_BY_SEX, FOR_ALL, THRESHOLDS_PERCENT, Scale
from echo_scp.evaluate.case import Phase, Refusal
from echo_scp.evaluate.outcome import Against, CaseResult, ClipOutcome, Comparison, FrameScore, Quantity
from echo_scp.evaluate.statistics import (
    Estimate,
    Values,
    agreement,
    area_under_curve,
    bootstrap,
    mean_of,
    proportion_interval,
)
from echo_scp.evaluate.views import Confusion, confusion
from echo_scp.model import Sex, Structure, View, as_told

ALL_PHASES = "all"
NORMAL_95 = 1.959964


@dataclass(frozen=True, slots=True)
class Series:
    """Comparisons of one kind."""

    quantity: Quantity
    measured_by: str
    against: Against


@dataclass(frozen=True, slots=True)
class Pair:
    """A measured and a true number of one case."""

    case: str
    patient: str
    sex: Sex | None
    clip: str
    measured: float
    truth: float
    interval: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many of the truths of a series met a number, and why the others did not."""

    series: Series
    total: int
    assessed: int
    reasons: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class OverlapRow:
    """Agreement of outlines; means over frames. `one_sided` frames are outlined by engine or experts alone: Dice 0."""

    view: str
    structure: Structure
    phase: str
    frames: int
    patients: int
    one_sided: int
    dice: Estimate
    intersection_over_union: Estimate
    hausdorff95: Estimate
    hausdorff_unit: str


@dataclass(frozen=True, slots=True)
class AgreementRow:
    """How measured numbers agree with true ones, in the quantity's own unit."""

    series: Series
    count: int
    patients: int
    mae: Estimate
    rmse: Estimate
    bias: Estimate
    low: Estimate
    high: Estimate
    r2: Estimate
    r: Estimate


@dataclass(frozen=True, slots=True)
class ThresholdRow:
    """Finding an EF below a threshold: AUC of the measured EF; counts at the threshold itself."""

    series: Series
    threshold_percent: int
    auc: Estimate
    tn: int
    fp: int
    fn: int
    tp: int


@dataclass(frozen=True, slots=True)
class GradeRow:
    """How often the measured EF has the true EF's grade on a scale."""

    series: Series
    scale: str
    count: int
    accuracy: Estimate


@dataclass(frozen=True, slots=True)
class CalibrationRow:
    """How often the stated 95 % interval holds the truth; `low` and `high` are Wilson's interval of that share.

    `spread` is the root mean square of error / stated SD: 1 where errors are as large as stated.
    """

    series: Series
    count: int
    covered: float
    low: float
    high: float
    mean_width: float
    spread: float


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """How many clips were taken for a view, how many of them have an EF, and why the others have none."""

    view: str
    total: int
    assessed: int
    reasons: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Unassessed:
    """One thing without a number, and why."""

    case: str
    clip: str
    what: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Summary:
    """All tables over the cases as they are."""

    cases: int
    patients: int
    clips: int
    views: Confusion | None
    overlap: tuple[OverlapRow, ...]
    coverage: tuple[Coverage, ...]
    agreement: tuple[AgreementRow, ...]
    thresholds: tuple[ThresholdRow, ...]
    grades: tuple[GradeRow, ...]
    calibration: tuple[CalibrationRow, ...]
    answers: tuple[AnswerRow, ...]
    unassessed: tuple[Unassessed, ...]


def summarise(results: Sequence[CaseResult], known_views: Sequence[View]) -> Summary:
    """Return the tables of `results`, which must all be under one change."""
    pairs = {series: pairs_of(results, series) for series in all_series(results)}
    measured = {series: found for series, found in pairs.items() if found}
    efs = {series: found for series, found in measured.items() if series.quantity is Quantity.EF}
    return Summary(
        cases=len(results),
        patients=len({result.patient for result in results}),
        clips=sum(len(result.clips) for result in results),
        views=confusion((clip for result in results for clip in result.clips), known_views),
        overlap=tuple(_overlap_rows(results)),
        coverage=tuple(_coverage(results, series) for series in pairs),
        agreement=tuple(_agreement(*item) for item in measured.items()),
        thresholds=tuple(_threshold(*item, limit) for item in efs.items() for limit in sorted(THRESHOLDS_PERCENT)),
        grades=tuple(row for item in efs.items() for row in _grades(*item)),
        calibration=tuple(row for item in efs.items() for row in _calibration(*item)),
        answers=tuple(_answers([clip for result in results for clip in result.clips])),
        unassessed=tuple(_unassessed(results)),
    )


def all_series(results: Iterable[CaseResult]) -> tuple[Series, ...]:
    """Return the kinds of comparisons that occur: ours before the experts' own, EF first."""
    found = {_series(comparison) for result in results for comparison in result.comparisons}
    quantities, truths = list(Quantity), list(Against)

    def order(series: Series) -> tuple[bool, str, int, int]:
        experts = series.measured_by.startswith("experts")
        return experts, series.measured_by, truths.index(series.against), quantities.index(series.quantity)

    return tuple(sorted(found, key=order))


def pairs_of(results: Iterable[CaseResult], series: Series) -> tuple[Pair, ...]:
    """Return the measured and true numbers of a series."""
    return tuple(
        Pair(result.identifier, result.patient, result.sex, item.clip, item.measured, item.truth, item.interval)
        for result in results
        for item in result.comparisons
        if _series(item) == series and item.measured is not None
    )


def measured_and_true(pairs: Sequence[Pair]) -> tuple[Values, Values]:
    """Return the numbers of pairs as two arrays."""
    return np.array([pair.measured for pair in pairs]), np.array([pair.truth for pair in pairs])


def below(efs_percent: Values, limit_percent: float) -> NDArray[np.bool_]:
    """Tell which EFs, as reports tell them, are below a threshold."""
    return np.array([as_told(ef) < limit_percent for ef in efs_percent.tolist()], dtype=np.bool_)


def _series(comparison: Comparison) -> Series:
    return Series(comparison.quantity, comparison.measured_by, comparison.against)


def _overlap_rows(results: Sequence[CaseResult]) -> Iterator[OverlapRow]:
    scores = [(result.patient, frame) for result in results for frame in result.frames]
    groups = {(frame.view or "view unknown", frame.structure) for _, frame in scores}
    for view, structure in sorted(groups, key=lambda group: (list(Structure).index(group[1]), group[0])):
        for phase in (ALL_PHASES, *Phase):
            chosen = [
                (patient, frame)
                for patient, frame in scores
                if (frame.view or "view unknown", frame.structure) == (view, structure)
                and phase in {ALL_PHASES, frame.phase}
            ]
            if chosen:
                yield _overlap_row(view, structure, phase, chosen)


def _overlap_row(view: str, structure: Structure, phase: str, scores: Sequence[tuple[str, FrameScore]]) -> OverlapRow:
    table = np.array([[f.dice, f.intersection_over_union, f.hausdorff95] for _, f in scores], dtype=np.float64)
    patients = [patient for patient, _ in scores]
    dices, overlaps, distances = bootstrap(patients, lambda chosen: _means(table[chosen]))
    units = {"mm" if frame.calibrated else "px" for _, frame in scores}
    one_sided = sum(frame.dice is not None and frame.hausdorff95 is None for _, frame in scores)
    unit = " and ".join(sorted(units))
    return OverlapRow(
        view, structure, phase, len(scores), len(set(patients)), one_sided, dices, overlaps, distances, unit
    )


def _means(table: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Values:
    """Return the mean of each column over what is defined."""
    known = np.isfinite(table)
    counts = known.sum(axis=0)
    sums = np.where(known, table, 0.0).sum(axis=0)
    return np.asarray(np.where(counts > 0, sums / np.maximum(counts, 1), np.nan))


def _coverage(results: Iterable[CaseResult], series: Series) -> Coverage:
    items = [item for result in results for item in result.comparisons if _series(item) == series]
    reasons = _counted(item.refusal for item in items)
    return Coverage(series, len(items), sum(item.measured is not None for item in items), reasons)


def _answers(clips: Sequence[ClipOutcome]) -> Iterator[AnswerRow]:
    for view in (*View, None):
        taken = [clip for clip in clips if clip.view is view]
        if taken:
            assessed = sum(clip.ef_percent is not None for clip in taken)
            yield AnswerRow(view or "not asked", len(taken), assessed, _counted(clip.refusal for clip in taken))


def _counted(refusals: Iterable[Refusal | None]) -> tuple[tuple[str, int], ...]:
    """Return each reason with its number, the most frequent first."""
    reasons = Counter(refusal.reason for refusal in refusals if refusal is not None)
    return tuple(sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0])))


def _agreement(series: Series, pairs: Sequence[Pair]) -> AgreementRow:
    measured, truth = measured_and_true(pairs)
    patients = [pair.patient for pair in pairs]
    estimates = bootstrap(patients, lambda chosen: agreement(measured[chosen], truth[chosen]))
    return AgreementRow(series, len(pairs), len(set(patients)), *estimates)


def _threshold(series: Series, pairs: Sequence[Pair], limit: int) -> ThresholdRow:
    measured, truth = measured_and_true(pairs)
    low, called = below(truth, limit), below(measured, limit)
    patients = [pair.patient for pair in pairs]
    (auc,) = bootstrap(patients, lambda chosen: np.array([area_under_curve(-measured[chosen], low[chosen])]))
    counts = (~low & ~called, ~low & called, low & ~called, low & called)
    return ThresholdRow(series, limit, auc, *(int(count.sum()) for count in counts))


def _grades(series: Series, pairs: Sequence[Pair]) -> Iterator[GradeRow]:
    """Yield a row per scale; a patient whose sex is unknown is graded on both sexes' scales."""
    graded: dict[Scale, list[tuple[str, bool]]] = {}
    for pair in pairs:
        for scale in ASE_BY_SEX[pair.sex] + FOR_ALL:
            same = scale.grade(pair.measured) == scale.grade(pair.truth)
            graded.setdefault(scale, []).append((pair.patient, same))
    for scale, found in graded.items():
        right = np.array([same for _, same in found], dtype=np.float64)
        yield GradeRow(series, scale.name, len(found), mean_of([patient for patient, _ in found], right))


def _calibration(series: Series, pairs: Sequence[Pair]) -> Iterator[CalibrationRow]:
    stated = [(pair.truth, *pair.interval) for pair in pairs if pair.interval is not None]
    if stated:
        covered = sum(low <= truth <= high for truth, low, high in stated)
        width = float(np.mean([high - low for _, low, high in stated]))
        share = proportion_interval(covered, len(stated))
        spread = float(np.sqrt(np.mean(np.square(stated_errors(pairs)))))
        yield CalibrationRow(series, len(stated), covered / len(stated), *share, width, spread)


def stated_errors(pairs: Iterable[Pair]) -> Values:
    """Return each error in stated SDs, the interval taken for that of a normal distribution.

    The product cuts intervals at 0 and 100 %: the longer side tells the SD.
    """
    stated = ((pair.measured, pair.truth, pair.interval) for pair in pairs if pair.interval is not None)
    return np.array([NORMAL_95 * (ef - truth) / max(ef - low, high - ef) for ef, truth, (low, high) in stated])


def _unassessed(results: Iterable[CaseResult]) -> Iterator[Unassessed]:
    for result in results:
        if result.problem is not None:
            yield Unassessed(result.identifier, "", "case", result.problem.reason, result.problem.detail)
            continue
        for clip in result.clips:
            yield from _unassessed_clip(result, clip)
        clips = {clip.name for clip in result.clips if clip.refusal is not None}
        for item in result.comparisons:
            if item.refusal is not None and item.clip not in clips:
                what = f"{item.quantity}, {item.measured_by}"
                yield Unassessed(result.identifier, item.clip, what, item.refusal.reason, item.refusal.detail)


def _unassessed_clip(result: CaseResult, clip: ClipOutcome) -> Iterator[Unassessed]:
    if clip.refusal is not None:
        yield Unassessed(result.identifier, clip.name, "clip", clip.refusal.reason, clip.refusal.detail)
