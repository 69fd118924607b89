"""Other content under a known SOP Instance UID: the first version counts until a person says otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import dcmread, dcmwrite
from pydicom.uid import ImplicitVRLittleEndian, generate_uid

from echo_scp.conflicts import differing_elements, keep_analysed, list_conflicts, take_newest
from echo_scp.database.connection import Database
from echo_scp.index import Indexer
from echo_scp.spool import Spool
from tests.acceptance.test_index import spool_file
from tests.unit.test_index import write_spooled


class Received:
    """An instance whose versions come one after the other."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.study, self.uid = generate_uid(prefix=None), generate_uid(prefix=None)
        self._database, self._folder = database, folder
        self._spool = Spool(folder / "data", 0)

    def version(self, name: str, study: str | None = None) -> None:
        elements = {"StudyInstanceUID": study or self.study, "SOPInstanceUID": self.uid, "PatientID": name}
        spool_file(self._spool, write_spooled(self._folder / f"{name}.dcm", **elements))
        Indexer(self._spool, self._database, lambda uid: None).index_all()

    def analysed(self, study: str | None = None) -> list[str]:
        """Return the Patient IDs of what the next analysis of a study sees."""
        from echo_scp.decode import read_instance

        with self._database.transaction() as transaction:
            rows = transaction.rows("study_inputs", study_instance_uid=study or self.study)
        return [read_instance(Path(str(row[0]))).header.PatientID for row in rows]

    def stored(self) -> int:
        with self._database.transaction() as transaction:
            files = [Path(str(path)) for _, path, _ in transaction.rows("known_files", sop_instance_uid=self.uid)]
        return sum(path.exists() for path in files)

    def conflict(self):
        return next((each for each in list_conflicts(self._database) if each.sop_instance_uid == self.uid), None)


@pytest.fixture
def received(database, tmp_path):
    received = Received(database, tmp_path)
    received.version("FIRST")
    return received


def test_a_single_version_is_no_conflict(received):
    """Nor is the same one twice."""
    received.version("FIRST")

    assert received.conflict() is None


def test_the_first_version_counts_until_a_person_decides(received):
    """What differs is named by keyword, never by value."""
    received.version("SECOND")
    received.version("THIRD")

    conflict = received.conflict()

    assert received.analysed() == ["FIRST"]
    assert len(conflict.later) == 2
    assert differing_elements(conflict.analysed.path, conflict.later[0].path) == ("PatientID",)


def test_the_newest_version_takes_the_place_of_the_first(database, received):
    """The study is to be analysed again; every version stays on disk."""
    received.version("SECOND")
    received.version("THIRD")

    assert take_newest(database, [received.uid]) == (received.study,)

    assert received.analysed() == ["THIRD"]
    assert received.conflict() is None
    assert received.stored() == 3
    with database.transaction() as transaction:
        (row,) = transaction.rows("list_studies", limit=1, state="receiving", study_instance_uid=received.study)
    assert row[0] == received.study


def test_keeping_the_first_ends_the_question(database, received):
    """The other version is kept on disk, and when it comes again nobody is asked again."""
    received.version("SECOND")

    keep_analysed(database, [received.uid])
    received.version("SECOND")

    assert received.analysed() == ["FIRST"]
    assert received.conflict() is None
    assert received.stored() == 2


def test_a_third_version_asks_anew(database, received):
    """It is compared with the one that counts now."""
    received.version("SECOND")
    take_newest(database, [received.uid])

    received.version("THIRD")

    assert received.analysed() == ["SECOND"]
    assert "SECOND" in str(received.conflict().analysed.path.read_bytes())
    assert len(received.conflict().later) == 1


def test_a_version_may_be_of_another_study(database, received):
    """The instance leaves the one and comes to the other; both are analysed again."""
    other = generate_uid(prefix=None)
    received.version("SECOND", study=other)
    assert received.conflict().concerns(other)

    studies = take_newest(database, [received.uid])

    assert set(studies) == {received.study, other}
    assert received.analysed() == []
    assert received.analysed(other) == ["SECOND"]


def test_an_instance_counts_again_when_only_a_refused_version_of_another_study_is_left(database, received):
    """Retention has removed the study of the one that counted; it comes again and must not wait for anybody."""
    received.version("SECOND", study=generate_uid(prefix=None))
    keep_analysed(database, [received.uid])
    with database.transaction() as transaction:
        transaction.execute("forget_study_files", study_instance_uid=received.study)

    received.version("FIRST")

    assert received.analysed() == ["FIRST"]
    assert received.conflict() is None


def test_another_encoding_is_named(tmp_path):
    """An archive that sends in another transfer syntax makes a version too, with the same elements."""
    path = write_spooled(tmp_path / "explicit.dcm")
    other = dcmread(path)
    other.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    dcmwrite(tmp_path / "implicit.dcm", other, implicit_vr=True, little_endian=True)

    assert differing_elements(path, tmp_path / "implicit.dcm") == ("TransferSyntaxUID",)


def test_a_file_that_is_gone_is_told_apart_from_one_that_differs(received, tmp_path):
    """The list does not fail with it."""
    assert differing_elements(tmp_path / "FIRST.dcm", tmp_path / "gone.dcm") == ("unreadable",)


def test_two_who_decide_at_once_do_no_harm(database, received):
    """The second finds nothing to decide."""
    received.version("SECOND")
    take_newest(database, [received.uid])

    assert take_newest(database, [received.uid]) == ()
    assert received.analysed() == ["SECOND"]
