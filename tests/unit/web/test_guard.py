"""Who is let in without a login, and which forms are believed."""

from __future__ import annotations

import pytest
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request

from echo_scp.config import WebConfig
from echo_scp.web.guard import Guard, LoginNeededError, is_loopback, require_own_origin, require_token
from echo_scp.web.users import set_user

PASSWORD = "correct horse battery"


def make_request(**headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": raw})


@pytest.mark.parametrize(
    ("host", "own"),
    [("127.0.0.1", True), ("127.8.0.1", True), ("::1", True), ("localhost", True), ("10.0.0.1", False), ("a.b", False)],
)
def test_the_loopback_is_known_by_its_names(host, own):
    """Every other name may be another machine's."""
    assert is_loopback(host) is own


def test_without_a_login_the_loopback_is_let_in_by_its_own_name():
    """Not under a name that a page of the internet gave it."""
    guard = Guard(WebConfig())

    assert not guard.visitor(make_request(host="localhost:8080")).sees_patients
    assert guard.visitor(make_request(host="[::1]:8080")).name == ""
    for host in ("evil.example", "127.0.0.1.evil.example", ""):
        with pytest.raises(HTTPException, match="421"):
            guard.visitor(make_request(host=host))


def test_without_a_login_nobody_else_is_let_in():
    """A node that listens to the network serves no page without users."""
    with pytest.raises(HTTPException, match="403"):
        Guard(WebConfig(address="0.0.0.0")).visitor(make_request(host="localhost"))


def test_a_changed_password_ends_the_sessions(tmp_path):
    """So does a file of users that is gone."""
    path = tmp_path / "users"
    set_user(path, "ann", PASSWORD)
    guard = Guard(WebConfig(auth=path))
    secret = guard.sessions.begin(guard.users.log_in("ann", PASSWORD))
    request = make_request(cookie=f"{guard.cookie}={secret}")
    assert guard.visitor(request).name == "ann"
    assert not guard.visitor(request).sees_patients
    set_user(path, "ann", "another password")

    with pytest.raises(LoginNeededError):
        guard.visitor(request)


def test_a_form_must_come_from_the_page_itself():
    """Another origin, another site, or none is refused."""
    require_own_origin(make_request(host="a:1", origin="http://a:1"))
    require_own_origin(make_request(host="a:1", origin="https://a:1", sec_fetch_site="same-origin"))

    for headers in (
        {"host": "a:1"},
        {"host": "a:1", "origin": "null"},
        {"host": "a:1", "origin": "http://a:2"},
        {"host": "a:1", "origin": "http://a:1", "sec_fetch_site": "same-site"},
    ):
        with pytest.raises(HTTPException, match="403"):
            require_own_origin(make_request(**headers))


def test_a_form_must_carry_the_token_of_its_visitor():
    """Also when it has none, or one of another alphabet."""
    visitor = Guard(WebConfig()).visitor(make_request(host="localhost"))
    require_token({"form_token": visitor.form_token}, visitor)

    for form in ({}, {"form_token": ""}, {"form_token": "ü"}):
        with pytest.raises(HTTPException, match="403"):
            require_token(form, visitor)


def test_patients_are_shown_behind_a_login_only(tmp_path):
    """The configuration refuses the one without the other."""
    with pytest.raises(ValidationError, match=r"set web\.auth"):
        WebConfig(show_patient=True)

    assert WebConfig(show_patient=True, auth=tmp_path / "users").show_patient


def test_a_certificate_comes_with_its_key(tmp_path):
    """And both can be read."""
    certificate = tmp_path / "page.pem"
    certificate.write_text("PEM")
    with pytest.raises(ValidationError, match="together"):
        WebConfig(certificate=certificate)
    with pytest.raises(ValidationError, match="can read"):
        WebConfig(certificate=certificate, key=tmp_path / "absent")

    guard = Guard(WebConfig(certificate=certificate, key=certificate))
    assert guard.cookie.startswith("__Host-")
