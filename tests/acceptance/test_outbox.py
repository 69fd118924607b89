"""The outbox on the embedded PostgreSQL: what is sent, when, in which order, and what is never sent twice."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import ComprehensiveSRStorage, ExplicitVRLittleEndian, SegmentationStorage
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_primitives import N_EVENT_REPORT

from echo_scp import metrics
from echo_scp.audit import AuditTrail
from echo_scp.commitment import ArchiveReport, CommitmentDesk, CommitmentReport
from echo_scp.config import AuditConfig, Config, Destination
from echo_scp.database.connection import Database
from echo_scp.database.deliveries import (
    RETRIED,
    Selection,
    State,
    cancel_deliveries,
    list_deliveries,
    retry_deliveries,
)
from echo_scp.deliver import StudyFacts, open_sender
from echo_scp.doctor.database import examine_database
from echo_scp.outbox import ArchiveReports, DeliveryGauges, put
from echo_scp.outbox.committing import Committing
from echo_scp.outbox.deliverer import Deliverer
from echo_scp.outbox.lane import Lane
from echo_scp.report import ResultFile
from echo_scp.spool import Spool
from tests.acceptance.running import wait_for
from tests.network.commitment_scp import CommitmentScp
from tests.network.test_deliver import StorageScp, make_file, make_status

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket.socket:ResourceWarning")

ROUTINE = StudyFacts(("CART",), (), ("A4C",), ("assessed",))
URGENT = StudyFacts(("CART",), (), ("A4C",), ("assessed", "urgent"))
DAY_S = 86400
SOP_CLASSES = {"SR": ComprehensiveSRStorage, "SEG": SegmentationStorage}


class Outbox:
    """A database with studies' results, and the way to a destination."""

    def __init__(self, database: Database, folder: Path, port: int, **changes: object) -> None:
        self.database = database
        self.folder = folder
        options = {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": port}
        self.destination = Destination(
            **{key: value for key, value in (options | changes).items() if value is not None}
        )
        deliver = {"first_retry_s": 60, "maximum_retry_s": 6 * 3600, "give_up_after_h": 168, "timeout_s": 5}
        self.config = Config(deliver=deliver, destinations=(self.destination,))
        self.audit = AuditTrail(AuditConfig(), folder / "audit.log", "ECHO_SCP")
        self.lane = Lane(self.config, self.destination, database, self.audit)

    def queue(self, *kinds: str, facts: StudyFacts = ROUTINE, destinations: int = 1) -> list[str]:
        """Store one run with an object per kind, and queue what rules say; return the SOP Instance UIDs."""
        files = []
        for kind in kinds:
            ds = dcmread(make_file(self.folder, SOP_CLASSES[kind]))
            path = Path(ds.filename)
            files.append((path, ResultFile(kind, path.name, ds.SOPInstanceUID, "1.2", ds.SOPClassUID)))
        study = dcmread(files[0][0]).StudyInstanceUID
        with self.database.transaction() as transaction:
            transaction.execute("upsert_study", study_instance_uid=study, received_at="now")
            run = transaction.row(
                "begin_run", study_instance_uid=study, revision=1, inputs_sha256="", software_version="1"
            )
            for path, file in files:
                transaction.execute(
                    "insert_result_object",
                    run_id=run[0],
                    sop_instance_uid=file.sop_instance_uid,
                    series_instance_uid="1.2",
                    sop_class_uid=file.sop_class_uid,
                    kind=file.kind,
                    path=str(path),
                )
            put(transaction, self.config.destinations, [file for _, file in files], facts)
        return [file.sop_instance_uid for _, file in files]

    def pass_time(self, seconds: float) -> None:
        """Let the database's clock be `seconds` later (earlier, if negative): all its times move back instead."""
        with self.database.transaction() as transaction:
            connection = transaction._connection
            shift = f"- interval '{seconds} seconds'"
            connection.execute(f"UPDATE delivery SET next_attempt_at = next_attempt_at {shift}")
            connection.execute(f"UPDATE delivery SET created_at = created_at {shift}")
            connection.execute(f"UPDATE destination SET rest_until = rest_until {shift}")

    def rows(self, columns: str) -> list[tuple[object, ...]]:
        with self.database.transaction() as transaction:
            return transaction._connection.execute(f"SELECT {columns} FROM delivery ORDER BY number").fetchall()


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    with Database(url, connections=8) as database:
        with database.transaction() as transaction:
            transaction._connection.execute(
                "TRUNCATE delivery, destination, commitment_request, result_object, run, study CASCADE"
            )
        yield database


def both() -> StorageScp:
    contexts = [(uid, [ExplicitVRLittleEndian]) for uid in SOP_CLASSES.values()]
    return StorageScp(0x0000, *contexts)


def test_everything_that_is_due_goes_over_one_association(database, tmp_path):
    """In the order in which it was queued, and nothing is left."""
    scp = both()
    with scp.running() as port:
        outbox = Outbox(database, tmp_path, port)
        queued = outbox.queue("SR", "SEG") + outbox.queue("SR", "SEG")

        assert outbox.lane.send_due()
        assert not outbox.lane.send_due()

    assert scp.instances == queued
    assert scp.associations == 1
    assert outbox.rows("state, attempt_count, status") == [("delivered", 1, 0)] * 4
    assert (tmp_path / "audit.log").read_text().count("DICOM Instances Transferred") == 4


def test_urgent_findings_go_first(database, tmp_path):
    """However many others wait."""
    scp = both()
    with scp.running() as port:
        outbox = Outbox(database, tmp_path, port)
        routine, urgent = outbox.queue("SR"), outbox.queue("SR", facts=URGENT)

        outbox.lane.send_due()

    assert scp.instances == urgent + routine


def test_a_week_without_the_destination_then_all_in_order(database, tmp_path, free_port):
    """Attempts grow apart to the longest wait; an object queued on each day arrives once, oldest first."""
    scp = both()
    outbox = Outbox(database, tmp_path, free_port)
    queued, attempts = [], 0
    for _ in range(7):
        queued += outbox.queue("SR")
        for _ in range(4):
            attempts += outbox.lane.send_due()
            outbox.pass_time(DAY_S / 4)
    assert set(outbox.rows("state")) == {("waiting",)}
    with scp.running() as port:
        back = Outbox(database, tmp_path, port)
        back.pass_time(6 * 3600)

        back.lane.send_due()

    assert attempts <= 7 * 4
    assert scp.instances == queued
    assert back.rows("state") == [("delivered",)] * 7


def test_a_resting_destination_is_not_called(database, tmp_path, free_port):
    """A new object waits with the others until the rest is over; then one probe is made."""
    outbox = Outbox(database, tmp_path, free_port)
    outbox.queue("SR")

    tried = [outbox.lane.send_due()]
    outbox.queue("SR", facts=URGENT)
    tried.append(outbox.lane.send_due())
    outbox.pass_time(61)
    tried.append(outbox.lane.send_due())
    tried.append(outbox.lane.send_due())

    assert tried == [True, False, True, False]
    assert outbox.rows("attempt_count") == [(2,), (1,)]


def test_an_object_is_given_up_after_the_hours_of_trying(database, tmp_path, free_port):
    """The waits between attempts count."""
    outbox = Outbox(database, tmp_path, free_port)
    outbox.queue("SR")
    for _ in range(9 + 28):
        outbox.lane.send_due()
        outbox.pass_time(6 * 3600 + 1)

    assert outbox.rows("state") == [("given_up",)]


def test_a_clock_that_jumps_ahead_gives_nothing_up(database, tmp_path, free_port):
    """A year ahead is one attempt early, no more."""
    outbox = Outbox(database, tmp_path, free_port)
    outbox.queue("SR")
    outbox.lane.send_due()
    outbox.pass_time(365 * DAY_S)

    outbox.lane.send_due()

    assert outbox.rows("state, attempt_count") == [("waiting", 2)]


def test_a_clock_that_jumps_back_holds_nothing_up(database, tmp_path):
    """A next attempt in a year cannot be meant."""
    scp = both()
    with scp.running() as port:
        outbox = Outbox(database, tmp_path, port)
        outbox.queue("SR")
        outbox.pass_time(-365 * DAY_S)

        outbox.lane.send_due()

    assert outbox.rows("state") == [("delivered",)]


@pytest.mark.parametrize("status", [0xA900, 0xB000])
def test_the_words_of_a_destination_are_for_the_operator_and_not_for_the_log(database, tmp_path, status, capfd):
    """An archive that refuses or changes an object may name its patient."""
    with StorageScp(make_status(status, "JANE^DOE is locked")).running() as port:
        outbox = Outbox(database, tmp_path, port)
        outbox.queue("SR")

        outbox.lane.send_due()

    ((detail,),) = outbox.rows("detail")
    assert "JANE^DOE is locked" in detail
    told = "".join(capfd.readouterr())
    assert "delivery." in told
    assert "JANE" not in told


def test_a_refused_object_holds_up_no_other(database, tmp_path):
    """It waits alone, and longer each time; what comes after it goes."""
    scp = StorageScp(0xA900)
    with scp.running() as port:
        outbox = Outbox(database, tmp_path, port)
        outbox.queue("SR")
        outbox.lane.send_due()
        scp.status = 0xB000
        outbox.queue("SR")

        outbox.lane.send_due()

    assert outbox.rows("state, status") == [("waiting", 0xA900), ("delivered", 0xB000)]
    assert "Coercion" in outbox.rows("detail")[1][0]


def test_an_object_that_makes_the_peer_hang_up_holds_up_no_other(database, tmp_path):
    """Its association is lost; the next one carries the rest."""
    scp = both()
    with scp.running() as port:
        outbox = Outbox(database, tmp_path, port)
        scp.hangs_up_on, *others = outbox.queue("SR", "SEG")

        outbox.lane.send_due()
        outbox.lane.send_due()

    assert scp.instances[-1:] == others
    assert outbox.rows("state") == [("waiting",), ("delivered",)]


def test_what_a_destination_does_not_support_is_noted_and_its_fallback_sent(database, tmp_path):
    """Not tried again; the other object of the same result goes in its place."""
    scp = StorageScp(0x0000)  # takes SR only
    with scp.running() as port:
        outbox = Outbox(database, tmp_path, port, send=("SEG",), fallbacks={"SEG": ("SR",)})
        report, _ = outbox.queue("SR", "SEG")

        outbox.lane.send_due()
        outbox.lane.send_due()
        outbox.pass_time(DAY_S)
        tried_again = outbox.lane.send_due()

    assert scp.instances == [report]
    assert outbox.rows("state") == [("unsupported",), ("delivered",)]
    assert "Segmentation Storage" in outbox.rows("detail")[0][0]
    assert not tried_again


def test_in_the_place_of_a_fallback_that_was_not_made_goes_its_own(database, tmp_path):
    """SR_COMPREHENSIVE is not made when SR is one already: then the page is left."""
    scp = StorageScp(0x0000)  # takes what "SR" is here only
    with scp.running() as port:
        fallbacks = {"SEG": ("CINE",), "CINE": ("KO", "SEG"), "KO": ("SR",)}
        outbox = Outbox(database, tmp_path, port, send=("SEG",), fallbacks=fallbacks)
        report, _ = outbox.queue("SR", "SEG")

        outbox.lane.send_due()
        outbox.lane.send_due()

    assert scp.instances == [report]


def test_a_file_that_is_away_waits_alone(database, tmp_path):
    """A store that is not mounted comes back."""
    scp = both()
    with scp.running() as port:
        outbox = Outbox(database, tmp_path, port)
        (uid,) = outbox.queue("SR")
        (path,) = tmp_path.glob(f"{uid}*")
        path.rename(tmp_path / "away")

        outbox.lane.send_due()
        (tmp_path / "away").rename(path)
        outbox.pass_time(61)
        outbox.lane.send_due()

    assert outbox.rows("state, attempt_count") == [("delivered", 2)]


def test_a_file_that_cannot_be_read_holds_up_no_other(database, tmp_path, monkeypatch):
    """What a broken disk left of one object: it waits alone, whether that is found before the association or on it."""
    scp = both()
    with scp.running() as port:
        outbox = Outbox(database, tmp_path, port)
        queued = [uid for _ in range(3) for uid in outbox.queue("SR")]
        (empty,), (cut,) = (list(tmp_path.glob(f"{uid}*")) for uid in queued[:2])
        empty.write_bytes(b"")
        monkeypatch.setattr("echo_scp.deliver.dimse.dcmread", lambda path: dcmread(path if path != cut else empty))

        for _ in range(3):
            outbox.lane.send_due()

    assert scp.instances == queued[2:]
    assert outbox.rows("state, attempt_count") == [("waiting", 1), ("waiting", 1), ("delivered", 1)]


def test_a_web_service_that_is_away_rests_longer_each_time(database, tmp_path, free_port):
    """To be able to call it is not to have had its answer."""
    url = f"http://127.0.0.1:{free_port}/studies"
    outbox = Outbox(database, tmp_path, 0, ae_title=None, host=None, url=url)
    outbox.queue("SR")

    rests = []
    for _ in range(3):
        outbox.lane.send_due()
        with database.transaction() as transaction:
            rests += transaction.rows("resting_destinations")
        outbox.pass_time(3600)

    assert [failure_count for _, failure_count, *_ in rests] == [1, 2, 3]


def test_threads_that_find_a_destination_away_together_count_once(database, tmp_path, free_port, monkeypatch):
    """However many there are, the first rest is the shortest."""
    outbox = Outbox(database, tmp_path, free_port)
    outbox.queue("SR")
    others = [Lane(outbox.config, outbox.destination, database, outbox.audit) for _ in range(3)]

    def open_while_others_try(*arguments: object) -> object:
        if others:
            others.pop().send_due()
        return open_sender(*arguments)

    monkeypatch.setattr("echo_scp.outbox.lane.open_sender", open_while_others_try)
    outbox.lane.send_due()

    assert others == []
    assert outbox.rows("attempt_count, tried_s") == [(1, 60.0)]


def test_two_hosts_share_what_waits_and_send_nothing_twice(database, url, tmp_path):
    """Each object goes once, whichever host takes it."""
    scp = both()
    with scp.running() as port, Database(url, connections=8) as other_database:
        outbox = Outbox(database, tmp_path, port, concurrency=2)
        queued = [uid for _ in range(20) for uid in outbox.queue("SR")]

        with Deliverer(outbox.config, database, outbox.audit), Deliverer(outbox.config, other_database, outbox.audit):
            wait_for(lambda: set(outbox.rows("state")) == {("delivered",)}, 30)

    assert sorted(scp.instances) == sorted(queued)
    assert scp.associations <= 4


def test_what_is_in_hand_of_a_lost_host_is_free_at_once(database, url, tmp_path):
    """The row lock goes with the connection of its holder."""
    scp = both()
    with scp.running() as port, Database(url) as lost:
        outbox = Outbox(database, tmp_path, port)
        outbox.queue("SR")
        with suppress(ConnectionError), lost.transaction() as transaction:
            taken = transaction.row("take_delivery", **outbox.lane._parameters)
            outbox.lane.send_due()
            in_hand = outbox.rows("state")
            raise ConnectionError

        outbox.lane.send_due()

    assert taken is not None
    assert in_hand == [("waiting",)]
    assert outbox.rows("state") == [("delivered",)]


def test_rules_decide_who_gets_what(database, tmp_path):
    """A destination for urgent findings of one cart gets no others."""
    outbox = Outbox(database, tmp_path, 104, calling_ae_titles=["car?"], findings=["urgent"])

    outbox.queue("SR", facts=URGENT)
    outbox.queue("SR", facts=ROUTINE)
    outbox.queue("SR", facts=StudyFacts(("OTHER",), (), (), ("urgent",)))

    assert len(outbox.rows("state")) == 1


def test_commitment_makes_delivered_objects_committed(database, tmp_path):
    """Asked for after delivery, answered on the same association."""
    with CommitmentScp().running() as port:
        outbox = Outbox(database, tmp_path, port, commitment=True)
        outbox.queue("SR", "SEG")
        outbox.lane.send_due()
        before = outbox.rows("state")

        Committing(outbox.config, outbox.destination, database).ask_due()

    assert before == [("delivered",)] * 2
    assert outbox.rows("state") == [("committed",)] * 2


def test_what_was_not_asked_for_is_not_committed(database, tmp_path, monkeypatch):
    """A report that names more than it was asked for must not keep an object from being sent."""
    outbox = Outbox(database, tmp_path, 104, commitment=True)
    asked, waiting = outbox.queue("SR", "SEG")
    with database.transaction() as transaction:
        transaction._connection.execute("UPDATE delivery SET state = 'delivered' WHERE sop_instance_uid = %s", (asked,))
    report = CommitmentReport(frozenset((asked, waiting)), ())
    monkeypatch.setattr("echo_scp.outbox.committing.request_commitment", lambda *_: report)

    Committing(outbox.config, outbox.destination, database).ask_due()

    assert outbox.rows("state") == [("committed",), ("waiting",)]


def test_a_report_that_cannot_be_read_is_asked_for_later(database, tmp_path, monkeypatch):
    """Not at once, and for ever."""
    outbox = Outbox(database, tmp_path, 104, commitment=True)
    outbox.queue("SR")
    with database.transaction() as transaction:
        transaction._connection.execute("UPDATE delivery SET state = 'delivered'")

    def request(*_: object) -> None:
        raise AttributeError

    monkeypatch.setattr("echo_scp.outbox.committing.request_commitment", request)
    committing = Committing(outbox.config, outbox.destination, database)

    asked = [committing.ask_due(), committing.ask_due()]

    assert asked == [True, False]
    assert outbox.rows("state") == [("delivered",)]


def test_the_destination_hears_that_its_report_was_taken(database, tmp_path, monkeypatch):
    """Before the association is released, however slowly the response leaves."""
    send_at_once = DIMSEServiceProvider.send_msg

    def send(self: DIMSEServiceProvider, primitive: object, context_id: int) -> None:
        if isinstance(primitive, N_EVENT_REPORT) and primitive.MessageIDBeingRespondedTo is not None:
            time.sleep(0.5)
        send_at_once(self, primitive, context_id)

    monkeypatch.setattr(DIMSEServiceProvider, "send_msg", send)
    scp = CommitmentScp()
    with scp.running() as port:
        outbox = Outbox(database, tmp_path, port, commitment=True)
        outbox.queue("SR")
        outbox.lane.send_due()
        Committing(outbox.config, outbox.destination, database).ask_due()

    assert scp.confirmations == [0x0000]
    assert outbox.rows("state") == [("committed",)]


def test_an_object_that_the_destination_does_not_commit_is_sent_again(database, tmp_path):
    """Under the same UID; the others are committed."""
    scp = CommitmentScp()
    with scp.running() as port:
        outbox = Outbox(database, tmp_path, port, commitment=True)
        lost, kept = outbox.queue("SR", "SEG")
        scp.loses = lost
        outbox.lane.send_due()
        Committing(outbox.config, outbox.destination, database).ask_due()
        states = outbox.rows("state")
        outbox.pass_time(61)

        outbox.lane.send_due()

    assert states == [("waiting",), ("committed",)]
    assert scp.received == [lost, kept, lost]


def test_what_the_destination_never_commits_is_sent_ever_later_and_then_given_up(database, tmp_path):
    """An archive that takes an object and never answers for it would else get it every minute, for ever."""
    scp = CommitmentScp()
    with scp.running() as port:
        outbox = Outbox(database, tmp_path, port, commitment=True)
        (scp.loses,) = outbox.queue("SR")
        committing = Committing(outbox.config, outbox.destination, database)
        waits = []
        while outbox.rows("state") != [("given_up",)] and len(waits) < 100:
            outbox.lane.send_due()
            committing.ask_due()
            ((wait_s,),) = outbox.rows("round(extract(epoch FROM next_attempt_at - clock_timestamp()))::int")
            waits.append(wait_s)
            outbox.pass_time(wait_s + 1)

    assert waits[:5] == [60, 60, 120, 240, 480]
    assert waits[-1] == 6 * 3600
    assert len(waits) < 60
    assert len(scp.received) == len(waits)


def test_without_a_report_an_object_stays_delivered_and_is_asked_about_later(database, tmp_path):
    """Delivered is not committed."""
    scp = CommitmentScp(reports=False)
    with scp.running() as port:
        outbox = Outbox(database, tmp_path, port, commitment=True)
        outbox.config = outbox.config.model_copy(
            update={"deliver": outbox.config.deliver.model_copy(update={"timeout_s": 0.5})}
        )
        outbox.queue("SR")
        outbox.lane.send_due()
        committing = Committing(outbox.config, outbox.destination, database)

        asked = [committing.ask_due(), committing.ask_due()]

    assert asked == [True, False]
    assert outbox.rows("state, detail") == [("delivered", "no report of Storage Commitment came")]


def asked_without_a_report(database: Database, folder: Path, port: int) -> tuple[Outbox, str, str]:
    """An archive that takes an SR and will report elsewhere; its SOP Instance UID and that of the transaction."""
    outbox = Outbox(database, folder, port, commitment=True)
    outbox.config = outbox.config.model_copy(
        update={"deliver": outbox.config.deliver.model_copy(update={"timeout_s": 0.5})}
    )
    (uid,) = outbox.queue("SR")
    outbox.lane.send_due()
    Committing(outbox.config, outbox.destination, database).ask_due()
    with database.transaction() as transaction:
        ((transaction_uid,),) = transaction._connection.execute("SELECT transaction_uid FROM commitment_request")
    return outbox, uid, str(transaction_uid)


def tell(outbox: Outbox, transaction_uid: str, report: CommitmentReport) -> list[Path]:
    """Have the archive report on an association of its own, by another AE title; return the notes that are left."""
    spool = Spool(outbox.folder / "data", 0)
    desk = CommitmentDesk(spool)
    desk.keep_report(ArchiveReport(transaction_uid, "PACS_OUT", report))
    ArchiveReports(outbox.config, spool, outbox.database).work(0.0)
    return [path for path, _ in desk.reports()]


def test_a_report_on_another_association_commits(database, tmp_path):
    """As many archives send it, long after ours has ended; it is not asked about again."""
    with CommitmentScp(reports=False).running() as port:
        outbox, uid, transaction_uid = asked_without_a_report(database, tmp_path, port)
        left = tell(outbox, transaction_uid, CommitmentReport(frozenset({uid}), ()))
        outbox.pass_time(DAY_S)
        asked = Committing(outbox.config, outbox.destination, database).ask_due()

    assert outbox.rows("state, detail") == [("committed", "")]
    assert (left, asked) == ([], False)


def test_a_failure_that_is_reported_on_another_association_sends_again(database, tmp_path):
    """The same object."""
    scp = CommitmentScp(reports=False)
    with scp.running() as port:
        outbox, uid, transaction_uid = asked_without_a_report(database, tmp_path, port)
        tell(outbox, transaction_uid, CommitmentReport(frozenset(), ((uid, 0x0112),)))
        state = outbox.rows("state, detail")
        outbox.pass_time(61)
        outbox.lane.send_due()

    assert state == [("waiting", "Storage Commitment failed with reason 0x0112")]
    assert scp.received == [uid, uid]


@pytest.mark.parametrize("other_uid", ["1.2.3", "1.2\0"], ids=["not asked", "no text for a table"])
def test_a_report_that_nobody_awaits_changes_nothing(database, tmp_path, other_uid):
    """Commitment may lead to the removal of our copy: only who was asked knows the UID of the transaction."""
    with CommitmentScp(reports=False).running() as port:
        outbox, uid, _ = asked_without_a_report(database, tmp_path, port)
        left = tell(outbox, other_uid, CommitmentReport(frozenset({uid}), ()))

    assert outbox.rows("state") == [("delivered",)]
    assert left == []


def test_a_report_counts_for_what_was_asked(database, tmp_path):
    """Another object of the same destination, delivered and not asked about yet, stays as it is."""
    with CommitmentScp(reports=False).running() as port:
        outbox, uid, transaction_uid = asked_without_a_report(database, tmp_path, port)
        (other,) = outbox.queue("SEG")
        outbox.lane.send_due()
        tell(outbox, transaction_uid, CommitmentReport(frozenset({uid, other}), ()))

    assert outbox.rows("state") == [("committed",), ("delivered",)]


def test_an_old_report_changes_nothing_of_an_object_that_is_sent_again(database, tmp_path):
    """What the archive had is not what it has."""
    with CommitmentScp(reports=False).running() as port:
        outbox, uid, transaction_uid = asked_without_a_report(database, tmp_path, port)
        tell(outbox, transaction_uid, CommitmentReport(frozenset(), ((uid, 0x0112),)))
        tell(outbox, transaction_uid, CommitmentReport(frozenset({uid}), ()))

    assert outbox.rows("state") == [("waiting",)]


def found(database: Database, states: tuple[State, ...] | None = None, **selection: str) -> list[tuple[str, int]]:
    with database.transaction() as transaction:
        listed = list_deliveries(transaction, Selection(**selection), states, 100)
    return [(delivery.state, delivery.attempt_count) for delivery in listed]


def test_an_operator_sees_what_waits_first(database, tmp_path):
    """And chooses by state, destination, study or object."""
    scp = both()
    with scp.running() as port:
        outbox = Outbox(database, tmp_path, port)
        sent = outbox.queue("SR")
        outbox.lane.send_due()
    outbox.queue("SEG")

    assert found(database) == [("waiting", 0), ("delivered", 1)]
    assert found(database, (State.DELIVERED,)) == [("delivered", 1)]
    assert found(database, sop_instance_uid=sent[0]) == [("delivered", 1)]
    assert found(database, destination="other") == []


def test_an_operator_has_a_resting_destination_tried_at_once(database, tmp_path, free_port):
    """What was given up goes too, as if it had never been tried."""
    outbox = Outbox(database, tmp_path, free_port)
    outbox.queue("SR")
    outbox.lane.send_due()
    with database.transaction() as transaction:
        transaction._connection.execute("UPDATE delivery SET state = 'given_up', tried_s = 1e9")
        retried = retry_deliveries(transaction, Selection(destination="pacs"), RETRIED)
    scp = both()
    with scp.running() as port:
        Outbox(database, tmp_path, port).lane.send_due()

    assert retried == 1
    assert outbox.rows("state, tried_s") == [("delivered", 0)]


def test_what_an_operator_cancels_is_never_sent(database, tmp_path):
    """Unless it was delivered already; retry with the state brings it back."""
    scp = both()
    with scp.running() as port:
        outbox = Outbox(database, tmp_path, port)
        outbox.queue("SR")
        outbox.lane.send_due()
        outbox.queue("SR")
        with database.transaction() as transaction:
            cancelled = cancel_deliveries(transaction, Selection(destination="pacs"))
        sent = outbox.lane.send_due()
        with database.transaction() as transaction:
            retry_deliveries(transaction, Selection(destination="pacs"), (State.CANCELLED,))
        brought_back = outbox.lane.send_due()

    assert (cancelled, sent, brought_back) == (1, False, True)
    assert outbox.rows("state") == [("delivered",)] * 2


def test_gauges_of_a_destination_that_is_configured_no_more_end_with_what_waited(database, tmp_path):
    """Else an alert on them would never end."""
    Outbox(database, tmp_path, 104, name="earlier").queue("SR")
    gauges = DeliveryGauges(["pacs"])
    with database.transaction() as transaction:
        gauges.refresh(transaction)
        waiting = metrics.render().decode()
        cancel_deliveries(transaction, Selection(destination="earlier"))
        gauges.refresh(transaction)

    assert 'echo_scp_deliveries_waiting{destination="earlier"} 1.0' in waiting
    assert 'echo_scp_deliveries_waiting{destination="earlier"} 0.0' in metrics.render().decode()


def test_the_doctor_names_a_destination_that_is_configured_no_more(database, url, tmp_path):
    """What waits for it would wait for ever."""
    outbox = Outbox(database, tmp_path, 104, name="old-pacs")
    outbox.queue("SR")
    config = Config(database={"url": url}, destinations=Outbox(database, tmp_path, 104).config.destinations)

    waiting = [finding for finding in examine_database(config) if finding.name == "destination old-pacs"]
    with database.transaction() as transaction:
        cancel_deliveries(transaction, Selection(destination="old-pacs"))
    cancelled = [finding for finding in examine_database(config) if finding.name == "destination old-pacs"]

    assert ["deliveries cancel" in finding.fix for finding in waiting] == [True]
    assert cancelled == []


def test_what_was_given_up_shows_until_somebody_decides(database, tmp_path):
    """Nothing else tells of it: it waits no more."""
    Outbox(database, tmp_path, 104).queue("SR")
    gauges = DeliveryGauges(["pacs"])
    shown = []
    with database.transaction() as transaction:
        transaction.execute("charge_waiting", destination="pacs", wait_s=10.0, give_up_after_s=5.0, detail="no answer")
        gauges.refresh(transaction)
        shown.append(metrics.render().decode())
        retry_deliveries(transaction, Selection(destination="pacs"), (State.GIVEN_UP,))
        gauges.refresh(transaction)
        shown.append(metrics.render().decode())

    assert 'echo_scp_deliveries_given_up{destination="pacs"} 1.0' in shown[0]
    assert 'echo_scp_deliveries_given_up{destination="pacs"} 0.0' in shown[1]


def test_the_command_lists_retries_and_cancels(database, url, tmp_path, command):
    """On the configured database; what is meant must be said."""
    config = tmp_path / "node.toml"
    config.write_text(f"database.url = '{url}'\n")
    (uid,) = Outbox(database, tmp_path, 104).queue("SR", facts=URGENT)

    listed = command("deliveries", "list", "--json", "--config", config)
    table = command("deliveries", "list", "--config", config)
    unsaid = command("deliveries", "cancel", "--config", config)
    cancelled = command("deliveries", "cancel", "--object", uid, "--config", config)

    assert listed.returncode == 0, listed.stderr
    (delivery,) = json.loads(listed.stdout)
    assert (delivery["sop_instance_uid"], delivery["state"], delivery["urgent"]) == (uid, "waiting", True)
    assert uid[-12:] in table.stdout
    assert max(map(len, table.stdout.splitlines())) <= 80
    assert unsaid.returncode == 1
    assert "say which" in unsaid.stderr
    assert cancelled.stdout == "1 cancelled\n"
