"""Values that flow between the stages: decode -> gate -> classify -> segment -> measure -> assess -> report.

Everything here is frozen. Frame *index* is 0-based (arrays); frame *number* is 1-based (DICOM references).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from echo_scp.reasons import Flag as Flag  # noqa: PLC0414 - part of what flows between the stages
from echo_scp.reasons import Reason as Reason  # noqa: PLC0414

if TYPE_CHECKING:
    from pydicom import Dataset

MANUFACTURER = "echo-scp"  # of every result, and its Manufacturer's Model Name
Frames = NDArray[np.uint8]  # (T, H, W) luminance, 0 black .. 255 white
LabelMaps = NDArray[np.uint8]  # (T, H, W) one Structure value per pixel, 0 is background
Curve = NDArray[np.float64]  # (T,) one value per frame; NaN where a frame gives none
Points = NDArray[np.float64]  # (N, 2) as (column, row), continuous image coordinates, pixel centre at + 0.5


class View(StrEnum):
    """Standard transthoracic views (PS3.16 CID 12226)."""

    A4C = "A4C"
    A2C = "A2C"
    A3C = "A3C"
    A5C = "A5C"
    PLAX = "PLAX"
    PSAX = "PSAX"
    SUBCOSTAL = "SUBCOSTAL"
    OTHER = "other"


MEASURED_VIEWS = (View.A4C, View.A2C)  # in which the long axis of the LV lies in the picture


class Structure(StrEnum):
    """What a segmentation engine may outline."""

    LV_CAVITY = "lv_cavity"
    LV_MYOCARDIUM = "lv_myocardium"
    LEFT_ATRIUM = "left_atrium"
    RIGHT_VENTRICLE = "right_ventricle"
    INTERVENTRICULAR_SEPTUM = "interventricular_septum"
    AORTIC_ROOT = "aortic_root"


@dataclass(frozen=True, slots=True)
class NotAssessed:
    """No number, and why."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Note:
    """A flag on a number, with the values that raised it."""

    flag: Flag
    detail: str


def is_own_result(header: Dataset) -> bool:
    """Tell whether echo-scp, here or elsewhere, made an instance: what it says of a heart is no acquisition."""
    return all(header.get(keyword) == MANUFACTURER for keyword in ("Manufacturer", "ManufacturerModelName"))


@dataclass(frozen=True, slots=True)
class Instance:
    """A stored composite instance: its header (no pixel data) and where its Part-10 file is, or should be.

    One that `is_lost` has the header that the index knows: UIDs.
    """

    header: Dataset
    path: Path
    is_lost: bool = False

    @property
    def study_instance_uid(self) -> str:
        return str(self.header.StudyInstanceUID)

    @property
    def series_instance_uid(self) -> str:
        return str(self.header.SeriesInstanceUID)

    @property
    def sop_instance_uid(self) -> str:
        return str(self.header.SOPInstanceUID)

    @property
    def sop_class_uid(self) -> str:
        return str(self.header.get("SOPClassUID", ""))


@dataclass(frozen=True, slots=True)
class PixelSpacing:
    """Millimetres between the centres of adjacent rows (downwards) and of adjacent columns (rightwards)."""

    row_mm: float
    column_mm: float


@dataclass(frozen=True, slots=True)
class Region:
    """The 2D tissue area of the picture as a half-open pixel box; `spacing` is None when it cannot be trusted."""

    x0: int
    y0: int
    x1: int
    y1: int
    spacing: PixelSpacing | None


@dataclass(frozen=True, slots=True)
class Clip:
    """A decoded, eligible multi-frame instance.

    `frames` (T, H, W) is the whole picture in luminance. `frame_times_ms` (T,) starts at 0 and increases.
    `heart_rate_bpm` and `r_wave_times_ms` are the machine's; None and () when it sent none. `stage` tells a stage of a
    stress protocol, "" at rest.
    """

    instance: Instance
    frames: Frames
    frame_times_ms: Curve
    region: Region
    heart_rate_bpm: float | None = None
    r_wave_times_ms: tuple[float, ...] = ()
    notes: tuple[Note, ...] = ()
    stage: str = ""


