"""Receiving, side by side in one run: echo-scp, DCMTK's storescp, Orthanc if it is installed; DCMTK's tools as senders.

    python scripts/bench/receive.py [--folder DIR] [--rounds N] [--only study,small,four,latency,silent,memory]

Every round runs all receivers one after the other, so that they meet the same machine; each takes one small object of
the sender first, as one that has run for a while. A figure is the median of the rounds. echo-scp syncs each object to
disk before it answers Success, storescp and Orthanc (by default) do not: on a disk the difference is the disk's, with
--folder on a memory file system it is the program's. Processor seconds are those of the receiver alone and say the same
on a busy machine.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import signal
import socket
import ssl
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEGBaseline8Bit, generate_uid

US_MULTI_FRAME = "1.2.840.10008.5.1.4.1.1.3.1"
US_IMAGE = "1.2.840.10008.5.1.4.1.1.6.1"
CLIPS, CLIP_BYTES = 80, 2_500_000
SMALL_OBJECTS, SMALL_BYTES = 500, 10_000
SILENT, HALF_OPEN = 1000, 200
TICKS = os.sysconf("SC_CLK_TCK")


# --- receivers -------------------------------------------------------------------------------------------------------


@dataclass
class Receiver:
    """A program that receives; `command` gets (folder, port)."""

    name: str
    command: Callable[[Path, int], list[str]]
    environment: dict[str, str] = field(default_factory=dict)


@dataclass
class Running:
    process: subprocess.Popen[bytes]
    port: int
    folder: Path

    def family(self) -> list[int]:
        """Return the receiver's processes, children too."""
        found = [self.process.pid]
        for process_id in found:
            for children in Path(f"/proc/{process_id}/task").glob("*/children"):
                found += [int(child) for child in children.read_text().split()]
        return found

    def processor_s(self) -> float:
        """Return user and system time of the family, dead children included."""
        ticks = 0
        for process_id in self.family():
            with suppress(FileNotFoundError, ProcessLookupError):  # ended: its time is its parent's
                fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
                ticks += sum(map(int, fields[11:15]))
        return ticks / TICKS

    def peaks_mb(self) -> list[float]:
        """Return the largest resident memory that each process of the family ever had."""
        texts = [Path(f"/proc/{process_id}/status").read_text() for process_id in self.family()]
        return [int(re.search(r"VmHWM:\s+(\d+)", text)[1]) / 1024 for text in texts]


def echo_scp(processes: int) -> Receiver:
    def command(folder: Path, port: int) -> list[str]:
        return [sys.executable, __file__, "--serve", str(folder), str(port), str(processes)]

    return Receiver(f"echo-scp, {processes} process{'es' if processes > 1 else ''}", command)


def storescp(*options: str) -> Receiver:
    def command(folder: Path, port: int) -> list[str]:
        return ["storescp", "+xa", *options, "-od", str(folder), str(port)]

    return Receiver(" ".join(["storescp", *options]), command, {"TCP_NODELAY": "1"} if options else {})


def orthanc() -> Receiver:
    def command(folder: Path, port: int) -> list[str]:
        settings = {
            "StorageDirectory": str(folder),
            "IndexDirectory": str(folder),
            "DicomPort": port,
            "HttpServerEnabled": False,
            "DicomAlwaysAllowStore": True,
            "UnknownSopClassAccepted": True,
            "StorageCompression": False,
            "OverwriteInstances": True,
        }
        path = folder / "orthanc.json"
        path.write_text(json.dumps(settings))
        return ["Orthanc", str(path)]

    return Receiver("Orthanc", command)


def serve(folder: str, port: str, processes: str) -> None:
    """Run the product's receiver processes until SIGTERM, without the rest of the node."""
    import trustme

    from echo_scp import logs
    from echo_scp.config import Config, ReceiveConfig
    from echo_scp.receive.receivers import Receivers

    logs.configure("info", "json")
    tls = {"certificate": f"{folder}/node.pem", "key": f"{folder}/node.key", "port": 0}
    issued = trustme.CA().issue_cert("node.example")
    issued.cert_chain_pems[0].write_to_path(tls["certificate"])
    issued.private_key_pem.write_to_path(tls["key"])
    receive = ReceiveConfig(address="127.0.0.1", port=int(port), processes=int(processes), tls=tls)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with Receivers(Config(data_folder=Path(folder), receive=receive), lambda: None) as receivers:
        Path(folder, "tls-port").write_text(str(receivers.tls_port))
        stop.wait()


