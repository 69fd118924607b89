"""DICOM TLS: who gets in, what is spoken, what a handshake that never ends costs, certificates that change."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import threading
from contextlib import ExitStack, closing
from functools import cache
from pathlib import Path

import pytest
from pydicom.data import get_testdata_file

from echo_scp.config import Config, LogConfig, ReceiveConfig
from echo_scp.errors import ConfigurationError
from echo_scp.receive import tls
from echo_scp.receive.listener import Listener
from echo_scp.receive.receivers import Receivers
from echo_scp.spool import Spool
from tests.network.certificates import Authority, Issued
from tests.network.peers import (
    A_ABORT,
    A_RELEASE_RP,
    A_RELEASE_RQ,
    AN_OBJECT,
    HALF_AN_OBJECT,
    US_MULTI_FRAME,
    VERIFICATION,
    associate_request,
    command,
    command_set,
    dial,
    fragment,
    pdu,
    receive_pdu,
    status,
)
from tests.network.test_hostile import is_closed, raise_descriptor_limit, stored_data_sets

NOT_RECOGNISED = pdu(3, bytes((0, 1, 1, 3)))
ECHO_REQUEST = associate_request(((1, VERIFICATION, "1.2.840.10008.1.2"),))
ECHO = fragment(command_set(sop_class_uid=VERIFICATION, field=0x0030, data_set_type=0x0101), 3)


@pytest.fixture
def authority(tmp_path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def node(authority) -> Issued:
    return authority.issue("node.example")


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "data", reserve_disk_mb=0)


def make_config(node: Issued, authorities: Path | None = None, **changes: object) -> ReceiveConfig:
    keys = {"certificate": node.certificate, "key": node.key, "authorities": authorities, "port": 0}
    return ReceiveConfig(**({"address": "127.0.0.1", "port": 0, "reserve_disk_mb": 0, "tls": keys} | changes))


def make_listener(spool: Spool, node: Issued, authorities: Path | None = None, **changes: object) -> Listener:
    return Listener(make_config(node, authorities, **changes), spool, lambda: None)


def secured(port: int, client: ssl.SSLContext) -> ssl.SSLSocket:
    """Return a connection whose handshake is done."""
    return client.wrap_socket(dial(port))


def associate(peer: socket.socket, request: bytes = ECHO_REQUEST) -> bytes:
    peer.sendall(request)
    return receive_pdu(peer)


def is_served(peer: socket.socket) -> bool:
    """Echo and release on a connection."""
    if associate(peer)[:1] != b"\x02":
        return False
    peer.sendall(ECHO)
    echoed = status(receive_pdu(peer)) == 0x0000
    peer.sendall(A_RELEASE_RQ)
    return echoed and receive_pdu(peer) == A_RELEASE_RP


def test_an_object_comes_through_tls_bit_for_bit(spool, authority, node):
    """Some megabytes of records, on the same road to the spool as without."""
    content = os.urandom(3_000_000)
    with make_listener(spool, node) as listener, closing(secured(listener.tls_port, authority.client())) as peer:
        associate(peer, associate_request(((1, US_MULTI_FRAME, "1.2.840.10008.1.2"),)))
        peer.sendall(command())
        for start in range(0, len(content), 16_000):
            peer.sendall(fragment(content[start : start + 16_000], 0))
        peer.sendall(fragment(b"", 2))
        answer = status(receive_pdu(peer))

    assert answer == 0x0000
    assert stored_data_sets(spool) == [content]


def test_a_request_in_one_record_with_what_follows_is_read_whole(spool, authority, node):
    """What TLS decrypted at once is in no kernel's buffer, and nobody is woken for it."""
    with make_listener(spool, node) as listener, closing(secured(listener.tls_port, authority.client())) as peer:
        peer.sendall(associate_request() + AN_OBJECT + A_RELEASE_RQ)
        answers = [receive_pdu(peer) for _ in range(3)]

    assert [answer[0] for answer in answers] == [2, 4, 6]
    assert len(spool.ready()) == 1


