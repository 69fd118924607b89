"""Peers that mean harm or are broken: what they cost, and that the next peer is served. Scripted, raw.

Where a test can show it in short time, the same peer is sent to a listener as tutorials write it (`naive_listener`).
"""

from __future__ import annotations

import errno
import re
import resource
import socket
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, closing
from io import BytesIO, FileIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.filereader import read_file_meta_info

from echo_scp.config import ReceiveConfig
from echo_scp.receive import admission
from echo_scp.receive.listener import Listener
from echo_scp.spool import Spool, SpoolFile
from tests.network.peers import (
    A_ABORT,
    A_RELEASE_RQ,
    AN_OBJECT,
    HALF_AN_OBJECT,
    US_MULTI_FRAME,
    VERIFICATION,
    associate_request,
    command,
    command_set,
    connect,
    dial,
    fragment,
    item,
    pdu,
    receive_pdu,
    status,
)
from tests.network.reference import naive_listener

# pynetdicom leaves the sockets of what it refuses or loses to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket.socket:ResourceWarning")

OTHER_PEER = "127.0.0.2"
LITTLE_MB = 6
MUCH_MB = 24


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "data", reserve_disk_mb=0)


def make_listener(spool: Spool, **changes: object) -> Listener:
    config = ReceiveConfig(**({"address": "127.0.0.1", "port": 0, "reserve_disk_mb": 0} | changes))
    return Listener(config, spool, lambda: None)


@pytest.fixture
def port(spool) -> Iterator[int]:
    with make_listener(spool) as listener:
        yield listener.port


@pytest.fixture
def naive_port(tmp_path) -> Iterator[int]:
    (tmp_path / "naive").mkdir()
    with naive_listener(tmp_path / "naive") as port:
        yield port


def echo(port: int, source: str = "127.0.0.1") -> bool:
    """Say whether a well-behaved peer is served; False when it is rejected or aborted."""
    with closing(dial(port, source)) as peer:
        peer.sendall(associate_request(((1, VERIFICATION, "1.2.840.10008.1.2"),)))
        if receive_pdu(peer)[:1] != b"\x02":
            return False
        peer.sendall(fragment(command_set(sop_class_uid=VERIFICATION, field=0x0030, data_set_type=0x0101), 3))
        answer = receive_pdu(peer)
        peer.sendall(A_RELEASE_RQ)
        return status(answer) == 0x0000 and receive_pdu(peer)[:1] == b"\x06"


def store(port: int, data_set: bytes, uid: str | bytes = "1.2.3", transfer_syntax: str = "1.2.840.10008.1.2.1") -> int:
    """Send an object as it is; return the status, or -1 for an abort."""
    with closing(connect(port, associate_request(((1, US_MULTI_FRAME, transfer_syntax),)))) as peer:
        peer.sendall(command(uid))
        for start in range(0, len(data_set), 16_000):
            peer.sendall(fragment(data_set[start : start + 16_000], 0))
        peer.sendall(fragment(b"", 2))
        answer = receive_pdu(peer)
        if answer[:1] != b"\x04":
            return -1
        peer.sendall(A_RELEASE_RQ)
        receive_pdu(peer)
        return status(answer)


def stored_data_sets(spool: Spool) -> list[bytes]:
    contents = [path.read_bytes() for path in spool.ready()]
    return [content[144 + struct.unpack_from("<L", content, 140)[0] :] for content in contents]


def memory_mb() -> float:
    return int(re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024


def push(peer: socket.socket, megabytes: int) -> None:
    """Send what nobody wants; a peer that closed is no error."""
    junk = bytes(1 << 20)
    try:
        for _ in range(megabytes):
            peer.sendall(junk)
    except OSError:
        pass


def is_closed(peer: socket.socket) -> bool:
    """Read whatever comes until the other side closes; False when it does not."""
    try:
        while peer.recv(65536):
            pass
    except ConnectionError:
        pass
    except TimeoutError:
        return False
    return True


def wait_until(condition) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.01)


