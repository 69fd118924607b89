"""Spool -> store and tables, on the embedded PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydicom import dcmread

from echo_scp.database.connection import Database, migrate
from echo_scp.database.embedded import embedded_server
from echo_scp.errors import DatabaseUnavailableError
from echo_scp.index import Indexer
from echo_scp.jobs import JobQueue, apply_job_schema
from echo_scp.node import prepare_database
from echo_scp.spool import Spool, SpooledIdentity
from tests.unit.test_index import write_spooled


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with embedded_server(tmp_path_factory.mktemp("database") / "postgresql") as url:
        prepare_database(url)
        yield url


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    with Database(url) as database:
        yield database


def spool_file(spool: Spool, source) -> None:
    """Put a file into the spool as the listener would."""
    content = source.read_bytes()
    dataset = dcmread(source)
    identity = SpooledIdentity(
        dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.file_meta.TransferSyntaxUID, "CART", "ECHO_SCP"
    )
    meta_length = 128 + 4 + 12 + dataset.file_meta.FileMetaInformationGroupLength
    with spool.open(identity) as file:
        file.write(content[meta_length:])
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
