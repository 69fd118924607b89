"""Kept files are bounded, shared by processes, and never in the way."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from echo_scp.errors import StorageError
from echo_scp.kept import KeptResults


def make_store(folder: Path, limit_bytes: int = 1000) -> KeptResults:
    return KeptResults(folder, limit_bytes, lambda count: None)


def used_at(folder: Path, key: str, seconds: int) -> None:
    os.utime(folder / f"{key}.kept", (seconds, seconds))


def test_what_was_put_is_there_for_every_process(tmp_path):
    """Two stores on one folder see the same files."""
    make_store(tmp_path / "kept").put("a", b"content")

    assert make_store(tmp_path / "kept").get("a") == b"content"
    assert make_store(tmp_path / "kept").get("b") is None


def test_the_longest_unused_goes_first(tmp_path):
    """Reading counts as use."""
    store = make_store(tmp_path, limit_bytes=250)
    for age, key in enumerate(("old", "middle", "new")):
        store.put(key, bytes(100))
        used_at(tmp_path, key, 1000 + age)
    store.get("old")

    store.trim()

    assert [store.get(key) is not None for key in ("old", "middle", "new")] == [True, False, True]


def test_nothing_is_kept_without_room(tmp_path):
    """A limit of zero switches the memory off."""
    store = make_store(tmp_path, limit_bytes=0)
    store.put("a", b"content")

    store.trim()

    assert list(tmp_path.iterdir()) == []


def test_what_a_dead_process_left_counts_and_goes(tmp_path):
    """A file that never got its name is the first to be removed once the bound is reached."""
    (tmp_path / ".0123.tmp").write_bytes(bytes(900))
    os.utime(tmp_path / ".0123.tmp", (1, 1))
    store = make_store(tmp_path)
    store.put("a", bytes(200))

    store.trim()

    assert [path.name for path in tmp_path.iterdir()] == ["a.kept"]


def test_a_full_disk_is_no_error(tmp_path):
    """Results are what the disk's reserve is for; what is kept can be computed again."""

    def refuse(count: int) -> None:
        raise StorageError("less than 512 MB free")

    store = KeptResults(tmp_path, 1000, refuse)

    store.put("a", b"content")

    assert store.get("a") is None
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_no_error(tmp_path):
    """The same for any trouble that the system has."""
    (tmp_path / "file").write_bytes(b"")
    store = make_store(tmp_path / "file" / "kept")

    store.put("a", b"content")
    store.trim()

    assert store.get("a") is None


@pytest.mark.parametrize("there", [True, False])
def test_what_cannot_be_read_is_forgotten(tmp_path, there):
    """Also when another process was faster."""
    store = make_store(tmp_path)
    if there:
        store.put("a", b"content")

    store.forget("a")

    assert store.get("a") is None
