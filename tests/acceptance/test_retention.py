"""Local copies go when the disk fills: of studies that their destinations have, and of no others."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from echo_scp import retention as retention_module
from echo_scp.audit import AuditTrail
from echo_scp.config import AuditConfig, Config, Destination
from echo_scp.database.connection import Database
from echo_scp.index import Indexer
from echo_scp.report.results import RESULTS_NAME
from echo_scp.retention import Retention, disk_used_percent
from echo_scp.spool import Spool
from tests.acceptance.test_index import spool_file
from tests.unit.test_index import write_spooled


class Site:
    """A node's data after some studies, without its processes."""

    def __init__(self, database: Database, folder: Path, *, commitment: bool = False) -> None:
        self.database = database
        self.folder = folder
        self.spool = Spool(folder / "data", 0)
        pacs = Destination(name="pacs", ae_title="PACS", host="pacs", commitment=commitment)
        watermarks = {"high_watermark_percent": 90, "low_watermark_percent": 80, "minimum_age_h": 24}
        self.config = Config(destinations=(pacs,), retention=watermarks)
        self.audit = AuditTrail(AuditConfig(), folder / "audit.log", "ECHO_SCP")
        self.used = [95.0]

    def receive(self, study: str) -> Path:
        """Index one instance of a study as of long ago; return where it is kept."""
        path = self.folder / f"{study}.dcm"
        if not path.exists():
            write_spooled(path, StudyInstanceUID=study, SOPInstanceUID=f"{study}.1", PatientID=f"P-{study}")
        spool_file(self.spool, path)
        Indexer(self.spool, self.database, lambda uid: None).index_all()
        self.execute(
            "UPDATE study SET last_received_at = last_received_at - interval '9 days',"
            f" quiet_since = quiet_since - interval '9 days', state = 'reported' WHERE study_instance_uid = '{study}'"
        )
        ((stored,),) = self.execute(f"SELECT path FROM instance WHERE study_instance_uid = '{study}'")
        return Path(stored)

    def report(self, study: str, *states: str) -> Path:
        """Store a result of a study with a delivery per state; return its folder."""
        folder = self.spool.results_folder(study, 1)
        self.spool.write_result(folder / RESULTS_NAME, b"{}")
        with self.database.transaction() as transaction:
            run = transaction.row(
                "begin_run", study_instance_uid=study, revision=1, inputs_sha256="", software_version="1"
            )
            for number, state in enumerate(states):
                uid = f"{study}.9.{number}"
                self.spool.write_result(folder / f"{uid}.dcm", b"object")
                transaction.execute(
                    "insert_result_object",
                    run_id=run[0],
                    sop_instance_uid=uid,
                    series_instance_uid="1.2",
                    sop_class_uid="1.2",
                    kind="SR",
                    path=str(folder / f"{uid}.dcm"),
                )
                transaction.execute("insert_delivery", sop_instance_uid=uid, destination="pacs", urgent=False)
                transaction._connection.execute(
                    f"UPDATE delivery SET state = '{state}' WHERE sop_instance_uid = '{uid}'"
                )
        return folder

    def execute(self, statement: str) -> list[tuple[object, ...]]:
        with self.database.transaction() as transaction:
            cursor = transaction._connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def purge(self) -> int:
        return Retention(self.config, self.database, self.spool, self.audit, self._percent).run()

    def _percent(self) -> float:
        return self.used.pop(0) if len(self.used) > 1 else self.used[0]


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    with Database(url) as database:
        with database.transaction() as transaction:
            transaction._connection.execute(
                "TRUNCATE delivery, result_object, run, instance, study, purged_file CASCADE"
            )
        yield database


