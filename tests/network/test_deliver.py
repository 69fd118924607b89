"""Sending one object: DCMTK's storescp and scripted pynetdicom SCPs as the destination."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    UID,
    ComprehensiveSRStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    SegmentationStorage,
    generate_uid,
)
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dul import DULServiceProvider
from pynetdicom.presentation import build_context
from pynetdicom.transport import AssociationSocket

from echo_scp import deliver
from echo_scp.config import Destination
from echo_scp.errors import DestinationRefusedError, DestinationUnreachableError

TIMEOUT_S = 10.0

# pynetdicom drops the socket of a connection that was refused without closing it; its reference count closes it.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket.socket:ResourceWarning")


def make_file(folder: Path, sop_class_uid: str = ComprehensiveSRStorage, transfer_syntax_uid: str = "") -> Path:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = UID(transfer_syntax_uid or ExplicitVRLittleEndian)
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = sop_class_uid
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = generate_uid()
    ds.StudyInstanceUID, ds.SeriesInstanceUID = generate_uid(), generate_uid()
    ds.PatientID = "TEST"
    path = folder / f"{ds.SOPInstanceUID}.dcm"
    ds.save_as(path, enforce_file_format=True)
    return path


def make_destination(port: int, **changes: object) -> Destination:
    return Destination(**({"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": port} | changes))


def send(path: Path, destination: Destination, timeout_s: float = TIMEOUT_S) -> deliver.DeliveryOutcome:
    return deliver.send(path, destination, "ECHO_SCP", timeout_s)


class StorageScp:
    """A destination that accepts what it is told and answers every object alike."""

    def __init__(self, status: int | Dataset, *contexts: tuple[str, list[str]], called_ae_title: str = "") -> None:
        self.status = status
        self.received: list[tuple[str, str, bytes]] = []  # calling AE title, transfer syntax, data set
        self.instances: list[str] = []
        self.associations = 0
        self.hangs_up_on = ""
        self._ae = AE(ae_title=called_ae_title or "PACS")
        self._ae.require_called_aet = bool(called_ae_title)
        for sop_class_uid, transfer_syntaxes in contexts or [(ComprehensiveSRStorage, [ExplicitVRLittleEndian])]:
            self._ae.add_supported_context(sop_class_uid, transfer_syntaxes)
        self._ae.add_supported_context("1.2.840.10008.1.1")

    @contextmanager
    def running(self) -> Iterator[int]:
        handlers = [(evt.EVT_C_STORE, self._store), (evt.EVT_ESTABLISHED, self._count)]
        server = self._ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        try:
            yield server.server_address[1]
        finally:
            self._ae.shutdown()

    def _count(self, event: evt.Event) -> None:
        self.associations += 1

    def _store(self, event: evt.Event) -> int | Dataset:
        if event.request.AffectedSOPInstanceUID == self.hangs_up_on:
            event.assoc.abort()
            return 0xC000
        self.instances.append(str(event.request.AffectedSOPInstanceUID))
        data_set = event.request.DataSet.getvalue()
        self.received.append((event.assoc.requestor.ae_title, str(event.context.transfer_syntax), data_set))
        return self.status


def make_status(status: int, comment: str) -> Dataset:
    answer = Dataset()
    answer.Status, answer.ErrorComment = status, comment
    return answer


@contextmanager
def storescp(folder: Path, port: int, *options: str) -> Iterator[None]:
    """Run DCMTK's storescp until the block ends."""
    if shutil.which("storescp") is None:
        pytest.skip("DCMTK is not installed: apt-get install dcmtk")
    process = subprocess.Popen(["storescp", "-od", folder, *options, str(port)])
    try:
        wait_for(port, process)
        yield
    finally:
        process.terminate()
        process.wait()


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until the port is listened on, without a connection that the SCP would take for an association."""
    deadline = time.monotonic() + 20
    while f":{port:04X} 00000000:0000 0A" not in Path("/proc/net/tcp").read_text():
        assert process.poll() is None, "storescp ended"
        assert time.monotonic() < deadline, "storescp does not listen"
        time.sleep(0.02)


# --- DCMTK -----------------------------------------------------------------------------------------------------------


@pytest.mark.dcmtk
def test_storescp_takes_an_object(tmp_path, free_port):
    """It arrives with the same content and encoding."""
    path = make_file(tmp_path)
    (tmp_path / "received").mkdir()

    with storescp(tmp_path / "received", free_port):
        outcome = send(path, make_destination(free_port))

    (received,) = (tmp_path / "received").iterdir()
    assert outcome == deliver.DeliveryOutcome(0x0000, "")
    assert dcmread(received) == dcmread(path)


@pytest.mark.dcmtk
def test_storescp_that_takes_implicit_vr_only_gets_implicit_vr(tmp_path, free_port):
    """An archive of the last century still gets its report."""
    path = make_file(tmp_path)
    (tmp_path / "received").mkdir()

    with storescp(tmp_path / "received", free_port, "+xi"):
        outcome = send(path, make_destination(free_port))

    (received,) = (tmp_path / "received").iterdir()
    assert outcome.status == 0x0000
    assert dcmread(received).file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
    assert dcmread(received).StudyInstanceUID == dcmread(path).StudyInstanceUID


@pytest.mark.dcmtk
def test_storescp_that_refuses_associations_is_unreachable(tmp_path, free_port):
    """Trying again may help."""
    with storescp(tmp_path, free_port, "--refuse"), pytest.raises(DestinationUnreachableError, match="rejected"):
        send(make_file(tmp_path), make_destination(free_port))


@pytest.mark.dcmtk
def test_storescp_that_aborts_in_mid_object_is_unreachable(tmp_path, free_port):
    """No response is no delivery."""
    with (
        storescp(tmp_path, free_port, "--abort-during"),
        pytest.raises(DestinationUnreachableError, match="no answer"),
    ):
        send(make_file(tmp_path), make_destination(free_port))


@pytest.mark.dcmtk
def test_storescp_answers_an_echo(tmp_path, free_port):
    """C-ECHO checks a destination without sending an object."""
    with storescp(tmp_path, free_port):
        deliver.echo(make_destination(free_port), "ECHO_SCP", TIMEOUT_S)


# --- statuses --------------------------------------------------------------------------------------------------------


def test_success_says_nothing(tmp_path):
    """And the destination saw our AE title and the bytes of the file."""
    path = make_file(tmp_path)
    scp = StorageScp(0x0000)

    with scp.running() as port:
        outcome = send(path, make_destination(port))

    assert outcome == deliver.DeliveryOutcome(0x0000, "")
    ((calling_ae_title, transfer_syntax, data_set),) = scp.received
    assert (calling_ae_title, transfer_syntax) == ("ECHO_SCP", ExplicitVRLittleEndian)
    assert path.read_bytes().endswith(data_set)


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (0xB000, "Coercion of Data Elements"),
        (0xB006, "Element Discarded"),
        (0xB007, "Data Set Does Not Match SOP Class"),
        (0xB0FF, "not defined for storage"),
    ],
)
def test_a_warning_is_a_delivery_and_is_kept(tmp_path, status, meaning):
    """The destination has the object; the operator may want to know what it did with it."""
    with StorageScp(status).running() as port:
        outcome = send(make_file(tmp_path), make_destination(port))

    assert outcome.status == status
    assert meaning.lower() in outcome.warning.lower()


@pytest.mark.parametrize(
    ("status", "meaning"), [(0xA700, "resources"), (0xA900, "match"), (0xC001, "understand"), (0x0124, "authori")]
)
def test_a_failure_status_is_a_refusal_with_its_meaning(tmp_path, status, meaning):
    """The operator reads words, the retry keeps the number."""
    with StorageScp(status).running() as port, pytest.raises(DestinationRefusedError) as refused:
        send(make_file(tmp_path), make_destination(port))

    assert refused.value.status == status
    assert refused.value.destination == "pacs"
    assert f"0x{status:04X}" in refused.value.detail
    assert meaning in refused.value.detail.lower()
    assert refused.value.retryable


def test_the_comment_of_the_destination_is_in_the_error_and_not_in_what_is_logged_of_it(tmp_path):
    """(0000,0902) often says more than the status; it may name the patient."""
    answer = make_status(0xA700, "JANE^DOE is locked")

    with StorageScp(answer).running() as port, pytest.raises(DestinationRefusedError) as refused:
        send(make_file(tmp_path), make_destination(port))

    assert "JANE^DOE is locked" in refused.value.quoting
    assert "JANE" not in f"{refused.value} {refused.value.detail}"


# --- negotiation -----------------------------------------------------------------------------------------------------


def test_an_exact_encoding_is_preferred(tmp_path):
    """A destination that takes everything gets the bytes of the file."""
    everything = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian]
    scp = StorageScp(0x0000, (ComprehensiveSRStorage, everything))
    path = make_file(tmp_path, transfer_syntax_uid=DeflatedExplicitVRLittleEndian)

    with scp.running() as port:
        send(path, make_destination(port))

    assert scp.received[0][1] == DeflatedExplicitVRLittleEndian


@pytest.mark.parametrize("stored", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_an_uncompressed_object_is_rewritten_for_a_destination_that_takes_another_encoding(tmp_path, stored):
    """Explicit VR Little Endian is what most take."""
    scp = StorageScp(0x0000, (SegmentationStorage, [ExplicitVRLittleEndian]))
    path = make_file(tmp_path, SegmentationStorage, stored)

    with scp.running() as port:
        send(path, make_destination(port))

    assert scp.received[0][1] == ExplicitVRLittleEndian


def test_a_compressed_object_is_not_offered_otherwise(tmp_path):
    """Only what can be sent is negotiated."""
    scp = StorageScp(0x0000)
    path = make_file(tmp_path, transfer_syntax_uid=JPEGBaseline8Bit)

    with scp.running() as port, pytest.raises(DestinationRefusedError, match="does not accept"):
        send(path, make_destination(port))


def test_a_destination_without_the_sop_class_refuses_it_by_name(tmp_path):
    """The administrator of the destination can act on the name."""
    path = make_file(tmp_path, SegmentationStorage)

    with (
        StorageScp(0x0000).running() as port,
        pytest.raises(DestinationRefusedError, match="does not accept Segmentation Storage") as refused,
    ):
        send(path, make_destination(port))

    assert refused.value.status is None


def test_a_destination_that_has_the_object_already_has_it(tmp_path):
    """Archives that take no duplicates answer so to what is sent again after a crash (PS3.7 C.5.7)."""
    with StorageScp(0x0111).running() as port:
        outcome = send(make_file(tmp_path), make_destination(port))

    assert outcome.status == 0x0111
    assert "already" in outcome.warning


def test_a_destination_that_does_not_know_its_title_rejects_with_a_reason(tmp_path):
    """Called AE title not recognised: the usual mistake in a configuration."""
    scp = StorageScp(0x0000, called_ae_title="OTHER")

    with scp.running() as port, pytest.raises(DestinationUnreachableError, match=r"(?i)called AE title not recogni"):
        send(make_file(tmp_path), make_destination(port))


# --- the answer that is ours -------------------------------------------------------------------------------------


def test_an_object_may_take_longer_to_send_than_an_answer_to_come(tmp_path, monkeypatch):
    """A cine over a slow line: the time for the answer begins when the object has left."""
    at_once = AssociationSocket.send

    def slowly(connection: AssociationSocket, content: bytes) -> None:
        time.sleep(0.05)
        at_once(connection, content)

    path = make_file(tmp_path)
    ds = dcmread(path)
    ds.add_new("EncapsulatedDocument", "OB", bytes(2_000_000))
    ds.save_as(path)
    scp = StorageScp(0x0000)
    with scp.running() as port:
        scp._ae.maximum_pdu_size = 16382
        monkeypatch.setattr(AssociationSocket, "send", slowly)  # 6 s

        outcome = send(path, make_destination(port), timeout_s=2.0)

    assert outcome == deliver.DeliveryOutcome(0x0000, "")
    assert len(scp.received) == 1


class LateReader(threading.Event):
    """The pause of an association's own thread, which is slow to go on after it: as on a busy machine."""

    def wait(self, timeout: float | None = None) -> bool:
        passed = super().wait(timeout)
        time.sleep(0.1)
        return passed


