"""What a site meets in years: killed processes, a database that goes, lost hosts, studies that cannot be done."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import procrastinate
import psycopg
import pytest

from echo_scp import worker
from echo_scp.database.embedded import embedded_server, running_server_url
from echo_scp.errors import EngineError
from echo_scp.jobs import JobQueue
from echo_scp.node import prepare_database
from scripts.campaign import kill
from tests.acceptance.running import Node, wait_for

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket.socket:ResourceWarning")

DELIVERED = "SELECT count(*) FROM delivery WHERE state = 'delivered'"


def test_a_short_campaign_of_kills_loses_and_doubles_nothing(tmp_path):
    """Seeded; the long one is scripts/campaign/kill.py."""
    found = kill.run(tmp_path, points=3, seed=11, limit_s=15, pause_s=1.5)

    assert found["faults"] == []
    assert found["points"] >= 1
    assert found["acknowledged_instances"] >= 1


def postmaster(node: Node) -> int:
    return int((node.data / "postgresql" / "postmaster.pid").read_text().split()[0])


def test_a_database_that_goes_in_mid_flow_comes_back_and_all_is_done(node, pacs, make_study):
    """Stopped by somebody, then killed: instances are received meanwhile, the study is reported and delivered once."""
    study = make_study(0, 4, 6)
    node.quiet_period_s = 2.0
    node.start()
    for path in study.files[:2]:
        node.send(path)
    wait_for(lambda: node.events("instance.indexed"))
    os.kill(postmaster(node), signal.SIGINT)
    node.send(study.files[2])
    wait_for(lambda: node.events("database.started_again"))
    os.kill(postmaster(node), signal.SIGKILL)

    wait_for(lambda: len(node.events("database.started_again")) == 2)
    wait_for(node.is_ready)
    wait_for(lambda: node.rows("SELECT state FROM study") == [("reported",)])
    wait_for(lambda: node.rows("SELECT count(*) FROM delivery WHERE state <> 'delivered'") == [(0,)])

    objects = pacs.objects(study.study_instance_uid)
    assert node.rows("SELECT count(*) FROM instance") == [(3,)]
    assert len(objects) == len(set(objects)) >= 2


TIMES = {
    "study": ("quiet_since", "last_received_at"),
    "delivery": ("created_at", "next_attempt_at"),
    "destination": ("rest_until",),
    "procrastinate_jobs": ("scheduled_at",),
    "procrastinate_workers": ("last_heartbeat",),
}


@pytest.mark.parametrize("days", [400, -400], ids=["ahead", "back"])
def test_a_clock_that_jumps_holds_nothing_up(node, pacs, make_study, days):
    """What the database remembers then lies in another year; a study in hand and one that comes after are reported."""
    first, second = make_study(4), make_study(6)
    node.settings = ""
    node.quiet_period_s = 3.0
    node.start()
    node.send(first.files[0])
    wait_for(lambda: node.events("instance.indexed"))
    with psycopg.connect(node.embedded_url()) as connection:
        for table, columns in TIMES.items():
            shifts = ", ".join(f"{column} = {column} - interval '{days} days'" for column in columns)
            connection.execute(f"UPDATE {table} SET {shifts}")
    node.send(second.files[0])

    wait_for(
        lambda: node.rows("SELECT DISTINCT state FROM study") == [("reported",)] and node.rows(DELIVERED) == [(2,)]
    )

    assert len(pacs.objects(first.study_instance_uid)) == len(pacs.objects(second.study_instance_uid)) == 1


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with embedded_server(tmp_path / "server") as url:
        prepare_database(url)
        yield url


def test_an_operator_finds_the_server_of_a_running_node(url, tmp_path):
    """At the address that the node itself uses."""
    assert running_server_url(tmp_path / "server") == url


@pytest.fixture
def two_nodes(tmp_path: Path, pacs, url: str) -> Iterator[tuple[Node, Node]]:
    shared = tmp_path / "shared"
    shared.mkdir()
    settings = f"shared_folder = '{shared}'\ndatabase.url = '{url}'\nwork.stalled_after_s = 3\n"
    nodes = tuple(Node(tmp_path / name, pacs.port, settings=settings, database_url=url) for name in ("left", "right"))
    for node in nodes:
        node.start()
    yield nodes
    for node in nodes:
        node.stop()


def test_two_nodes_share_the_work_and_survive_the_loss_of_one(two_nodes, pacs, make_study):
    """The one that is left takes over what the other analysed, and delivers everything once."""
    studies = [make_study(0, 4), make_study(4), make_study(6)]
    left, right = two_nodes
    for study in studies:
        for path, node in zip(study.files, (left, right), strict=False):
            node.send(path)
    wait_for(lambda: left.events("study.analysis_started") or right.events("study.analysis_started"))
    lost, kept = (left, right) if left.events("study.analysis_started") else (right, left)
    wait_for(lambda: kept.rows("SELECT count(*) FROM instance") == [(4,)])
    lost.kill()

    wait_for(lambda: kept.rows("SELECT state, count(*) FROM study GROUP BY state") == [("reported", 3)])
    wait_for(lambda: kept.rows("SELECT count(*) FROM delivery WHERE state <> 'delivered'") == [(0,)])

    objects = [found for study in studies for found in pacs.objects(study.study_instance_uid)]
    assert len(objects) == len(set(objects)) == kept.rows(DELIVERED)[0][0]


class FakeWork:
    """Analyses every study but the poisoned one; notes what failed and why."""

    def __init__(self, analyse: Callable[[str], None]) -> None:
        self.analyse_study = analyse
        self.failures: dict[str, str] = {}

    def fail_study(self, study_instance_uid: str, failure: str) -> None:
        self.failures[study_instance_uid] = failure


def work_off(app: procrastinate.App) -> None:
    async def run() -> None:
        async with app.open_async():
            await app.run_worker_async(
                queues=["analyse"], wait=False, install_signal_handlers=False, delete_jobs="successful"
            )

    asyncio.run(run())


def test_a_study_that_cannot_be_analysed_is_set_aside_with_its_reason(url, monkeypatch):
    """After its attempts; the studies after it are analysed meanwhile."""
    monkeypatch.setattr(worker, "ANALYSIS_RETRY_S", (0.0, 0.0))
    analysed, attempts = [], []

    def analyse(uid: str) -> None:
        if uid == "poison":
            attempts.append(uid)
            raise EngineError("the network says no")
        analysed.append(uid)

    work = FakeWork(analyse)
    with JobQueue(url) as queue:
        for uid in ("poison", "1.2", "1.3"):
            queue.schedule_analysis(uid, 0)
        for _ in range(worker.ANALYSIS_ATTEMPTS):
            work_off(worker.build_app(url, work, queue))

    assert work.failures == {"poison": "3 attempts; the last: EngineError: the network says no"}
    assert len(attempts) == worker.ANALYSIS_ATTEMPTS
    assert analysed == ["1.2", "1.3"]


def test_a_worker_whose_housekeeping_fails_works_on(url):
    """A disk that cannot be asked must not end the analyses in hand, and is asked again."""
    asked = []

    def keep_house() -> None:
        asked.append(len(asked))
        raise PermissionError

    async def run() -> None:
        with JobQueue(url) as queue:
            work = FakeWork(lambda uid: None)
            async with worker.build_app(url, work, queue).open_async() as app:
                keeping = asyncio.create_task(worker._housekeep(app, work, keep_house, 0.01))
                while len(asked) < 2 and not keeping.done():
                    await asyncio.sleep(0.01)
                keeping.cancel()

    asyncio.run(run())

    assert asked == [0, 1]


def test_a_study_that_kills_its_worker_is_set_aside_and_goes_last_until_then(url):
    """Its job is found without its worker each time; from the third on it waits, so that others go before it."""
    work = FakeWork(lambda uid: None)

    def die_in_hand(connection: psycopg.Connection) -> None:
        connection.execute("UPDATE procrastinate_jobs SET status = 'doing'")

    async def take_over(app: procrastinate.App) -> None:
        async with app.open_async():
            await worker._take_over_stalled(app, work, 0.0)

    priorities = []
    with JobQueue(url) as queue, psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DELETE FROM procrastinate_jobs")
        queue.schedule_analysis("1.9", 0)
        for _ in range(worker.MAXIMUM_TAKEOVERS):
            die_in_hand(connection)
            asyncio.run(take_over(worker.build_app(url, work, queue)))
            priorities += connection.execute("SELECT priority FROM procrastinate_jobs").fetchall()
        left = connection.execute("SELECT count(*) FROM procrastinate_jobs").fetchall()

    assert work.failures == {"1.9": f"its analysis ended the worker {worker.MAXIMUM_TAKEOVERS} times"}
    assert priorities == sorted(priorities, reverse=True)
    assert priorities[-1] < (0,)
    assert left == [(0,)]
