"""Storage commitment and procedure steps over real associations: pynetdicom as the machine."""

from __future__ import annotations

import ssl
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest
from pydicom import Dataset
from pydicom.sequence import Sequence
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.dsutils import encode
from pynetdicom.presentation import build_role

from echo_scp.commitment import (
    ArchiveReport,
    CommitmentAnswer,
    CommitmentDesk,
    CommitmentReport,
    CommitmentRequest,
    FailureReason,
    Reference,
)
from echo_scp.completeness import StepState
from echo_scp.config import Destination, ReceiveConfig
from echo_scp.errors import StorageError
from echo_scp.procedure_step import ProcedureStep, StepDesk
from echo_scp.receive.event_report import send_event_report
from echo_scp.receive.listener import Listener
from echo_scp.spool import Spool
from tests.network.certificates import Authority
from tests.network.peers import (
    DATA_SET,
    IMPLICIT,
    US_MULTI_FRAME,
    associate_request,
    command,
    connect,
    element,
    fragment,
    receive_pdu,
    status,
    ui,
)

# pynetdicom leaves the sockets of what it refuses or loses to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket.socket:ResourceWarning")

COMMITMENT, COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1"
STEP = "1.2.840.10008.3.1.2.3.3"


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "data", reserve_disk_mb=0)


@pytest.fixture
def desk(spool):
    return CommitmentDesk(spool)


@pytest.fixture
def port(spool) -> Iterator[int]:
    with Listener(ReceiveConfig(address="127.0.0.1", port=0, reserve_disk_mb=0), spool, lambda: None) as listener:
        yield listener.port


@contextmanager
def associated(port: int, *handlers: object, tls: tuple[object, str] | None = None) -> Iterator[Association]:
    ae = AE(ae_title="CART")
    ae.network_timeout = ae.dimse_timeout = ae.acse_timeout = 20
    for uid in (COMMITMENT, STEP, US_MULTI_FRAME):
        ae.add_requested_context(uid)
    association = ae.associate("127.0.0.1", port, ae_title="ECHO_SCP", evt_handlers=list(handlers), tls_args=tls)
    assert association.is_established
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


def commitment(*uids: str, transaction_uid: str = "1.2.3.4") -> Dataset:
    ds = Dataset()
    ds.TransactionUID = transaction_uid
    items = []
    for uid in uids:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = US_MULTI_FRAME, uid
        items.append(item)
    ds.ReferencedSOPSequence = Sequence(items)
    return ds


def ask(association: Association, *uids: str, action: int = 1, **changes: str) -> int:
    status, _ = association.send_n_action(commitment(*uids, **changes), action, COMMITMENT, COMMITMENT_INSTANCE)
    return status.Status


class Reports:
    """Keeps the event reports that a machine gets, and answers Success."""

    def __init__(self) -> None:
        self.got: list[tuple[int, Dataset]] = []
        self.came = threading.Event()

    @property
    def handler(self) -> tuple[object, object]:
        return (evt.EVT_N_EVENT_REPORT, self._handle)

    def _handle(self, event: evt.Event) -> tuple[int, None]:
        self.got.append((event.request.EventTypeID, event.event_information))
        self.came.set()
        return 0x0000, None


def answer_all(desk: CommitmentDesk, failed: tuple[str, ...] = ()) -> None:
    """Answer as the node does once it has looked into its tables."""
    for request in desk.requests():
        missing = tuple(
            (reference, FailureReason.NO_SUCH_OBJECT_INSTANCE)
            for reference in request.references
            if reference.sop_instance_uid in failed
        )
        desk.answer(CommitmentAnswer(request, missing, time.time()))


def disk_is_full(*_: object) -> None:
    raise StorageError("the disk is full")


def wait_until(condition) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)


# --- storage commitment ----------------------------------------------------------------------------------------------


