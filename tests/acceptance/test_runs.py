"""Runs of a study on the embedded PostgreSQL: what is analysed is what is reported, whoever analyses it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast, get_args

import pytest

from echo_scp.audit import AuditTrail
from echo_scp.config import Config, ObjectKind
from echo_scp.database.connection import Database
from echo_scp.errors import StorageError, StudyLostError
from echo_scp.index import Indexer
from echo_scp.jobs import Work
from echo_scp.model import ClipAnalysis, EngineIdentity, NotAssessed, Reason, StudyAnalysis
from echo_scp.pipeline import AnalysedStudy, Request
from echo_scp.report import study_objects
from echo_scp.spool import Spool
from tests.acceptance.test_index import spool_file
from tests.unit.test_index import write_spooled

STUDY = "1.2.840.1"


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    with Database(url) as database:
        with database.transaction() as transaction:
            transaction._connection.execute("TRUNCATE delivery, result_object, run, instance, study CASCADE")
        yield database


class FakeQueue:
    """Knows no time."""

    def schedule_analysis(self, study_instance_uid: str, wait_s: float) -> None: ...


class RefusingPipeline:
    """Reports of every instance that it is not assessed."""

    settings = "{}"

    def __init__(self, config: Config) -> None:
        self._config = config
        self.identities = (EngineIdentity("view", "1.0.0", "aa" * 32),)
        self.meanwhile: Callable[[], None] = lambda: None
        self.lost: list[str] = []

    @property
    def engines(self) -> RefusingPipeline:
        return self

    def analyse(self, request: Request, publish: Callable[..., None]) -> AnalysedStudy:
        refusal = NotAssessed(Reason.NO_ELIGIBLE_CLIP, "nothing is")
        clips = tuple(ClipAnalysis(instance, not_assessed=refusal) for instance in request.instances)
        self.lost = [instance.sop_instance_uid for instance in request.instances if instance.is_lost]
        study = StudyAnalysis(
            request.study_instance_uid, request.revision, clips, refusal, None, self.identities, self.settings
        )
        objects = study_objects(study, [], [], self._config.report, request.now, predecessors=request.predecessors)
        files = []
        for file, content in objects:
            files.append(file)
            publish(file, content)
        self.meanwhile()
        return AnalysedStudy(study, tuple(files))


class Site:
    """A node without its processes, and its database."""

    def __init__(self, folder: Path, database: Database) -> None:
        destination = {"name": "pacs", "ae_title": "PACS", "host": "pacs", "send": ["SR"]}
        self.config = Config.model_validate(
            {"data_folder": folder / "data", "study": {"quiet_period_s": 0}, "destinations": [destination]}
        )
        self.folder, self.database = folder, database
        self.spool = Spool(self.config.data_folder, 0)
        self.pipeline = RefusingPipeline(self.config)
        audit = AuditTrail(self.config.audit, self.config.audit_file, "ECHO_SCP")
        self.work = Work(self.config, database, FakeQueue(), self.spool, self.pipeline, audit=audit)

    def receive(self, number: int) -> None:
        path = self.folder / f"{number}.dcm"
        uids = {"StudyInstanceUID": STUDY, "SOPInstanceUID": f"{STUDY}.{number}"}
        spool_file(self.spool, write_spooled(path, **uids, ImageComments="pixels"))
        Indexer(self.spool, self.database, lambda _: None).index_all()

    def stored(self, number: int) -> Path:
        ((path,),) = self.rows(f"SELECT path FROM instance WHERE sop_instance_uid = '{STUDY}.{number}'")
        return Path(str(path))

    def rows(self, statement: str) -> list[tuple[object, ...]]:
        with self.database.transaction() as transaction:
            return cast("list[tuple[object, ...]]", transaction._connection.execute(statement).fetchall())


@pytest.fixture
def site(tmp_path: Path, database: Database) -> Site:
    return Site(tmp_path, database)


def test_a_worker_that_was_given_up_too_early_does_not_report_for_the_one_that_took_over(site):
    """It knows nothing of the late instance that the other one analyses too."""
    site.receive(1)
    taken_over = []

    def take_over() -> None:
        site.pipeline.meanwhile = lambda: None
        site.receive(2)
        taken_over.append(site.work._begin(STUDY))

    site.pipeline.meanwhile = take_over
    site.work.analyse_study(STUDY)
    before = site.rows("SELECT state FROM study")
    site.work._run(STUDY, taken_over[0])

    assert before == [("analysing",)]
    assert site.rows("SELECT state, revision FROM study") == [("reported", 1)]
    assert site.rows("SELECT count(*) FROM clip") == [(2,)]


def test_a_study_without_images_that_is_asked_for_again_stays_reported(site):
    """Retention removed them: there is nothing to wait for."""
    site.receive(1)
    site.work.analyse_study(STUDY)
    with site.database.transaction() as transaction:
        transaction.execute("forget_study_files", study_instance_uid=STUDY)
        transaction.execute("ask_for_analysis", study_instance_uid=STUDY)

    site.work.analyse_study(STUDY)

    assert site.rows("SELECT state FROM study") == [("reported",)]


def test_a_return_to_earlier_engines_is_sent_as_a_new_revision(site):
    """Else the archive's newest report stays that of the engines that were given up."""
    site.receive(1)
    engines = site.pipeline.identities
    for identities in (engines, (EngineIdentity("view", "2.0.0", "bb" * 32),), engines):
        site.pipeline.identities = identities
        site.work.analyse_study(STUDY)

    assert site.rows(
        "SELECT revision, state FROM delivery JOIN result_object USING (sop_instance_uid)"
        " JOIN run ON run.id = run_id ORDER BY revision"
    ) == [(1, "waiting"), (2, "waiting"), (3, "waiting")]