def make_race(event: evt.Event) -> None:
    """The thread has passed its pause when we ask, and looks for messages before we do."""
    association, ask = event.assoc, event.assoc.dimse.send_msg

    def ask_and_doze(primitive: object, context_id: int) -> None:
        ask(primitive, context_id)
        time.sleep(0.5)

    association.dimse.send_msg = ask_and_doze
    association._reactor_checkpoint = LateReader()
    association._reactor_checkpoint.set()


def test_an_answer_is_not_taken_by_another_thread():
    """pynetdicom's own thread throws it away; without our keeping it, the call waits for its whole timeout."""
    with StorageScp(0x0000).running() as port:
        handlers = [(evt.EVT_ESTABLISHED, make_race)]
        contexts = [build_context("1.2.840.10008.1.1")]
        with deliver.associate(make_destination(port), "ECHO_SCP", 2.0, contexts, handlers) as association:
            answers = [association.send_c_echo().get("Status") for _ in range(5)]

    assert answers == [0x0000] * 5


def test_the_end_of_an_association_is_told_to_who_asks_next():
    """Its own thread sees it first; who asks then must not wait for the whole timeout."""
    destination, contexts = StorageScp(0x0000), [build_context("1.2.840.10008.1.1")]
    handlers = [(evt.EVT_CONN_CLOSE, lambda _: time.sleep(0.1))]  # meanwhile the thread looks for messages
    with (
        destination.running() as port,
        deliver.associate(make_destination(port), "ECHO_SCP", 2.0, contexts, handlers) as ours,
    ):
        (theirs,) = destination._ae.active_associations
        theirs.dul.socket.close()
        ours.join()
        ours.dimse.msg_queue.put((1, None))  # what only comes to who has waited

        assert ours.dimse.get_msg(block=True) == (None, None)


