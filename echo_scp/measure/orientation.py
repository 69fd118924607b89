"""Pictures that stand on their head: the probe at the bottom, as some laboratories show children's hearts.

The networks know hearts whose apex is above. The sector tells where the probe is: the beam is narrow there.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from echo_scp.measure.sector import find_sector
from echo_scp.model import Clip, Frames, LabelMaps, Segmentation

NEAR, FAR = 0.12, 0.88  # of the sector's height
NARROWER = 2.5  # times; a sector of 80 degrees is 4 times as wide far from the probe, a picture without sector once


def stands_on_head(clip: Clip) -> bool:
    """Tell whether the sector opens upwards; False where the pixels do not show a sector."""
    sector = find_sector(clip, (clip.frames.shape[1], clip.frames.shape[2]))
    rows = np.flatnonzero(sector.any(axis=1))
    if not len(rows):
        return False
    widths = sector[rows[0] : rows[-1] + 1].sum(axis=1)
    above, below = (float(widths[int(share * (len(widths) - 1))]) for share in (NEAR, FAR))
    return above > NARROWER * max(below, 1.0)


def upright(clip: Clip) -> Clip:
    """Return the clip as the networks know hearts: the probe above."""
    return upended(clip) if stands_on_head(clip) else clip


def upended(clip: Clip) -> Clip:
    """Return the clip upside down, with its region where it is then."""
    rows, region = clip.frames.shape[1], clip.region
    return replace(
        clip, frames=_upside_down(clip.frames), region=replace(region, y0=rows - region.y1, y1=rows - region.y0)
    )


def upended_outlines(segmentation: Segmentation) -> Segmentation:
    """Return the label maps upside down."""
    return replace(segmentation, label_maps=_upside_down(segmentation.label_maps))


def _upside_down(pictures: Frames | LabelMaps) -> Frames:
    return np.ascontiguousarray(pictures[:, ::-1])
