"""Modality performed procedure steps: what machines say of their work, kept until the tables know it (PS3.4 F.7).

Only what tells when a study is complete is kept: state, study, instances. One file per step, replaced as a whole.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import structlog
from pydantic import TypeAdapter, ValidationError

from echo_scp.completeness import StepState
from echo_scp.errors import StorageError
from echo_scp.spool import Spool

MAXIMUM_STEPS = 10_000

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ProcedureStep:
    """A step as it was said last."""

    sop_instance_uid: str
    state: StepState
    study_instance_uids: tuple[str, ...]
    instance_uids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StepChange:
    """What an N-SET says; None: as it was."""

    state: StepState | None = None
    instance_uids: tuple[str, ...] | None = None


class StepExistsError(Exception):
    """A step of this UID was created before."""


class UnknownStepError(Exception):
    """No step of this UID was created here."""


class FinalStepError(Exception):
    """The step is finished and may not be changed."""


_STEP = TypeAdapter(ProcedureStep)


class StepDesk:
    """The folder of steps. Safe for threads and processes."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._folder = spool.steps_folder

    def create(self, step: ProcedureStep) -> None:
        """Keep a new step durably. Raises StepExistsError, StorageError."""
        path = self._spool.step_path(step.sop_instance_uid)
        with self._locked():
            if path.exists():
                raise StepExistsError
            if sum(1 for _ in self._folder.iterdir()) >= MAXIMUM_STEPS:
                raise StorageError(f"{MAXIMUM_STEPS} procedure steps wait")
            self._spool.write_note(path, _STEP.dump_json(step))

    def change(self, sop_instance_uid: str, change: StepChange) -> None:
        """Keep a change durably. Raises UnknownStepError, FinalStepError, StorageError."""
        path = self._spool.step_path(sop_instance_uid)
        with self._locked():
            try:
                step = _STEP.validate_json(path.read_bytes())
            except FileNotFoundError:
                raise UnknownStepError from None
            if step.state is not StepState.IN_PROGRESS:
                raise FinalStepError
            if change.state is not None:
                step = replace(step, state=change.state)
            if change.instance_uids is not None:
                step = replace(step, instance_uids=change.instance_uids)
            self._spool.write_note(path, _STEP.dump_json(step))

    def files(self) -> Iterator[tuple[Path, int]]:
        """Return the files of all steps, with the time of their last change (ns since 1970)."""
        for path in sorted(self._folder.glob("*.step")):
            yield path, path.stat().st_mtime_ns

    def read(self, path: Path) -> ProcedureStep | None:
        """Return what a file says; None when it cannot be read."""
        try:
            return _STEP.validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            log.error("procedure_step.unreadable", path=str(path), detail=type(error).__name__)
            return None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            lock = (self._folder / "lock").open("w")
        except OSError as error:
            raise StorageError(str(error)) from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
