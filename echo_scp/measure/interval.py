"""The 95 % interval of an EF: what the beats, the planes and the outlines leave open.

It is meant for the difference from an expert's EF by biplane method of disks on the same study.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from echo_scp.config import MeasureConfig
from echo_scp.model import Interval

NORMAL_95 = 1.959964
PRIOR_BEATS = 4  # what the usual SD between beats counts for beside the beats that were measured


def beat_variance(efs_percent: Sequence[float], config: MeasureConfig) -> float:
    """Return the variance of the mean over beats, in points squared.

    Few beats say little about their own spread: the usual one counts as PRIOR_BEATS degrees of freedom beside theirs.
    """
    count = len(efs_percent)
    spread = float(np.sum((np.array(efs_percent) - np.mean(efs_percent)) ** 2))
    pooled = (PRIOR_BEATS * config.beat_sd_percent**2 + spread) / (PRIOR_BEATS + count - 1)
    return pooled / count


def outline_variance(segmentation_sd_percent: float | None, config: MeasureConfig) -> float:
    """Return the variance by the outlines, in points squared.

    Test-time variation shows how sure a network is of itself, which is never more than it is right: it widens the
    interval and does not narrow it.
    """
    return float(max(segmentation_sd_percent or 0.0, config.outline_sd_percent) ** 2)


def single_plane_interval(
    efs_percent: Sequence[float], segmentation_sd_percent: float | None, config: MeasureConfig
) -> Interval:
    """Return the interval of the mean EF over beats of one plane."""
    variance = beat_variance(efs_percent, config) + outline_variance(segmentation_sd_percent, config)
    return around(float(np.mean(efs_percent)), variance + config.plane_sd_percent**2)


def around(ef_percent: float, variance: float) -> Interval:
    """Return the interval, cut at 0 and 100 %."""
    reach = NORMAL_95 * float(np.sqrt(variance))
    return Interval(max(ef_percent - reach, min(ef_percent, 0.0)), min(ef_percent + reach, 100.0))