@dataclass(frozen=True, slots=True)
class EngineIdentity:
    """Which network produced a result: the hash of its artefact, and that of how the manifest says to use it."""

    name: str
    version: str
    sha256: str
    usage_sha256: str = ""

    @property
    def fingerprint(self) -> str:
        """Return what stands for everything of the engine that a number depends on."""
        return f"{self.name} {self.version} {self.sha256} {self.usage_sha256}"


@dataclass(frozen=True, slots=True)
class ViewEstimate:
    """The view of a clip; `confidence` is the calibrated probability of `view`, 0..1.

    `evidence` tells what the header says of the view and, where that and the network do not agree, what was made of it.
    """

    view: View
    confidence: float
    probabilities: tuple[tuple[View, float], ...]
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class Segmentation:
    """Label maps (T, H, W) in the clip's own pixels; value k >= 1 means `structures[k - 1]`."""

    label_maps: LabelMaps
    structures: tuple[Structure, ...]

    def masks(self, structure: Structure) -> NDArray[np.bool_]:
        """Return (T, H, W) booleans; all False when the engine does not outline the structure."""
        if structure not in self.structures:
            return np.zeros(self.label_maps.shape, dtype=bool)
        return np.equal(self.label_maps, self.structures.index(structure) + 1)

    def reach(self, structure: Structure) -> NDArray[np.bool_]:
        """Return (H, W) where the structure is on any frame."""
        seen = np.zeros(self.label_maps.shape[1:], dtype=bool)
        if structure in self.structures:
            value = self.structures.index(structure) + 1
            for frame in self.label_maps:  # one after the other: masks of all frames fit into no cache
                seen |= np.equal(frame, value)
        return seen


def renumbered(
    labels: NDArray[np.uint8], structures: tuple[Structure, ...], wanted: tuple[Structure, ...]
) -> NDArray[np.uint8]:
    """Return labels of `structures`, of any shape, as labels of `wanted`, some of these; all else is background."""
    number_of = np.zeros(256, dtype=np.uint8)  # one per value that a label may have
    for number, structure in enumerate(wanted, start=1):
        number_of[structures.index(structure) + 1] = number
    return np.asarray(number_of[labels])


class VolumeMethod(StrEnum):
    """How volumes were computed from contours (PS3.16 CID 12228), or an EF without any."""

    DISKS_BIPLANE = "disks_biplane"
    DISKS_SINGLE_PLANE = "disks_single_plane"
    AREA_LENGTH_BIPLANE = "area_length_biplane"
    AREA_LENGTH_SINGLE_PLANE = "area_length_single_plane"
    REGRESSION = "regression"

    @property
    def is_biplane(self) -> bool:
        """Whether it takes both apical planes."""
        return self in (VolumeMethod.DISKS_BIPLANE, VolumeMethod.AREA_LENGTH_BIPLANE)


@dataclass(frozen=True, slots=True)
class Ventricle:
    """The LV cavity on one frame and the geometry its volume came from; None where the clip is not calibrated.

    `contour`, `apex` and `annulus` (its two ends) are image coordinates (column, row). `diameters_mm` are the widths of
    the 20 disks from apex to annulus; () where the clip is not calibrated.
    """

    frame_index: int
    contour: Points
    apex: tuple[float, float]
    annulus: tuple[tuple[float, float], tuple[float, float]]
    length_mm: float | None
    area_mm2: float | None
    disks_ml: float | None
    area_length_ml: float | None
    diameters_mm: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Atrium:
    """The LA cavity on one frame of a calibrated clip; `roof` is the point farthest from the annulus.

    `contour`, `roof` and `annulus` are image coordinates (column, row).
    """

    frame_index: int
    contour: Points
    roof: tuple[float, float]
    annulus: tuple[tuple[float, float], tuple[float, float]]
    length_mm: float
    area_mm2: float
    area_length_ml: float


