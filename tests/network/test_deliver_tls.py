"""DICOM over TLS as the requestor (PS3.15 B.12)."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme
from pydicom.uid import ComprehensiveSRStorage
from pynetdicom import AE, evt

from echo_scp import deliver
from echo_scp.config import Destination
from echo_scp.errors import DestinationUnreachableError
from tests.network.test_deliver import make_file

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <:ResourceWarning")  # pynetdicom's, of refused handshakes


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@contextmanager
def secure_scp(authority: trustme.CA, received: list[str]) -> Iterator[int]:
    """A storage SCP that asks for a certificate of `authority` and shows one for 127.0.0.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    ae = AE(ae_title="PACS")
    ae.add_supported_context(ComprehensiveSRStorage)

    def store(event: evt.Event) -> int:
        received.append(str(event.request.AffectedSOPInstanceUID))
        return 0x0000

    server = ae.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, store)], ssl_context=context
    )
    try:
        yield server.server_address[1]
    finally:
        ae.shutdown()


def make_destination(port: int, folder: Path, ours: trustme.CA, theirs: trustme.CA) -> Destination:
    theirs.cert_pem.write_to_path(folder / "ca.pem")
    certificate = ours.issue_cert("node")
    certificate.cert_chain_pems[0].write_to_path(folder / "node.pem")
    certificate.private_key_pem.write_to_path(folder / "node.key")
    files = {"tls_ca": folder / "ca.pem", "tls_certificate": folder / "node.pem", "tls_key": folder / "node.key"}
    return Destination(name="pacs", ae_title="PACS", host="127.0.0.1", port=port, tls=True, **files)


def test_both_sides_show_their_certificate(tmp_path, authority):
    """And the object arrives."""
    received, path = [], make_file(tmp_path)

    with secure_scp(authority, received) as port:
        deliver.send(path, make_destination(port, tmp_path, authority, authority), "ECHO_SCP", 5)

    assert [f"{uid}.dcm" for uid in received] == [path.name]


def test_a_peer_of_another_authority_gets_nothing(tmp_path, authority):
    """It may be anybody."""
    received, other = [], trustme.CA()

    with secure_scp(authority, received) as port, pytest.raises(DestinationUnreachableError):
        deliver.send(make_file(tmp_path), make_destination(port, tmp_path, authority, other), "ECHO_SCP", 5)

    assert received == []


def test_a_key_that_is_none_is_an_error_of_the_destination(tmp_path, authority):
    """It is told, and tried again when the file was exchanged."""
    destination = make_destination(104, tmp_path, authority, authority)
    (tmp_path / "node.key").write_text("no key")

    with pytest.raises(DestinationUnreachableError, match="TLS certificate or key"):
        deliver.send(make_file(tmp_path), destination, "ECHO_SCP", 5)