def test_a_delivered_study_goes_with_its_results_and_the_trail_says_so(database, tmp_path):
    """Its history stays in the tables; nothing of it stays on the disk."""
    site = Site(database, tmp_path)
    stored, results = site.receive("1.2.1"), site.report("1.2.1", "delivered", "delivered")

    purged = site.purge()

    assert purged == 1
    assert not stored.exists()
    assert not results.exists()
    assert not stored.parent.parent.exists()
    assert site.execute("SELECT state FROM delivery") == [("delivered",)] * 2
    trail = (tmp_path / "audit.log").read_text()
    assert "DICOM Study Deleted" in trail
    assert "P-1.2.1" in trail


@pytest.mark.parametrize(
    ("states", "commitment", "goes"),
    [
        (("delivered",), False, True),
        (("committed",), True, True),
        (("delivered", "unsupported"), False, True),
        (("delivered",), True, False),
        (("waiting",), False, False),
        (("delivered", "waiting"), False, False),
        (("delivered", "given_up"), False, False),
        (("delivered", "cancelled"), False, False),
        (("unsupported",), False, False),
        ((), False, False),
    ],
)
def test_only_what_the_destinations_have_goes(database, tmp_path, states, commitment, goes):
    """Committed, where that is asked for."""
    site = Site(database, tmp_path, commitment=commitment)
    stored = site.receive("1.2.2")
    site.report("1.2.2", *states)

    site.purge()

    assert stored.exists() is not goes


@pytest.mark.parametrize(
    ("change", "goes"),
    [
        ("UPDATE study SET state = 'receiving'", False),
        ("UPDATE study SET state = 'failed'", False),
        ("UPDATE study SET last_received_at = now(), quiet_since = now()", False),
        ("UPDATE instance SET conflicting = true", False),
        ("UPDATE instance SET conflicting = true, settled = true", True),
    ],
)
def test_whether_a_study_that_is_young_unfinished_or_odd_goes(database, tmp_path, change, goes):
    """However full the disk is; what an operator has decided about holds nothing up."""
    site = Site(database, tmp_path)
    stored = site.receive("1.2.3")
    site.report("1.2.3", "delivered")
    site.execute(change)

    site.purge()

    assert stored.exists() is not goes


def test_a_study_stays_while_a_version_of_its_instance_waits_in_another(database, tmp_path):
    """Its own version is the one that counts, and that the operator compares with."""
    site = Site(database, tmp_path)
    stored = site.receive("1.2.13")
    site.report("1.2.13", "delivered")
    other = write_spooled(tmp_path / "other.dcm", StudyInstanceUID="1.2.14", SOPInstanceUID="1.2.13.1")
    spool_file(site.spool, other)
    Indexer(site.spool, database, lambda uid: None).index_all()

    site.purge()

    assert stored.exists()


def test_the_oldest_go_first_and_only_down_to_the_low_watermark(database, tmp_path):
    """Below the high one nothing happens."""
    site = Site(database, tmp_path)
    stored = [site.receive(f"1.2.4.{number}") for number in range(3)]
    for number in range(3):
        site.report(f"1.2.4.{number}", "delivered")
    site.used = [85.0]
    untouched = site.purge()
    site.used = [95.0, 95.0, 85.0, 79.0, 79.0]

    purged = site.purge()

    assert (untouched, purged) == (0, 2)
    assert [path.exists() for path in stored] == [False, False, True]


def test_what_a_crash_left_is_removed_by_the_next_run(database, tmp_path):
    """The rows went, the files were still there."""
    site = Site(database, tmp_path)
    stored = site.receive("1.2.5")
    with database.transaction() as transaction:
        transaction.execute("forget_study_files", study_instance_uid="1.2.5")
    site.used = [10.0]

    site.purge()

    assert not stored.exists()
    assert site.execute("SELECT * FROM purged_file") == []


def test_an_instance_that_comes_again_in_the_middle_stays(database, tmp_path):
    """It was acknowledged again: the file that waits to be removed is its file."""
    site = Site(database, tmp_path)
    site.receive("1.2.6")
    with database.transaction() as transaction:
        transaction.execute("forget_study_files", study_instance_uid="1.2.6")
    stored = site.receive("1.2.6")
    site.used = [10.0]

    site.purge()

    assert stored.exists()
    assert site.execute("SELECT * FROM purged_file") == []