@dataclass(frozen=True, slots=True)
class Beat:
    """One cardiac cycle: the largest LV and the smallest LV that follows it.

    `left_atrium` is the LA at end-systole; None when it is not outlined, cut off, or the clip is not calibrated.
    """

    end_diastole: Ventricle
    end_systole: Ventricle
    ef_percent: float
    ef_area_length_percent: float
    left_atrium: Atrium | None = None


@dataclass(frozen=True, slots=True)
class Interval:
    """The range that holds the true value with a probability of 95 %."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class QualityPart:
    """One thing that makes a clip's outlines credible, 1 (nothing to complain of) to 0 (not credible at all)."""

    name: str
    score: float


@dataclass(frozen=True, slots=True)
class Quality:
    """How credible a clip's outlines are, and what takes away from it."""

    parts: tuple[QualityPart, ...] = ()

    @property
    def score(self) -> float:
        """The product of the parts, 0..1."""
        return prod(part.score for part in self.parts)

    @property
    def weakest(self) -> QualityPart | None:
        """The part that costs most; None when nothing does."""
        part = min(self.parts, key=lambda part: part.score, default=None)
        return part if part is not None and part.score < 1 else None


@dataclass(frozen=True, slots=True)
class Reproduction:
    """What the formula of a published pipeline makes of a clip's outlines; None where it gives nothing."""

    ef_percent: float | None
    edv_ml: float | None
    esv_ml: float | None
    la_volume_ml: float | None
    window_count: int


@dataclass(frozen=True, slots=True)
class ClipMeasurement:
    """What one clip says. Volumes are None when the clip is not calibrated; EF is the mean over its beats.

    `volume_curve` (T,) is in mL when calibrated, else in percent of its largest value. `segmentation_sd_percent` is the
    SD of the EF, in points, that test-time variation of the outlines gave; None when nothing was varied.
    `reproduction` is there when the configuration asks for a published pipeline's formula.
    """

    beats: tuple[Beat, ...]
    ef_percent: float
    ef_sd_percent: float | None
    ef_area_length_percent: float
    edv_ml: float | None
    esv_ml: float | None
    heart_rate_bpm: float
    calibrated: bool
    volume_curve: Curve
    method: VolumeMethod = VolumeMethod.DISKS_SINGLE_PLANE
    notes: tuple[Note, ...] = ()
    ef_interval: Interval | None = None
    la_volume_ml: float | None = None
    quality: Quality = Quality()
    segmentation_sd_percent: float | None = None
    reproduction: Reproduction | None = None

    @property
    def heart_rate_is_told(self) -> bool:
        """Whether the heart rate is the machine's and the clip bears it out; else it was read off the clip."""
        return not any(note.flag in (Flag.HEART_RATE_ESTIMATED, Flag.HEART_RATE_DISAGREES) for note in self.notes)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number that a network gave for a clip, beside what was measured: the mean over `run_count` runs of its frames.

    `unit` is UCUM's. `research` marks what no report may state as a finding.
    """

    name: str
    value: float
    unit: str
    engine: EngineIdentity
    research: bool
    run_count: int


@dataclass(frozen=True, slots=True)
class ClipAnalysis:
    """Everything known of one instance: either a measurement, or the reason why there is none.

    `trust` is the Dice, 0..1, to be expected of the segmentation; None when it was not judged.
    """

    instance: Instance
    clip: Clip | None = None
    view: ViewEstimate | None = None
    segmentation: Segmentation | None = None
    trust: float | None = None
    measurement: ClipMeasurement | None = None
    not_assessed: NotAssessed | None = None
    notes: tuple[Note, ...] = ()
    estimates: tuple[Estimate, ...] = ()


@dataclass(frozen=True, slots=True)
class BodySize:
    """The patient's size and the surface computed from it; `formula` is its author's name."""

    height_m: float
    weight_kg: float
    surface_m2: float
    formula: str


@dataclass(frozen=True, slots=True)
class OverlayCine:
    """A clip drawn again with its outlines, as JPEG Baseline; (x0, y0) is where the source's 2D region begins."""

    frames: tuple[bytes, ...] = ()
    rows: int = 0
    columns: int = 0
    x0: int = 0
    y0: int = 0


