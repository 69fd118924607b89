"""The history of a site's decisions, and what follows from it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echo_scp.errors import ManifestError, StorageError
from echo_scp.inference.pins import Decision, deciding, in_force, read_history, stack, write_history

NOW = datetime(2026, 1, 5, 10, 15, tzinfo=UTC)


def decide(action: str, version: str = "", engine: str = "lv") -> Decision:
    sha256 = version and version * 8
    return Decision.model_validate(
        {"engine": engine, "action": action, "version": version, "sha256": sha256, "at": NOW}
    )


def versions(history: tuple[Decision, ...]) -> list[str]:
    return [decision.version for decision in stack(history, "lv")]


def test_a_site_without_decisions_has_no_history(tmp_path):
    """Neither file nor folder is needed."""
    assert read_history(tmp_path / "absent") == ()


def test_what_was_written_is_read_again(tmp_path):
    """Every field comes back, with the instant's time zone."""
    history = (decide("before", "1.0"), decide("pin", 'a "b" \\ ü'), decide("release"))

    write_history(tmp_path, history)

    assert read_history(tmp_path) == history
    assert [path.name for path in tmp_path.iterdir()] == ["pins.toml"]


def test_the_last_pin_is_in_force():
    """Pins of other engines do not count."""
    history = (decide("pin", "1"), decide("pin", "2"), decide("pin", "9", engine="view"))

    assert in_force(history, "lv") == history[1]


def test_each_rollback_goes_one_further_back():
    """Three pins, two rollbacks: the first is in force again."""
    history = tuple(decide("pin", version) for version in "123")

    assert versions((*history, decide("rollback", "2"))) == ["1", "2"]
    assert versions((*history, decide("rollback", "2"), decide("rollback", "1"))) == ["1"]


def test_a_pin_after_a_rollback_can_be_rolled_back_to_what_ran_before_it():
    """1, 2, back to 1, then 3: before 3 ran 1, not 2."""
    history = (decide("pin", "1"), decide("pin", "2"), decide("rollback", "1"), decide("pin", "3"))

    assert versions(history) == ["1", "3"]


def test_after_a_release_nothing_is_in_force_until_it_is_rolled_back():
    """The folder decides; a rollback brings the pin again."""
    history = (decide("pin", "1"), decide("release"))

    assert in_force(history, "lv") is None
    assert in_force((*history, decide("rollback", "1")), "lv") == history[0]


@given(st.lists(st.sampled_from(["before", "pin", "release", "rollback"])))
def test_any_history_can_be_read_without_an_error(actions):
    """Also one that somebody edited into more rollbacks than decisions."""
    history = tuple(decide(action, "1") for action in actions)

    assert len(stack(history, "lv")) <= len([action for action in actions if action != "rollback"])


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("[[decision]", "valid TOML"),
        ('[[decision]]\nengine = "lv"\naction = "explode"\nat = 2026-01-05T10:15:00Z\n', r"decision\.0\.action"),
        ('[[decision]]\nengine = "lv"\naction = "pin"\n', r"decision\.0\.at"),
        ("decision = 3\n", "decision"),
    ],
)
def test_a_damaged_file_is_named_with_the_field(tmp_path, text, field):
    """A pin that cannot be read is never taken for no pin."""
    (tmp_path / "pins.toml").write_text(text)

    with pytest.raises(ManifestError, match=field) as raised:
        read_history(tmp_path)

    assert str(tmp_path / "pins.toml") in str(raised.value)


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path):
    """The administrator reads which folder."""
    (tmp_path / "file").write_text("")

    with pytest.raises(StorageError, match="file/engines"), deciding(tmp_path / "file" / "engines"):
        pass
