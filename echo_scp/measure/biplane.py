"""Volumes from a four and a two chamber clip of the same heart.

The two were not taken in the same beat: every beat of one is combined with every beat of the other, and the mean of all
combinations is the result. One more beat in a clip moves it by that beat's weight, as in a mean over beats.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from echo_scp.config import MeasureConfig
from echo_scp.measure.geometry import biplane_area_length_volume, sum_of_disks
from echo_scp.measure.interval import around, beat_variance, outline_variance
from echo_scp.measure.shape import MM3_PER_ML
from echo_scp.model import Atrium, Beat, ClipMeasurement, Interval, Ventricle

_Formula = Callable[[Ventricle, Ventricle], float]


@dataclass(frozen=True, slots=True)
class Biplane:
    """The means over all combinations of beats."""

    ef_percent: float
    edv_ml: float
    esv_ml: float
    ef_area_length_percent: float
    edv_area_length_ml: float
    esv_area_length_ml: float


def biplane_volumes(four: Sequence[Beat], two: Sequence[Beat]) -> Biplane:
    """Return volumes and EF by both methods; the beats are those of calibrated clips."""
    disks = np.array([_volumes(pair, _disks_ml) for pair in product(four, two)])
    area_length = np.array([_volumes(pair, _area_length_ml) for pair in product(four, two)])
    return Biplane(*_means(disks), *_means(area_length))


def _volumes(pair: tuple[Beat, Beat], volume_ml: _Formula) -> tuple[float, float]:
    four, two = pair
    return volume_ml(four.end_diastole, two.end_diastole), volume_ml(four.end_systole, two.end_systole)


def _means(volumes: np.ndarray) -> Iterator[float]:
    edv, esv = volumes.T
    yield from (float(np.mean(values)) for values in (100 * (1 - esv / edv), edv, esv))


def _disks_ml(four: Ventricle, two: Ventricle) -> float:
    """Return pi/4 * sum(a * b) * L/20 with the longer of the two long axes."""
    length_mm = max(_known(four.length_mm), _known(two.length_mm))
    return sum_of_disks(np.array(four.diameters_mm), np.array(two.diameters_mm), length_mm) / MM3_PER_ML


def _area_length_ml(four: Ventricle, two: Ventricle) -> float:
    """Return 8 A1 A2 / (3 pi L) with the longer of the two long axes."""
    length_mm = max(_known(four.length_mm), _known(two.length_mm))
    return biplane_area_length_volume(_known(four.area_mm2), _known(two.area_mm2), length_mm) / MM3_PER_ML


def atrial_volume_ml(four: Sequence[Atrium], two: Sequence[Atrium]) -> float | None:
    """Return 8 A1 A2 / (3 pi L) with the shorter of the two lengths, the mean of all combinations; None without any."""
    volumes = [
        biplane_area_length_volume(one.area_mm2, other.area_mm2, min(one.length_mm, other.length_mm)) / MM3_PER_ML
        for one, other in product(four, two)
    ]
    return float(np.mean(volumes)) if volumes else None


def biplane_interval(ef_percent: float, planes: Sequence[Sequence[ClipMeasurement]], config: MeasureConfig) -> Interval:
    """Return the interval of a biplane EF: the beats and outlines of either plane's clips count half."""
    variances = [
        beat_variance([beat.ef_percent for clip in plane for beat in clip.beats], config)
        + max(outline_variance(clip.segmentation_sd_percent, config) for clip in plane)
        for plane in planes
    ]
    return around(ef_percent, sum(variances) / 4)


def _known(value: float | None) -> float:
    if value is None:
        raise AssertionError("a biplane volume is of calibrated clips only")
    return value
