"""Storage commitment: what was asked, what is answered, and the folder where both outlive a crash (PS3.4 J).

A receiver writes a request before it says Success to the N-ACTION; the node answers it from the tables; the answer
lies there until a peer confirmed its N-EVENT-REPORT. Who sends it holds a lock on it, which ends with its process.
Reports of archives on what they took from us lie there too, until the outbox has taken them up.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import BinaryIO

import structlog
from pydantic import TypeAdapter, ValidationError
from pydicom import Dataset
from pydicom.uid import UID

from echo_scp.errors import StorageError
from echo_scp.spool import Spool

STORAGE_COMMITMENT = UID("1.2.840.10008.1.20.1")  # Push Model SOP Class
STORAGE_COMMITMENT_INSTANCE = UID("1.2.840.10008.1.20.1.1")  # its one, well-known instance
MAXIMUM_PENDING = 10_000

log = structlog.get_logger(__name__)


class FailureReason(IntEnum):
    """Failure Reason (0008,1197), PS3.3 C.14.1.1."""

    PROCESSING_FAILURE = 0x0110
    NO_SUCH_OBJECT_INSTANCE = 0x0112
    CLASS_INSTANCE_CONFLICT = 0x0119


@dataclass(frozen=True, slots=True)
class Reference:
    """An instance by its UIDs."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class CommitmentRequest:
    """What a peer asked, and when (seconds since 1970)."""

    transaction_uid: str
    calling_ae_title: str
    called_ae_title: str
    references: tuple[Reference, ...]
    requested_at: float

    @property
    def name(self) -> str:
        """Name the request in files: the same transaction of the same peer is the same request."""
        return hashlib.sha256(f"{self.calling_ae_title}\n{self.transaction_uid}".encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class CommitmentAnswer:
    """What is told to the peer; what did not fail is committed."""

    request: CommitmentRequest
    failed: tuple[tuple[Reference, FailureReason], ...]
    answered_at: float

    @property
    def committed(self) -> tuple[Reference, ...]:
        """Return the references that are durable."""
        failed = {reference for reference, _ in self.failed}
        return tuple(reference for reference in self.request.references if reference not in failed)


@dataclass(frozen=True, slots=True)
class CommitmentReport:
    """What an archive answered: committed SOP Instance UIDs, and those that failed with their reason."""

    committed: frozenset[str]
    failed: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class ArchiveReport:
    """What an archive told, on an association of its own, of objects that it was asked about."""

    transaction_uid: str
    calling_ae_title: str
    report: CommitmentReport


_REQUEST = TypeAdapter(CommitmentRequest)
_REPORT = TypeAdapter(ArchiveReport)
_ANSWER = TypeAdapter(CommitmentAnswer)


def read_report(information: Dataset) -> CommitmentReport:
    """Return what the Event Information of an N-EVENT-REPORT says (PS3.4 Table J.3-4)."""
    committed = frozenset(str(item.ReferencedSOPInstanceUID) for item in information.get("ReferencedSOPSequence") or ())
    failed = tuple(
        (str(item.ReferencedSOPInstanceUID), int(item.get("FailureReason") or 0))
        for item in information.get("FailedSOPSequence") or ()
    )
    return CommitmentReport(committed, failed)


class Taken:
    """An answer that is being sent by us and nobody else."""

    def __init__(self, answer: CommitmentAnswer, path: Path, file: BinaryIO) -> None:
        self.answer = answer
        self._path = path
        self._file = file

    def done(self) -> None:
        """Forget an answer that its peer confirmed."""
        self._path.unlink(missing_ok=True)
        self._file.close()

    def release(self) -> None:
        """Leave the answer to whoever tries next."""
        self._file.close()


class CommitmentDesk:
    """The folder of requests and answers. Safe for threads and processes."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._folder = spool.commitments_folder

    def ask(self, request: CommitmentRequest) -> None:
        """Keep a request durably. Raises StorageError, also when too many wait."""
        self._require_room()
        self._spool.write_note(self._folder / f"{request.name}.request", _REQUEST.dump_json(request))

    def requests(self) -> Iterator[CommitmentRequest]:
        """Return what is not answered yet."""
        for path in sorted(self._folder.glob("*.request")):
            try:
                yield _REQUEST.validate_json(path.read_bytes())
            except (OSError, ValidationError) as error:
                log.error("commitment.unreadable", path=str(path), detail=type(error).__name__)

    def answer(self, answer: CommitmentAnswer) -> None:
        """Keep an answer durably; its request is done. Raises StorageError."""
        name = answer.request.name
        self._spool.write_note(self._folder / f"{name}.answer", _ANSWER.dump_json(answer))
        (self._folder / f"{name}.request").unlink(missing_ok=True)

    def answered(self) -> tuple[str, ...]:
        """Return the names of answers that no peer has confirmed."""
        return tuple(path.stem for path in self._folder.glob("*.answer"))

    def keep_report(self, report: ArchiveReport) -> None:
        """Keep what an archive told, durably. Raises StorageError, also when too much waits."""
        self._require_room()
        content = _REPORT.dump_json(report)
        self._spool.write_note(self._folder / f"{hashlib.sha256(content).hexdigest()[:32]}.report", content)

    def reports(self) -> Iterator[tuple[Path, ArchiveReport]]:
        """Return what archives told, the oldest first, with the file to remove when it is taken up."""
        for path in sorted(self._folder.glob("*.report"), key=lambda path: path.stat().st_mtime_ns):
            try:
                yield path, _REPORT.validate_json(path.read_bytes())
            except (OSError, ValidationError) as error:
                log.error("commitment.unreadable", path=str(path), detail=type(error).__name__)

    def _require_room(self) -> None:
        if sum(1 for _ in self._folder.iterdir()) >= MAXIMUM_PENDING:
            raise StorageError(f"{MAXIMUM_PENDING} notes of storage commitment wait")

    def take(self, name: str) -> Taken | None:
        """Return an answer to send; None when there is none, or somebody else is sending it."""
        path = self._folder / f"{name}.answer"
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(file.fileno()).st_nlink:
                return Taken(_ANSWER.validate_json(file.read()), path, file)
        except BlockingIOError:
            pass
        except ValidationError as error:
            log.error("commitment.unreadable", path=str(path), detail=type(error).__name__)
        file.close()
        return None
