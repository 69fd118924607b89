"""The file of users: hashes that only the password opens, a file that only its owner reads."""

from __future__ import annotations

import pytest

from echo_scp.errors import ConfigurationError
from echo_scp.web.users import Users, hash_password, is_password, read_users, remove_user, set_user

PASSWORD = "correct horse battery"


def test_a_password_opens_its_own_hash_only():
    """The same password hashes differently each time."""
    first, second = hash_password(PASSWORD), hash_password(PASSWORD)

    assert first != second
    assert is_password(PASSWORD, first)
    assert is_password(PASSWORD, second)
    assert not is_password("correct horse batterz", first)


@pytest.mark.parametrize("damaged", ["", "plain", "scrypt$1$8$1$c2FsdA==$a2V5", "scrypt$32768$8$1$no base64$a2V5"])
def test_what_is_no_hash_of_ours_has_no_password(damaged):
    """A weaker cost written into the file opens nothing either."""
    assert not is_password("", damaged)
    assert not is_password(PASSWORD, damaged)


def test_a_user_who_was_set_can_log_in(tmp_path, monkeypatch):
    """A second user leaves the first; the file holds no password and is nobody else's to read."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    path = tmp_path / "users"
    set_user(path, "ann", PASSWORD)
    set_user(path, "bob", "another password")

    assert Users(path).log_in("ann", PASSWORD).name == "ann"
    assert Users(path).log_in("bob", PASSWORD) is None
    assert Users(path).log_in("eve", PASSWORD) is None
    assert PASSWORD not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_root_sets_the_nodes_group_may_read(tmp_path, monkeypatch):
    """`/etc/echo-scp` is root's, and of the group of the service."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    path = tmp_path / "users"

    set_user(path, "ann", PASSWORD)

    assert path.stat().st_mode & 0o777 == 0o640
    assert path.stat().st_gid == tmp_path.stat().st_gid


def test_another_password_makes_another_user(tmp_path):
    """By this a changed password ends the sessions of the old one."""
    path = tmp_path / "users"
    set_user(path, "ann", PASSWORD)
    users = Users(path)
    before = users.find("ann")
    set_user(path, "ann", "another password")

    assert users.find("ann") != before


def test_a_removed_user_is_gone(tmp_path):
    """Removing someone who is not there is an error."""
    path = tmp_path / "users"
    set_user(path, "ann", PASSWORD)
    remove_user(path, "ann")

    assert read_users(path) == {}
    with pytest.raises(ConfigurationError, match="no user ann"):
        remove_user(path, "ann")


@pytest.mark.parametrize(
    ("name", "password"), [("a:b", PASSWORD), ("", PASSWORD), ("ann", "short"), ("ann", "x" * 2000)]
)
def test_a_name_or_password_that_cannot_be_is_refused(tmp_path, name, password):
    """Nothing is written."""
    with pytest.raises(ConfigurationError):
        set_user(tmp_path / "users", name, password)

    assert list(tmp_path.iterdir()) == []


def test_a_line_that_cannot_be_read_is_named(tmp_path):
    """File and line number are in the message."""
    path = tmp_path / "users"
    path.write_text("# comment\n\nann\n")

    with pytest.raises(ConfigurationError, match=r"users, line 3: expected name:hash"):
        read_users(path)
