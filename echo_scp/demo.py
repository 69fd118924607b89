"""The demonstration: a real node, a stand-in PACS, a real and a synthetic study, and what comes back."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread
from pydicom.data import get_testdata_file
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from echo_scp import logs
from echo_scp.config import Destination, ReceiveConfig
from echo_scp.deliver import send
from echo_scp.errors import EchoScpError
from echo_scp.phantom.study import write_study
from echo_scp.receive.listener import Listener
from echo_scp.spool import Spool
from echo_scp.tables import Results, Truth, clip_table, read_results, remark_lines, study_lines

NODE_START_S = 120.0
RESULTS_S = 300.0
STOP_S = 90.0
QUIET_PERIOD_S = 2.0
REAL_CINE = "color3d_jpeg_baseline.dcm"  # of the package pydicom-data: a SonoSite cine, apical four-chamber-like
SENDER_AE_TITLE = "DEMO_ULTRASOUND"

CONFIG_NAME = "demo-node.toml"
CONFIG = """\
data_folder = {data_folder}

[receive]
address = "127.0.0.1"
port = {port}

[study]
quiet_period_s = {quiet_period_s}

[deliver]
first_retry_s = 1

[web]
port = {web_port}

[[destinations]]
name = "stand-in-pacs"
ae_title = "STAND_IN_PACS"
host = "127.0.0.1"
port = {pacs_port}
"""


@dataclass(frozen=True, slots=True)
class DemoStudy:
    """A study to send; `truths` by SOP Instance UID."""

    title: str
    study_instance_uid: str
    files: tuple[Path, ...]
    truths: Mapping[str, Truth]


@dataclass(frozen=True, slots=True)
class Returned:
    """What came back for one study."""

    study: DemoStudy
    results: Results
    objects: tuple[Path, ...]
    pictures: tuple[Path, ...]


def run_demo(out: Path, console: Console, *, keep: bool = False) -> bool:
    """Run the demonstration with everything it writes below `out`; return whether every result came back.

    `keep` leaves the node up, with its page to look at, until Ctrl-C.
    """
    started = time.monotonic()
    logs.configure("warning", "console")  # the stand-in PACS logs too; the node has its own file
    try:
        with ExitStack() as running:
            web_port, results = _demonstrate(out.absolute(), console, running)
            for returned in results:
                _show(returned, console)
            console.print(f"\nDone in {time.monotonic() - started:.0f} s. For research use; not for diagnosis.")
            if keep:
                _tour(f"http://127.0.0.1:{web_port}", results, console)
            else:
                console.print("With --keep the node stays up, and its page shows all this.")
    except EchoScpError as error:
        console.print(f"[bold red]the demo failed:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        return False
    return True


def _tour(address: str, results: list[Returned], console: Console) -> None:
    """Say what there is to see, and wait for Ctrl-C or SIGTERM."""
    console.print(f"\nThe node's page: [bold]{address}/[/]", highlight=False, soft_wrap=True)
    for returned in results:
        study = f"{address}/studies/{returned.study.study_instance_uid}"
        console.print(f"  {returned.study.title}:\n    {study}", highlight=False, soft_wrap=True)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell started it in the background, deaf to Ctrl-C
        signal.signal(number, lambda *_: stop.set())
    console.print("The node stays up; Ctrl-C ends it.")
    stop.wait()


def _demonstrate(out: Path, console: Console, running: ExitStack) -> tuple[int, list[Returned]]:
    """Return the port of the page and what came back; what was started goes on until `running` is left."""
    if out.exists():
        if any(out.iterdir()) and not (out / CONFIG_NAME).exists():
            raise EchoScpError(f"{out} is not empty and not of an earlier demo; choose another folder with --out")
        shutil.rmtree(out)
    out.mkdir(parents=True)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        pacs_spool = Spool(out / "stand-in-pacs", reserve_disk_mb=0)
        pacs_config = ReceiveConfig(ae_title="STAND_IN_PACS", address="127.0.0.1", port=0, reserve_disk_mb=0)
        pacs = running.enter_context(Listener(pacs_config, pacs_spool, lambda: None))
        task = progress.add_task("draw the synthetic study", total=1)
        studies = (_real_study(), _synthetic_study(out / "sent"))
        progress.advance(task)
        task = progress.add_task("start the node (PostgreSQL from its wheel, CPU engines)", total=1)
        web_port = _free_port()
        node = running.enter_context(_running_node(out, pacs.port, web_port))
        progress.advance(task)
        _send_all(studies, node, progress)
        return web_port, _wait_for_results(studies, out, pacs_spool, progress)


def _real_study() -> DemoStudy:
    found = get_testdata_file(REAL_CINE, download=False)
    if found is None:
        raise EchoScpError(f"{REAL_CINE} is missing: install the package pydicom-data")
    path = Path(str(found))
    uid = str(dcmread(path, stop_before_pixels=True, specific_tags=["StudyInstanceUID"]).StudyInstanceUID)
    return DemoStudy("Real: one SonoSite cine (pydicom-data), truth unknown", uid, (path,), {})


def _synthetic_study(folder: Path) -> DemoStudy:
    instances = write_study(folder)
    truths = {
        instance.sop_instance_uid: Truth(instance.edv_ml, instance.esv_ml, instance.ef_percent)
        for instance in instances
        if instance.edv_ml is not None and instance.esv_ml is not None and instance.ef_percent is not None
    }
    header = dcmread(instances[0].path, stop_before_pixels=True, specific_tags=["StudyInstanceUID"])
    files = tuple(instance.path for instance in instances)
    return DemoStudy("Synthetic: one heart of known volumes", str(header.StudyInstanceUID), files, truths)


@contextmanager
def _running_node(out: Path, pacs_port: int, web_port: int) -> Iterator[Destination]:
    """Run `echo-scp serve` as its own process, as a site would."""
    port = _free_port()
    config = out / CONFIG_NAME
    config.write_text(
        CONFIG.format(
            data_folder=f"'{out / 'node'}'",
            port=port,
            web_port=web_port,
            pacs_port=pacs_port,
            quiet_period_s=QUIET_PERIOD_S,
        ),
        encoding="utf-8",
    )
    log_path = out / "node.log"
    with log_path.open("wb") as log:
        command = [sys.executable, "-m", "echo_scp.cli", "serve", "--config", str(config)]
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            _wait_until_ready(process, web_port, log_path)
            yield Destination(name="node", ae_title="ECHO_SCP", host="127.0.0.1", port=port)
        finally:
            _stop(process)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(process: subprocess.Popen[bytes], web_port: int, log_path: Path) -> None:
    deadline = time.monotonic() + NODE_START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise EchoScpError(f"the node ended with exit status {process.returncode}; see {log_path}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{web_port}/readyz", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise EchoScpError(f"the node was not ready after {NODE_START_S:.0f} s; see {log_path}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _send_all(studies: tuple[DemoStudy, ...], node: Destination, progress: Progress) -> None:
    task = progress.add_task("send both studies by C-STORE", total=sum(len(study.files) for study in studies))
    for study in studies:
        for path in study.files:
            send(path, node, SENDER_AE_TITLE, timeout_s=30)
            progress.advance(task)


def _wait_for_results(studies: tuple[DemoStudy, ...], out: Path, pacs: Spool, progress: Progress) -> list[Returned]:
    """Wait until the stand-in PACS has every object that the results name; raises EchoScpError after a while."""
    task = progress.add_task("analyse, and wait for SR and SEG at the stand-in PACS", total=len(studies))
    deadline = time.monotonic() + RESULTS_S
    node = Spool(out / "node", reserve_disk_mb=0)
    returned: dict[str, Returned] = {}
    while len(returned) < len(studies):
        if time.monotonic() > deadline:
            missing = ", ".join(study.title for study in studies if study.study_instance_uid not in returned)
            raise EchoScpError(f"no complete result after {RESULTS_S:.0f} s for: {missing}; see {out / 'node.log'}")
        time.sleep(0.2)
        for study in studies:
            if study.study_instance_uid in returned:
                continue
            found = _look_for(study, node, pacs, out / "returned")
            if found is not None:
                returned[study.study_instance_uid] = found
                progress.advance(task)
    return [returned[study.study_instance_uid] for study in studies]


def _look_for(study: DemoStudy, node: Spool, pacs: Spool, target: Path) -> Returned | None:
    folder = node.results_folder(study.study_instance_uid, 1)
    results_path = folder / "results.json"
    if not results_path.exists():
        return None
    results = read_results(results_path)
    wanted = 1 + sum(clip["measurement"] is not None for clip in results["instances"])
    objects = _returned_objects(study, pacs)
    if len(objects) < wanted:
        return None
    return Returned(study, results, _keep(objects, target), _keep_pictures(folder, target))


def _returned_objects(study: DemoStudy, pacs: Spool) -> dict[str, Path]:
    """Return the files at the stand-in PACS by a telling name."""
    found = {}
    for path in pacs.ready():
        header = dcmread(
            path, stop_before_pixels=True, specific_tags=["StudyInstanceUID", "Modality", "SOPInstanceUID"]
        )
        if header.StudyInstanceUID == study.study_instance_uid:
            found[f"{header.Modality}-{header.SOPInstanceUID}.dcm"] = path
    return found


def _keep(objects: Mapping[str, Path], folder: Path) -> tuple[Path, ...]:
    folder.mkdir(exist_ok=True)
    return tuple(Path(shutil.copyfile(path, folder / name)) for name, path in sorted(objects.items(), reverse=True))


def _keep_pictures(folder: Path, target: Path) -> tuple[Path, ...]:
    return tuple(Path(shutil.copyfile(path, target / path.name)) for path in sorted(folder.glob("*.png")))


def _show(returned: Returned, console: Console) -> None:
    console.print()
    console.print(clip_table(returned.results, returned.study.title, returned.study.truths))
    for line in (*remark_lines(returned.results), *study_lines(returned.results)):
        console.print(line, highlight=False)
    for path in returned.objects:
        console.print(f"  came back: {path}", highlight=False, soft_wrap=True)
    for path in returned.pictures:
        console.print(f"  picture:   {path}", highlight=False, soft_wrap=True)
