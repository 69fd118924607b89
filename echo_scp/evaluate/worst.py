"""Which clips fared worst: what a reader should look at first. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from echo_scp.evaluate.outcome import CaseResult, Quantity
from echo_scp.model import Structure

SHOWN = 4  # of each kind


@dataclass(frozen=True, slots=True)
class Worst:
    """A clip and what is bad about it."""

    case: str
    clip: str
    what: str


@dataclass(frozen=True, slots=True)
class _Candidate:
    badness: float
    worst: Worst


def find_worst(results: Sequence[CaseResult]) -> tuple[Worst, ...]:
    """Return the clips with the lowest LV Dice, then those with the largest error of EF; a clip is named once."""
    named: dict[tuple[str, str], Worst] = {}
    for candidates in (_by_dice(results), _by_ef(results)):
        taken = 0
        for candidate in sorted(candidates, key=lambda candidate: -candidate.badness):
            key = candidate.worst.case, candidate.worst.clip
            if key not in named and taken < SHOWN:
                named[key] = candidate.worst
                taken += 1
    return tuple(named.values())


def _by_dice(results: Iterable[CaseResult]) -> Iterator[_Candidate]:
    for result in results:
        for frame in result.frames:
            if frame.structure is Structure.LV_CAVITY and frame.dice is not None:
                told = f"LV Dice {frame.dice:.3f} at {frame.phase}"
                yield _Candidate(1 - frame.dice, Worst(result.identifier, frame.clip, told))


def _by_ef(results: Iterable[CaseResult]) -> Iterator[_Candidate]:
    """Yield errors of our own EF; of a study or a pair of planes, the first clip is shown."""
    for result in results:
        names = [clip.name for clip in result.clips]
        for item in result.comparisons:
            ours = item.quantity is Quantity.EF and not item.measured_by.startswith("experts")
            if not ours or item.measured is None or not names:
                continue
            clip = item.clip if item.clip in names else names[0]
            told = f"EF {item.measured:.1f} % instead of {item.truth:.1f} % ({item.measured_by}, {item.against})"
            yield _Candidate(abs(item.measured - item.truth), Worst(result.identifier, clip, told))