def test_a_request_is_durable_before_it_is_accepted(port, desk):
    """Whatever happens to us then, it is answered."""
    with associated(port) as association:
        status = ask(association, "1.2.5", "1.2.6")
        (request,) = desk.requests()

    assert status == 0x0000
    assert replace(request, requested_at=0) == CommitmentRequest(
        "1.2.3.4", "CART", "ECHO_SCP", (Reference(US_MULTI_FRAME, "1.2.5"), Reference(US_MULTI_FRAME, "1.2.6")), 0
    )


def test_the_answer_comes_on_the_association_that_asked(port, desk):
    """While it is open; when the machine confirmed it, it is forgotten."""
    reports = Reports()
    with associated(port, reports.handler) as association:
        ask(association, "1.2.5", "1.2.6")
        answer_all(desk)
        assert reports.came.wait(20)
        wait_until(lambda: not desk.answered())

    ((event_type, information),) = reports.got
    assert event_type == 1
    assert information.TransactionUID == "1.2.3.4"
    assert [item.ReferencedSOPInstanceUID for item in information.ReferencedSOPSequence] == ["1.2.5", "1.2.6"]
    assert "FailedSOPSequence" not in information


def test_what_is_not_durable_is_said_to_have_failed(port, desk):
    """With its reason; the rest is committed."""
    reports = Reports()
    with associated(port, reports.handler) as association:
        ask(association, "1.2.5", "1.2.6")
        answer_all(desk, failed=("1.2.6",))
        assert reports.came.wait(20)
        wait_until(lambda: not desk.answered())

    ((event_type, information),) = reports.got
    (failed,) = information.FailedSOPSequence
    assert event_type == 2
    assert (failed.ReferencedSOPInstanceUID, failed.FailureReason) == ("1.2.6", 0x0112)
    assert [item.ReferencedSOPInstanceUID for item in information.ReferencedSOPSequence] == ["1.2.5"]


def test_the_answer_comes_under_tls_too(spool, desk, tmp_path):
    """The association's own thread writes it: nobody else may touch the connection."""
    authority = Authority(tmp_path)
    node = authority.issue("node.example")
    keys = {"certificate": node.certificate, "key": node.key, "port": 0}
    config = ReceiveConfig(address="127.0.0.1", port=0, reserve_disk_mb=0, tls=keys)
    reports = Reports()
    with (
        Listener(config, spool, lambda: None) as listener,
        associated(listener.tls_port, reports.handler, tls=(authority.client(), "node.example")) as association,
    ):
        ask(association, "1.2.5")
        answer_all(desk)
        assert reports.came.wait(20)
        wait_until(lambda: not desk.answered())

    assert reports.got[0][0] == 1


def commitment_message(*uids: str) -> bytes:
    """Encode an N-ACTION-RQ (PS3.7 10.3.4) on presentation context 1."""
    elements = (
        element(0x0003, ui(COMMITMENT))
        + element(0x0100, struct.pack("<H", 0x0130))
        + element(0x0110, struct.pack("<H", 7))
        + element(0x0800, struct.pack("<H", 1))
        + element(0x1001, ui(COMMITMENT_INSTANCE))
        + element(0x1008, struct.pack("<H", 1))
    )
    data_set = encode(commitment(*uids), True, True)
    return fragment(element(0, struct.pack("<L", len(elements))) + elements, 3) + fragment(data_set, 2)


def test_objects_come_while_an_answer_is_waited_for(port, desk, spool):
    """The association is not held up, and hears the answer between its objects."""
    contexts = ((1, COMMITMENT, IMPLICIT), (3, US_MULTI_FRAME, IMPLICIT))
    an_object = command(context_id=3) + fragment(DATA_SET, 2, 3)
    with closing(connect(port, associate_request(contexts))) as machine:
        machine.sendall(commitment_message("1.2.5") + 3 * an_object)
        statuses = [status(receive_pdu(machine)) for _ in range(4)]
        answer_all(desk)
        report, _information = receive_pdu(machine), receive_pdu(machine)
        machine.sendall(an_object)
        statuses.append(status(receive_pdu(machine)))

    assert statuses == [0, 0, 0, 0, 0]
    assert len(spool.ready()) == 4
    assert element(0x0100, struct.pack("<H", 0x0100)) in report  # N-EVENT-REPORT-RQ