@contextmanager
def running(receiver: Receiver, root: Path) -> Iterator[Running]:
    folder = Path(tempfile.mkdtemp(dir=root))
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | receiver.environment
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(receiver.command(folder, port), stdout=log, stderr=log, env=environment)
        try:
            wait_for_echo(port, process, folder / "log")
            yield Running(process, port, folder)
        finally:
            process.terminate()
            process.wait()
            shutil.rmtree(folder)


def wait_for_echo(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while subprocess.run(["echoscu", "127.0.0.1", str(port)], capture_output=True, check=False).returncode:
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"a receiver does not answer:\n{log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.1)


# --- objects ---------------------------------------------------------------------------------------------------------


def write_object(path: Path, size: int, sop_class_uid: str, transfer_syntax_uid: UID) -> None:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = transfer_syntax_uid
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class_uid, generate_uid()
    ds.StudyInstanceUID, ds.SeriesInstanceUID = generate_uid(), generate_uid()
    ds.Modality, ds.PatientID, ds.PatientName = "US", "BENCH", "Bench^Mark"
    ds.Rows, ds.Columns, ds.BitsAllocated, ds.BitsStored, ds.HighBit = 480, 640, 8, 8, 7
    ds.SamplesPerPixel, ds.PixelRepresentation, ds.PhotometricInterpretation = 1, 0, "MONOCHROME2"
    content = os.urandom(size // 2 * 2)
    if transfer_syntax_uid.is_encapsulated:
        frames = [b"\xff\xd8" + content[start : start + 50_000] for start in range(0, size, 50_000)]
        ds.NumberOfFrames, ds.PixelData = len(frames), encapsulate(frames)
        ds["PixelData"].is_undefined_length = True
        ds["PixelData"].VR = "OB"
    else:
        ds.PixelData = content
        ds["PixelData"].VR = "OW"
    ds.save_as(path, enforce_file_format=True)


def write_objects(folder: Path, count: int, size: int, sop_class_uid: str, transfer_syntax_uid: UID) -> Path:
    folder.mkdir()
    for number in range(count):
        write_object(folder / f"{number:04}.dcm", size, sop_class_uid, transfer_syntax_uid)
    return folder


# --- senders ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sender:
    name: str
    command: tuple[str, ...]
    no_delay: bool

    def start(self, folder: Path, port: int) -> subprocess.Popen[bytes]:
        environment = {key: value for key, value in os.environ.items() if key != "TCP_NODELAY"}
        environment |= {"TCP_NODELAY": "1"} if self.no_delay else {}
        command = [*self.command, "127.0.0.1", str(port), "+sd", str(folder)]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment)


SENDERS = tuple(
    Sender(f"{program}{', no delay' if no_delay else ''}", (program, *options), no_delay)
    for program, *options in (("storescu", "-xy"), ("dcmsend",))
    for no_delay in (False, True)
)


def send(sender: Sender, port: int, folders: Sequence[Path]) -> float:
    """Send each folder over an association of its own, all at once; return the seconds."""
    started = time.perf_counter()
    processes = [sender.start(folder, port) for folder in folders]
    for process in processes:
        _, errors = process.communicate()
        if process.returncode:
            raise SystemExit(f"{sender.name} failed: {errors.decode(errors='replace')[-500:]}")
    return time.perf_counter() - started


class RawPeer:
    """An SCU that writes its own PDUs: measures single responses, and makes objects of any size from nothing."""

    def __init__(self, port: int, no_delay: bool = True, source: str = "127.0.0.1") -> None:
        self.connection = socket.create_connection(("127.0.0.1", port), source_address=(source, 0))
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, int(no_delay))
        contexts = ((1, US_IMAGE), (3, "1.2.840.10008.1.1"))
        items = self._item(0x10, b"1.2.840.10008.3.1.1.1")
        for context_id, abstract_syntax in contexts:
            syntaxes = self._item(0x30, abstract_syntax.encode()) + self._item(0x40, b"1.2.840.10008.1.2.1")
            items += self._item(0x20, bytes((context_id, 0, 0, 0)) + syntaxes)
        user = self._item(0x51, struct.pack(">L", 16384)) + self._item(0x52, b"1.2.3.4")
        titles = b"ANY".ljust(16) + b"BENCH".ljust(16)
        body = b"\0\1\0\0" + titles + bytes(32) + items + self._item(0x50, user)
        self.connection.sendall(struct.pack(">BBL", 1, 0, len(body)) + body)
        answer = self._receive()
        if answer[:1] != b"\x02":
            raise SystemExit(f"no association: {answer.hex()}")
        self.maximum = struct.unpack_from(">L", answer, answer.index(b"\x51\0\0\4") + 4)[0]

    def echo(self) -> float:
        """Return the milliseconds of a C-ECHO."""
        return self._timed(self._command(0x0030, "1.2.840.10008.1.1", 0x0101, 3))

    def store(self, size: int, end: bool = True) -> float:
        """Send an object of `size` bytes; return the milliseconds from its last byte to its response."""
        pixels = struct.pack("<HH2sHL", 0x7FE0, 0x10, b"OB", 0, size)
        self.connection.sendall(self._command(0x0001, US_IMAGE, 1, 1) + self._fragment(pixels, 0))
        junk = self._fragment(bytes(min(self.maximum, 131072) - 6), 0)
        for _ in range(size // (len(junk) - 12)):
            self.connection.sendall(junk)
        return self._timed(self._fragment(bytes(size % (len(junk) - 12)), 2)) if end else 0.0

    def _timed(self, last: bytes) -> float:
        started = time.perf_counter()
        self.connection.sendall(last)
        answer = self._receive()
        if answer[:1] != b"\x04":
            raise SystemExit(f"no response: {answer.hex()}")
        return (time.perf_counter() - started) * 1000

    def _command(self, command_field: int, sop_class_uid: str, data_set_type: int, context_id: int) -> bytes:
        def element(number: int, value: bytes) -> bytes:
            value += b"\0" * (len(value) % 2)
            return struct.pack("<HHL", 0, number, len(value)) + value

        elements = element(2, sop_class_uid.encode()) + element(0x100, struct.pack("<H", command_field))
        elements += element(0x110, b"\1\0") + element(0x700, b"\0\0") + element(0x800, struct.pack("<H", data_set_type))
        if command_field == 1:
            elements += element(0x1000, str(generate_uid()).encode())
        return self._fragment(element(0, struct.pack("<L", len(elements))) + elements, 3, context_id)

    @staticmethod
    def _item(kind: int, body: bytes) -> bytes:
        return struct.pack(">BBH", kind, 0, len(body)) + body

    @staticmethod
    def _fragment(content: bytes, control: int, context_id: int = 1) -> bytes:
        return struct.pack(">BBLLBB", 4, 0, len(content) + 6, len(content) + 2, context_id, control) + content

    def _receive(self) -> bytes:
        head = self.connection.recv(6, socket.MSG_WAITALL)
        return head + self.connection.recv(struct.unpack(">L", head[2:])[0], socket.MSG_WAITALL) if head else b""

    def close(self) -> None:
        self.connection.close()


# --- measurements ----------------------------------------------------------------------------------------------------


@dataclass
class Bench:
    folder: Path
    rounds: int
    object_mb: int
    study: Path
    quarters: list[Path]
    small: Path
    first: Path
    senders: list[Sender]
    results: dict[tuple[str, str], dict[str, list[float]]] = field(default_factory=dict)

    def note(self, title: str, receiver: str, sender: str, value: float) -> None:
        self.results.setdefault((title, sender), {}).setdefault(receiver, []).append(value)
        print(f"  {title:40s} {receiver:32s} {sender:20s} {value:10.2f}", flush=True)


def single() -> list[Receiver]:
    installed = [orthanc()] if shutil.which("Orthanc") else []
    return [echo_scp(1), storescp(), storescp("+B", "-pdu", "131072"), *installed]


def bench_study(bench: Bench) -> None:
    """One association, 80 clips."""
    transfers(bench, "study, MB/s", single(), [bench.study], CLIPS * CLIP_BYTES / 1e6)


def bench_small(bench: Bench) -> None:
    """One association, many small objects."""
    transfers(bench, "small objects, 1/s", single(), [bench.small], SMALL_OBJECTS)


def bench_four(bench: Bench) -> None:
    """Four associations at once, a quarter of the study each."""
    receivers = [echo_scp(1), echo_scp(2), storescp("--fork", "+B", "-pdu", "131072")]
    transfers(bench, "four senders, MB/s", receivers, bench.quarters, CLIPS * CLIP_BYTES / 1e6)


def transfers(bench: Bench, title: str, receivers: list[Receiver], folders: list[Path], amount: float) -> None:
    for sender in bench.senders:
        for receiver in receivers:
            with running(receiver, bench.folder) as target:
                send(sender, target.port, [bench.first])
                before = target.processor_s()
                bench.note(title, receiver.name, sender.name, amount / send(sender, target.port, folders))
                bench.note(f"{title}: processor s", receiver.name, sender.name, target.processor_s() - before)


def bench_latency(bench: Bench) -> None:
    """Responses of a small sender beside one that sends large objects without end."""
    for receiver in (echo_scp(1), echo_scp(2), storescp("--fork", "+B", "-pdu", "131072")):
        with running(receiver, bench.folder) as target:
            stop = threading.Event()
            large = threading.Thread(target=send_large, args=(target.port, stop))
            large.start()
            with closing(RawPeer(target.port)) as peer:
                times = sorted(peer.store(SMALL_BYTES) for _ in range(300))
            stop.set()
            large.join()
            bench.note("small beside large, p50 ms", receiver.name, "raw", times[150])
            bench.note("small beside large, p99 ms", receiver.name, "raw", times[297])


def send_large(port: int, stop: threading.Event) -> None:
    with closing(RawPeer(port)) as peer:
        while not stop.is_set():
            peer.store(100_000_000)


def bench_silent(bench: Bench) -> None:
    """C-ECHO on new associations beside connections that say nothing, and others that stop in their TLS handshake."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, SILENT + HALF_OPEN + 200), hard), hard))
    hello = client_hello()
    with running(echo_scp(1), bench.folder) as target, ExitStack() as peers:
        for _ in range(SILENT):
            peers.enter_context(closing(socket.create_connection(("127.0.0.1", target.port))))
        tls_port = int((target.folder / "tls-port").read_text())
        for _ in range(HALF_OPEN):
            half_open = peers.enter_context(closing(socket.create_connection(("127.0.0.1", tls_port))))
            half_open.sendall(hello[:-1])
        times = []
        for _ in range(300):
            started = time.perf_counter()
            with closing(RawPeer(target.port)) as peer:
                peer.echo()
            times.append((time.perf_counter() - started) * 1000)
        times.sort()
        bench.note(
            f"association and echo beside {SILENT} silent, {HALF_OPEN} half-open TLS, p50 ms",
            "echo-scp, 1 process",
            "raw",
            times[150],
        )
        bench.note(
            f"association and echo beside {SILENT} silent, {HALF_OPEN} half-open TLS, p99 ms",
            "echo-scp, 1 process",
            "raw",
            times[297],
        )
        bench.note(
            f"peak memory with {SILENT} silent, {HALF_OPEN} half-open TLS, MB",
            "echo-scp, 1 process",
            "raw",
            target.peaks_mb()[1],
        )


def client_hello() -> bytes:
    """Return the first flight of a TLS handshake."""
    outgoing = ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), outgoing).do_handshake()
    return outgoing.read()


def bench_memory(bench: Bench) -> None:
    """The peak of the receiver process with 16 large objects at once."""
    with running(echo_scp(1), bench.folder) as target:
        senders = [threading.Thread(target=send_one, args=(target.port, bench.object_mb)) for _ in range(16)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        title = f"peak memory, 16 objects of {bench.object_mb} MB at once, MB"
        bench.note(title, "echo-scp, 1 process", "raw", target.peaks_mb()[1])


def send_one(port: int, megabytes: int) -> None:
    with closing(RawPeer(port)) as peer:
        peer.store(megabytes * 1_000_000)


MEASUREMENTS = {
    "study": bench_study,
    "small": bench_small,
    "four": bench_four,
    "latency": bench_latency,
    "silent": bench_silent,
    "memory": bench_memory,
}


# --- the machine and the tables --------------------------------------------------------------------------------------


def disk_probe(folder: Path) -> str:
    """Say what a durable file costs here: write, fsync, rename, fsync of the folder."""
    found = []
    for size in (SMALL_BYTES, CLIP_BYTES):
        content, times = os.urandom(size), []
        descriptor = os.open(folder, os.O_RDONLY)
        for _ in range(30):
            started = time.perf_counter()
            with (folder / "probe.tmp").open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            (folder / "probe.tmp").rename(folder / "probe")
            os.fsync(descriptor)
            times.append((time.perf_counter() - started) * 1000)
        os.close(descriptor)
        found.append(f"{size / 1e6:g} MB {statistics.median(times):.2f} ms (p90 {sorted(times)[26]:.2f})")
    return ", ".join(found)


def table(bench: Bench) -> str:
    """Return the medians as Markdown, each beside its ratio to the first DCMTK receiver of the row that has +B."""
    lines = []
    for (title, sender), receivers in bench.results.items():
        medians = {name: statistics.median(values) for name, values in receivers.items()}
        reference = next((value for name, value in medians.items() if "+B" in name), None)
        cells = [
            f"{name} {value:.4g}" + (f" ({value / reference:.2f})" if reference and "+B" not in name else "")
            for name, value in medians.items()
        ]
        lines.append(f"| {title} | {sender} | {' · '.join(cells)} |")
    return "\n".join(["| what | sender | median (ratio to storescp +B) |", "|---|---|---|", *lines])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where the receivers store; default: a temporary folder")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--object-mb", type=int, default=1000, help="size of the 16 objects of `memory`")
    parser.add_argument("--senders", default="", help="only senders whose name begins so, such as dcmsend")
    parser.add_argument("--only", default=",".join(MEASUREMENTS), help="measurements, separated by commas")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=arguments.folder, prefix="bench-")))
        sent = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/dev/shm", prefix="bench-")))
        study = write_objects(sent / "study", CLIPS, CLIP_BYTES, US_MULTI_FRAME, JPEGBaseline8Bit)
        small = write_objects(sent / "small", SMALL_OBJECTS, SMALL_BYTES, US_IMAGE, ExplicitVRLittleEndian)
        first = write_objects(sent / "first", 1, SMALL_BYTES, US_MULTI_FRAME, JPEGBaseline8Bit)
        quarters = []
        for number in range(4):
            quarter = sent / f"quarter-{number}"
            quarter.mkdir()
            for path in sorted(study.iterdir())[number::4]:
                (quarter / path.name).symlink_to(path)
            quarters.append(quarter)
        senders = [sender for sender in SENDERS if sender.name.startswith(arguments.senders)]
        bench = Bench(folder, arguments.rounds, arguments.object_mb, study, quarters, small, first, senders)
        load = os.getloadavg()[0]
        print(f"load {load:.1f}; {os.cpu_count()} processors; durable file: {disk_probe(folder)}", flush=True)
        for number in range(arguments.rounds):
            print(f"round {number + 1}", flush=True)
            for name in arguments.only.split(","):
                MEASUREMENTS[name](bench)
        print(f"\nload {load:.1f} -> {os.getloadavg()[0]:.1f}; durable file: {disk_probe(folder)}\n\n{table(bench)}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(*sys.argv[2:])
    else:
        main()
