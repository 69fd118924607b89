"""Spool -> store and tables, on the embedded PostgreSQL."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian

from echo_scp.database.connection import Database, migrate
from echo_scp.errors import DatabaseUnavailableError
from echo_scp.index import Indexer
from echo_scp.jobs import JobQueue, apply_job_schema
from echo_scp.node import prepare_database
from echo_scp.spool import Spool, SpooledIdentity
from tests.unit.test_index import write_spooled


def spool_file(spool: Spool, source) -> None:
    """Put a file into the spool as the listener would."""
    content = source.read_bytes()
    dataset = dcmread(source)
    identity = SpooledIdentity(
        dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.file_meta.TransferSyntaxUID, "CART", "ECHO_SCP"
    )
    meta_length = 128 + 4 + 12 + dataset.file_meta.FileMetaInformationGroupLength
    with spool.open(identity) as file:
        file.write([content[meta_length:]])
        file.commit()


def test_preparing_a_database_twice_changes_nothing(url, database):
    """Each migration runs once."""
    prepare_database(url)

    with database.transaction() as transaction:
        assert transaction.row("ping") == (1,)


def test_a_new_instance_is_stored_once_and_its_study_announced(database, tmp_path):
    """The spool is empty afterwards, the store has the file, the callback has the study."""
    spool, announced = Spool(tmp_path / "data", 0), []
    source = write_spooled(tmp_path / "a.dcm", StudyInstanceUID="1.3.1", SOPInstanceUID="1.3.3")
    indexer = Indexer(spool, database, announced.append)
    for _ in range(2):
        spool_file(spool, source)

    taken = indexer.index_all()

    assert taken == 2
    assert announced == ["1.3.1"]
    assert spool.ready() == ()
    with database.transaction() as transaction:
        rows = transaction.rows("study_inputs", study_instance_uid="1.3.1")
    assert len(rows) == 1


def test_another_nodes_result_is_stored_and_starts_nothing(database, tmp_path):
    """Two nodes behind one archive that forwards to both would answer each other without end."""
    spool, announced = Spool(tmp_path / "data", 0), []
    ours = {"Manufacturer": "echo-scp", "ManufacturerModelName": "echo-scp"}
    spool_file(spool, write_spooled(tmp_path / "a.dcm", StudyInstanceUID="1.8.1", SOPInstanceUID="1.8.3", **ours))

    Indexer(spool, database, announced.append).index_all()

    assert announced == []
    with database.transaction() as transaction:
        ((_, path, _),) = transaction.rows("known_files", sop_instance_uid="1.8.3")
    assert Path(str(path)).exists()


def test_a_file_that_belongs_to_no_study_is_quarantined_and_the_rest_goes_on(database, tmp_path):
    """Nothing is thrown away."""
    spool, announced = Spool(tmp_path / "data", 0), []
    homeless = write_spooled(tmp_path / "a.dcm", StudyInstanceUID="")
    good = write_spooled(tmp_path / "b.dcm", StudyInstanceUID="1.4.1", SOPInstanceUID="1.4.3")
    spool_file(spool, homeless)
    spool_file(spool, good)

    Indexer(spool, database, announced.append).index_all()

    kept = list((tmp_path / "data" / "quarantine").glob("*.dcm"))
    assert len(kept) == 1
    assert announced == ["1.4.1"]


def spool_with_uid(spool: Spool, sop_instance_uid: bytes) -> None:
    """Put an instance into the spool whose data set says what no toolkit would write."""
    elements = [(0x0008, 0x0016, b"1.2.3."), (0x0008, 0x0018, sop_instance_uid)]
    elements += [(0x0020, 0x000D, b"1.7.1."), (0x0020, 0x000E, b"1.7.2.")]
    with spool.open(SpooledIdentity("1.2.3", "1.2.4", ExplicitVRLittleEndian, "CART", "ECHO_SCP")) as file:
        for group, element, value in elements:
            file.write([struct.pack("<HH2sH", group, element, b"UI", len(value)), value])
        file.commit()


@pytest.mark.parametrize("uid", [random.Random(1).randbytes(3000).hex().encode(), b"1.2\x003"], ids=["long", "NUL"])
def test_what_the_tables_cannot_hold_is_quarantined_and_the_rest_goes_on(database, tmp_path, uid):
    """A stranger's object must not stop the indexing of all others."""
    spool, announced = Spool(tmp_path / "data", 0), []
    good = write_spooled(tmp_path / "b.dcm", StudyInstanceUID="1.7.4", SOPInstanceUID=f"1.7.5.{len(uid)}")
    spool_with_uid(spool, uid)
    spool_file(spool, good)

    Indexer(spool, database, announced.append).index_all()

    assert announced == ["1.7.4"]
    assert len(list((tmp_path / "data" / "quarantine").glob("*.dcm"))) == 1