def test_a_request_in_records_of_one_byte_is_read_too(spool, authority, node):
    """However it is cut."""
    with make_listener(spool, node) as listener, closing(secured(listener.tls_port, authority.client())) as peer:
        for byte in ECHO_REQUEST:
            peer.sendall(bytes((byte,)))

        assert receive_pdu(peer)[:1] == b"\x02"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions_are_spoken(spool, authority, node, version):
    """TLS 1.2 for the machines that are there, 1.3 for those to come."""
    client = authority.client()
    client.minimum_version = client.maximum_version = version
    with make_listener(spool, node) as listener, closing(secured(listener.tls_port, client)) as peer:
        assert is_served(peer)
        assert peer.version() == version.name.replace("_", ".")


# OpenSSL's own policy may forbid them before we do; then the client cannot even try.
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")
@pytest.mark.parametrize(
    ("version", "suites"),
    [
        (ssl.TLSVersion.TLSv1_1, "ALL:@SECLEVEL=0"),
        (ssl.TLSVersion.TLSv1_2, "AES128-SHA"),
        (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES128-SHA256"),
    ],
)
def test_what_bcp_195_does_not_recommend_is_not_spoken(spool, authority, node, version, suites):
    """Old versions, key exchange without forward secrecy, modes without authentication."""
    client = authority.client()
    client.set_ciphers(suites)
    client.minimum_version = client.maximum_version = version
    with make_listener(spool, node) as listener, pytest.raises((ssl.SSLError, ConnectionError)):
        secured(listener.tls_port, client)


def test_the_plain_port_stays_beside_the_other(spool, authority, node):
    """For the machines that know no TLS."""
    with make_listener(spool, node) as listener, closing(dial(listener.port)) as plain:
        assert is_served(plain)
        with closing(secured(listener.tls_port, authority.client())) as peer:
            assert is_served(peer)


def test_the_plain_port_can_be_closed(spool, authority, node, free_port):
    """TLS is the only way in."""
    keys = {"certificate": node.certificate, "key": node.key, "port": 0, "only": True}
    with make_listener(spool, node, tls=keys, port=free_port) as listener:
        with pytest.raises(ConnectionRefusedError):
            dial(free_port)
        with closing(secured(listener.tls_port, authority.client())) as peer:
            assert is_served(peer)


def test_plain_dicom_on_the_tls_port_is_closed(spool, authority, node):
    """And the next peer is served."""
    with make_listener(spool, node) as listener:
        with closing(dial(listener.tls_port)) as peer:
            peer.sendall(associate_request())
            closed = is_closed(peer)
        with closing(secured(listener.tls_port, authority.client())) as peer:
            served = is_served(peer)

    assert closed
    assert served


def tries(port: int, client: ssl.SSLContext) -> bool:
    """Say whether a client is let in; with TLS 1.3 it hears of its rejection when it reads."""
    try:
        with closing(secured(port, client)) as peer:
            return is_served(peer)
    except OSError:
        return False


def test_with_authorities_a_client_needs_a_certificate_of_theirs(spool, tmp_path, authority, node):
    """None, another authority's, or one that is over: closed before a DICOM byte is read."""
    stranger = Authority(tmp_path, "stranger")
    clients = {
        "theirs": authority.issue("cart.example"),
        "none": None,
        "stranger": stranger.issue("cart.example", file_name="stranger-cart"),
        "over": authority.issue("old.example", days=-1),
    }
    with make_listener(spool, node, authority.path) as listener:
        admitted = {name: tries(listener.tls_port, authority.client(issued)) for name, issued in clients.items()}

    assert admitted == {"theirs": True, "none": False, "stranger": False, "over": False}


def test_title_address_and_certificate_are_bound_together(spool, authority, node):
    """A true certificate under another's title is rejected, and so is the true title without TLS."""
    cart, other = authority.issue("cart.example"), authority.issue("other.example")
    peers = [
        {"name": "cart", "ae_title": "CART", "addresses": ["127.0.0.1"], "certificates": [f"sha256:{cart.sha256}"]},
        {"name": "other", "ae_title": "OTHER", "certificates": ["cn.other.example"]},
    ]
    with make_listener(spool, node, authority.path, peers=peers) as listener, ExitStack() as stack:

        def answer(calling: bytes, issued: Issued) -> bytes:
            peer = stack.enter_context(closing(secured(listener.tls_port, authority.client(issued))))
            return associate(peer, associate_request(calling=calling))

        answers = [answer(b"CART", cart)[:1], answer(b"OTHER", other)[:1], answer(b"CART", other), answer(b"X", cart)]
        plain = associate(stack.enter_context(closing(dial(listener.port))), associate_request(calling=b"CART"))

    assert answers == [b"\x02", b"\x02", NOT_RECOGNISED, NOT_RECOGNISED]
    assert plain == NOT_RECOGNISED


def test_with_a_list_an_address_of_nobody_is_closed_at_once(spool):
    """Nothing is read of what it sends; a known one beside it is served."""
    peers = [{"name": "cart", "ae_title": "CART", "addresses": ["127.0.0.1"]}]
    config = ReceiveConfig(address="127.0.0.1", port=0, reserve_disk_mb=0, peers=peers)
    with Listener(config, spool, lambda: None) as listener:
        with closing(dial(listener.port, "127.0.0.2")) as stranger:
            closed = is_closed(stranger)
        with closing(dial(listener.port)) as cart:
            served = is_served(cart)

    assert closed
    assert served


def test_a_peer_of_the_list_has_its_own_limit(spool):
    """Beside the limit of all."""
    peers = [
        {"name": "cart", "ae_title": "CART", "maximum_associations": 1},
        {"name": "other", "ae_title": "OTHER", "maximum_associations": 2},
    ]
    config = ReceiveConfig(address="127.0.0.1", port=0, reserve_disk_mb=0, peers=peers)
    with Listener(config, spool, lambda: None) as listener, ExitStack() as stack:
        answers = [
            associate(stack.enter_context(closing(dial(listener.port))), associate_request(calling=title))[:1]
            for title in (b"CART", b"CART", b"OTHER", b"OTHER", b"OTHER")
        ]

    assert answers == [b"\x02", b"\x03", b"\x02", b"\x02", b"\x03"]


def test_a_called_title_that_is_not_ours_is_rejected_when_ours_are_set(spool):
    """Called AE title not recognised."""
    config = ReceiveConfig(address="127.0.0.1", port=0, reserve_disk_mb=0, called_ae_titles=["ECHO_SCP"])
    with Listener(config, spool, lambda: None) as listener, ExitStack() as stack:
        answers = [
            associate(stack.enter_context(closing(dial(listener.port))), associate_request(called=title))
            for title in (b"ECHO_SCP", b"ECHO")
        ]

    assert answers[0][:1] == b"\x02"
    assert answers[1] == pdu(3, bytes((0, 1, 1, 7)))


# --- handshakes that do not end --------------------------------------------------------------------------------------


def half_open(port: int) -> socket.socket:
    """Return a connection that began a handshake and says no more."""
    connection = dial(port)
    connection.sendall(client_hello()[:-1])
    return connection


@cache
def client_hello() -> bytes:
    outgoing = ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def test_half_open_handshakes_and_silent_peers_hold_up_nobody(spool, authority, node):
    """200 and 1000 of them; an echo beside them is answered, with TLS and without, in no thread of theirs."""
    raise_descriptor_limit(4096)
    threads = threading.active_count()
    with make_listener(spool, node) as listener, ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(closing(half_open(listener.tls_port)))
        for _ in range(1000):
            stack.enter_context(closing(dial(listener.port)))
        with closing(dial(listener.port)) as plain, closing(secured(listener.tls_port, authority.client())) as peer:
            served = is_served(plain), is_served(peer)
        more_threads = threading.active_count() - threads

    assert served == (True, True)
    assert more_threads < 10


def test_a_handshake_has_its_time(spool, node):
    """Then it is closed."""
    with make_listener(spool, node, network_timeout_s=0.3) as listener, closing(half_open(listener.tls_port)) as peer:
        assert is_closed(peer)


def test_a_silent_association_is_aborted_in_its_time(spool, authority, node):
    """The timer of the direct path holds under TLS too; nothing is left of the object."""
    with (
        make_listener(spool, node, network_timeout_s=0.3) as listener,
        closing(secured(listener.tls_port, authority.client())) as peer,
    ):
        associate(peer, associate_request())
        peer.sendall(HALF_AN_OBJECT)

        assert receive_pdu(peer) == A_ABORT
    assert spool.ready() == ()


def test_stop_ends_an_association_under_tls(spool, authority, node):
    """Its thread waits in a read that nobody else may touch."""
    with make_listener(spool, node) as listener, closing(secured(listener.tls_port, authority.client())) as peer:
        associate(peer)
        listener.stop()

        assert is_closed(peer)
    assert not any(thread.name.startswith("association-") for thread in threading.enumerate())


# --- certificates that change ----------------------------------------------------------------------------------------


def replace(node: Issued, by: Issued) -> None:
    shutil.copy(by.key, node.key)
    shutil.copy(by.certificate, node.certificate)


def test_a_new_certificate_is_shown_without_a_restart(spool, authority, node, monkeypatch):
    """The association that is open goes on with the old one."""
    monkeypatch.setattr(tls, "_CHECK_S", 0)
    renewed = authority.issue("renewed.example")
    with make_listener(spool, node) as listener, ExitStack() as stack:
        before = stack.enter_context(closing(secured(listener.tls_port, authority.client())))
        associate(before)
        replace(node, renewed)
        after = stack.enter_context(closing(secured(listener.tls_port, authority.client())))
        shown = dict(entry for (entry,) in after.getpeercert()["subject"])
        served_after = is_served(after)
        before.sendall(ECHO)
        served_before = status(receive_pdu(before))

    assert shown["commonName"] == "cn.renewed.example"
    assert served_after
    assert served_before == 0x0000


def test_a_broken_certificate_changes_nothing_until_it_is_whole(spool, authority, node, monkeypatch):
    """Half written, or the key of another: the one that was read last serves on."""
    monkeypatch.setattr(tls, "_CHECK_S", 0)
    renewed = authority.issue("renewed.example")
    with make_listener(spool, node) as listener:
        shutil.copy(renewed.certificate, node.certificate)
        with closing(secured(listener.tls_port, authority.client())) as peer:
            shown_meanwhile = peer.getpeercert()["subject"]
        shutil.copy(renewed.key, node.key)
        with closing(secured(listener.tls_port, authority.client())) as peer:
            shown_then = peer.getpeercert()["subject"]

    assert "cn.node.example" in str(shown_meanwhile)
    assert "cn.renewed.example" in str(shown_then)


@pytest.mark.parametrize("key", ["certificate", "key", "authorities"])
@pytest.mark.parametrize("content", [None, "no PEM"])
def test_a_file_that_cannot_be_used_is_an_error_at_the_start(tmp_path, authority, node, key, content):
    """It names the key; no port is bound."""
    files = {"certificate": node.certificate, "key": node.key, "authorities": authority.path}
    wrong = tmp_path / "wrong"
    if content is not None:
        wrong.write_text(content)
    receive = ReceiveConfig(address="127.0.0.1", port=0, tls=files | {key: wrong, "port": 0})

    with pytest.raises(ConfigurationError, match=rf"receive\.tls\..*{key}"):
        Receivers(Config(data_folder=tmp_path / "data", receive=receive, log=LogConfig(level="warning")), lambda: None)


# --- the other side --------------------------------------------------------------------------------------------------


@pytest.mark.dcmtk
@pytest.mark.parametrize("profile", ["+py", "+px"])
def test_dcmtk_sends_with_certificates_to_receiver_processes(tmp_path, authority, node, dcmtk, profile):
    """Both sides verify each other, as a site would set it up; two processes share both ports."""
    cart = authority.issue("cart.example")
    peers = [{"name": "cart", "ae_title": "CART", "certificates": ["cart.example"]}]
    receive = make_config(node, authority.path, peers=peers, processes=2)
    config = Config(data_folder=tmp_path / "data", receive=receive, log=LogConfig(level="warning"))
    with Receivers(config, lambda: None) as receivers:
        keys = ("+tls", cart.key, cart.certificate, "+cf", authority.path, profile)
        to = ("127.0.0.1", receivers.tls_port, get_testdata_file("CT_small.dcm"))
        sent = dcmtk("storescu", "-aet", "CART", *keys, *to)
        refused = dcmtk("storescu", "-aet", "OTHER", *keys, *to)
        nameless = dcmtk("storescu", "-aet", "CART", "+tla", "-ic", *to)

    assert sent.returncode == 0, sent.stderr
    assert "Not Recognized" in refused.stderr
    assert nameless.returncode != 0
    assert len(Spool(tmp_path / "data", 0).ready()) == 1
