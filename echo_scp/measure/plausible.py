"""When the outlines of a clip carry no number. Each check raises InstanceError with its reason, or passes."""

from __future__ import annotations

import numpy as np

from echo_scp.config import MeasureConfig
from echo_scp.errors import InstanceError
from echo_scp.measure.curve import TimedCurve
from echo_scp.measure.rhythm import Rhythm
from echo_scp.model import Curve, Reason, Region

MIN_REGION_SHARE = 0.01  # median LV of the region; the smallest of CAMUS's 898 tracings fills 2.7 % of its picture
MIN_SWING = 0.03  # of the largest area; an EF of 10 % moves it by 7 %, an EF of 5 % by 3 %
MIN_CYCLES = 0.9  # heart rates are rounded and averaged over earlier beats
MAX_GAP = 0.25  # of the cycle; between frames further apart, ED or ES may lie unseen
ORDERED_FRAMES = 7.0  # per cycle; below, neighbouring frames differ as much as any two
MAX_DISORDER = 0.6  # half of von Neumann's ratio: 1 for frames in any order; a heart has 0.54 at 7 frames per cycle
MAX_STEP = 0.3  # change of log area from frame to frame in dense frames
MAX_STEP_PER_CYCLE = 6.0  # and where frames are sparse: the steepest ejection and filling at an EF of 75 %


def require_ventricle(pixel_counts: Curve, region: Region, config: MeasureConfig) -> None:
    """Refuse a clip where the LV is missing from more than a few frames or is a speck."""
    empty = int(np.sum(pixel_counts == 0))
    if 100 * empty > config.empty_frames_percent * len(pixel_counts):
        raise InstanceError(Reason.NO_VENTRICLE, f"no LV on {empty} of {len(pixel_counts)} frames")
    share = float(np.median(pixel_counts)) / max((region.x1 - region.x0) * (region.y1 - region.y0), 1)
    if share < MIN_REGION_SHARE:
        raise InstanceError(Reason.NO_VENTRICLE, f"the LV fills {100 * share:.2f} % of the region")


def require_motion(areas: TimedCurve) -> None:
    """Refuse a clip whose LV hardly changes."""
    share = areas.swing / float(areas.values.max())
    if share < MIN_SWING:
        raise InstanceError(Reason.NO_BEAT, f"the area of the LV changes by {100 * share:.1f} % only")


def require_rhythm(areas: TimedCurve, rhythm: Rhythm | None) -> Rhythm:
    """Refuse a clip that is shorter than a beat, or too sparse to see one."""
    if rhythm is None:
        raise InstanceError(Reason.NO_BEAT, "no heart rate was sent and the clip shows no complete cycle")
    if areas.duration_ms < MIN_CYCLES * rhythm.cycle_ms:
        detail = f"{areas.duration_ms:.0f} ms of frames, a beat lasts {rhythm.cycle_ms:.0f} ms"
        raise InstanceError(Reason.SHORTER_THAN_A_BEAT, detail)
    return rhythm


def require_continuity(counted: TimedCurve, rhythm: Rhythm, config: MeasureConfig) -> None:
    """Refuse outlines that leap about as they come, before anything steadies them."""
    limits = np.maximum(MAX_STEP, MAX_STEP_PER_CYCLE * np.diff(counted.times_ms) / rhythm.cycle_ms)
    leaps = 100 * float(np.mean(np.abs(np.diff(np.log(counted.values))) > limits))
    if leaps > config.leaping_frames_percent:
        _refuse_unstable(f"the area leaps between {leaps:.0f} % of the frames")


def require_order(counted: TimedCurve, rhythm: Rhythm) -> None:
    """Refuse a clip whose neighbouring frames are no more alike than any two: shuffled frames, or noise alone."""
    if rhythm.cycle_ms / counted.interval_ms < ORDERED_FRAMES:
        return
    disorder = float(np.mean(np.diff(counted.values) ** 2) / (2 * np.var(counted.values)))
    if disorder > MAX_DISORDER:
        _refuse_unstable(f"neighbouring frames differ {disorder:.2f} times as much as any two frames do")


def require_stability(areas: TimedCurve, rhythm: Rhythm, config: MeasureConfig) -> None:
    """Refuse outlines that leave gaps or jitter."""
    unmeasured = len(areas.values) - int(np.sum(areas.measured))
    if 100 * unmeasured > config.empty_frames_percent * len(areas.values):
        _refuse_unstable(f"{unmeasured} of {len(areas.values)} frames have no credible outline")
    if areas.longest_gap_ms > MAX_GAP * rhythm.cycle_ms:
        reason = Reason.UNSTABLE_SEGMENTATION if unmeasured else Reason.NO_BEAT
        detail = f"{areas.longest_gap_ms:.0f} ms without an outline in a cycle of {rhythm.cycle_ms:.0f} ms"
        raise InstanceError(reason, detail)
    jitter = 100 * areas.roughness(rhythm.smoothing_ms)
    if jitter > config.jitter_percent:
        _refuse_unstable(f"the area jitters by {jitter:.0f} % of its swing")


def _refuse_unstable(detail: str) -> None:
    raise InstanceError(Reason.UNSTABLE_SEGMENTATION, detail)