# --- length lies -----------------------------------------------------------------------------------------------------

FOUR_GIB = 2**32 - 1
LIES = [
    pytest.param(struct.pack(">BBL", 1, 0, FOUR_GIB), id="A-ASSOCIATE-RQ of 4 GiB"),
    pytest.param(struct.pack(">BBL", 1, 0, 3), id="A-ASSOCIATE-RQ of 3 bytes"),
    pytest.param(struct.pack(">BBL", 4, 0, FOUR_GIB), id="P-DATA of 4 GiB"),
    pytest.param(struct.pack(">BBL", 2, 0, 70), id="A-ASSOCIATE-AC"),
    pytest.param(struct.pack(">BBL", 5, 0, 4), id="A-RELEASE-RQ"),
    pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="HTTP"),
    pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", id="TLS"),
]


@pytest.mark.parametrize("head", LIES)
def test_what_is_no_request_is_aborted_at_its_head(port, head):
    """Before anybody is known, and before anything is read that the head claims."""
    with closing(dial(port)) as peer:
        peer.sendall(head)
        answer = receive_pdu(peer)

    assert answer == A_ABORT
    assert echo(port)


def test_a_claim_of_4_gib_takes_no_memory(port):
    """Whatever is sent after it."""
    before = memory_mb()
    with closing(dial(port)) as peer:
        peer.sendall(struct.pack(">BBL", 1, 0, FOUR_GIB))
        push(peer, 2 * MUCH_MB)
        after = memory_mb()

    assert after - before < LITTLE_MB


def test_a_claim_of_4_gib_takes_a_naive_listener_s_memory(naive_port):
    """It reads on, and keeps all it gets."""
    before = memory_mb()
    with closing(dial(naive_port)) as peer:
        peer.sendall(struct.pack(">BBL", 1, 0, FOUR_GIB))
        push(peer, 2 * MUCH_MB)
        wait_until(lambda: memory_mb() - before > MUCH_MB)


def test_a_fragment_of_4_gib_is_aborted(port, spool):
    """On an established association."""
    with closing(connect(port)) as peer:
        peer.sendall(command() + pdu(4, struct.pack(">LBB", FOUR_GIB, 1, 0)))
        answer = receive_pdu(peer)

    assert answer == pdu(7, bytes((0, 0, 2, 6)))
    assert spool.ready() == ()


def test_requests_that_never_end_are_held_within_a_limit(spool, monkeypatch):
    """Each may claim 256 KiB; together they may not hold more than their share."""
    monkeypatch.setattr(admission, "MAXIMUM_WAITING_BYTES", 1_000_000)
    head = struct.pack(">BBL", 1, 0, 256 * 1024)
    with make_listener(spool) as listener, ExitStack() as peers:
        connections = [peers.enter_context(closing(dial(listener.port))) for _ in range(8)]
        for connection in connections:
            connection.sendall(head + bytes(250_000))
            connection.settimeout(0.5)
        closed = [is_closed(connection) for connection in connections]
        served = echo(listener.port)

    assert 4 <= sum(closed) < 8
    assert served


# --- silence and slowness --------------------------------------------------------------------------------------------


def drip(peer: socket.socket, content: bytes, pause_s: float) -> bool:
    """Send byte by byte; say whether the other side took it all."""
    try:
        for number in range(len(content)):
            peer.sendall(content[number : number + 1])
            time.sleep(pause_s)
    except OSError:
        return False
    return True


def test_a_request_that_drips_is_closed_at_its_time(spool):
    """The ARTIM timer runs from the connection (PS3.8 9.1.5): no byte starts it again."""
    request = associate_request()
    with make_listener(spool, network_timeout_s=0.3) as listener, closing(dial(listener.port)) as peer:
        peer.sendall(request[:-60])
        taken = drip(peer, request[-60:], 0.05)

    assert not taken


