"""What a stranger's bytes reach, as functions of bytes: each raises only when something is wrong with us."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from io import BytesIO
from pathlib import Path

from pydicom.uid import ExplicitVRLittleEndian

from echo_scp.commitment import CommitmentRequest
from echo_scp.completeness import StepState
from echo_scp.decode import read_instance
from echo_scp.errors import InstanceError, UnindexableFileError
from echo_scp.procedure_step import ProcedureStep, StepChange
from echo_scp.receive import notes
from echo_scp.receive.command import read_command, store_response
from echo_scp.receive.dimse import DimseProvider
from echo_scp.receive.negotiation import Agreement, RejectionError, negotiate
from echo_scp.receive.services import Services
from echo_scp.receive.status import Status
from echo_scp.receive.upper_layer import ProtocolError, UpperLayer, p_data_pdus
from echo_scp.spool import SpooledIdentity

_MAXIMUM_PDU_BYTES = 16384
_AGREEMENT = Agreement(
    "CART", "ECHO_SCP", {1: "1.2.840.10008.1.2", 3: "1.2.840.10008.1.2.1", 5: "1.2.840.10008.1.2.1"}, 0, 4096
)


def associate(data: bytes) -> None:
    """Negotiate an A-ASSOCIATE-RQ: it is accepted, rejected or no request."""
    with suppress(RejectionError, ProtocolError):
        agreement, answer = negotiate(data, _MAXIMUM_PDU_BYTES)
        assert answer[0] == 0x02
        assert len(agreement.contexts) <= 256
        assert agreement.peer_maximum_pdu_bytes >= 0


def wire(data: bytes) -> None:
    """Serve an association whose peer sends `data`."""
    _serve(data)


def messages(data: bytes) -> None:
    """Serve an association whose peer sends well-formed PDUs of strange fragments: length, context, control, bytes."""
    pdus = b""
    while len(data) >= 3:
        length, context_id, control = data[0], data[1] % 4 | 1, data[2]
        pdus += p_data_pdus(context_id, control & 3, data[3 : 3 + length], 0)
        data = data[3 + length :]
    _serve(pdus)


def command(data: bytes) -> None:
    """Read a command set both ways; answer it."""
    with suppress(ProtocolError):
        read = read_command(data)
        assert store_response(read, 0).startswith(bytes(4))
    with suppress(ProtocolError):
        _services().answer(5, data, b"")


def note(data: bytes) -> None:
    """Read the data set of a request for storage commitment, and of a procedure step."""
    for meant in (
        lambda ds: notes.commitment_request(ds, "CART", "ECHO_SCP", 0).name,
        lambda ds: notes.procedure_step("1.2.3", ds).study_instance_uids,
        notes.step_change,
    ):
        with suppress(notes.NoteError):
            assert meant(notes.read(BytesIO(data), ExplicitVRLittleEndian))


def header(data: bytes) -> None:
    """Read the header of a file: it is one, or says why not."""
    path = _folder() / "instance.dcm"
    path.write_bytes(data)
    with suppress(UnindexableFileError, InstanceError):
        instance = read_instance(path)
        assert instance.study_instance_uid
        assert instance.sop_instance_uid


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target for target in (associate, wire, messages, command, note, header)
}


class _Connection:
    """Gives what a peer sent, no more than 1000 bytes at once; counts what is sent to it."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.sent = 0

    def recv_into(self, buffer: memoryview) -> int:
        count = min(len(self._data), len(buffer), 1000)
        buffer[:count] = self._data[:count]
        self._data = self._data[count:]
        return count

    def sendall(self, data: bytes) -> None:
        self.sent += len(data)

    def setsockopt(self, *_: int) -> None:
        pass


class _Reception:
    """An object that is counted and not kept."""

    def __init__(self, identity: SpooledIdentity) -> None:
        assert identity.sop_instance_uid
        self.size = 0
        self.is_open = True

    def write(self, pieces: Sequence[memoryview]) -> None:
        assert self.is_open
        self.size += sum(map(len, pieces))

    def finish(self) -> Status:
        assert self.is_open
        self.is_open = False
        return Status.SUCCESS

    def answered(self) -> None:
        assert not self.is_open

    def abandon(self) -> None:
        self.is_open = False


def _serve(data: bytes) -> None:
    begun: list[_Reception] = []

    def receive(identity: SpooledIdentity) -> _Reception:
        begun.append(_Reception(identity))
        return begun[-1]

    connection = _Connection(data)
    provider = DimseProvider(_AGREEMENT, connection.sendall, receive, _services())
    UpperLayer(connection, provider, _MAXIMUM_PDU_BYTES, timeout_s=3600).serve()
    assert sum(reception.size for reception in begun) <= len(data)
    assert sum(reception.is_open for reception in begun) <= 2
    provider.close()
    assert not any(reception.is_open for reception in begun)
    assert connection.sent <= 200 * (len(data) + 1)


class _Desk:
    """Takes every note and keeps none."""

    def ask(self, request: CommitmentRequest) -> None:
        assert request.references
        assert request.name

    def create(self, step: ProcedureStep) -> None:
        assert step.study_instance_uids

    def change(self, sop_instance_uid: str, change: StepChange) -> None:
        assert change.state is None or change.state in StepState

    def take(self, name: str) -> None: ...


def _services() -> Services:
    return Services(_AGREEMENT, _Desk(), _Desk())  # type: ignore[arg-type]


@cache
def _folder() -> Path:
    memory = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="echo-scp-fuzz-", dir=memory if memory.is_dir() else None))
