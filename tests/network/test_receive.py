"""Real associations with the listener: DCMTK, pynetdicom and scripted raw-PDU peers as the other side."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from contextlib import closing
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import FileMetaDataset
from pydicom.filereader import read_file_meta_info
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid
from pynetdicom import AE, ALL_TRANSFER_SYNTAXES
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.presentation import build_context

from echo_scp.config import ReceiveConfig
from echo_scp.errors import StorageError
from echo_scp.receive.listener import Listener
from echo_scp.spool import Spool
from tests.network.peers import A_ABORT, DATA_SET, HALF_AN_OBJECT, US_MULTI_FRAME, connect, fragment, receive_pdu

REFERENCED = {"1.2.840.10008.1.2.4.94", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.204", "1.2.840.10008.1.2.4.205"}
STREAMS = {"1.2.840.10008.1.2.7.1", "1.2.840.10008.1.2.7.2", "1.2.840.10008.1.2.7.3"}

# Files that pydicom ships, one per family of encodings that DCMTK 3.6 can send, and how to make it send them so.
ENCODINGS = {
    "implicit": ("MR_small_implicit.dcm", "storescu", "-xi"),
    "explicit": ("CT_small.dcm", "dcmsend"),
    "big endian": ("MR_small_bigendian.dcm", "storescu", "-xb"),
    "deflated": ("image_dfl.dcm", "dcmsend"),
    "JPEG baseline": ("SC_rgb_jpeg_dcmtk.dcm", "dcmsend"),
    "JPEG extended": ("JPGExtended.dcm", "dcmsend"),
    "JPEG-LS": ("JPEGLSNearLossless_08.dcm", "dcmsend"),
    "JPEG 2000": ("JPEG2000.dcm", "dcmsend"),
    "RLE": ("MR_small_RLE.dcm", "dcmsend"),
}


def make_listener(spool: Spool, on_spooled=lambda: None, **changes: object) -> Listener:
    config = ReceiveConfig(**({"address": "127.0.0.1", "port": 0, "reserve_disk_mb": 0} | changes))
    return Listener(config, spool, on_spooled)


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "data", reserve_disk_mb=0)


@pytest.fixture
def listener(spool):
    with make_listener(spool) as running:
        yield running


def data_set_bytes(path: Path) -> bytes:
    """Return what follows the file meta information, found independently of the code under test."""
    content = path.read_bytes()
    return content[144 + struct.unpack_from("<L", content, 140)[0] :]


def associate(listener: Listener, *contexts: tuple[str, str], **changes: str) -> Association:
    ae = AE(ae_title="CART")
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 20
    requested = [build_context(*context) for context in contexts]
    return ae.associate("127.0.0.1", listener.port, contexts=requested, **changes)


def release(association: Association) -> None:
    association.release()
    association.join()


def store(association: Association, data_set: bytes, sop_class_uid: str = US_MULTI_FRAME, uid: str = "1.2.3") -> int:
    """Send bytes as they are, under the only accepted context; return the status."""
    (context,) = association.accepted_contexts
    request = C_STORE()
    request.MessageID = 1
    request.Priority = 0
    request.AffectedSOPClassUID = UID(sop_class_uid)
    request.AffectedSOPInstanceUID = UID(uid)
    request.DataSet = BytesIO(data_set)
    association._reactor_checkpoint.clear()
    association.dimse.send_msg(request, context.context_id)
    _, response = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    return int(response.Status)


def store_once(listener: Listener, data_set: bytes = DATA_SET, uid: str = "1.2.3") -> int:
    association = associate(listener, (US_MULTI_FRAME, ImplicitVRLittleEndian))
    try:
        return store(association, data_set, uid=uid)
    finally:
        release(association)


def without_trailing_padding(ds: Dataset) -> Dataset:
    """Return the data set without (FFFC,FFFC), which DCMTK does not send."""
    ds.pop("DataSetTrailingPadding", None)
    return ds


def association_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith(("association-", "receive-adm"))]


def serving_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("association-")]


def wait_until(condition) -> None:
    """Wait for what another thread is about to do; the limit only keeps a broken test from hanging."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.01)


# --- DCMTK -----------------------------------------------------------------------------------------------------------


@pytest.mark.dcmtk
def test_c_echo_is_answered_whatever_the_called_ae_title(listener, dcmtk):
    """An administrator who mistypes the AE title still gets through, as with most archives."""
    echoed = dcmtk("echoscu", "-aec", "ANY_TITLE", "127.0.0.1", listener.port)

    assert echoed.returncode == 0, echoed.stderr


