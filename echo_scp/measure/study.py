"""The headline of a study from its clips."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from echo_scp.model import (
    Beat,
    ClipAnalysis,
    NotAssessed,
    Reason,
    StudyMeasurement,
    View,
    VolumeMethod,
)

PREFERRED_VIEWS = (View.A4C, View.A2C)


def measure_study(clips: Sequence[ClipAnalysis]) -> StudyMeasurement | NotAssessed:
    """Return the mean over all beats of the A4C clips, of the A2C clips when no A4C clip was measured.

    Volumes rest on the beats of calibrated clips alone; they are None when there is none.
    """
    for view in PREFERRED_VIEWS:
        measured = [clip for clip in clips if clip.measurement is not None and _is_of(clip, view)]
        if measured:
            return _mean(measured, view)
    return NotAssessed(Reason.NO_ELIGIBLE_CLIP, f"no clip could be measured: {_sum_up(clips)}")


def _is_of(clip: ClipAnalysis, view: View) -> bool:
    return clip.view is not None and clip.view.view is view


def _mean(clips: Sequence[ClipAnalysis], view: View) -> StudyMeasurement:
    beats = [beat for clip in clips for beat in _beats(clip)]
    return StudyMeasurement(
        ef_percent=float(np.mean([beat.ef_percent for beat in beats])),
        edv_ml=_mean_ml(beat.end_diastole.disks_ml for beat in beats),
        esv_ml=_mean_ml(beat.end_systole.disks_ml for beat in beats),
        view=view,
        method=VolumeMethod.DISKS_SINGLE_PLANE,
        beat_count=len(beats),
        sop_instance_uids=tuple(clip.instance.sop_instance_uid for clip in clips),
    )


def _beats(clip: ClipAnalysis) -> tuple[Beat, ...]:
    return clip.measurement.beats if clip.measurement is not None else ()


def _mean_ml(volumes: Iterable[float | None]) -> float | None:
    known = [volume for volume in volumes if volume is not None]
    return float(np.mean(known)) if known else None


def _sum_up(clips: Sequence[ClipAnalysis]) -> str:
    """Return such as '2 x colour_doppler, 1 x view_not_measured', the most frequent reason first."""
    reasons = Counter(_reason(clip) for clip in clips)
    ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count} x {reason}" for reason, count in ordered) or "there are no clips"


def _reason(clip: ClipAnalysis) -> Reason:
    return clip.not_assessed.reason if clip.not_assessed is not None else Reason.VIEW_NOT_MEASURED
