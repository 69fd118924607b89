"""The spool: what is durable, what is visible, and what no UID can do."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread

from echo_scp.errors import StorageError, UnindexableFileError
from echo_scp.spool import Spool, SpooledIdentity, dataset_digest

DATA_SET = b"\x08\x00\x18\x00\x06\x00\x00\x001.2.3\x00"  # (0008,0018) 1.2.3, Implicit VR Little Endian


def make_identity(**changes: str) -> SpooledIdentity:
    values = {
        "sop_class_uid": "1.2.840.10008.5.1.4.1.1.3.1",
        "sop_instance_uid": "1.2.3",
        "transfer_syntax_uid": "1.2.840.10008.1.2",
        "calling_ae_title": "CART",
        "called_ae_title": "ECHO_SCP",
    }
    return SpooledIdentity(**(values | changes))


def make_spool(folder: Path, reserve_disk_mb: int = 0) -> Spool:
    return Spool(folder, reserve_disk_mb)


def put(spool: Spool, data_set: bytes = DATA_SET, **changes: str) -> Path:
    with spool.open(make_identity(**changes)) as file:
        file.write([data_set])
        return Path(file.commit())


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    """A spool that is only asked for names."""
    return make_spool(tmp_path_factory.mktemp("names"))


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_committed_object_is_a_part_10_file_that_a_reader_opens(tmp_path):
    """The header is ours and complete; the odd-length values are padded."""
    path = put(make_spool(tmp_path))

    ds = dcmread(path)
    meta = ds.file_meta
    assert ds.SOPInstanceUID == "1.2.3"
    assert meta.FileMetaInformationVersion == b"\x00\x01"
    assert meta.MediaStorageSOPClassUID == "1.2.840.10008.5.1.4.1.1.3.1"
    assert meta.MediaStorageSOPInstanceUID == "1.2.3"
    assert meta.TransferSyntaxUID == "1.2.840.10008.1.2"
    assert meta.ImplementationVersionName.startswith("ECHO_SCP_")
    assert meta.SourceApplicationEntityTitle == "CART"
    assert meta.SendingApplicationEntityTitle == "CART"
    assert meta.ReceivingApplicationEntityTitle == "ECHO_SCP"


@given(fragments=st.lists(st.binary(max_size=200_000), max_size=4))
def test_the_data_set_is_stored_as_it_was_sent(tmp_path_factory, fragments):
    """However it is fragmented, the bytes after the file meta information are the bytes written."""
    spool = make_spool(tmp_path_factory.mktemp("data"))
    with spool.open(make_identity()) as file:
        for fragment in fragments:
            file.write([memoryview(fragment)])
        path = Path(file.commit())

    sent = b"".join(fragments)
    assert path.read_bytes().endswith(sent)
    assert dataset_digest(path) == (hashlib.sha256(sent).hexdigest(), len(sent))


@given(pieces=st.lists(st.binary(max_size=2000), min_size=1, max_size=20), most=st.integers(1, 3000))
def test_what_the_system_took_in_part_is_written_to_its_end(tmp_path_factory, pieces, most):
    """A nearly full disk, a signal: writev says how many bytes it took."""
    spool = make_spool(tmp_path_factory.mktemp("data"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "writev", lambda descriptor, given: os.write(descriptor, b"".join(given)[:most]))
        with spool.open(make_identity()) as file:
            file.write([*map(memoryview, pieces)])
            path = Path(file.commit())

    assert file.data_set_bytes == sum(map(len, pieces))
    assert dataset_digest(path) == (hashlib.sha256(b"".join(pieces)).hexdigest(), sum(map(len, pieces)))


def test_nothing_is_ready_before_the_commit(tmp_path):
    """An object under way is not the indexer's."""
    spool = make_spool(tmp_path)

    with spool.open(make_identity()) as file:
        file.write([DATA_SET])
        assert spool.ready() == ()
        path = Path(file.commit())
    assert spool.ready() == (path,)


def test_an_exception_in_mid_object_leaves_nothing(tmp_path):
    """Neither a visible file nor a hidden one."""
    spool = make_spool(tmp_path)

    with pytest.raises(TypeError), spool.open(make_identity()) as file:
        file.write(["no bytes"])

    assert files_below(tmp_path) == []


