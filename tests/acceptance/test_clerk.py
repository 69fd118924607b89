"""What peers say beside their objects, on the embedded PostgreSQL: commitment, procedure steps, open associations."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from echo_scp import clerk as clerk_module
from echo_scp.audit import AuditTrail
from echo_scp.clerk import Clerk, Reporter
from echo_scp.commitment import CommitmentAnswer, CommitmentDesk, CommitmentRequest, FailureReason, Reference
from echo_scp.completeness import StepState
from echo_scp.config import Config, Destination
from echo_scp.database.connection import Database
from echo_scp.errors import StorageError
from echo_scp.index import Indexer
from echo_scp.jobs import JobQueue, Work
from echo_scp.procedure_step import ProcedureStep, StepChange, StepDesk
from echo_scp.spool import Spool
from tests.acceptance.test_index import spool_file
from tests.unit.test_index import write_spooled

US_MULTI_FRAME = "1.2.840.10008.5.1.4.1.1.3.1"
QUIET_PERIOD_S = 600.0


class FakeQueue:
    """Keeps how long a study is to wait."""

    def __init__(self) -> None:
        self.waits_s: list[float] = []

    def schedule_analysis(self, _study_instance_uid: str, wait_s: float) -> None:
        self.waits_s.append(wait_s)


class CompleteError(Exception):
    """The study is complete: its analysis begins."""


class FakePipeline:
    @property
    def engines(self) -> object:
        raise CompleteError


class Site:
    """A node without its processes: spool, tables, a machine that takes answers or does not."""

    def __init__(self, folder: Path, database: Database, **changes: object) -> None:
        self.config = Config.model_validate(
            {"data_folder": folder / "data", "study": {"quiet_period_s": QUIET_PERIOD_S}} | changes
        )
        self.folder, self.database = folder, database
        self.spool = Spool(self.config.data_folder, 0)
        self.commitments, self.steps = CommitmentDesk(self.spool), StepDesk(self.spool)
        self.reported: list[tuple[CommitmentAnswer, Destination]] = []
        self.is_machine_there = True
        self.titles: frozenset[str] = frozenset()
        self.study = f"2.25.{uuid4().int}"
        self.clerk = Clerk(self.spool, database, lambda: self.titles)
        self.reporter = Reporter(self.config, self.spool, self._report)

    def work(self, now: float) -> None:
        """Let both threads of the node do what they can."""
        self.clerk.work(now)
        self.reporter.work(now)

    def receive(self, *numbers: int) -> list[str]:
        """Spool and index instances; return their UIDs."""
        uids = [f"{self.study}.{number}" for number in numbers]
        for uid in uids:
            path = write_spooled(self.folder / "a.dcm", StudyInstanceUID=self.study, SOPInstanceUID=uid)
            spool_file(self.spool, path)
        Indexer(self.spool, self.database, lambda _: None).index_all()
        return uids

    def ask(self, *uids: str, age_s: float = 0) -> CommitmentRequest:
        references = tuple(Reference(self.sop_class_uid(), uid) for uid in uids)
        request = CommitmentRequest("1.2.3.4", "CART", "ECHO_SCP", references, time.time() - age_s)
        self.commitments.ask(request)
        return request

    def sop_class_uid(self) -> str:
        with self.database.transaction() as transaction:
            rows = transaction.rows("stored_instances", sop_instance_uids=[f"{self.study}.1"])
        return str(rows[0][1]) if rows else US_MULTI_FRAME

    def answer(self) -> CommitmentAnswer | None:
        for name in self.commitments.answered():
            taken = self.commitments.take(name)
            assert taken is not None
            taken.release()
            return taken.answer
        return None

    def seconds_until_complete(self) -> float:
        """Return how long the study's job would wait; 0 when it would analyse."""
        queue = FakeQueue()
        with AuditTrail(self.config.audit, self.config.audit_file, "ECHO_SCP") as audit:
            work = Work(self.config, self.database, queue, self.spool, FakePipeline(), audit=audit)
            try:
                work.analyse_study(self.study)
            except CompleteError:
                return 0.0
        return queue.waits_s[0]

    def _report(self, answer: CommitmentAnswer, place: Destination, _timeout_s: float) -> bool:
        self.reported.append((answer, place))
        return self.is_machine_there


@pytest.fixture
def site(tmp_path, database) -> Site:
    return Site(tmp_path, database)


def make_site(folder: Path, database: Database, **peer: object) -> Site:
    return Site(folder, database, receive={"peers": [{"name": "cart", "ae_title": "CART"} | peer]})


# --- storage commitment ----------------------------------------------------------------------------------------------


