"""The left atrium at end-systole, when it is largest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from echo_scp.measure.beats import Cycle
from echo_scp.measure.outlines import Outlines
from echo_scp.measure.sector import SectorEdge
from echo_scp.measure.shape import as_atrium, scale_of
from echo_scp.measure.steady import WINDOW, steady, without_turned
from echo_scp.model import Atrium, Clip, Segmentation


def find_atria(
    clip: Clip, segmentation: Segmentation, cycles: Sequence[Cycle], cycle_ms: float
) -> Mapping[int, Atrium]:
    """Return the LA by the frame index of end-systole; nothing when it is not outlined or the clip not calibrated.

    Only frames around end-systole are looked at.
    """
    spacing = clip.region.spacing
    if spacing is None:
        return {}
    systoles = [cycle.end_systole for cycle in cycles]
    times_ms = clip.frame_times_ms
    near = np.min(np.abs(times_ms[:, None] - times_ms[systoles][None, :]), axis=1) <= WINDOW / 2 * cycle_ms
    outlines = Outlines.around_atrium(segmentation)
    shapes = without_turned(outlines.atrial_shapes(spacing, np.flatnonzero(near).tolist()), scale_of(spacing))
    steadied = steady(shapes, times_ms, cycle_ms, scale_of(spacing), systoles)
    found = {index: (shapes[index], steadied[index]) for index in systoles}
    return {
        index: as_atrium(shape, index) for index, (own, shape) in found.items() if own is not None and shape is not None
    }


def cut_off_share(atria: Mapping[int, Atrium], edge: SectorEdge) -> float:
    """Return which share of the LA's wall lies at the sector's edge, the mean over its frames; 0 without any."""
    return float(np.mean([edge.share(atrium.contour) for atrium in atria.values()])) if atria else 0.0