def test_a_file_that_the_store_does_not_take_stays_in_the_spool_and_the_rest_goes_on(database, tmp_path):
    """One folder that is in the way must not keep other studies from being analysed."""
    spool, announced = Spool(tmp_path / "data", 0), []
    (tmp_path / "data" / "store" / "1.8.1").write_text("in the way of the study's folder")
    for study in ("1.8.1", "1.8.2"):
        path = write_spooled(tmp_path / "a.dcm", StudyInstanceUID=study, SOPInstanceUID=f"{study}.3")
        spool_file(spool, path)

    Indexer(spool, database, announced.append).index_all()
    waiting = len(spool.ready())
    (tmp_path / "data" / "store" / "1.8.1").unlink()
    Indexer(spool, database, announced.append).index_all()

    assert waiting == 1
    assert announced == ["1.8.2", "1.8.1"]


@pytest.mark.parametrize("restarted", [False, True])
def test_nothing_is_stored_while_the_shared_store_is_not_mounted(database, tmp_path, restarted):
    """What is written into the empty mount point is hidden as soon as the store is back; also after a power cut."""
    shared, unmounted = tmp_path / "shared", tmp_path / "unmounted"
    shared.mkdir()
    spool, announced, study = Spool(tmp_path / "data", 0, shared), [], f"1.8.3.{restarted:d}"
    spool_file(spool, write_spooled(tmp_path / "a.dcm", StudyInstanceUID=study, SOPInstanceUID=f"{study}.3"))
    shared.rename(unmounted)
    shared.mkdir()
    if restarted:
        spool = Spool(tmp_path / "data", 0, shared)

    Indexer(spool, database, announced.append).index_all()
    waiting, hidden = len(spool.ready()), list(shared.iterdir())
    shared.rmdir()
    unmounted.rename(shared)
    Indexer(spool, database, announced.append).index_all()

    assert (waiting, hidden) == (1, [])
    assert announced == [study]


def remove(stored: Path) -> None:
    stored.unlink()
    stored.parent.rmdir()


@pytest.mark.parametrize(
    ("number", "harm"),
    [(1, remove), (2, lambda stored: stored.write_bytes(b"")), (3, lambda stored: stored.write_bytes(b"0" * 500))],
    ids=["gone", "empty", "damaged"],
)
def test_an_instance_whose_file_is_lost_is_kept_when_it_comes_again(database, tmp_path, number, harm):
    """The sender was told Success again: the new file takes the lost one's place, and its study is looked at again."""
    spool, announced, study = Spool(tmp_path / "data", 0), [], f"1.9.{number}"
    source = write_spooled(tmp_path / "a.dcm", StudyInstanceUID=study, SOPInstanceUID=f"{study}.3")
    indexer = Indexer(spool, database, announced.append)
    spool_file(spool, source)
    indexer.index_all()
    (stored,) = (tmp_path / "data" / "store").rglob("*.dcm")
    content = stored.read_bytes()
    with database.transaction() as transaction:
        transaction.execute("study_unchanged", study_instance_uid=study)
    harm(stored)

    spool_file(spool, source)
    indexer.index_all()

    assert stored.read_bytes() == content
    assert spool.ready() == ()
    assert announced == [study, study]
    with database.transaction() as transaction:
        assert (study,) in transaction.rows("studies_without_job")


def test_what_is_quarantined_while_the_database_is_away_is_not_forgotten(tmp_path):
    """An operator finds it by its row: without one it stays in the spool."""
    spool = Spool(tmp_path / "data", 0)
    spool_file(spool, write_spooled(tmp_path / "a.dcm", StudyInstanceUID=""))
    with (
        Database("postgresql://127.0.0.1:9/none", timeout_s=0.5) as away,
        pytest.raises(DatabaseUnavailableError),
    ):
        Indexer(spool, away, lambda uid: None).index_all()

    assert len(spool.ready()) == 1


def test_while_the_database_is_away_files_stay_in_the_spool(tmp_path):
    """Indexing raises what can be tried again; nothing moved."""
    spool = Spool(tmp_path / "data", 0)
    spool_file(spool, write_spooled(tmp_path / "a.dcm"))
    with Database("postgresql://127.0.0.1:9/none", timeout_s=0.5) as away:
        indexer = Indexer(spool, away, lambda uid: None)

        with pytest.raises(DatabaseUnavailableError):
            indexer.index_all()

    assert len(spool.ready()) == 1


def test_an_unfinished_study_without_a_job_gets_one_again(url, database, tmp_path):
    """A crash between the row and the job loses nothing; asking twice makes one job."""
    spool = Spool(tmp_path / "data", 0)
    spool_file(spool, write_spooled(tmp_path / "a.dcm", StudyInstanceUID="1.5.1", SOPInstanceUID="1.5.3"))
    Indexer(spool, database, lambda uid: None).index_all()

    with JobQueue(url) as queue:
        queue.recover(database, 60)
        queue.recover(database, 60)

    with database.transaction() as transaction:
        depth = {str(name): count for name, count, _ in transaction.rows("queue_depth")}
        assert transaction.rows("studies_without_job") == []
    assert depth["analyse"] >= 1


def test_an_unreachable_server_is_a_typed_error():
    """The node waits for it instead of ending."""
    with pytest.raises(DatabaseUnavailableError, match="does not answer"):
        migrate("postgresql://127.0.0.1:9/none")
    with pytest.raises(DatabaseUnavailableError, match="does not answer"):
        apply_job_schema("postgresql://127.0.0.1:9/none")
