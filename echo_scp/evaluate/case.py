"""What is evaluated: patients with their clips, and what is known to be true of each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from echo_scp.config import AnalysisConfig
from echo_scp.model import Clip, Sex, Structure, View

LabelMap = NDArray[np.uint8]  # (H, W): value k >= 1 means structures[k - 1], 0 is background


class Phase(StrEnum):
    """The two moments of a beat that people trace."""

    END_DIASTOLE = "ED"
    END_SYSTOLE = "ES"


@dataclass(frozen=True, slots=True)
class Reference:
    """Numbers that somebody else measured; None where they did not."""

    ef_percent: float | None = None
    edv_ml: float | None = None
    esv_ml: float | None = None


NOTHING_KNOWN = Reference()
UNREADABLE = "unreadable"  # a reason of evaluation's own: labels, pictures or headers that cannot be used


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is no number: a stable code and what an operator needs to know."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class LabelledFrame:
    """A frame whose phase is known and which experts may have traced; `structures` are those they traced."""

    phase: Phase
    frame_index: int
    label_map: LabelMap | None = None
    structures: tuple[Structure, ...] = ()


@dataclass(frozen=True, slots=True)
class LoadedClip:
    """A clip in memory, with the frames of it that somebody pointed out."""

    clip: Clip
    labelled: tuple[LabelledFrame, ...]


class ClipSource(Protocol):
    """Where a clip and its truth come from; small, and the same in every process."""

    @property
    def name(self) -> str:
        """How the report calls the clip."""
        ...

    @property
    def view(self) -> View | None:
        """The true view; None when it is not known."""
        ...

    @property
    def cine(self) -> bool:
        """Whether it moves; False when there are labelled frames only, in which no beat can be sought."""
        ...

    @property
    def reference(self) -> Reference:
        """What was measured on this clip alone."""
        ...

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files that the clip and its labels are read from."""
        ...

    def load(self, config: AnalysisConfig) -> LoadedClip:
        """Read the clip; raises InstanceError or EvaluationError saying why it cannot be."""
        ...


@dataclass(frozen=True, slots=True)
class Case:
    """One patient's study: the unit of work, and of the bootstrap where `patient` differs.

    `reference` holds for the study as a whole. A row of truth that leads to no image is a case with a `problem`.
    """

    identifier: str
    patient: str
    clips: tuple[ClipSource, ...]
    reference: Reference = NOTHING_KNOWN
    sex: Sex | None = None
    problem: Refusal | None = None


@dataclass(frozen=True, slots=True)
class DataSet:
    """The cases of an evaluation and how they were found; `remarks` say what was left out."""

    layout: str
    cases: tuple[Case, ...]
    remarks: tuple[str, ...] = ()
