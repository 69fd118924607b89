"""What became of one case: stored as JSON per case, so that an evaluation that was stopped goes on where it was."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from echo_scp.evaluate.case import UNREADABLE, Phase, Refusal
from echo_scp.model import Reason, Sex, Structure, View

MAY_PASS: frozenset[str] = frozenset({Reason.INTERNAL_ERROR, UNREADABLE})


class Quantity(StrEnum):
    """What is compared."""

    EF = "ef_percent"
    EDV = "edv_ml"
    ESV = "esv_ml"


class Against(StrEnum):
    """What counts as the truth of a comparison."""

    EXPERTS = "experts' outlines"
    REFERENCE = "reference"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A measured number beside the true one; without a number, why. `interval` is the 95 % interval stated with it."""

    quantity: Quantity
    measured_by: str
    against: Against
    clip: str
    truth: float
    measured: float | None = None
    refusal: Refusal | None = None
    interval: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class FrameScore:
    """How an outline agrees with the experts' on one frame; None where one of the two is empty.

    The Hausdorff distance (95 %) is in mm, or in pixels where the clip is not calibrated.
    """

    clip: str
    view: View | None
    phase: Phase
    structure: Structure
    dice: float | None
    intersection_over_union: float | None
    hausdorff95: float | None
    calibrated: bool


@dataclass(frozen=True, slots=True)
class MeasuredBeat:
    """Frame indices and EF of one beat."""

    end_diastole: int
    end_systole: int
    ef_percent: float


@dataclass(frozen=True, slots=True)
class ClipOutcome:
    """What the product said of one clip; `trust` is the Dice, 0..1, that it expects of its outlines.

    `sizes_px` is the LV's area per frame, () of a cine without a number.
    """

    name: str
    true_view: View | None = None
    view: View | None = None
    view_confidence: float | None = None
    refusal: Refusal | None = None
    ef_percent: float | None = None
    edv_ml: float | None = None
    esv_ml: float | None = None
    ef_interval: tuple[float, float] | None = None
    trust: float | None = None
    beats: tuple[MeasuredBeat, ...] = ()
    sizes_px: tuple[int, ...] = ()
    true_end_diastole: int | None = None
    true_end_systole: int | None = None


@dataclass(frozen=True, slots=True)
class CaseResult:
    """Everything that the summary needs of one case under one change of its pixels."""

    identifier: str
    patient: str
    change: str
    sex: Sex | None
    clips: tuple[ClipOutcome, ...]
    frames: tuple[FrameScore, ...]
    comparisons: tuple[Comparison, ...]
    problem: Refusal | None = None

    @property
    def failed(self) -> bool:
        """Whether the software failed on a clip or could not read it: disk, memory or rights may be there next time."""
        return any(clip.refusal is not None and clip.refusal.reason in MAY_PASS for clip in self.clips)
