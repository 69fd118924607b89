"""How far Dice and EF move when pixels are changed, each case compared with itself unchanged. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from echo_scp.evaluate.changes import Change
from echo_scp.evaluate.outcome import CaseResult, Quantity
from echo_scp.evaluate.statistics import Estimate, mean_of
from echo_scp.model import Structure


@dataclass(frozen=True, slots=True)
class DiceDrift:
    """Mean LV Dice under a change and its mean difference from the unchanged frames."""

    change: str
    frames: int
    dice: float
    difference: Estimate


@dataclass(frozen=True, slots=True)
class EfDrift:
    """EF under a change against EF of the same unchanged clips, in points; `lost` had an EF and have none now."""

    change: str
    measured_by: str
    count: int
    lost: int
    mean_absolute: Estimate
    mean: Estimate


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


FrameKey = tuple[str, str, str]  # patient, clip, phase
EfKey = tuple[str, str, str]  # patient, clip, measured by


def _dices(results: Sequence[CaseResult]) -> dict[FrameKey, float]:
    return {
        (result.patient, frame.clip, frame.phase): frame.dice
        for result in results
        for frame in result.frames
        if frame.structure is Structure.LV_CAVITY and frame.dice is not None
    }


def _efs(results: Sequence[CaseResult]) -> dict[EfKey, float | None]:
    return {
        (result.patient, item.clip, item.measured_by): item.measured
        for result in results
        for item in result.comparisons
        if item.quantity is Quantity.EF and not item.measured_by.startswith("experts")
    }


def _dice_drift(name: str, changed: Mapping[FrameKey, float], unchanged: Mapping[FrameKey, float]) -> DiceDrift:
    common = [key for key in unchanged if key in changed]
    values = np.array([changed[key] for key in common])
    differences = values - np.array([unchanged[key] for key in common])
    patients = [patient for patient, _, _ in common]
    mean = float(values.mean()) if common else float("nan")
    return DiceDrift(name, len(common), mean, mean_of(patients, differences))


def _ef_drifts(
    name: str, changed: Mapping[EfKey, float | None], unchanged: Mapping[EfKey, float | None]
) -> Iterator[EfDrift]:
    for method in dict.fromkeys(key[2] for key in unchanged):
        before = {key: ef for key, ef in unchanged.items() if key[2] == method and ef is not None}
        both = [(key[0], after - ef) for key, ef in before.items() if (after := changed.get(key)) is not None]
        patients, moves = [patient for patient, _ in both], np.array([move for _, move in both])
        yield EfDrift(
            name, method, len(both), len(before) - len(both), mean_of(patients, np.abs(moves)), mean_of(patients, moves)
        )