@pytest.mark.dcmtk
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_dcmtk_stores_every_encoding_as_it_is(listener, spool, dcmtk, encoding):
    """The file is stored in the transfer syntax of the sender, with every element as it was."""
    name, tool, *options = ENCODINGS[encoding]
    path = get_testdata_file(name)

    sent = dcmtk(tool, *options, "-aet", "CART", "127.0.0.1", listener.port, path)

    assert sent.returncode == 0, sent.stderr
    (stored,) = spool.ready()
    actual, expected = dcmread(stored), without_trailing_padding(dcmread(path))
    assert actual.file_meta.TransferSyntaxUID == expected.file_meta.TransferSyntaxUID
    assert actual.file_meta.MediaStorageSOPInstanceUID == expected.SOPInstanceUID
    assert actual.file_meta.SourceApplicationEntityTitle == "CART"
    assert actual == expected


@pytest.mark.dcmtk
def test_dcmsend_stores_a_folder_in_one_association(listener, spool, dcmtk):
    """Mixed SOP classes and encodings on one association."""
    paths = [get_testdata_file(name) for name, *_ in ENCODINGS.values()]
    uids = {str(dcmread(path).SOPInstanceUID) for path in paths}

    sent = dcmtk("dcmsend", "127.0.0.1", listener.port, *paths)

    assert sent.returncode == 0, sent.stderr
    assert {str(dcmread(path).SOPInstanceUID) for path in spool.ready()} == uids


@pytest.mark.dcmtk
def test_storescu_stores_jpeg_lossless(listener, spool, dcmtk, tmp_path):
    """The encoding that DCMTK makes itself (`dcmcjpeg`), sent with `storescu -xs`."""
    lossless = tmp_path / "lossless.dcm"
    dcmtk("dcmcjpeg", "+e1", get_testdata_file("MR_small.dcm"), lossless)

    sent = dcmtk("storescu", "-xs", "127.0.0.1", listener.port, lossless)

    assert sent.returncode == 0, sent.stderr
    (stored,) = spool.ready()
    assert dcmread(stored).file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.70"
    assert dcmread(stored).PixelData == dcmread(lossless).PixelData


@pytest.mark.dcmtk
def test_storescu_sees_a_full_disk_and_then_its_recovery(listener, spool, dcmtk, monkeypatch):
    """0xA700 while the disk is below its reserve; the next attempt succeeds without a restart."""
    path = get_testdata_file("MR_small.dcm")
    full = os.statvfs_result((512, 512, 0, 0, 0, 0, 0, 0, 0, 255))

    with monkeypatch.context() as disk:
        disk.setattr(os, "statvfs", lambda _path: full)
        refused = dcmtk("storescu", "-v", "127.0.0.1", listener.port, path)
    ready_when_full = spool.ready()
    accepted = dcmtk("storescu", "-v", "127.0.0.1", listener.port, path)

    assert "0xA700" in refused.stdout + refused.stderr or "OutOfResources" in refused.stdout + refused.stderr
    assert refused.returncode != 0
    assert ready_when_full == ()
    assert accepted.returncode == 0, accepted.stderr
    assert len(spool.ready()) == 1


@pytest.mark.dcmtk
def test_storescu_that_aborts_after_its_objects_has_them_stored(listener, spool, dcmtk):
    """What was answered with Success stays, however the association ends."""
    dcmtk("storescu", "--abort", "127.0.0.1", listener.port, get_testdata_file("MR_small.dcm"))

    assert len(spool.ready()) == 1


# --- pynetdicom as SCU -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transfer_syntax", sorted(set(ALL_TRANSFER_SYNTAXES) - REFERENCED - STREAMS))
def test_the_bytes_of_every_transfer_syntax_are_stored_as_sent(listener, spool, transfer_syntax):
    """JPEG family, HTJ2K, MPEG, HEVC: nobody decodes, so nothing can change."""
    data_set = os.urandom(300_001)
    association = associate(listener, (US_MULTI_FRAME, transfer_syntax))

    status = store(association, data_set)
    release(association)

    (path,) = spool.ready()
    assert status == 0x0000
    assert data_set_bytes(path) == data_set
    assert read_file_meta_info(path).TransferSyntaxUID == transfer_syntax


@pytest.mark.parametrize("transfer_syntax", sorted(REFERENCED | STREAMS))
def test_a_transfer_syntax_without_its_pixels_is_not_negotiated(listener, transfer_syntax):
    """The sender keeps what could not be kept here."""
    association = associate(listener, (US_MULTI_FRAME, transfer_syntax), ("1.2.840.10008.1.1", ImplicitVRLittleEndian))

    refused = [context.abstract_syntax for context in association.rejected_contexts]
    release(association)

    assert refused == [US_MULTI_FRAME]