def test_an_answer_that_the_association_could_not_take_waits_for_another(port, desk):
    """It had gone by then."""
    with associated(port) as association:
        ask(association, "1.2.5")
    answer_all(desk)
    time.sleep(0.3)

    (name,) = desk.answered()
    taken = desk.take(name)
    assert taken is not None
    assert desk.take(name) is None
    taken.release()


def machine_at(port: int, **changes: object) -> Destination:
    return Destination(**({"name": "cart", "ae_title": "CART", "host": "127.0.0.1", "port": port} | changes))


def test_the_answer_goes_to_the_machine_on_an_association_of_ours(desk):
    """As SCP that calls (role selection); a machine that is away has not confirmed it."""
    reports = Reports()
    machine = AE(ae_title="CART")
    machine.add_supported_context(COMMITMENT, scu_role=False, scp_role=True)
    request = CommitmentRequest("1.2.3.4", "CART", "ECHO_SCP", (Reference(US_MULTI_FRAME, "1.2.5"),), 0)
    answer = CommitmentAnswer(request, (), 0)
    server = machine.start_server(("127.0.0.1", 0), block=False, evt_handlers=[reports.handler])
    port = server.server_address[1]
    try:
        confirmed = send_event_report(answer, machine_at(port), 20)
    finally:
        machine.shutdown()

    assert confirmed
    assert reports.got[0][1].TransactionUID == "1.2.3.4"
    assert not send_event_report(answer, machine_at(port), 20)


def test_the_answer_goes_by_tls_to_a_machine_that_asks_who_we_are(tmp_path):
    """Both show certificates of one authority."""
    authority = Authority(tmp_path)
    node, cart = authority.issue("node.example"), authority.issue("localhost")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.path)
    context.load_cert_chain(cart.certificate, cart.key)
    context.verify_mode = ssl.CERT_REQUIRED
    reports = Reports()
    machine = AE(ae_title="CART")
    machine.add_supported_context(COMMITMENT, scu_role=False, scp_role=True)
    answer = CommitmentAnswer(CommitmentRequest("1.2.3", "CART", "ECHO_SCP", (Reference("1.2", "1.3"),), 0), (), 0)
    server = machine.start_server(("127.0.0.1", 0), block=False, evt_handlers=[reports.handler], ssl_context=context)
    port = server.server_address[1]
    ours = {"tls_certificate": node.certificate, "tls_key": node.key}
    try:
        place = machine_at(port, host="localhost", tls=True, tls_ca=authority.path)
        confirmed = send_event_report(answer, place.model_copy(update=ours), 20)
    finally:
        machine.shutdown()

    assert confirmed
    assert reports.got[0][1].TransactionUID == "1.2.3"


def test_a_machine_whose_host_has_no_address_has_not_confirmed():
    """What other machines are told must not wait for a name server."""
    request = CommitmentRequest("1.2.3.4", "CART", "ECHO_SCP", (Reference(US_MULTI_FRAME, "1.2.5"),), 0)

    assert not send_event_report(CommitmentAnswer(request, (), 0), machine_at(104, host="no-such-host.invalid"), 20)


def test_a_machine_that_does_not_take_answers_has_not_confirmed_them(desk):
    """The context is refused."""
    machine = AE(ae_title="CART")
    machine.add_supported_context(US_MULTI_FRAME)
    server = machine.start_server(("127.0.0.1", 0), block=False)
    request = CommitmentRequest("1.2.3.4", "CART", "ECHO_SCP", (Reference(US_MULTI_FRAME, "1.2.5"),), 0)
    try:
        confirmed = send_event_report(CommitmentAnswer(request, (), 0), machine_at(server.server_address[1]), 20)
    finally:
        machine.shutdown()

    assert not confirmed


@pytest.mark.parametrize(
    ("uids", "action", "transaction_uid", "status"),
    [(("1.2.5",), 2, "1.2.3.4", 0x0123), ((), 1, "1.2.3.4", 0x0120), (("1.2.5",), 1, "", 0x0120)],
)
def test_a_request_that_cannot_be_meant_is_refused(port, desk, uids, action, transaction_uid, status):
    """Another action, no instances, no transaction; nothing is kept."""
    with associated(port) as association:
        assert ask(association, *uids, action=action, transaction_uid=transaction_uid) == status

    assert list(desk.requests()) == []


