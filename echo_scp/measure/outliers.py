"""A beat whose outlines failed among beats whose outlines did not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from echo_scp.config import MeasureConfig
from echo_scp.model import Beat

FEWEST_OTHERS = 2  # one beat against one says nothing of which is wrong


def without_outliers(beats: Sequence[Beat], config: MeasureConfig) -> tuple[Beat, ...]:
    """Leave out the beats whose EF is out of range and far from the mean of those that are in range.

    A heart that fails beats out of range all the time, or nearly so in a single beat; its beats stay.
    """
    credible = [beat.ef_percent for beat in beats if in_range(beat, config)]
    if len(credible) < FEWEST_OTHERS:
        return tuple(beats)
    usual = float(np.mean(credible))
    return tuple(
        beat
        for beat in beats
        if in_range(beat, config) or abs(beat.ef_percent - usual) <= config.beat_departure_percent
    )


def in_range(beat: Beat, config: MeasureConfig) -> bool:
    """Tell whether a beat has an EF that hearts have."""
    return config.lowest_ef_percent <= beat.ef_percent <= config.highest_ef_percent