@pytest.mark.parametrize(
    "sop_class_uid",
    ["1.2.840.10008.5.1.4.1.1.3", "1.2.840.10008.5.1.4.1.1.6", "1.3.46.670589.2.5.1.1", "1.2.840.10008.5.1.4.1.1.999"],
)
def test_retired_private_and_unknown_sop_classes_are_stored(listener, spool, sop_class_uid):
    """Kept and not analysed is better than not kept."""
    association = associate(listener, (sop_class_uid, ExplicitVRLittleEndian))

    status = store(association, b"anything", sop_class_uid)
    release(association)

    (path,) = spool.ready()
    assert status == 0x0000
    assert data_set_bytes(path) == b"anything"


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI:UserWarning")  # pydicom, of what the test is about
@pytest.mark.parametrize("uid", ["../../../escaped", "/tmp/escaped", "..", "1.2.3 or worse"])
def test_a_uid_with_a_path_in_it_names_no_file(listener, spool, tmp_path, uid):
    """The UID of a command is text from the network."""
    status = store_once(listener, uid=uid)

    (path,) = spool.ready()
    assert status == 0x0000
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [path]


def test_one_uid_from_four_senders_at_once_is_stored_four_times(listener, spool):
    """Which of them is right is not the receiver's to decide."""
    contents = [bytes([number]) * 500_000 for number in range(4)]
    statuses = []
    senders = [
        threading.Thread(target=lambda content=content: statuses.append(store_once(listener, content)))
        for content in contents
    ]

    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()

    assert statuses == [0x0000] * 4
    assert sorted(data_set_bytes(path) for path in spool.ready()) == contents


def test_the_indexer_is_woken_after_the_object_is_ready(spool):
    """Not before: it would find nothing."""
    seen = []

    with make_listener(spool, on_spooled=lambda: seen.append(len(spool.ready()))) as listener:
        store_once(listener)
        store_once(listener)

    assert seen == [1, 2]


def test_success_is_not_answered_before_the_commit(spool, monkeypatch):
    """A disk that fails at the last moment fails the request."""

    def fail(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    with make_listener(spool) as listener:
        monkeypatch.setattr(os, "fsync", fail)
        status = store_once(listener)

    assert status == 0xA700
    assert spool.ready() == ()


def test_an_unforeseen_error_is_a_processing_failure(spool, monkeypatch):
    """The sender hears of it and keeps its object; the next one is stored."""

    def fail(_identity: object) -> None:
        raise ZeroDivisionError

    with make_listener(spool) as listener:
        with monkeypatch.context() as broken:
            broken.setattr(spool, "open", fail)
            statuses = [store_once(listener)]
        statuses.append(store_once(listener))

    assert statuses == [0x0110, 0x0000]


def test_a_refused_object_does_not_end_the_association(spool, monkeypatch):
    """The sender goes on with its next object."""

    def refuse(_identity: object) -> None:
        raise StorageError("full")

    with make_listener(spool) as listener:
        association = associate(listener, (US_MULTI_FRAME, ImplicitVRLittleEndian))
        with monkeypatch.context() as broken:
            broken.setattr(spool, "open", refuse)
            statuses = [store(association, DATA_SET)]
        statuses.append(store(association, DATA_SET))
        release(association)

    assert statuses == [0xA700, 0x0000]


def test_an_association_too_many_is_rejected_and_the_others_go_on(spool):
    """Transient rejection, local limit exceeded (PS3.8 9.3.4): the sender tries again."""
    with make_listener(spool, maximum_associations=1) as listener:
        first = associate(listener, (US_MULTI_FRAME, ImplicitVRLittleEndian))
        second = associate(listener, (US_MULTI_FRAME, ImplicitVRLittleEndian))
        status = store(first, DATA_SET)
        release(first)

    assert second.is_rejected
    assert second.acceptor.primitive.result_str == "Rejected Transient"
    assert status == 0x0000


def test_the_pdu_length_is_the_configured_one(spool):
    """The peer is told how long its P-DATA may be."""
    with make_listener(spool, maximum_pdu_bytes=32768) as listener:
        association = associate(listener, (US_MULTI_FRAME, ImplicitVRLittleEndian))
        release(association)

    assert association.acceptor.maximum_length == 32768


# --- scripted peers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(A_ABORT, id="abort"),
        pytest.param(b"", id="connection lost between fragments"),
        pytest.param(fragment(bytes(10_000), control=2)[:5000], id="connection lost in a fragment"),
        pytest.param(b"\xff" * 12, id="garbage"),
    ],
)
def test_half_an_object_is_never_visible_and_the_listener_goes_on(listener, spool, tmp_path, end):
    """No partial file, whatever ends the association; the next sender is served."""
    with closing(connect(listener.port)) as peer:
        peer.sendall(HALF_AN_OBJECT + end)
    wait_until(lambda: not serving_threads())
    left = [path for path in tmp_path.rglob("*") if path.is_file()]

    status = store_once(listener)

    assert left == []
    assert status == 0x0000
    assert len(spool.ready()) == 1