def test_a_request_that_cannot_be_kept_is_not_accepted(port, desk, spool, monkeypatch):
    """Resource limitation: the machine asks again."""
    monkeypatch.setattr(spool, "write_note", disk_is_full)
    with associated(port) as association:
        assert ask(association, "1.2.5") == 0x0213


def test_a_repeated_request_is_one_request(port, desk):
    """The same transaction of the same machine."""
    statuses = []
    for _ in range(3):
        with associated(port) as association:
            statuses.append(ask(association, "1.2.5"))

    assert statuses == [0, 0, 0]
    assert len(list(desk.requests())) == 1


# --- reports of an archive on what it took from us --------------------------------------------------------------------


@contextmanager
def archive_calls(port: int) -> Iterator[Association]:
    """An archive that associates as the SCP that it is (PS3.4 J.3.3)."""
    ae = AE(ae_title="PACS")
    ae.network_timeout = ae.dimse_timeout = ae.acse_timeout = 20
    ae.add_requested_context(COMMITMENT)
    association = ae.associate("127.0.0.1", port, ext_neg=[build_role(COMMITMENT, scp_role=True)])
    assert association.is_established
    try:
        yield association
    finally:
        association.release()


def tell(association: Association, ds: Dataset, event_type: int = 1, instance: str = COMMITMENT_INSTANCE) -> int:
    status, _ = association.send_n_event_report(ds, event_type, COMMITMENT, instance)
    return status.Status


def test_what_an_archive_reports_is_durable_before_it_is_accepted(port, desk):
    """Committed and failed instances, by the transaction that they answer."""
    report = commitment("1.2.840.1", "1.2.840.2", transaction_uid="1.2.9")
    failed = Dataset()
    failed.ReferencedSOPClassUID, failed.ReferencedSOPInstanceUID, failed.FailureReason = (
        US_MULTI_FRAME,
        "1.2.3",
        0x0112,
    )
    report.FailedSOPSequence = Sequence([failed])

    with archive_calls(port) as association:
        answer = tell(association, report, 2)
        kept = [told for _, told in desk.reports()]

    expected = CommitmentReport(frozenset({"1.2.840.1", "1.2.840.2"}), (("1.2.3", 0x0112),))
    assert answer == 0x0000
    assert kept == [ArchiveReport("1.2.9", "PACS", expected)]


def test_a_repeated_report_is_one_report(port, desk):
    """An archive that did not get our answer tells again."""
    with archive_calls(port) as association:
        answers = [tell(association, commitment("1.2.840.1")) for _ in range(2)]

    assert answers == [0x0000, 0x0000]
    assert len(list(desk.reports())) == 1


@pytest.mark.parametrize(
    ("ds", "event_type", "instance", "status"),
    [
        (commitment(), 1, COMMITMENT_INSTANCE, 0x0120),
        (commitment("1.2", transaction_uid=""), 1, COMMITMENT_INSTANCE, 0x0120),
        (commitment("1.2"), 3, COMMITMENT_INSTANCE, 0x0113),
        (commitment("1.2"), 1, "1.2.3", 0x0112),
    ],
    ids=["no instance", "no transaction", "no such event", "another instance"],
)
def test_a_report_that_cannot_be_meant_is_refused(port, desk, ds, event_type, instance, status):
    """And nothing of it is kept."""
    with archive_calls(port) as association:
        answer = tell(association, ds, event_type, instance)

    assert answer == status
    assert list(desk.reports()) == []


def test_a_report_that_cannot_be_kept_is_not_accepted(port, desk, spool, monkeypatch):
    """The archive may tell again when the disk has room."""
    monkeypatch.setattr(spool, "write_note", disk_is_full)
    with archive_calls(port) as association:
        answer = tell(association, commitment("1.2"))

    assert answer == 0x0213


