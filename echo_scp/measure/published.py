"""The headline as a published pipeline would give it, where the configuration asks for that (docs/measurement.md)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from echo_scp.config import MeasureConfig
from echo_scp.measure.choice import Candidate, best_single
from echo_scp.measure.regressed import regressed_ef
from echo_scp.model import NotAssessed, Reason, Reproduction, StudyMeasurement, VolumeMethod

OCCLUDED_LA_SHARE = 0.30  # Zhang 2018: an LA that small beside the LV was not seen whole
EDV_PERCENTILE, ESV_PERCENTILE, EF_PERCENTILE, LA_PERCENTILE = 50, 25, 75, 25  # over the clips

Reproduced = Sequence[tuple[Candidate, Reproduction]]


def published_headline(found: Sequence[Candidate], config: MeasureConfig) -> StudyMeasurement | NotAssessed:
    """Return EF and volumes of the configured pipeline from the clips of one view, or why it gives none."""
    view = best_single(found, config)[0].view
    clips = [clip for clip in found if clip.view is view]
    reproduced = [(clip, clip.measurement.reproduction) for clip in clips if clip.measurement.reproduction is not None]
    if config.aggregation == "usal":
        return _usal_echo(reproduced)
    return _echonet_dynamic([pair for pair in reproduced if pair[1].ef_percent is not None])


def _usal_echo(reproduced: Reproduced) -> StudyMeasurement | NotAssessed:
    seen = [(clip, numbers) for clip, numbers in reproduced if not _is_occluded(numbers)]
    ef_percent = _percentile((numbers.ef_percent for _, numbers in seen), EF_PERCENTILE)
    if ef_percent is None:
        detail = f"usal_echo's rules leave no EF of {len(reproduced)} calibrated clips"
        return NotAssessed(Reason.NO_ELIGIBLE_CLIP, detail)
    la_volume_ml = _percentile((numbers.la_volume_ml for _, numbers in seen), LA_PERCENTILE)
    return StudyMeasurement(
        ef_percent=ef_percent,
        edv_ml=_percentile((numbers.edv_ml for _, numbers in seen), EDV_PERCENTILE),
        esv_ml=_percentile((numbers.esv_ml for _, numbers in seen), ESV_PERCENTILE),
        view=seen[0][0].view,
        method=VolumeMethod.AREA_LENGTH_SINGLE_PLANE,
        beat_count=sum(numbers.window_count for _, numbers in seen),
        sop_instance_uids=tuple(clip.sop_instance_uid for clip, _ in seen),
        la_volume_ml=la_volume_ml,
        la_method=None if la_volume_ml is None else VolumeMethod.AREA_LENGTH_SINGLE_PLANE,
        la_view=None if la_volume_ml is None else seen[0][0].view,
        aggregation="usal",
        choice=f"By usal_echo's percentiles over {_listed(clip for clip, _ in seen)}.",
    )


def _is_occluded(numbers: Reproduction) -> bool:
    la_ml, edv_ml = numbers.la_volume_ml, numbers.edv_ml
    return la_ml is not None and edv_ml is not None and la_ml / edv_ml < OCCLUDED_LA_SHARE


def _echonet_dynamic(reproduced: Reproduced) -> StudyMeasurement | NotAssessed:
    """Return the mean over clips: of the network's EFs where there are any, else of those of the outlines."""
    if not reproduced:
        return NotAssessed(Reason.NO_ELIGIBLE_CLIP, "EchoNet-Dynamic's rule finds no beat in any clip")
    regressed = regressed_ef(clip for clip, _ in reproduced)
    outlined = float(np.mean([numbers.ef_percent for _, numbers in reproduced]))
    source = regressed.engine if regressed else "the outlines"
    return StudyMeasurement(
        ef_percent=regressed.ef_percent if regressed else outlined,
        edv_ml=_mean(numbers.edv_ml for _, numbers in reproduced),
        esv_ml=_mean(numbers.esv_ml for _, numbers in reproduced),
        view=reproduced[0][0].view,
        method=VolumeMethod.REGRESSION if regressed else VolumeMethod.DISKS_SINGLE_PLANE,
        beat_count=sum(numbers.window_count for _, numbers in reproduced),
        sop_instance_uids=tuple(clip.sop_instance_uid for clip, _ in reproduced),
        aggregation="echonet-dynamic",
        choice=f"Beat by beat as EchoNet-Dynamic, EF by {source}, over {_listed(clip for clip, _ in reproduced)}.",
    )


def _listed(clips: Iterable[Candidate]) -> str:
    return ", ".join(clip.described for clip in clips)


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _percentile(values: Iterable[float | None], percent: float) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.percentile(known, percent)) if known else None