def test_a_naive_listener_waits_for_a_request_that_drips(tmp_path):
    """As long as each byte comes in time, one of its associations is taken."""
    request = associate_request()
    with naive_listener(tmp_path, timeout_s=0.3) as port, closing(dial(port)) as peer:
        peer.sendall(request[:-60])
        taken = drip(peer, request[-60:], 0.05)

    assert taken


def test_an_object_that_drips_is_given_up(spool, tmp_path):
    """A PDU must come whole in its time; nothing is left of what came."""
    with make_listener(spool, network_timeout_s=0.3) as listener, closing(connect(listener.port)) as peer:
        peer.sendall(command())
        taken = drip(peer, fragment(bytes(100), 0), 0.05)
        wait_until(lambda: not list(tmp_path.glob("data/spool/incoming/*")))

    assert not taken
    assert spool.ready() == ()


def raise_descriptor_limit(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"no more than {hard} file descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


def test_a_thousand_silent_peers_hold_up_nobody(port, spool):
    """They cost a socket each; an echo and an object beside them are answered."""
    raise_descriptor_limit(4096)
    threads = threading.active_count()
    with ExitStack() as peers:
        for _ in range(1000):
            peers.enter_context(closing(dial(port)))
        echoed, stored = echo(port), store(port, b"data")
        more_threads = threading.active_count() - threads

    assert echoed
    assert stored == 0x0000
    assert more_threads < 10


# pynetdicom's shutdown, of associations that never began
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_twenty_silent_peers_take_all_of_a_naive_listener(naive_port):
    """Each is two threads and an association."""
    with ExitStack() as peers:
        for _ in range(20):
            peers.enter_context(closing(dial(naive_port)))
        wait_until(lambda: sum("AcceptorThread" in thread.name for thread in threading.enumerate()) == 20)
        echoed = echo(naive_port)

    assert not echoed


def test_silent_peers_beyond_the_limit_make_room_for_new_ones(spool, monkeypatch):
    """The oldest of the peer with the most goes; another peer's connection stays."""
    monkeypatch.setattr(admission, "MAXIMUM_WAITING", 20)
    with make_listener(spool) as listener, ExitStack() as peers:
        other = peers.enter_context(closing(dial(listener.port, OTHER_PEER)))
        silent = [peers.enter_context(closing(dial(listener.port))) for _ in range(60)]
        first_is_closed = is_closed(silent[0])
        other.sendall(associate_request())
        answer = receive_pdu(other)
        echoed = echo(listener.port)

    assert first_is_closed
    assert answer[:1] == b"\x02"
    assert echoed


# --- floods ----------------------------------------------------------------------------------------------------------


def test_one_peer_cannot_take_all_associations(spool):
    """Its own limit is reached first (rejected transient, local limit exceeded); others are served."""
    limits = {"maximum_associations": 6, "maximum_associations_per_peer": 4}
    with make_listener(spool, **limits) as listener, ExitStack() as peers:
        for _ in range(4):
            peers.enter_context(closing(connect(listener.port)))
        one_too_many = peers.enter_context(closing(dial(listener.port)))
        one_too_many.sendall(associate_request())
        answer = receive_pdu(one_too_many)
        other_is_served = echo(listener.port, OTHER_PEER)

    assert answer == pdu(3, bytes((0, 2, 3, 2)))
    assert other_is_served


def test_one_peer_takes_all_of_a_naive_listener(tmp_path):
    """The other is rejected."""
    with naive_listener(tmp_path, maximum_associations=4) as port, ExitStack() as peers:
        for _ in range(4):
            peers.enter_context(closing(connect(port, associate_request(((1, VERIFICATION, "1.2.840.10008.1.2"),)))))
        other_is_served = echo(port, OTHER_PEER)

    assert not other_is_served


def test_a_flood_of_requests_is_answered_and_passes(spool):
    """Each peer hears yes or no; when they are gone, all seats are free again."""
    limits = {"maximum_associations": 8, "maximum_associations_per_peer": 8}
    with make_listener(spool, **limits) as listener:
        with ExitStack() as peers:
            flood = [peers.enter_context(closing(dial(listener.port))) for _ in range(200)]
            for peer in flood:
                peer.sendall(associate_request())
            answers = [receive_pdu(peer)[:1] for peer in flood]
        wait_until(lambda: not any(thread.name.startswith("association-") for thread in threading.enumerate()))
        with ExitStack() as peers:
            for _ in range(8):
                peers.enter_context(closing(connect(listener.port)))

    assert (answers.count(b"\x02"), answers.count(b"\x03")) == (8, 192)


@pytest.mark.parametrize(
    "request_pdu",
    [
        pytest.param(pdu(1, bytes(68)), id="nothing but zeros"),
        pytest.param(pdu(1, bytes(2) + b"\xff" * 200), id="garbage"),
        pytest.param(associate_request(((1, US_MULTI_FRAME, "1.2"),))[:-30] + bytes(30), id="items cut"),
        pytest.param(associate_request(calling=b"\xff\xfe"), id="AE title of strange bytes"),
        pytest.param(associate_request(calling=b""), id="AE title of blanks"),
        pytest.param(associate_request(((1, "", ""),)), id="no syntaxes"),
        pytest.param(associate_request(extra_user_items=item(0x51, b"")), id="maximum length without a length"),
        pytest.param(associate_request(((2, US_MULTI_FRAME, "1.2.840.10008.1.2"),)), id="even context ID"),
        pytest.param(associate_request(((1, "9" * 500, "1.2.840.10008.1.2"),)), id="long UID"),
        pytest.param(associate_request(((1, "../../etc", "%s%n"),)), id="no UIDs"),
        pytest.param(associate_request(version=2), id="another version of the protocol"),
        pytest.param(pdu(1, associate_request()[6:] + b"".join(item(0x20, b"") for _ in range(10_000))), id="items"),
    ],
)
def test_a_bad_request_has_an_answer_and_no_consequence(port, request_pdu):
    """Accepted without contexts, rejected or aborted; never an error of ours, never silence."""
    with closing(dial(port)) as peer:
        peer.sendall(request_pdu)
        answer = receive_pdu(peer)

    assert answer[:1] in (b"\x02", b"\x03", b"\x07")
    assert echo(port)


def test_more_operations_at_once_are_negotiated_down_to_one(port):
    """PS3.7 D.3.3.3."""
    request = associate_request(extra_user_items=item(0x53, struct.pack(">HH", 0, 8)))
    with closing(dial(port)) as peer:
        peer.sendall(request)
        answer = receive_pdu(peer)

    assert item(0x53, struct.pack(">HH", 1, 1)) in answer


def test_requests_that_do_not_wait_for_their_answers_are_all_served(port, spool):
    """A sender that ignores the window of one: in order, each with its own message ID."""
    objects = [
        fragment(command_set(f"1.{number}", message_id=number), 3) + fragment(b"%d" % number, 2) for number in range(9)
    ]
    with closing(connect(port)) as peer:
        peer.sendall(b"".join(objects))
        answers = [receive_pdu(peer) for _ in objects]

    assert [status(answer) for answer in answers] == [0] * 9
    assert stored_data_sets(spool) == [b"%d" % number for number in range(9)]


def test_command_and_data_may_share_a_pdu(port, spool):
    """All of an object in one, and the next one's command behind it."""
    pdus = AN_OBJECT + AN_OBJECT
    content = b"".join(pdus[start + 6 : end] for start, end in pdu_bounds(pdus))
    with closing(connect(port)) as peer:
        peer.sendall(pdu(4, content))
        answers = [status(receive_pdu(peer)) for _ in range(2)]

    assert answers == [0, 0]
    assert len(spool.ready()) == 2


def pdu_bounds(stream: bytes) -> Iterator[tuple[int, int]]:
    start = 0
    while start < len(stream):
        end = start + 6 + struct.unpack_from(">L", stream, start + 2)[0]
        yield start, end
        start = end


# --- names -----------------------------------------------------------------------------------------------------------

STRANGE_UIDS = [
    pytest.param(b"../../../escaped", id="path"),
    pytest.param(b"/tmp/escaped", id="absolute path"),
    pytest.param(b"1.2.3/../../../escaped", id="path within"),
    pytest.param(b"1." + b"2" * 200, id="202 characters"),
    pytest.param(b"1.2.\xff\xfe\x80", id="strange bytes"),
    pytest.param(b"1.2\x00.3", id="null within"),
    pytest.param(b"$(reboot)`id`;|&", id="shell"),
    pytest.param("1.２.３".encode(), id="digits that are not ASCII"),
]


@pytest.mark.parametrize("uid", STRANGE_UIDS)
def test_a_strange_uid_is_stored_and_names_nothing(port, spool, tmp_path, uid):
    """The object is kept; its UID is text in a file, and never a path."""
    answer = store(port, b"data", uid)

    (path,) = spool.ready()
    assert answer == 0x0000
    assert stored_data_sets(spool) == [b"data"]
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [path]
    assert not Path("/tmp/escaped").exists()


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI:UserWarning")
def test_a_naive_listener_writes_where_a_uid_says(naive_port, tmp_path):
    """Out of its folder."""
    ds = b"\x08\x00\x18\x00UI\x06\x001.2.3\0"

    store(naive_port, ds, "../escaped")

    assert (tmp_path / "escaped.dcm").exists()


@pytest.mark.filterwarnings("ignore:.*:UserWarning")
def test_a_long_uid_ends_the_association_with_a_naive_listener(naive_port):
    """Its sender never hears why."""
    assert store(naive_port, b"", b"1." + b"2" * 200) == -1


def test_one_uid_from_eight_senders_at_once_is_stored_eight_times(port, spool):
    """Which of them is right is not the receiver's to decide."""
    contents = [bytes([number]) * 300_000 for number in range(8)]

    answers = send_together(port, contents)

    assert answers == [0x0000] * 8
    assert sorted(stored_data_sets(spool)) == contents


def test_a_naive_listener_keeps_one_of_eight(naive_port, tmp_path):
    """The last, or a mixture."""
    heads = [b"\x08\x00\x18\x00UI\x04\x001.%d\0" % number for number in range(8)]

    send_together(naive_port, heads)

    assert len(list((tmp_path / "naive").iterdir())) == 1


def send_together(port: int, contents: list[bytes]) -> list[int]:
    answers: list[int] = []
    senders = [threading.Thread(target=lambda data=data: answers.append(store(port, data))) for data in contents]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    return answers


# --- data sets -------------------------------------------------------------------------------------------------------

DEFLATED = "1.2.840.10008.1.2.1.99"


BOMB_MB = 100


@pytest.fixture(scope="module")
def deflate_bomb() -> bytes:
    """A deflated data set whose Pixel Data is zeros: some hundred times what is sent."""
    compressor = zlib.compressobj(1, zlib.DEFLATED, -15)
    head = b"\x08\x00\x18\x00UI\x06\x001.2.3\0\xe0\x7f\x10\x00OW\0\0" + struct.pack("<L", BOMB_MB << 20)
    pieces = [compressor.compress(head), *(compressor.compress(bytes(1 << 20)) for _ in range(BOMB_MB))]
    return b"".join([*pieces, compressor.flush()])


def peak_memory_mb(work) -> float:
    """Return by how much the memory of this process grew at most while `work` ran."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from now
    before = memory_mb()
    work()
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024 - before


def test_a_deflated_bomb_is_stored_and_does_not_go_off(port, spool, deflate_bomb):
    """Nobody inflates what is received."""
    answers = []

    grown_mb = peak_memory_mb(lambda: answers.append(store(port, deflate_bomb, transfer_syntax=DEFLATED)))

    assert answers == [0x0000]
    assert stored_data_sets(spool) == [deflate_bomb]
    assert grown_mb < LITTLE_MB


def test_a_deflated_bomb_goes_off_in_a_naive_listener(naive_port, deflate_bomb):
    """It takes some hundred times of what was sent."""
    grown_mb = peak_memory_mb(lambda: store(naive_port, deflate_bomb, transfer_syntax=DEFLATED))

    assert grown_mb > BOMB_MB


@pytest.mark.dcmtk
def test_a_preamble_that_is_a_program_is_not_kept(port, spool, dcmtk, tmp_path):
    """The preamble is no part of the data set: ours is clean, and the data set is as it was."""
    program = tmp_path / "program.dcm"
    original = Path(get_testdata_file("CT_small.dcm")).read_bytes()
    program.write_bytes(b"MZ\x90\x00This program cannot be run in DOS mode".ljust(128, b"\x90") + original[128:])

    sent = dcmtk("dcmsend", "127.0.0.1", port, program)

    (path,) = spool.ready()
    assert sent.returncode == 0, sent.stderr
    assert path.read_bytes()[:132] == bytes(128) + b"DICM"
    assert dcmread(path).PixelData == dcmread(program).PixelData


def test_what_looks_like_a_program_in_the_data_set_is_kept(port, spool):
    """An encapsulated object is the sender's, bit for bit."""
    data_set = b"\x09\x00\x10\x10OB\0\0" + struct.pack("<L", 64) + b"MZ\x90\x00".ljust(64, b"\0")

    store(port, data_set)

    assert stored_data_sets(spool) == [data_set]


@pytest.mark.parametrize(
    "sop_class_uid", ["1.3.46.670589.2.5.1.1", "1.2.840.10008.5.1.4.1.1.999", "1.2.840.113619.4.27"]
)
@pytest.mark.parametrize("transfer_syntax", ["1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1"])
def test_unknown_sop_classes_are_stored_in_any_byte_order(port, spool, sop_class_uid, transfer_syntax):
    """Kept as they are, and said to be so in the meta information."""
    with closing(connect(port, associate_request(((1, sop_class_uid, transfer_syntax),)))) as peer:
        peer.sendall(fragment(command_set("1.2.3", sop_class_uid), 3) + fragment(b"\x00\x08whatever", 2))
        answer = status(receive_pdu(peer))

    (path,) = spool.ready()
    assert answer == 0x0000
    assert stored_data_sets(spool) == [b"\x00\x08whatever"]
    assert read_file_meta_info(path).MediaStorageSOPClassUID == sop_class_uid
    assert read_file_meta_info(path).TransferSyntaxUID == transfer_syntax


def test_a_naive_listener_does_not_know_them(naive_port):
    """The context is refused."""
    with closing(connect(naive_port, associate_request(((1, "1.3.46.670589.2.5.1.1", "1.2.840.10008.1.2"),)))) as peer:
        peer.sendall(fragment(command_set("1.2.3", "1.3.46.670589.2.5.1.1"), 3) + fragment(b"x", 2))

        assert receive_pdu(peer)[:1] == b"\x07"


@pytest.mark.parametrize("content", [b"", b"\x08", b"\x08\x00\x18\x00UI\xff\x7f1.2", b"\xff" * 1000])
def test_a_data_set_that_is_cut_or_none_is_stored_as_it_came(port, spool, content):
    """What it is worth is said later; the sender has done its part."""
    assert store(port, content) == 0x0000
    assert stored_data_sets(spool) == [content]


# --- the disk --------------------------------------------------------------------------------------------------------


class FullDisk:
    """Gives files on /dev/full: every byte that leaves the buffer is refused with ENOSPC."""

    def __init__(self, spool: Spool, folder: Path) -> None:
        self._spool = spool
        self._folder = folder

    def open(self, _identity: object) -> SpoolFile:
        path = self._folder / "part"
        path.touch()
        return SpoolFile(self._spool, path, FileIO("/dev/full", "wb"), b"header")


@pytest.mark.parametrize("size", [10, 5_000_000])
def test_a_full_disk_is_out_of_resources_and_recovers_alone(spool, tmp_path, monkeypatch, size):
    """A700 at the commit or in mid-object, on one association; the next object is stored."""
    with make_listener(spool) as listener, closing(connect(listener.port)) as peer:
        with monkeypatch.context() as disk:
            disk.setattr(spool, "open", FullDisk(spool, tmp_path).open)
            peer.sendall(command())
            for _ in range(0, size, 10_000):
                peer.sendall(fragment(bytes(10_000), 0))
            peer.sendall(fragment(b"", 2))
            refused = status(receive_pdu(peer))
        left = [path for path in tmp_path.rglob("*") if path.is_file()]
        peer.sendall(AN_OBJECT)
        stored = status(receive_pdu(peer))

    assert (refused, stored) == (0xA700, 0x0000)
    assert left == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_disk_that_fails_at_the_last_moment_is_out_of_resources(spool, monkeypatch, code):
    """Quota and I/O errors too; nothing is shown."""

    def fail(_descriptor: int) -> None:
        raise OSError(code, "no")

    with make_listener(spool) as listener:
        with monkeypatch.context() as disk:
            disk.setattr("os.fsync", fail)
            refused = store(listener.port, b"data")
        stored = store(listener.port, b"data")

    assert (refused, stored) == (0xA700, 0x0000)
    assert len(spool.ready()) == 1


def test_a_real_full_disk(tmp_path, mount_tmpfs):
    """A file system of a megabyte: refused while it is full, stored when there is room."""
    spool = Spool(mount_tmpfs(tmp_path / "small", size_kb=1024), reserve_disk_mb=0)
    with make_listener(spool) as listener:
        refused = store(listener.port, bytes(3_000_000))
        stored = store(listener.port, bytes(300_000))

    assert (refused, stored) == (0xA700, 0x0000)
    assert len(spool.ready()) == 1


# --- ends ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [A_ABORT, A_RELEASE_RQ, b"", b"\x04", fragment(bytes(5000), 0)[:-1], b"\xff" * 50])
def test_an_end_in_mid_object_shows_nothing(port, spool, tmp_path, end):
    """Abort, release, lost connection, garbage: no partial file, and the sender has no Success."""
    with closing(connect(port)) as peer:
        peer.sendall(HALF_AN_OBJECT + end)
        peer.shutdown(socket.SHUT_WR)
        answers = []
        while answer := receive_pdu(peer):
            answers.append(answer[0])
    wait_until(lambda: not list(tmp_path.glob("data/spool/incoming/*")))

    assert 0x04 not in answers
    assert spool.ready() == ()


@pytest.mark.parametrize("at", range(0, len(AN_OBJECT) + len(A_RELEASE_RQ), 9))
def test_a_connection_cut_anywhere_stores_all_or_nothing(port, spool, tmp_path, at):
    """And it stores all only when the last byte of the object was there."""
    with closing(connect(port)) as peer:
        peer.sendall((AN_OBJECT + A_RELEASE_RQ)[:at])
        peer.shutdown(socket.SHUT_WR)
        assert is_closed(peer)

    assert len(spool.ready()) == (1 if at >= len(AN_OBJECT) else 0)
    assert list(tmp_path.glob("data/spool/incoming/*")) == []


def test_a_naive_listener_can_be_read(naive_port, tmp_path):
    """The comparison is fair: it does store what is whole and well-formed."""
    ds = dcmread(get_testdata_file("CT_small.dcm"))
    content = BytesIO()
    ds.save_as(content)
    data_set = content.getvalue()[144 + struct.unpack_from("<L", content.getvalue(), 140)[0] :]

    assert store(naive_port, data_set) == 0x0000
    assert dcmread(tmp_path / "naive" / "1.2.3.dcm").PixelData == ds.PixelData