@dataclass(frozen=True, slots=True)
class StudyMeasurement:
    """The headline of a study and the clips it rests on (SOP Instance UIDs).

    None where something is not known: volumes without calibration, `heart_rate_bpm` when the machine sent none that the
    clips bear out, `body` without a credible height and weight, `la_view` of an LA volume from both planes. `length_mm`
    and `area_mm2` are the LV's at end-diastole. `choice` says in one sentence why these clips.
    """

    ef_percent: float
    edv_ml: float | None
    esv_ml: float | None
    view: View
    method: VolumeMethod
    beat_count: int
    sop_instance_uids: tuple[str, ...]
    ef_interval: Interval | None = None
    ef_sd_percent: float | None = None
    ef_area_length_percent: float | None = None
    edv_area_length_ml: float | None = None
    esv_area_length_ml: float | None = None
    length_mm: float | None = None
    area_mm2: float | None = None
    la_volume_ml: float | None = None
    la_method: VolumeMethod | None = None
    la_view: View | None = None
    heart_rate_bpm: float | None = None
    body: BodySize | None = None
    regressed_ef_percent: float | None = None
    aggregation: str = "beats"
    choice: str = ""
    notes: tuple[Note, ...] = ()

    @property
    def volume_method(self) -> VolumeMethod:
        """How the volumes were computed: beside a network's EF they are those of the outlines."""
        return VolumeMethod.DISKS_SINGLE_PLANE if self.method is VolumeMethod.REGRESSION else self.method

    @property
    def stroke_volume_ml(self) -> float | None:
        """EDV - ESV."""
        return None if self.edv_ml is None or self.esv_ml is None else self.edv_ml - self.esv_ml

    @property
    def cardiac_output_l_min(self) -> float | None:
        """Stroke volume times heart rate, in litres per minute."""
        volume = self.stroke_volume_ml
        return None if volume is None or self.heart_rate_bpm is None else volume * self.heart_rate_bpm / 1000

    @property
    def edv_index_ml_m2(self) -> float | None:
        """EDV per body surface."""
        return self._indexed(self.edv_ml)

    @property
    def esv_index_ml_m2(self) -> float | None:
        """ESV per body surface."""
        return self._indexed(self.esv_ml)

    @property
    def stroke_index_ml_m2(self) -> float | None:
        """Stroke volume per body surface."""
        return self._indexed(self.stroke_volume_ml)

    @property
    def cardiac_index_l_min_m2(self) -> float | None:
        """Cardiac output per body surface."""
        return self._indexed(self.cardiac_output_l_min)

    @property
    def la_index_ml_m2(self) -> float | None:
        """LA volume per body surface."""
        return self._indexed(self.la_volume_ml)

    def _indexed(self, value: float | None) -> float | None:
        return None if value is None or self.body is None else value / self.body.surface_m2


class Sex(StrEnum):
    """Patient's Sex (0010,0040) as far as the thresholds know it."""

    MALE = "M"
    FEMALE = "F"


@dataclass(frozen=True, slots=True)
class Grade:
    """One published scale's word for a number; `scale` names the source, e.g. 'ASE/EACVI 2015, men'."""

    scale: str
    grade: str


@dataclass(frozen=True, slots=True)
class Assessment:
    """All grades side by side; `thresholds_below` lists which of 50, 45, 40 and 35 % the EF is under."""

    grades: tuple[Grade, ...]
    thresholds_below: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class StudyAnalysis:
    """The result of a study revision, ready to be reported.

    `settings` are those that the numbers depend on; `measure_settings` tells a reader which of the measurement's differ
    from the defaults, as (key, value).
    """

    study_instance_uid: str
    revision: int
    clips: tuple[ClipAnalysis, ...]
    result: StudyMeasurement | NotAssessed
    assessment: Assessment | None
    engines: tuple[EngineIdentity, ...]
    settings: str = ""
    measure_settings: tuple[tuple[str, str], ...] = ()


def as_told(value: float) -> float:
    """Return a measured number as reports tell it, which is what is graded."""
    return round(value, 1)
