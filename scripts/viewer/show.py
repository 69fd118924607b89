"""Show the results of the demo study in OHIF: `make viewer`.

Starts Orthanc (the archive), the node with Orthanc as its destination, and OHIF's pages; sends a synthetic study to the
archive and to the node; prints the address.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread

from echo_scp.phantom.study import write_study
from scripts.node import running_node
from scripts.viewer.archive import AE_TITLE, Orthanc, free_port, running_orthanc, send
from scripts.viewer.pages import Archive, serve

OHIF = Path(__file__).parents[2] / ".viewer" / "package" / "dist"
KINDS = ("SR", "SEG", "SR_ECHO", "CINE", "KO", "PDF")
RESULTS_S = 180.0
CONFIG = """\
data_folder = '{folder}/node'
[receive]
address = "127.0.0.1"
port = {port}
reserve_disk_mb = 0
[study]
quiet_period_s = 1
[deliver]
first_retry_s = 1
[web]
port = {web_port}
[[destinations]]
name = "orthanc"
ae_title = "{ae_title}"
host = "127.0.0.1"
port = {archive_port}
send = {kinds}
"""


@dataclass(frozen=True, slots=True)
class Shown:
    """What can be looked at."""

    address: str
    study_instance_uid: str
    archive: Orthanc
    sent: tuple[Path, ...]


@contextmanager
def shown(folder: Path, ohif: Path = OHIF, port: int = 0, frame_count: int = 60) -> Iterator[Shown]:
    """Yield the pages when every result is in the archive; raises RuntimeError when something is missing."""
    if not (ohif / "index.html").exists():
        raise RuntimeError(f"OHIF is not in {ohif}: make viewer-tools")
    sent = tuple(instance.path for instance in write_study(folder / "sent", seed=5, frame_count=frame_count))
    uid = str(dcmread(sent[0], stop_before_pixels=True).StudyInstanceUID)
    with running_orthanc(folder / "orthanc") as archive:
        archive.store(sent)
        with _running_node(folder, archive) as node_port:
            send(sent, "ECHO_SCP", node_port)
            _wait_for_results(archive, folder)
        pages = serve(ohif, Archive(archive.http_port), port)
        try:
            yield Shown(f"http://127.0.0.1:{pages.server_port}", uid, archive, sent)
        finally:
            pages.shutdown()
            pages.server_close()


@contextmanager
def _running_node(folder: Path, archive: Orthanc) -> Iterator[int]:
    port, web_port = free_port(), free_port()
    configuration = CONFIG.format(
        folder=folder,
        port=port,
        web_port=web_port,
        ae_title=AE_TITLE,
        archive_port=archive.dicom_port,
        kinds=list(KINDS),
    )
    with running_node(folder, configuration, web_port):
        yield port


def _wait_for_results(archive: Orthanc, folder: Path) -> None:
    """Wait until both measured clips have SEG and overlay, and the study its documents."""
    wanted = sorted(["SEG", "SEG", "SR", "SR", "KO", "DOC", *["US"] * 10])
    deadline = time.monotonic() + RESULTS_S
    while time.monotonic() < deadline:
        if archive.modalities() == wanted:
            return
        time.sleep(0.5)
    raise RuntimeError(f"only {archive.modalities()} came to the archive; see {folder / 'node.log'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=3000, help="of the pages")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="echo-scp-viewer-") as folder:
        print("Starting Orthanc and the node; analysing the synthetic study ...", flush=True)
        with shown(Path(folder), port=arguments.port) as view:
            print(f"Study list: {view.address}/")
            print(f"Study:      {view.address}/viewer?StudyInstanceUIDs={view.study_instance_uid}")
            print("Ctrl-C ends it.", flush=True)
            try:
                while True:
                    time.sleep(3600)
            except KeyboardInterrupt:
                print()


if __name__ == "__main__":
    main()