def test_a_report_that_was_just_served_does_not_hold_up_the_release():
    """The thread that served it says that the association's own thread is not paused, which it is."""
    contexts = [build_context("1.2.840.10008.1.1")]
    with (
        StorageScp(0x0000).running() as port,
        deliver.associate(make_destination(port), "ECHO_SCP", 2.0, contexts) as ours,
    ):
        ours._reactor_checkpoint.clear()
        wait_until(lambda: ours._is_paused)

        ours._is_paused = False

        wait_until(lambda: ours._is_paused)
        ours.release()
        assert ours.is_released


def test_an_answer_to_another_object_is_not_taken_for_this_ones(tmp_path):
    """An archive that answers twice must not make a success of what it refuses next."""
    first, second = make_file(tmp_path), make_file(tmp_path)
    destination = StorageScp(0x0000)

    def answer_again(event: evt.Event) -> int:
        if event.request.MessageID == 1:
            return 0x0000
        again = C_STORE()
        again.MessageIDBeingRespondedTo, again.Status = 1, 0x0000
        again.AffectedSOPClassUID = event.request.AffectedSOPClassUID
        again.AffectedSOPInstanceUID = event.request.AffectedSOPInstanceUID
        event.assoc.dimse.send_msg(again, event.context.context_id)
        return 0xA700

    destination._store = answer_again
    with (
        destination.running() as port,
        deliver.open_sender(make_destination(port), "ECHO_SCP", TIMEOUT_S, [first, second]) as sender,
    ):
        sender.send(first)
        with pytest.raises(DestinationRefusedError, match="0xA700"):
            sender.send(second)