# --- procedure steps -------------------------------------------------------------------------------------------------


def begun(state: str = "IN PROGRESS", study: str = "1.2.9") -> Dataset:
    ds, scheduled = Dataset(), Dataset()
    ds.PerformedProcedureStepStatus = state
    scheduled.StudyInstanceUID = study
    ds.ScheduledStepAttributesSequence = Sequence([scheduled])
    ds.PerformedSeriesSequence = Sequence()
    ds.PatientName = "Must^Not^Stay"
    return ds


def ended(state: str, *uids: str) -> Dataset:
    ds, series = Dataset(), Dataset()
    ds.PerformedProcedureStepStatus = state
    series.ReferencedImageSequence = commitment(*uids).ReferencedSOPSequence
    ds.PerformedSeriesSequence = Sequence([series])
    return ds


def steps(spool: Spool) -> list[tuple[StepState, tuple[str, ...], tuple[str, ...]]]:
    desk = StepDesk(spool)
    found = [desk.read(path) for path, _ in desk.files()]
    return [(step.state, step.study_instance_uids, step.instance_uids) for step in found if step is not None]


def test_a_step_is_noted_from_its_begin_to_its_end(port, spool, tmp_path):
    """State, study and instances; nothing of the patient."""
    with associated(port) as association:
        created, _ = association.send_n_create(begun(), STEP, "1.2.8")
        before = steps(spool)
    with associated(port) as association:
        changed, _ = association.send_n_set(ended("COMPLETED", "1.2.5", "1.2.6"), STEP, "1.2.8")

    assert (created.Status, changed.Status) == (0x0000, 0x0000)
    assert before == [(StepState.IN_PROGRESS, ("1.2.9",), ())]
    assert steps(spool) == [(StepState.COMPLETED, ("1.2.9",), ("1.2.5", "1.2.6"))]
    assert not any(b"Must" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_a_step_without_a_name_gets_one(port, spool):
    """The machine learns it from the response (PS3.7 10.1.5.1.4)."""
    with associated(port) as association:
        created, _ = association.send_n_create(begun(), STEP, None)

    assert created.Status == 0x0000
    assert len(steps(spool)) == 1


@pytest.mark.parametrize(
    ("ds", "status"),
    [(begun("COMPLETED"), 0x0106), (begun("DANCING"), 0x0106), (begun(""), 0x0120), (begun(study=""), 0x0120)],
)
def test_a_step_that_cannot_begin_so_is_refused(port, spool, ds, status):
    """Finished before it began, in no state that exists, in none, of no study."""
    with associated(port) as association:
        created, _ = association.send_n_create(ds, STEP, "1.2.8")

    assert created.Status == status
    assert steps(spool) == []


def test_a_step_begins_once_and_ends_once(port, spool):
    """Duplicate, unknown, and no longer to be changed (PS3.4 F.7.2)."""
    sent = [
        lambda machine: machine.send_n_create(begun(), STEP, "1.2.8"),
        lambda machine: machine.send_n_create(begun(), STEP, "1.2.8"),
        lambda machine: machine.send_n_set(ended("COMPLETED"), STEP, "1.2.999"),
        lambda machine: machine.send_n_set(ended("DISCONTINUED", "1.2.5"), STEP, "1.2.8"),
        lambda machine: machine.send_n_set(ended("COMPLETED", "1.2.6"), STEP, "1.2.8"),
    ]
    statuses = []
    for send in sent:
        with associated(port) as machine:  # each its own: pynetdicom may lose the second of two quick responses
            statuses.append(send(machine)[0].Status)

    assert statuses == [0x0000, 0x0111, 0x0112, 0x0000, 0x0110]
    assert steps(spool) == [(StepState.DISCONTINUED, ("1.2.9",), ("1.2.5",))]


def test_a_strange_step_uid_is_no_path(spool, tmp_path):
    """It names a file inside its folder."""
    StepDesk(spool).create(ProcedureStep("../../escaped", StepState.IN_PROGRESS, ("1.2.9",), ()))

    assert {path.parent for path in tmp_path.rglob("*.step")} == {spool.steps_folder}