def test_what_has_its_row_and_its_file_is_committed(site):
    """And nothing else is said."""
    site.ask(*site.receive(1, 2))

    site.work(time.time())

    answer = site.answer()
    assert answer is not None
    assert (len(answer.committed), answer.failed) == (2, ())
    assert list(site.commitments.requests()) == []


def test_what_is_only_in_the_spool_is_waited_for(site):
    """It is durable, but it is answered for when it has its row."""
    site.receive(1)
    path = write_spooled(site.folder / "b.dcm", StudyInstanceUID=site.study, SOPInstanceUID=f"{site.study}.2")
    spool_file(site.spool, path)
    site.ask(f"{site.study}.1", f"{site.study}.2", age_s=-1)

    site.work(time.time() + clerk_module.MISSING_GRACE_S + 2)
    meanwhile = site.answer()
    Indexer(site.spool, site.database, lambda _: None).index_all()
    site.work(time.time())

    answer = site.answer()
    assert meanwhile is None
    assert answer is not None
    assert answer.failed == ()


def test_what_the_indexer_takes_while_it_is_looked_at_is_waited_for(site, monkeypatch):
    """Its row may be the one that was missing; who else asked is answered."""
    (uid,) = site.receive(1)
    site.ask(uid, f"{site.study}.2", age_s=clerk_module.MISSING_GRACE_S)
    monkeypatch.setattr(site.spool, "ready", lambda: (site.folder / "taken meanwhile.dcm",))

    site.work(time.time())

    assert site.answer() is None
    assert len(list(site.commitments.requests())) == 1


def test_what_never_came_is_said_to_have_failed_after_a_while(site):
    """Another host may be about to index it."""
    (uid,) = site.receive(1)
    site.ask(uid, f"{site.study}.2")

    site.work(time.time())
    at_once = site.answer()
    site.work(time.time() + clerk_module.MISSING_GRACE_S)

    answer = site.answer()
    assert at_once is None
    assert answer is not None
    assert [(each.sop_instance_uid, reason) for each, reason in answer.failed] == [
        (f"{site.study}.2", FailureReason.NO_SUCH_OBJECT_INSTANCE)
    ]


def test_a_row_whose_file_is_gone_is_not_committed(site):
    """A promise is about bytes."""
    (uid,) = site.receive(1)
    next(site.config.data_folder.glob(f"store/*/*/{uid}-*.dcm")).unlink()
    site.ask(uid)

    site.work(time.time())

    answer = site.answer()
    assert answer is not None
    assert [reason for _, reason in answer.failed] == [FailureReason.PROCESSING_FAILURE]


def test_while_the_store_is_not_there_nothing_is_answered(site):
    """A shared one may not be mounted: its files are not gone."""
    site.ask(*site.receive(1))
    store, elsewhere = site.config.data_folder / "store", site.folder / "elsewhere"
    store.rename(elsewhere)
    with pytest.raises(StorageError):
        site.clerk.work(time.time())
    elsewhere.rename(store)

    site.work(time.time())

    answer = site.answer()
    assert answer is not None
    assert answer.failed == ()


def test_another_class_than_was_stored_is_a_conflict(site):
    """The machine speaks of another object."""
    (uid,) = site.receive(1)
    site.commitments.ask(CommitmentRequest("1.2", "CART", "ECHO_SCP", (Reference("1.2.3", uid),), time.time()))

    site.work(time.time())

    answer = site.answer()
    assert answer is not None
    assert [reason for _, reason in answer.failed] == [FailureReason.CLASS_INSTANCE_CONFLICT]


def test_an_answer_goes_to_the_machine_s_own_port_when_its_association_is_gone(tmp_path, database):
    """After a while in which that could have taken it; again and again until it is confirmed."""
    site = make_site(tmp_path, database, report_host="10.1.2.3", report_port=1104)
    site.is_machine_there = False
    site.ask(*site.receive(1))
    now = time.time()

    site.work(now)
    site.work(now + 1)
    at_once = list(site.reported)
    site.work(now + clerk_module.SAME_ASSOCIATION_S)
    site.work(now + clerk_module.SAME_ASSOCIATION_S + 1)
    tries = [(place.host, place.port, place.tls) for _, place in site.reported]
    site.is_machine_there = True
    site.work(now + clerk_module.SAME_ASSOCIATION_S + clerk_module.REPORT_RETRY_S)

    assert at_once == []
    assert tries == [("10.1.2.3", 1104, False)]
    assert len(site.reported) == 2
    assert site.answer() is None