# --- no association --------------------------------------------------------------------------------------------------


def test_a_port_that_nobody_listens_on_is_unreachable(tmp_path, free_port):
    """Connection refused."""
    with pytest.raises(DestinationUnreachableError, match=f"PACS@127.0.0.1:{free_port}") as unreachable:
        send(make_file(tmp_path), make_destination(free_port))

    assert unreachable.value.retryable


def test_a_host_without_an_address_is_unreachable(tmp_path):
    """A name server may come back."""
    with pytest.raises(DestinationUnreachableError, match=r"no-such-host\.invalid"):
        send(make_file(tmp_path), make_destination(104, host="no-such-host.invalid"))


def test_a_destination_that_never_answers_is_unreachable(tmp_path):
    """It accepts the connection, and that is all."""
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(DestinationUnreachableError):
        send(make_file(tmp_path), make_destination(silent.getsockname()[1]), timeout_s=0.3)


def test_a_destination_that_stalls_in_its_answer_is_unreachable(tmp_path):
    """Half an A-ASSOCIATE-AC, and then nothing."""
    with socket.create_server(("127.0.0.1", 0)) as stalling:
        accepted = []

        def answer_in_part() -> None:
            connection, _ = stalling.accept()
            accepted.append(connection)
            connection.sendall(b"\x02\0\0")

        peer = threading.Thread(target=answer_in_part)
        peer.start()
        with pytest.raises(DestinationUnreachableError):
            send(make_file(tmp_path), make_destination(stalling.getsockname()[1]), timeout_s=0.3)
        peer.join()
        accepted[0].close()


def test_an_echo_to_nobody_is_unreachable(free_port):
    """`doctor` tells it from a refusal."""
    with pytest.raises(DestinationUnreachableError):
        deliver.echo(make_destination(free_port), "ECHO_SCP", TIMEOUT_S)


def test_no_thread_of_an_association_is_left(tmp_path, free_port):
    """A worker that delivers for months must not collect threads."""
    with StorageScp(0x0000).running() as port:
        send(make_file(tmp_path), make_destination(port))
    with pytest.raises(DestinationUnreachableError):
        send(make_file(tmp_path), make_destination(free_port))

    left = [thread for thread in threading.enumerate() if isinstance(thread, Association | DULServiceProvider)]
    assert [thread for thread in left if getattr(thread, "mode", "requestor") == "requestor"] == []
