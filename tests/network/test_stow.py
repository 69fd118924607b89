"""Sending one object by STOW-RS, over plain HTTP and TLS, to a service that answers what it is told."""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme

from echo_scp.config import Destination
from echo_scp.deliver import DeliveryOutcome, open_sender
from echo_scp.errors import (
    DestinationRefusedError,
    DestinationUnreachableError,
    NoAnswerError,
    ObjectNotSupportedError,
)
from tests.network.test_deliver import make_file

REFERENCED, FAILED = "00081199", "00081198"


def module(sequence: str, **reason: int) -> str:
    """Return a Store Instances Response Module (PS3.18 Annex I) about one instance."""
    item = {"00081155": {"vr": "UI", "Value": ["1.2.3"]}}
    if "warning" in reason:
        item["00081196"] = {"vr": "US", "Value": [reason["warning"]]}
    if "failure" in reason:
        item["00081197"] = {"vr": "US", "Value": [reason["failure"]]}
    return json.dumps({sequence: {"vr": "SQ", "Value": [item]}})


class StowService:
    """Answers every request alike and remembers what came."""

    def __init__(self, status: int = 200, body: str = module(REFERENCED)) -> None:
        self.status = status
        self.body = body
        self.content_type = "application/dicom+json"
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.parts: list[tuple[str, bytes]] = []  # content type and content

    @contextmanager
    def running(self, tls: ssl.SSLContext | None = None) -> Iterator[str]:
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                service.receive(self)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"{'http' if tls is None else 'https'}://127.0.0.1:{server.server_port}/studies"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def receive(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        self.paths.append(request.path)
        self.headers.append(dict(request.headers))
        message = message_from_bytes(b"Content-Type: " + request.headers["Content-Type"].encode() + b"\r\n\r\n" + body)
        self.parts += [(part.get_content_type(), part.get_payload(decode=True)) for part in message.get_payload()]
        request.send_response(self.status)
        request.send_header("Content-Type", self.content_type)
        request.send_header("Content-Length", str(len(self.body)))
        request.end_headers()
        request.wfile.write(self.body.encode())


def send(path: Path, url: str, **options: object) -> DeliveryOutcome:
    destination = Destination(name="web", url=url, **options)
    with open_sender(destination, "ECHO_SCP", 5, [path]) as sender:
        return sender.send(path)


def test_the_file_arrives_as_one_part_bit_for_bit(tmp_path):
    """multipart/related of application/dicom (PS3.18 10.5.1)."""
    service, path = StowService(), make_file(tmp_path)

    with service.running() as url:
        outcome = send(path, url)

    assert outcome == DeliveryOutcome(0, "")
    assert service.paths == ["/studies"]
    assert service.parts == [("application/dicom", path.read_bytes())]
    assert service.headers[0]["Accept"] == "application/dicom+json"


@pytest.mark.parametrize("status", [200, 202])
def test_a_warning_reason_is_kept(tmp_path, status):
    """The service has the object, and says what it changed."""
    with StowService(status, module(REFERENCED, warning=0xB000)).running() as url:
        outcome = send(make_file(tmp_path), url)

    assert outcome.status == 0xB000
    assert "Coercion" in outcome.warning


@pytest.mark.parametrize("reason", [0x0111, 0xB00E], ids=["PS3.7", "Azure"])
def test_a_service_that_has_the_object_already_has_it(tmp_path, reason):
    """As after a crash before the answer was kept: under this UID there is one content, always."""
    with StowService(409, module(FAILED, failure=reason)).running() as url:
        outcome = send(make_file(tmp_path), url)

    assert outcome.status == reason
    assert "already" in outcome.warning


def test_an_empty_answer_of_200_is_success(tmp_path):
    """Not every service describes what it did; 200 says that it stored all (PS3.18 Table 10.5.3-1)."""
    with StowService(200, "").running() as url:
        assert send(make_file(tmp_path), url).status == 0


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (202, "", DestinationRefusedError),
        (200, module(FAILED, failure=0xA700), DestinationRefusedError),
        (409, module(FAILED, failure=0xA900), DestinationRefusedError),
        (409, module(FAILED), DestinationRefusedError),
        (409, module(FAILED, failure=0x0122), ObjectNotSupportedError),
        (409, module(FAILED, failure=0xC122), ObjectNotSupportedError),
        (409, module(FAILED, failure=0xB00F), DestinationRefusedError),
        (200, module(FAILED, failure=0x0000), DestinationRefusedError),
        (415, "", ObjectNotSupportedError),
        (400, "", DestinationRefusedError),
        (401, "", DestinationRefusedError),
        (404, "", DestinationRefusedError),
        (500, "no module", DestinationRefusedError),
        (429, "", DestinationUnreachableError),
        (503, "", DestinationUnreachableError),
    ],
)
def test_anything_else_is_no_delivery(tmp_path, status, body, error):
    """What the module says of the object goes before the status of the request."""
    with StowService(status, body).running() as url, pytest.raises(error) as raised:
        send(make_file(tmp_path), url)

    assert type(raised.value) is error
    assert f"HTTP {status}" in raised.value.quoting


