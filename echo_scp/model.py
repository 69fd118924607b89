"""Values that flow between the stages: decode -> gate -> classify -> segment -> measure -> assess -> report.

Everything here is frozen. Frame *index* is 0-based (arrays); frame *number* is 1-based (DICOM references).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pydicom import Dataset

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


class Reason(StrEnum):
    """Why a clip or a study has no number. Stable: stored, counted and shown. Explained in docs/reasons.md."""

    NOT_AN_IMAGE = "not_an_image"
    NOT_ULTRASOUND = "not_ultrasound"
    NO_PIXEL_DATA = "no_pixel_data"
    ZERO_FRAMES = "zero_frames"
    TOO_FEW_FRAMES = "too_few_frames"
    BAD_DIMENSIONS = "bad_dimensions"
    UNSUPPORTED_PIXEL_FORMAT = "unsupported_pixel_format"
    UNSUPPORTED_TRANSFER_SYNTAX = "unsupported_transfer_syntax"
    TRUNCATED_PIXEL_DATA = "truncated_pixel_data"
    UNDECODABLE = "undecodable"
    NO_2D_REGION = "no_2d_region"
    TWO_REGIONS = "two_regions"
    COLOUR_DOPPLER = "colour_doppler"
    M_MODE = "m_mode"
    SPECTRAL_DOPPLER = "spectral_doppler"
    VOLUME_3D = "volume_3d"
    CONTRAST = "contrast"
    STRESS = "stress"
    NO_FRAME_TIME = "no_frame_time"
    SHORTER_THAN_A_BEAT = "shorter_than_a_beat"
    VIEW_NOT_MEASURED = "view_not_measured"
    NO_VENTRICLE = "no_ventricle"
    NOT_APICAL = "not_apical"
    UNTRUSTED_SEGMENTATION = "untrusted_segmentation"
    UNSTABLE_SEGMENTATION = "unstable_segmentation"
    NO_BEAT = "no_beat"
    NO_ELIGIBLE_CLIP = "no_eligible_clip"
    INTERNAL_ERROR = "internal_error"


class Flag(StrEnum):
    """What a reader of a number should know. Stable, like Reason; explained in docs/reasons.md."""

    NO_REGIONS = "no_regions"
    REGION_OUTSIDE_IMAGE = "region_outside_image"
    WRONG_SPACING_UNITS = "wrong_spacing_units"
    NO_CALIBRATION = "no_calibration"
    FRAME_TIME_DISAGREES = "frame_time_disagrees"
    HEART_RATE_ESTIMATED = "heart_rate_estimated"
    BITS_REDUCED = "bits_reduced"
    EF_OUT_OF_RANGE = "ef_out_of_range"
    IRREGULAR_RHYTHM = "irregular_rhythm"
    SINGLE_BEAT = "single_beat"
    DOUBTFUL_SEGMENTATION = "doubtful_segmentation"


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


@dataclass(frozen=True, slots=True)
class Instance:
    """A stored composite instance: its header (no pixel data) and where its Part-10 file is."""

    header: Dataset
    path: Path

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
    `heart_rate_bpm` and `r_wave_times_ms` are the machine's; None and () when it sent none.
    """

    instance: Instance
    frames: Frames
    frame_times_ms: Curve
    region: Region
    heart_rate_bpm: float | None = None
    r_wave_times_ms: tuple[float, ...] = ()
    notes: tuple[Note, ...] = ()


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


class VolumeMethod(StrEnum):
    """How volumes were computed from contours (PS3.16 CID 12228 and its neighbours)."""

    DISKS_SINGLE_PLANE = "disks_single_plane"
    AREA_LENGTH_SINGLE_PLANE = "area_length_single_plane"


@dataclass(frozen=True, slots=True)
class Ventricle:
    """The LV cavity on one frame and the geometry its volume came from; None where the clip is not calibrated.

    `contour`, `apex` and `annulus` (its two ends) are image coordinates (column, row).
    """

    frame_index: int
    contour: Points
    apex: tuple[float, float]
    annulus: tuple[tuple[float, float], tuple[float, float]]
    length_mm: float | None
    area_mm2: float | None
    disks_ml: float | None
    area_length_ml: float | None


@dataclass(frozen=True, slots=True)
class Beat:
    """One cardiac cycle: the largest LV and the smallest LV that follows it."""

    end_diastole: Ventricle
    end_systole: Ventricle
    ef_percent: float
    ef_area_length_percent: float


@dataclass(frozen=True, slots=True)
class ClipMeasurement:
    """What one clip says. Volumes are None when the clip is not calibrated; EF is the mean over its beats.

    `volume_curve` (T,) is in mL when calibrated, else in percent of its largest value.
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
class StudyMeasurement:
    """The headline of a study and the clips it rests on (SOP Instance UIDs)."""

    ef_percent: float
    edv_ml: float | None
    esv_ml: float | None
    view: View
    method: VolumeMethod
    beat_count: int
    sop_instance_uids: tuple[str, ...]


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
    """The result of a study revision, ready to be reported; `settings` are those that the numbers depend on."""

    study_instance_uid: str
    revision: int
    clips: tuple[ClipAnalysis, ...]
    result: StudyMeasurement | NotAssessed
    assessment: Assessment | None
    engines: tuple[EngineIdentity, ...]
    settings: str = ""
