"""A monitor gets its answer, whatever the database does."""

from __future__ import annotations

import asyncio
import json
import threading

import pytest
from starlette.requests import Request

from echo_scp.web.monitor import Monitor, Question


def ask(monitor: Monitor, path: str):
    route = next(route for route in monitor.routes() if route.path == path)
    return asyncio.run(route.endpoint(Request({"type": "http", "method": "GET", "path": path, "headers": []})))


@pytest.fixture
def away():
    """A database that does not answer before the test is over."""
    over = threading.Event()
    yield over.wait
    over.set()


def test_a_node_whose_checks_hold_is_ready():
    """Each check is named."""
    answer = ask(Monitor(lambda: None, {"database": lambda: True, "worker": lambda: True}), "/readyz")

    assert answer.status_code == 200
    assert json.loads(answer.body) == {"database": True, "worker": True}


def test_readiness_does_not_wait_for_a_database_that_is_away(away):
    """It is not ready, and says so while the database is still being asked."""
    monitor = Monitor(lambda: None, {"database": away, "worker": lambda: True}, patience_s=0.1)

    answer = ask(monitor, "/readyz")

    assert answer.status_code == 503
    assert json.loads(answer.body) == {"database": False, "worker": True}


def test_metrics_do_not_wait_for_a_database_that_is_away(away):
    """What is counted is shown; what the database would tell is as it was."""
    answer = ask(Monitor(away, {}, patience_s=0.1), "/metrics")

    assert answer.status_code == 200
    assert b"echo_scp_received_bytes_total" in answer.body


def test_a_question_is_asked_once_at_a_time():
    """Impatient monitors do not pile up behind a database that is away."""
    asked, over = [], threading.Event()
    question = Question("test", lambda: (asked.append(1), over.wait()))

    async def impatient():
        return [await question.answer(0.05) for _ in range(3)]

    assert asyncio.run(impatient()) == [None, None, None]
    assert len(asked) == 1
    over.set()
    question.close()


def test_health_is_that_the_process_answers(away):
    """Nothing is asked."""
    assert ask(Monitor(away, {"database": away}), "/healthz").body == b"ok\n"
