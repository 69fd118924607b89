"""How credible a clip's outlines are: a score, the product of named parts, and flags for what to look at.

Every part is 1 while there is nothing to complain of and falls to 0 where the clip would be refused, or to TROUBLED
where a finding makes a number doubtful but does not forbid it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from echo_scp.config import MeasureConfig
from echo_scp.measure.curve import TimedCurve
from echo_scp.measure.rhythm import Rhythm
from echo_scp.model import Beat, Flag, Note, Quality, QualityPart, Ventricle

TROUBLED = 0.5
UNSTEADY_PERCENT = 10.0  # rms of the area off its smoothed curve; a real cine has 4, a phantom's masks have 0.5
DENSE_FRAMES_PER_CYCLE = 15.0  # below, ED and ES fall between frames; 20 and more change little


@dataclass(frozen=True, slots=True)
class Findings:
    """What was seen of a clip's outlines, in percent; `jitter_percent` is of the LV's area, whatever its EF."""

    unused_frames_percent: float
    jitter_percent: float
    fragment_percent: float
    sector_edge_percent: float
    apex_motion_percent: float
    frames_per_cycle: float
    apex_down: bool


def examine(
    areas: TimedCurve,
    rhythm: Rhythm,
    fragments: np.ndarray,
    edge_share: float,
    beats: Sequence[Beat],
    *,
    scale: tuple[float, float],
) -> Findings:
    """Return the findings; `areas` are those of the outlines as they came, `fragments` (T,) shares of their pixels.

    `scale` is (column, row) spacing.
    """
    return Findings(
        unused_frames_percent=100 * float(np.mean(~areas.measured)),
        jitter_percent=100 * areas.roughness(rhythm.smoothing_ms) * areas.swing / float(np.mean(areas.values)),
        fragment_percent=100 * float(np.mean(fragments)),
        sector_edge_percent=100 * edge_share,
        apex_motion_percent=float(np.mean([apex_motion_percent(beat, scale) for beat in beats])),
        frames_per_cycle=rhythm.cycle_ms / areas.interval_ms,
        apex_down=all(_apex_is_below(beat.end_diastole) for beat in beats),
    )


def apex_motion_percent(beat: Beat, scale: tuple[float, float]) -> float:
    """Return how far the apex comes down towards the annulus in systole, in percent of the LV's length.

    A true apex hardly moves. Where the plane misses it, what looks like the apex is wall that thickens and moves.
    `scale` is (column, row) spacing: a tilted axis in pixels that are not square points elsewhere.
    """
    apex, base = np.array(beat.end_diastole.apex) * scale, np.mean(beat.end_diastole.annulus, axis=0) * scale
    axis = base - apex
    return float(100 * (np.array(beat.end_systole.apex) * scale - apex) @ axis / max(axis @ axis, 1e-9))


def _apex_is_below(ventricle: Ventricle) -> bool:
    return ventricle.apex[1] > float(np.mean(ventricle.annulus, axis=0)[1])


def score(findings: Findings, config: MeasureConfig) -> Quality:
    """Return the quality and its parts."""
    edge, apex = findings.sector_edge_percent, findings.apex_motion_percent
    return Quality(
        (
            QualityPart(
                "frames outlined", _falling(findings.unused_frames_percent, 0, 2 * config.empty_frames_percent)
            ),
            QualityPart("steadiness", _falling(findings.jitter_percent, 0, UNSTEADY_PERCENT)),
            QualityPart(
                "one piece", max(_falling(findings.fragment_percent, 0, 4 * config.fragment_percent), TROUBLED)
            ),
            QualityPart("inside the sector", max(_falling(edge, 0, 4 * config.sector_edge_percent), TROUBLED)),
            QualityPart(
                "apex at rest",
                max(_falling(apex, config.apex_motion_percent, 2 * config.apex_motion_percent), TROUBLED),
            ),
            QualityPart("frame rate", min(findings.frames_per_cycle / DENSE_FRAMES_PER_CYCLE, 1.0)),
        )
    )


def _falling(value: float, good: float, bad: float) -> float:
    """Return 1 up to `good`, 0 from `bad` on, and a straight line between."""
    return float(np.clip((bad - value) / (bad - good), 0, 1)) if bad > good else float(value <= good)


def quality_notes(findings: Findings, quality: Quality, config: MeasureConfig) -> Iterator[Note]:
    """Yield what a reader should know of the outlines."""
    if findings.fragment_percent > config.fragment_percent:
        yield Note(Flag.FRAGMENTED_OUTLINE, f"{findings.fragment_percent:.0f} % of the LV lies apart from the rest")
    if findings.sector_edge_percent > config.sector_edge_percent:
        detail = f"{findings.sector_edge_percent:.0f} % of the LV's wall lies at the edge of the sector"
        yield Note(Flag.OUTLINE_AT_SECTOR_EDGE, detail)
    if findings.apex_motion_percent > config.apex_motion_percent:
        detail = f"the apex moves by {findings.apex_motion_percent:.0f} % of the LV's length in systole"
        yield Note(Flag.FORESHORTENED, detail)
    if findings.apex_down:
        yield Note(Flag.APEX_DOWN, "the apex lies below the annulus in the picture")
    weakest = quality.weakest
    if quality.score < config.lowest_quality and weakest is not None:
        yield Note(
            Flag.LOW_QUALITY, f"quality {quality.score:.2f}; most is lost by {weakest.name} ({weakest.score:.2f})"
        )