def test_an_answer_goes_by_tls_where_the_machine_takes_it_so(tmp_path, database):
    """With the node's own certificate, to whom its authorities know."""
    files = {name: tmp_path / name for name in ("certificate", "key", "authorities")}
    for path in files.values():
        path.touch()
    peer = {"name": "cart", "ae_title": "CART", "report_host": "cart.example", "report_tls": True}
    site = Site(tmp_path, database, receive={"peers": [peer], "tls": files})
    site.ask(*site.receive(1))
    now = time.time()
    site.work(now)

    site.work(now + clerk_module.SAME_ASSOCIATION_S)

    ((_, place),) = site.reported
    assert (place.tls, place.tls_certificate) == (True, files["certificate"])
    assert (place.tls_key, place.tls_ca) == (files["key"], files["authorities"])


def test_an_answer_goes_to_the_destination_of_that_title(tmp_path, database):
    """With its TLS; one by STOW-RS is no place for it."""
    destinations = [
        {"name": "web", "url": "https://cart.example/studies"},
        {"name": "cart", "ae_title": "CART", "host": "cart.example", "tls": True},
    ]
    site = Site(tmp_path, database, destinations=destinations)
    site.ask(*site.receive(1))
    now = time.time()
    site.work(now)

    site.work(now + clerk_module.SAME_ASSOCIATION_S)

    assert [place for _, place in site.reported] == [site.config.destinations[1]]


def test_a_machine_that_is_away_is_asked_once_for_all_its_answers(tmp_path, database):
    """Its time-outs must not add up."""
    site = make_site(tmp_path, database, report_host="10.1.2.3")
    site.is_machine_there = False
    (uid,) = site.receive(1)
    now = time.time()
    for number in range(5):
        reference = Reference(site.sop_class_uid(), uid)
        site.commitments.ask(CommitmentRequest(f"1.2.{number}", "CART", "ECHO_SCP", (reference,), now))
    site.work(now)

    site.work(now + clerk_module.SAME_ASSOCIATION_S)

    assert len(site.reported) == 1
    assert len(site.commitments.answered()) == 5


def test_an_answer_that_nobody_takes_is_given_up_at_last(site):
    """No host is known for it."""
    site.ask(*site.receive(1))
    now = time.time()
    site.work(now)

    site.work(now + clerk_module.SAME_ASSOCIATION_S)
    kept = site.answer()
    site.work(now + clerk_module.REPORT_FOR_S + 1)

    assert kept is not None
    assert site.reported == []
    assert site.answer() is None


def test_a_crash_between_answer_and_request_answers_again(site):
    """The request is there until its answer is durable; a second answer replaces the first."""
    request = site.ask(*site.receive(1))
    site.work(time.time())
    site.commitments.ask(request)

    site.work(time.time())

    assert len(site.commitments.answered()) == 1


@pytest.mark.parametrize("uid", ["1.2\x003", random.Random(1).randbytes(3000).hex()], ids=["NUL", "long"])
def test_what_the_tables_do_not_take_of_one_machine_holds_up_no_other(site, uid):
    """A request and a step that nobody can mean; the request is told to have failed."""
    odd = CommitmentRequest("1.2", "ODD", "ECHO_SCP", (Reference(US_MULTI_FRAME, uid),), 0)
    site.commitments.ask(odd)
    site.steps.create(ProcedureStep("1.2.9", StepState.IN_PROGRESS, (uid,), ()))
    site.ask(*site.receive(1))

    site.work(time.time())

    failed = {}
    for name in site.commitments.answered():
        taken = site.commitments.take(name)
        taken.release()
        failed[taken.answer.request.calling_ae_title] = len(taken.answer.failed)
    assert failed == {"ODD": 1, "CART": 0}


def test_a_clock_that_went_back_holds_no_answer_up(tmp_path, database):
    """Neither the answer nor who is told of it waits for a time that was before."""
    site = make_site(tmp_path, database, report_host="10.1.2.3")
    site.ask(*site.receive(1), f"{site.study}.2", age_s=-86400)
    site.clerk.work(time.time() + 86400 + clerk_module.MISSING_GRACE_S)

    site.work(time.time())

    assert len(site.reported) == 1


# --- when is a study complete ----------------------------------------------------------------------------------------


def test_without_evidence_a_study_waits_for_its_quiet_period(site):
    """Almost all of it is left."""
    site.receive(1)

    assert QUIET_PERIOD_S - 60 < site.seconds_until_complete() <= QUIET_PERIOD_S


def test_a_machine_of_the_list_has_its_own_quiet_period(tmp_path, database):
    """One that sends as it goes."""
    site = make_site(tmp_path, database, quiet_period_s=5000)
    site.receive(1)

    assert site.seconds_until_complete() > 4000