def test_a_peer_that_stalls_within_a_pdu_is_given_up(spool):
    """A cart that was switched off must not hold an association for ever."""
    with make_listener(spool, network_timeout_s=0.3) as listener, closing(connect(listener.port)) as peer:
        peer.sendall(HALF_AN_OBJECT + fragment(bytes(10_000), control=0)[:100])
        wait_until(lambda: not serving_threads())

    assert spool.ready() == ()


def test_a_peer_that_says_nothing_does_not_block_others(listener):
    """A port scanner connects and waits."""
    with closing(socket.create_connection(("127.0.0.1", listener.port))):
        status = store_once(listener)

    assert status == 0x0000


def test_health_checks_do_not_use_up_the_associations(spool):
    """A load balancer connects and closes, every few seconds."""
    with make_listener(spool, maximum_associations=1) as listener:
        for _ in range(3):
            socket.create_connection(("127.0.0.1", listener.port)).close()
        wait_until(lambda: not serving_threads())
        status = store_once(listener)

    assert status == 0x0000


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True


# --- stop ------------------------------------------------------------------------------------------------------------


def test_stop_answers_the_object_under_way(spool, tmp_path):
    """It was begun, so it is finished: stored, and its sender told."""
    listener = make_listener(spool)
    listener.start()
    port = listener.port
    with closing(connect(listener.port)) as peer:
        peer.sendall(HALF_AN_OBJECT)
        wait_until(lambda: list(tmp_path.glob("data/spool/incoming/*")))
        stopping = threading.Thread(target=listener.stop, kwargs={"grace_s": 20})
        stopping.start()
        wait_until(lambda: not listens(port))
        time.sleep(0.2)  # what would end the association at once has time to do so
        peer.sendall(fragment(b"the rest", control=2))
        answer = receive_pdu(peer)
        end = receive_pdu(peer)
        stopping.join()

    assert answer[0] == 0x04
    assert end == A_ABORT
    assert len(spool.ready()) == 1
    assert association_threads() == []


def test_stop_ends_what_does_not_end_by_itself(spool):
    """Idle, silent, stalled between and within PDUs: aborted after the grace, and no thread is left."""
    listener = make_listener(spool)
    listener.start()
    silent = socket.create_connection(("127.0.0.1", listener.port))
    idle, between, within = (connect(listener.port) for _ in range(3))
    between.sendall(HALF_AN_OBJECT)
    within.sendall(HALF_AN_OBJECT[:-1])

    listener.stop(grace_s=0.2)

    assert association_threads() == []
    assert receive_pdu(idle) == A_ABORT
    assert spool.ready() == ()
    for peer in (silent, idle, between, within):
        peer.close()


def test_stop_closes_the_port(spool):
    """The next process can have it."""
    listener = make_listener(spool)
    listener.start()
    port = listener.port
    listener.stop()

    with make_listener(spool, port=port) as successor:
        assert store_once(successor) == 0x0000


def test_a_listener_that_was_stopped_can_be_started_again(spool):
    """Stopping twice is nothing special either."""
    listener = make_listener(spool)
    for _ in range(2):
        with listener:
            store_once(listener)
        listener.stop()

    assert len(spool.ready()) == 2


def test_a_port_that_is_taken_is_an_error(listener, spool):
    """The operator hears of it at the start."""
    with pytest.raises(OSError, match="in use"), make_listener(spool, port=listener.port):
        pass


def test_a_data_set_with_pixels_survives_the_way_from_scu_to_reader(listener, spool):
    """A multi-frame ultrasound object, written by pydicom, sent by pynetdicom, read by pydicom."""
    ds = make_clip()
    association = associate(listener, (US_MULTI_FRAME, ExplicitVRLittleEndian))
    status = association.send_c_store(ds).Status
    release(association)

    (path,) = spool.ready()
    assert status == 0x0000
    assert dcmread(path) == ds


def make_clip() -> Dataset:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID = US_MULTI_FRAME
    ds.SOPInstanceUID = generate_uid()
    ds.Rows, ds.Columns, ds.NumberOfFrames, ds.SamplesPerPixel = 8, 8, 3, 1
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.PixelData = os.urandom(8 * 8 * 3)
    return ds