def test_an_odd_instance_that_comes_while_its_study_goes_stays(database, tmp_path):
    """Other bytes under a known UID, between the choice of the study and its purge: an operator is to see them."""
    site = Site(database, tmp_path)
    stored = site.receive("1.2.11")
    site.execute("UPDATE instance SET conflicting = true")
    with database.transaction() as transaction:
        transaction.execute("forget_study_files", study_instance_uid="1.2.11")
    site.used = [10.0]

    site.purge()

    assert stored.exists()


def test_an_instance_that_cannot_be_read_any_more_holds_up_no_other(database, tmp_path):
    """Its patient is missing in the trail; it goes like the others."""
    site = Site(database, tmp_path)
    stored = [site.receive(study) for study in ("1.2.7", "1.2.8")]
    for study in ("1.2.7", "1.2.8"):
        site.report(study, "delivered")
    stored[0].write_bytes(bytes(128) + b"DICM" + b"\xff" * 40)

    purged = site.purge()

    assert purged == 2


def test_a_file_that_cannot_be_removed_holds_up_no_other(database, tmp_path):
    """It is tried again by the next run."""
    site = Site(database, tmp_path)
    stored = [site.receive(study) for study in ("1.2.9", "1.2.10")]
    stored[0].unlink()
    (stored[0] / "in the way").mkdir(parents=True)
    with database.transaction() as transaction:
        for study in ("1.2.9", "1.2.10"):
            transaction.execute("forget_study_files", study_instance_uid=study)
    site.used = [10.0]

    site.purge()
    left = site.execute("SELECT path FROM purged_file")
    (stored[0] / "in the way").rmdir()
    stored[0].rmdir()
    site.purge()

    assert not stored[1].exists()
    assert left == [(str(stored[0]),)]
    assert site.execute("SELECT path FROM purged_file") == []


def test_one_study_whose_files_cannot_be_removed_holds_up_no_other(database, tmp_path):
    """However many they are: somebody else's folders, as a restored backup leaves them."""
    site = Site(database, tmp_path)
    stored = site.receive("1.2.19")
    site.report("1.2.19", "delivered")
    for number in range(20):
        path = site.spool.store_path("1.2.18", f"1.2.18.{number % 2}", f"1.2.18.{number}", "0")
        (path / "in the way").mkdir(parents=True)
        site.execute(f"INSERT INTO purged_file VALUES ('{path}', '1.2.18.{number}')")

    count = site.purge()

    assert count == 1
    assert not stored.exists()


def test_where_no_file_can_be_removed_no_more_studies_are_forgotten(database, tmp_path, monkeypatch):
    """As on a disk that an error made read-only: each study would go without making any room."""
    site = Site(database, tmp_path)
    for number in range(4):
        site.receive(f"1.2.15.{number}")
        site.report(f"1.2.15.{number}", "delivered")

    def refuse(_: Path) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(retention_module, "_unlink", refuse)

    counts = [site.purge(), site.purge()]

    assert counts == [3, 0]
    assert site.execute("SELECT count(*) FROM instance") == [(1,)]


def test_while_the_store_is_not_there_nothing_is_forgotten(database, tmp_path):
    """A shared one may not be mounted: its files would stay for ever, and the trail would say that they are gone."""
    site = Site(database, tmp_path)
    stored = [site.receive(study) for study in ("1.2.16", "1.2.17")]
    site.report("1.2.17", "delivered")
    with database.transaction() as transaction:
        transaction.execute("forget_study_files", study_instance_uid="1.2.16")
    store, elsewhere = tmp_path / "data" / "store", tmp_path / "elsewhere"
    store.rename(elsewhere)

    while_away = site.purge()
    elsewhere.rename(store)
    site.purge()

    assert while_away == 0
    assert [path.exists() for path in stored] == [False, False]


def test_how_full_a_disk_is(tmp_path):
    """Between nothing and all."""
    assert 0 < disk_used_percent(tmp_path) < 100