def test_a_report_of_any_kind_names_the_earlier_one(site):
    """Else its readers take both for the newest word."""
    site.receive(1)
    site.work.analyse_study(STUDY)
    reports = {kind for kind in get_args(ObjectKind) if kind.startswith("SR")}
    ((run_id,),) = site.rows("SELECT id FROM run")
    with site.database.transaction() as transaction:
        for number, kind in enumerate(reports):
            uids = {"sop_instance_uid": f"{STUDY}.9.{number}", "series_instance_uid": "1.2", "sop_class_uid": "1.3"}
            transaction.execute("insert_result_object", run_id=run_id, **uids, kind=kind, path=kind)
    site.receive(2)

    begun = site.work._begin(STUDY)

    assert {earlier.kind for earlier in begun.predecessors} == reports


@pytest.mark.parametrize(
    "harm", [Path.unlink, lambda path: path.write_bytes(b"no DICOM" * 99)], ids=["gone", "damaged"]
)
def test_a_lost_file_is_told_and_does_not_hold_up_its_study(site, harm):
    """The rest is reported; when the file is back, the same inputs are not the same any more."""
    site.receive(1)
    site.receive(2)
    path = site.stored(2)
    content = path.read_bytes()
    harm(path)

    site.work.analyse_study(STUDY)
    lost = site.pipeline.lost
    path.write_bytes(content)
    site.work.analyse_study(STUDY)

    assert (lost, site.pipeline.lost) == ([f"{STUDY}.2"], [])
    assert site.rows("SELECT state, revision FROM study") == [("reported", 2)]
    assert site.rows("SELECT count(*) FROM clip GROUP BY run_id") == [(2,), (2,)]
    site.work.analyse_study(STUDY)
    assert site.rows("SELECT state, revision FROM study") == [("reported", 2)]


def test_a_study_that_lacks_the_same_files_again_is_not_reported_again(site):
    """A job that was killed after its work was done comes again; one file more, or another, is something new."""
    for number in (1, 2, 3):
        site.receive(number)
    second, third = site.stored(2), site.stored(3)
    for path, other in ((second, None), (third, second)):
        path.rename(path.with_suffix(".lost"))
        if other is not None:
            other.with_suffix(".lost").rename(other)
        site.work.analyse_study(STUDY)
        before = site.rows("SELECT state, revision FROM study")
        site.work.analyse_study(STUDY)

        assert site.rows("SELECT state, revision FROM study") == before

    assert before == [("reported", 2)]


def test_pixels_that_were_damaged_are_looked_at_again_when_they_come_again(site):
    """The header reads well, so nobody saw it: the same instance, sent again, makes a new revision."""
    site.receive(1)
    path = Path(str(site.rows("SELECT path FROM instance")[0][0]))
    content = path.read_bytes()
    path.write_bytes(content.replace(b"pixels", b"pixelz"))
    site.work.analyse_study(STUDY)

    site.receive(1)
    site.work.analyse_study(STUDY)
    site.receive(1)
    site.work.analyse_study(STUDY)

    assert path.read_bytes() == content
    assert site.rows("SELECT state, revision FROM study") == [("reported", 2)]


def test_a_study_of_which_no_file_is_left_fails_with_what_to_do(site):
    """There is no patient to report of."""
    site.receive(1)
    site.stored(1).unlink()

    with pytest.raises(StudyLostError, match="restore them, or send the study again") as lost:
        site.work.analyse_study(STUDY)

    assert not lost.value.retryable


def test_a_store_that_is_not_mounted_has_lost_nothing(site):
    """It may come back; until then the study waits."""
    site.receive(1)
    (site.config.data_folder / "store").rename(site.config.data_folder / "elsewhere")

    with pytest.raises(StorageError) as waiting:
        site.work.analyse_study(STUDY)

    assert waiting.value.retryable