def test_a_step_tells_when_all_is_here(tmp_path, database):
    """In progress: wait. Completed, one instance missing: wait. All here: analyse."""
    site = Site(tmp_path, database, study={"quiet_period_s": QUIET_PERIOD_S, "settle_s": 0})
    site.steps.create(ProcedureStep(f"{site.study}.9", StepState.IN_PROGRESS, (site.study,), ()))
    uids = site.receive(1, 2)
    site.work(time.time())
    in_progress = site.seconds_until_complete()
    site.steps.change(f"{site.study}.9", StepChange(StepState.COMPLETED, (*uids, f"{site.study}.3")))
    site.work(time.time())
    incomplete = site.seconds_until_complete()
    site.receive(3)
    complete = site.seconds_until_complete()

    assert in_progress > 3000
    assert QUIET_PERIOD_S - 60 < incomplete <= QUIET_PERIOD_S
    assert complete == 0


def test_a_step_hastens_the_job_that_waits(site, url):
    """It was scheduled for the end of the quiet period."""
    (uid,) = site.receive(1)
    with JobQueue(url) as queue:
        queue.schedule_analysis(site.study, QUIET_PERIOD_S)
    site.steps.create(ProcedureStep(f"{site.study}.9", StepState.IN_PROGRESS, (site.study,), (uid,)))
    site.work(time.time())

    assert is_job_due(url, site.study)


def test_the_last_instance_that_a_finished_step_names_hastens_the_job_that_waits(site, url):
    """That one was scheduled when the step was finished, for the quiet period of what was missing."""
    step = f"{site.study}.9"
    site.receive(1)
    site.steps.create(ProcedureStep(step, StepState.IN_PROGRESS, (site.study,), ()))
    site.steps.change(step, StepChange(StepState.COMPLETED, (f"{site.study}.1", f"{site.study}.2")))
    site.work(time.time())
    with JobQueue(url) as queue:
        queue.schedule_analysis(site.study, QUIET_PERIOD_S)
    site.receive(3)  # which the step does not name
    before = is_job_due(url, site.study)

    site.receive(2)

    assert (before, is_job_due(url, site.study)) == (False, True)


def is_job_due(url: str, study: str) -> bool:
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "SELECT scheduled_at <= now() FROM procrastinate_jobs WHERE queueing_lock = %s", (f"study:{study}",)
        ).fetchone()
    return row == (True,)


def test_commitment_of_all_that_is_here_is_believed_of_a_machine_that_asks_once(tmp_path, database):
    """Not when it named only a part; not any more when something new came; not of a machine that asks often."""
    waits = {}
    for name, commits_per_study in (("once", True), ("often", False)):
        (tmp_path / name).mkdir()
        site = make_site(tmp_path / name, database, commits_per_study=commits_per_study)
        site.config = site.config.model_copy(
            update={"study": site.config.study.model_copy(update={"quiet_period_s": QUIET_PERIOD_S, "settle_s": 0})}
        )
        uids = site.receive(1, 2)
        site.ask(uids[0])
        site.work(time.time())
        waits[name, "part"] = site.seconds_until_complete()
        site.ask(*uids)
        site.work(time.time())
        waits[name, "all"] = site.seconds_until_complete()
        site.receive(3)
        waits[name, "more"] = site.seconds_until_complete()

    assert waits["once", "part"] > 500
    assert waits["once", "all"] == 0
    assert waits["once", "more"] > 500
    assert min(waits["often", kind] for kind in ("part", "all", "more")) > 500


def test_an_open_association_holds_the_study_it_brought_last(tmp_path, database):
    """And no other; when it closes, the quiet period counts again."""
    site = Site(tmp_path, database, study={"quiet_period_s": 0})
    site.receive(1)
    earlier = site.study
    site.study = f"2.25.{uuid4().int}"
    site.receive(1)
    site.titles = frozenset({"CART"})
    site.work(time.time())
    waits = [site.seconds_until_complete()]
    site.study = earlier
    waits.append(site.seconds_until_complete())

    assert waits[0] == pytest.approx(5)
    assert waits[1] == 0


def test_steps_are_taken_up_once_and_forgotten_after_a_week(site):
    """The table keeps them; a file that cannot be read stops nobody."""
    site.steps.create(ProcedureStep("1.2.8", StepState.IN_PROGRESS, (site.study,), ()))
    (site.spool.steps_folder / "broken.step").write_text("{")
    site.work(time.time())
    os.utime(site.spool.step_path("1.2.8"), (0, 0))
    site.work(time.time())

    with site.database.transaction() as transaction:
        rows = transaction.rows("study_steps", study_instance_uid=site.study)
    assert rows == [("IN PROGRESS", 0, 0)]
    assert not site.spool.step_path("1.2.8").exists()