def test_a_page_of_200_is_no_delivery(tmp_path):
    """A proxy that wants somebody to log in answers so; the service has nothing."""
    service = StowService(200, "<!DOCTYPE html><title>Sign in</title>")
    service.content_type = "text/html; charset=utf-8"

    with (
        service.running() as url,
        pytest.raises(DestinationRefusedError, match="does not say that the object is stored"),
    ):
        send(make_file(tmp_path), url)


def test_a_service_that_is_not_there_is_unreachable(tmp_path, free_port):
    """Connection refused: the destination rests."""
    with pytest.raises(DestinationUnreachableError) as raised:
        send(make_file(tmp_path), f"http://127.0.0.1:{free_port}/studies")

    assert not isinstance(raised.value, NoAnswerError)


def test_the_password_and_the_token_come_from_files(tmp_path):
    """Read at each opening, so that they can be exchanged."""
    (tmp_path / "secret").write_text("s3cret\n")
    service, path = StowService(), make_file(tmp_path)

    with service.running() as url:
        send(path, url, user="echo", password_file=tmp_path / "secret")
        send(path, url, token_file=tmp_path / "secret")

    basic, bearer = (headers["Authorization"] for headers in service.headers)
    assert basic == "Basic " + base64.b64encode(b"echo:s3cret").decode()
    assert bearer == "Bearer s3cret"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def write_ca(authority: trustme.CA, folder: Path) -> Path:
    authority.cert_pem.write_to_path(folder / "ca.pem")
    return folder / "ca.pem"


def server_context(authority: trustme.CA, name: str = "127.0.0.1", *, asks: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    if asks:
        authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def test_tls_with_a_certificate_of_our_own(tmp_path, authority):
    """Both sides show who they are."""
    ours = authority.issue_cert("node")
    ours.private_key_and_cert_chain_pem.write_to_path(tmp_path / "node.pem")
    service = StowService()

    with service.running(server_context(authority, asks=True)) as url:
        outcome = send(
            make_file(tmp_path), url, tls_ca=write_ca(authority, tmp_path), tls_certificate=tmp_path / "node.pem"
        )

    assert outcome.status == 0


@pytest.mark.parametrize("case", ["another authority", "another name"])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # the server's side of a refusal
def test_a_service_that_cannot_show_who_it_is_gets_nothing(tmp_path, authority, case):
    """Its certificate must be signed by tls_ca and name the host."""
    context = server_context(trustme.CA() if case == "another authority" else authority, "127.0.0.2")
    service = StowService()

    with service.running(context) as url, pytest.raises(DestinationUnreachableError, match="CERTIFICATE_VERIFY"):
        send(make_file(tmp_path), url, tls_ca=write_ca(authority, tmp_path))

    assert service.parts == []
