"""The EF that a regression network gave for a clip, beside the one that its outlines give."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from echo_scp.measure.choice import Candidate
from echo_scp.model import Estimate

EJECTION_FRACTION = "ejection_fraction"


@dataclass(frozen=True, slots=True)
class Regressed:
    """The mean of a network's EFs over clips."""

    ef_percent: float
    engine: str


def regressed_ef(clips: Iterable[Candidate]) -> Regressed | None:
    """Return the mean over the clips that have one, None if none has.

    Where several networks gave an EF, the one that is configured first counts: two networks are not averaged.
    """
    found = [estimate for clip in clips for estimate in clip.analysis.estimates if is_ef(estimate)]
    if not found:
        return None
    engine = found[0].engine
    return Regressed(float(np.mean([estimate.value for estimate in found if estimate.engine == engine])), engine.name)


def is_ef(estimate: Estimate) -> bool:
    """Tell an EF that may stand in a report from what a research network says."""
    return estimate.name == EJECTION_FRACTION and not estimate.research and bool(np.isfinite(estimate.value))
