"""Who may associate."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from echo_scp.config import ReceiveConfig
from echo_scp.receive.access import Access, Certificate, Denied, Guest

CART = {"name": "cart", "ae_title": "CART", "addresses": ["10.1.2.0/24", "fd00::/8"]}
BOUND = CART | {"name": "bound", "certificates": ["cart.example", "SHA256:" + "ab" * 32]}


def make_access(*peers: dict[str, object], **changes: object) -> Access:
    tls = {"certificate": "node.pem", "authorities": "clients.pem"}
    return Access(ReceiveConfig(**({"peers": peers, "tls": tls} | changes)))


def test_without_a_list_everybody_may():
    """Each address has its own seats."""
    access = make_access()

    assert access.may_connect("192.0.2.1")
    assert access.admit("192.0.2.1", "ANY", "OTHER", None) == Guest("192.0.2.1", 16)


@pytest.mark.parametrize(
    ("address", "calling", "answer"),
    [
        ("10.1.2.3", "CART", Guest("peer cart", 16)),
        ("::ffff:10.1.2.3", "CART", Guest("peer cart", 16)),
        ("fd00::1%eth0", "CART", Guest("peer cart", 16)),
        ("10.1.3.3", "CART", Denied.CALLING_AE_TITLE),
        ("10.1.2.3", "CART2", Denied.CALLING_AE_TITLE),
        ("10.1.2.3", "cart", Denied.CALLING_AE_TITLE),
        ("10.1.2.3", "", Denied.CALLING_AE_TITLE),
    ],
)
def test_with_a_list_title_and_address_must_be_those_of_one_peer(address, calling, answer):
    """Everybody else is denied."""
    assert make_access(CART).admit(address, calling, "ECHO_SCP", None) == answer


@pytest.mark.parametrize("title", ["", "CA\x01RT", "CA\\RT", "K\ufffdHN"])
def test_what_is_no_ae_title_is_not_recognised(title):
    """The machine is told which of the two is wrong, instead of an abort that says nothing (PS3.8 Table 9-21)."""
    assert make_access().admit("192.0.2.1", title, "ECHO_SCP", None) is Denied.CALLING_AE_TITLE
    assert make_access().admit("192.0.2.1", "CART", title, None) is Denied.CALLED_AE_TITLE


def test_an_address_of_nobody_may_not_even_connect():
    """Nothing is read of what it sends."""
    access = make_access(CART)

    assert access.may_connect("10.1.2.255")
    assert not access.may_connect("10.1.3.0")
    assert make_access(CART, {"name": "roaming", "ae_title": "LAPTOP"}).may_connect("192.0.2.1")


@pytest.mark.parametrize(
    ("certificate", "is_admitted"),
    [
        (None, False),
        (Certificate("cd" * 32, frozenset({"other.example"})), False),
        (Certificate("cd" * 32, frozenset({"cart.example"})), True),
        (Certificate("ab" * 32, frozenset()), True),
    ],
)
def test_a_bound_peer_needs_its_certificate(certificate, is_admitted):
    """By its name or its fingerprint; title and address are not enough."""
    guest = make_access(BOUND).admit("10.1.2.3", "CART", "ECHO_SCP", certificate)

    assert isinstance(guest, Guest) == is_admitted


def test_another_peer_s_certificate_does_not_lend_its_title():
    """A stolen title with a true certificate is a stolen title."""
    other = {"name": "other", "ae_title": "OTHER", "certificates": ["other.example"]}
    certificate = Certificate("cd" * 32, frozenset({"other.example"}))

    assert make_access(BOUND, other).admit("10.1.2.3", "CART", "X", certificate) is Denied.CALLING_AE_TITLE


def test_a_peer_has_its_own_number_of_associations():
    """Whatever the addresses it calls from."""
    access = make_access(CART | {"maximum_associations": 2})

    assert access.admit("10.1.2.3", "CART", "X", None) == access.admit("10.1.2.4", "CART", "X", None)
    assert access.admit("10.1.2.3", "CART", "X", None) == Guest("peer cart", 2)


def test_a_called_title_that_is_not_ours_is_denied_when_titles_are_set():
    """Before anybody asks who calls."""
    access = make_access(called_ae_titles=["ECHO_SCP"])

    assert access.admit("10.1.2.3", "CART", "ECHO", None) is Denied.CALLED_AE_TITLE
    assert isinstance(access.admit("10.1.2.3", "CART", "ECHO_SCP", None), Guest)


@pytest.mark.parametrize(
    "wrong",
    [
        {"peers": [CART, CART]},
        {"peers": [BOUND]},
        {"peers": [CART | {"addresses": ["10.1.2.3/24"]}]},
        {"tls": {"only": True}},
        {"tls": {"authorities": "clients.pem"}},
    ],
)
def test_a_list_that_cannot_be_meant_is_an_error(wrong):
    """Two of one name, certificates that nobody verifies, a network that is an address, TLS without a certificate."""
    with pytest.raises(ValidationError):
        ReceiveConfig(**wrong)