def test_an_object_that_is_not_committed_leaves_nothing(tmp_path):
    """Leaving the block without `commit` is an abort."""
    spool = make_spool(tmp_path)

    with spool.open(make_identity()) as file:
        file.write([DATA_SET])

    assert files_below(tmp_path) == []


def test_ready_is_in_order_of_arrival(tmp_path):
    """Oldest first, whatever the UIDs."""
    spool = make_spool(tmp_path)

    paths = [put(spool, sop_instance_uid=uid) for uid in ("1.9", "1.1", "1.5", "1.1")]

    assert spool.ready() == tuple(paths)


def test_a_disk_below_its_reserve_refuses_new_objects(tmp_path):
    """The reserve belongs to the database and the operator."""
    spool = make_spool(tmp_path, reserve_disk_mb=10**9)

    with pytest.raises(StorageError, match="MB free"):
        spool.open(make_identity())

    assert files_below(tmp_path) == []


def test_an_object_that_would_eat_into_the_reserve_is_refused(tmp_path, monkeypatch):
    """The space is checked for the fragment that comes, not only at the start."""
    spool = make_spool(tmp_path, reserve_disk_mb=1)
    room_for_the_header = os.statvfs_result((512, 512, 0, 0, 2 * 1024 + 2, 0, 0, 0, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _path: room_for_the_header)

    with pytest.raises(StorageError), spool.open(make_identity()) as file:
        file.write([bytes(4096)])

    assert files_below(tmp_path) == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_failing_fsync_is_a_storage_error_and_leaves_nothing(tmp_path, monkeypatch, code):
    """What the kernel could not make durable is not acknowledged and not kept."""

    def fail(_descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    spool = make_spool(tmp_path)
    monkeypatch.setattr(os, "fsync", fail)

    with pytest.raises(StorageError, match=os.strerror(code)):
        put(spool)

    assert files_below(tmp_path) == []


def test_the_folder_is_fsynced_after_the_file_and_the_rename(tmp_path, monkeypatch):
    """Order is what durability is made of: file, name, folder."""
    events = []
    spool = make_spool(tmp_path)
    real_fsync, real_rename = os.fsync, os.rename

    def fsync(descriptor: int) -> None:
        events.append(("fsync", Path(f"/proc/self/fd/{descriptor}").readlink().parent.name))
        real_fsync(descriptor)

    def rename(source: str, target: str) -> None:
        events.append(("rename", Path(target).parent.name))
        real_rename(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", rename)
    put(spool)

    assert events == [("fsync", "incoming"), ("rename", "ready"), ("fsync", "spool")]


def test_a_start_removes_what_a_dead_process_received_in_part(tmp_path):
    """Killed in mid-object: the sender was told nothing, so nothing is kept."""
    program = (
        "import os, pathlib, sys; from echo_scp.spool import *;"
        "file = Spool(pathlib.Path(sys.argv[1]), 0).open(SpooledIdentity('1', '1', '1', 'A', 'B'));"
        "file.write([bytes(10**6)]); os.kill(os.getpid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", program, tmp_path], check=False)
    left_over = files_below(tmp_path)

    make_spool(tmp_path)

    assert killed.returncode == -9
    assert len(left_over) == 1
    assert files_below(tmp_path) == []


def test_a_start_leaves_what_a_living_process_is_receiving(tmp_path):
    """A second process on the folder must not take away the objects of the first."""
    receiver = make_spool(tmp_path)
    with receiver.open(make_identity()) as file:
        file.write([DATA_SET])
        make_spool(tmp_path)
        path = Path(file.commit())

    assert dcmread(path).SOPInstanceUID == "1.2.3"


@given(uids=st.tuples(st.text(), st.text(), st.text()))
def test_no_uid_text_leaves_the_store(names, uids):
    """Path traversal, separators, dots, nulls, emoji: two folders and a file, always."""
    store = names.store_path("1", "2", "3", "ab" * 32).parents[2]

    path = names.store_path(*uids, "ab" * 32)

    assert path.parents[2] == store
    assert path.resolve() == path
    assert all(part not in (".", "..") and len(os.fsencode(part)) < 255 for part in path.parts)


@pytest.mark.parametrize("uid", ["..", ".", "", "../../etc", "/etc/passwd", "1..2", "1.2.", "1\x00", "１.２", "1.2\n"])
def test_a_text_that_is_no_uid_is_hashed(names, uid):
    """Only ASCII digits between single dots name a folder as they are."""
    assert names.store_path(uid, "1.2", "1.3", "ab" * 32).parent.parent.name.startswith("x")


def test_different_texts_have_different_places(names):
    """Hashing does not merge studies."""
    assert names.store_path("../a", "1", "1", "ab" * 32) != names.store_path("../b", "1", "1", "ab" * 32)


def test_different_bytes_under_one_uid_have_different_places(names):
    """A UID that a machine gave twice hides no image."""
    assert names.store_path("1", "2", "3", "a" * 64) != names.store_path("1", "2", "3", "b" * 64)


def test_filing_keeps_the_bytes_and_can_be_repeated(tmp_path):
    """A crash between filing and the row's commit repeats the filing."""
    spool = make_spool(tmp_path)
    spooled = put(spool)
    target = spool.store_path("1.1", "1.2", "1.3", dataset_digest(spooled)[0])

    spool.file_in_store(spooled, target)
    spool.file_in_store(spooled, target)
    spool.discard(spooled)
    spool.discard(spooled)

    assert dataset_digest(target)[1] == len(DATA_SET)
    assert files_below(tmp_path) == [target]


def test_a_store_on_another_device_gets_a_copy(tmp_path, monkeypatch):
    """No hard link across devices: a copy, whole before it has its name."""

    def refuse(*_paths: object) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    spool = make_spool(tmp_path)
    spooled = put(spool)
    target = spool.store_path("1.1", "1.2", "1.3", "ab" * 32)
    monkeypatch.setattr(os, "link", refuse)

    spool.file_in_store(spooled, target)

    assert target.read_bytes() == spooled.read_bytes()
    assert sorted(files_below(tmp_path)) == sorted([spooled, target])


def test_a_store_that_fails_raises_and_keeps_the_spooled_object(tmp_path, monkeypatch):
    """The only copy stays where it is until the other one is durable."""

    def fail(*_paths: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    spool = make_spool(tmp_path)
    spooled = put(spool)
    monkeypatch.setattr(os, "link", fail)

    with pytest.raises(StorageError):
        spool.file_in_store(spooled, spool.store_path("1.1", "1.2", "1.3", "ab" * 32))

    assert spool.ready() == (spooled,)


def test_quarantine_keeps_the_file_and_says_why(tmp_path):
    """Set aside, not deleted."""
    spool = make_spool(tmp_path)
    spooled = put(spool)
    content = spooled.read_bytes()

    aside = spool.quarantine(spooled, "no Study Instance UID")

    assert aside.read_bytes() == content
    assert aside.with_suffix(".txt").read_text() == "no Study Instance UID\n"
    assert spool.ready() == ()


def test_a_result_is_replaced_whole(tmp_path):
    """The second writing of a path leaves the second content and nothing else."""
    spool = make_spool(tmp_path)
    path = spool.results_folder("1.2.3", 2) / "sr.dcm"

    spool.write_result(path, b"first, and longer")
    spool.write_result(path, b"second")

    assert path.read_bytes() == b"second"
    assert files_below(tmp_path) == [path]


def test_a_result_that_cannot_be_written_leaves_the_earlier_one(tmp_path, monkeypatch):
    """Whole or not at all."""

    def fail(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    spool = make_spool(tmp_path)
    path = spool.results_folder("1.2.3", 1) / "sr.dcm"
    spool.write_result(path, b"first")
    monkeypatch.setattr(os, "fsync", fail)

    with pytest.raises(StorageError):
        spool.write_result(path, b"second")

    assert path.read_bytes() == b"first"
    assert files_below(tmp_path) == [path]


def test_the_digest_does_not_depend_on_who_sent_the_object(tmp_path):
    """The file meta information differs by sender; the data set does not."""
    spool = make_spool(tmp_path)

    first, second = put(spool), put(spool, calling_ae_title="OTHER")

    assert first.read_bytes() != second.read_bytes()
    assert dataset_digest(first) == dataset_digest(second)


@pytest.mark.parametrize("content", [b"", b"not DICOM", bytes(128) + b"DICM", bytes(128) + b"DICM" + DATA_SET])
def test_a_file_without_part_10_header_has_no_digest(tmp_path, content):
    """It says so instead of digesting something else."""
    path = tmp_path / "odd.dcm"
    path.write_bytes(content)

    with pytest.raises(UnindexableFileError):
        dataset_digest(path)
