"""How far Dice and EF move when pixels are changed, each case compared with itself unchanged. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from echo_scp.evaluate.changes import Change
from echo_scp.evaluate.outcome import CaseResult, Quantity
from echo_scp.evaluate.statistics import Estimate, mean_of
from echo_scp.model import Structure

WITHOUT_TRUTH = "clips without truth"


@dataclass(frozen=True, slots=True)
class DiceDrift:
    """Mean LV Dice under a change and its mean difference from the unchanged frames."""

    change: str
    frames: int
    dice: float
    difference: Estimate


@dataclass(frozen=True, slots=True)
class EfDrift:
    """EF under a change against EF of the same unchanged clips, in points; `lost` had an EF and have none now.

    Of `stated` that state an interval unchanged, the changed EF lies in it in `inside`.
    """

    change: str
    measured_by: str
    count: int
    lost: int
    mean_absolute: Estimate
    mean: Estimate
    stated: int
    inside: int


@dataclass(frozen=True, slots=True)
class Drift:
    """The whole robustness table."""

    dice: tuple[DiceDrift, ...]
    ef: tuple[EfDrift, ...]


def drift(results: Mapping[str, Sequence[CaseResult]], changes: Sequence[Change]) -> Drift:
    """Return the drift under each of `changes`, of which the first is none; `results` by the changes' names."""
    unchanged = results[changes[0].name]
    dices, efs = _dices(unchanged), _efs(unchanged)
    return Drift(
        dice=tuple(_dice_drift(change.name, _dices(results[change.name]), dices) for change in changes)
        if dices
        else (),
        ef=tuple(row for change in changes for row in _ef_drifts(change.name, _efs(results[change.name]), efs)),
    )


FrameKey = tuple[str, str, str, int]  # patient, clip, phase, how many of these came before
EfKey = tuple[str, str, str]  # patient, clip, measured by


@dataclass(frozen=True, slots=True)
class _Ef:
    """An EF and the interval stated with it."""

    value: float | None
    interval: tuple[float, float] | None


def _dices(results: Sequence[CaseResult]) -> dict[FrameKey, float]:
    dices: dict[FrameKey, float] = {}
    seen = Counter[tuple[str, str, str]]()
    for result in results:
        for frame in result.frames:
            if frame.structure is not Structure.LV_CAVITY:
                continue
            named = result.patient, frame.clip, frame.phase
            if frame.dice is not None:
                dices[*named, seen[named]] = frame.dice
            seen[named] += 1
    return dices


def _efs(results: Sequence[CaseResult]) -> dict[EfKey, _Ef]:
    """Return every EF that is compared with a truth, and those of clips of which no truth is known."""
    efs = {}
    for result in results:
        compared = [item for item in result.comparisons if item.quantity is Quantity.EF]
        for item in compared:
            if not item.measured_by.startswith("experts"):
                efs[result.patient, item.clip, item.measured_by] = _Ef(item.measured, item.interval)
        known = {item.clip for item in compared}
        for clip in result.clips:
            if clip.name not in known:
                efs[result.patient, clip.name, WITHOUT_TRUTH] = _Ef(clip.ef_percent, clip.ef_interval)
    return efs


def _dice_drift(name: str, changed: Mapping[FrameKey, float], unchanged: Mapping[FrameKey, float]) -> DiceDrift:
    common = [key for key in unchanged if key in changed]
    values = np.array([changed[key] for key in common])
    differences = values - np.array([unchanged[key] for key in common])
    patients = [patient for patient, *_ in common]
    mean = float(values.mean()) if common else float("nan")
    return DiceDrift(name, len(common), mean, mean_of(patients, differences))


def _ef_drifts(name: str, changed: Mapping[EfKey, _Ef], unchanged: Mapping[EfKey, _Ef]) -> Iterator[EfDrift]:
    for method in dict.fromkeys(key[2] for key in unchanged):
        before = {key: ef for key, ef in unchanged.items() if key[2] == method and ef.value is not None}
        pairs = [(key[0], ef, changed[key].value) for key, ef in before.items() if key in changed]
        both = [(patient, ef, value) for patient, ef, value in pairs if value is not None]
        if before:
            yield _ef_drift(name, method, both, len(before))


def _ef_drift(name: str, method: str, both: Sequence[tuple[str, _Ef, float]], total: int) -> EfDrift:
    patients = [patient for patient, _, _ in both]
    moves = np.array([value - (ef.value or 0.0) for _, ef, value in both])
    stated = [(ef.interval, value) for _, ef, value in both if ef.interval is not None]
    return EfDrift(
        change=name,
        measured_by=method,
        count=len(both),
        lost=total - len(both),
        mean_absolute=mean_of(patients, np.abs(moves)),
        mean=mean_of(patients, moves),
        stated=len(stated),
        inside=sum(low <= value <= high for (low, high), value in stated),
    )
