"""The web side over a real socket: headers, https, and a database that is away."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest

from echo_scp.config import Config, WebConfig
from echo_scp.database.connection import Database
from echo_scp.errors import ConfigurationError
from echo_scp.web.app import WebApp, WebThread
from echo_scp.web.pages import PageParts, minutes_text
from echo_scp.web.users import set_user


@contextmanager
def serving(database: Database, **changes: object) -> Iterator[int]:
    """Serve monitor and page of a node without anything behind them; yield the port."""
    web = WebConfig(port=0, **changes)
    page = PageParts(
        Config(web=web), database, lambda uid, sop, destination: False, lambda uid: False, lambda uid, revision: Path()
    )
    thread = WebThread(WebApp(lambda: None, {"database": database.ping}, page), web)
    thread.start()
    try:
        yield thread.port
    finally:
        thread.stop()


@pytest.fixture
def away(free_port) -> Iterator[Database]:
    """A database whose server is not there."""
    with Database(f"postgresql://127.0.0.1:{free_port}/echo", timeout_s=0.5) as database:
        yield database


@pytest.fixture
def certificate(tmp_path) -> tuple[Path, Path]:
    """A certificate for the loopback, signed by itself, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    certificate, key = tmp_path / "page.pem", tmp_path / "page.key"
    command = (
        f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout {key} -out {certificate}"
    )
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command.split(), *subject], check=True, capture_output=True)
    return certificate, key


def get(address: str | urllib.request.Request, context: ssl.SSLContext | None = None):
    """Return status, headers and text, also of a refusal."""
    try:
        with urllib.request.urlopen(address, timeout=20, context=context) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read().decode()


def test_a_database_that_is_away_is_said_and_not_waited_for(away):
    """Health and metrics answer; the node is not ready; the page says what goes on."""
    with serving(away) as port:
        address = f"http://127.0.0.1:{port}"
        status, _, text = get(f"{address}/readyz")
        assert (status, json.loads(text)) == (503, {"database": False})
        assert get(f"{address}/healthz")[0] == 200
        assert get(f"{address}/metrics")[0] == 200

        status, headers, text = get(f"{address}/studies")

    assert status == 503
    assert headers["Retry-After"] == "10"
    assert "The database does not answer." in text


class Empty:
    """The database of a node to which nothing was sent."""

    def ping(self) -> bool:
        return True

    @contextmanager
    def transaction(self) -> Iterator[Empty]:
        yield self

    def rows(self, query: str, **values: object) -> list[object]:
        return []


def test_an_address_beyond_the_end_of_the_list_leads_to_its_first_page():
    """A page that is kept open, or as a bookmark, while studies go: the list is not said to be empty."""
    with serving(Empty()) as port:
        connection = HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET", "/studies?state=reported&page=9")
        answer = connection.getresponse()

        assert (answer.status, answer.headers["Location"]) == (303, "/studies?state=reported")
        assert get(f"http://127.0.0.1:{port}/studies?page=9")[0] == 200
        connection.close()


def test_who_has_to_wait_is_told_how_long(tmp_path):
    """On the page and to programs."""
    set_user(tmp_path / "users", "reader", "a long password")
    with serving(Empty(), auth=tmp_path / "users") as port:
        origin = f"http://127.0.0.1:{port}"
        request = urllib.request.Request(f"{origin}/login", b"name=reader&password=x", {"Origin": origin})
        for _ in range(6):
            status, headers, text = get(request)

    assert status == 429
    assert 290 < int(headers["Retry-After"]) <= 300
    assert "Try again in 5 minutes." in text


@pytest.mark.parametrize(("wait_s", "told"), [(0.2, "1 minute"), (29, "1 minute"), (61, "2 minutes")])
def test_a_wait_is_over_when_it_is_said_to_be(wait_s, told):
    """Never earlier than told."""
    assert minutes_text(wait_s) == told


@pytest.mark.parametrize("path", ["/healthz", "/studies", "/static/page.css", "/absent", "/static/../app.py", "/login"])
def test_every_answer_carries_the_headers_of_security(away, path):
    """Also a refusal, and the files of the page."""
    with serving(away) as port:
        _, headers, text = get(f"http://127.0.0.1:{port}{path}")

    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert "server" not in headers
    assert "import" not in text


def test_a_certificate_of_the_site_makes_it_https(away, certificate):
    """A browser that knows the certificate gets in; without encryption nobody does."""
    path, key = certificate
    with serving(away, certificate=path, key=key) as port:
        context = ssl.create_default_context(cafile=str(path))
        status, _, text = get(f"https://127.0.0.1:{port}/healthz", context)
        with pytest.raises(OSError, match=r"closed|reset"):
            get(f"http://127.0.0.1:{port}/healthz")

    assert (status, text) == (200, "ok\n")


def test_a_certificate_that_is_none_is_named_at_the_start(away, certificate):
    """Not by the first browser."""
    path, _ = certificate

    with pytest.raises(ConfigurationError, match=r"web\.certificate"), serving(away, certificate=path, key=path):
        pass
