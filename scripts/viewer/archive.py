"""Orthanc with its DICOMweb plugin, in a folder of its own, on free ports of this machine."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pynetdicom import AE

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
AE_TITLE = "VIEWER"
START_S = 30.0


@dataclass(frozen=True, slots=True)
class Orthanc:
    """A running archive."""

    dicom_port: int
    http_port: int

    def get(self, path: str) -> Any:
        """Return what the REST or DICOMweb interface answers."""
        return json.loads(self.content(path) or b"[]")

    def content(self, path: str) -> bytes:
        """Return the bytes that it answers."""
        return self._ask(urllib.request.Request(self.url(path)))

    def tell(self, method: str, path: str, body: bytes | dict[str, object]) -> Any:
        """PUT or POST bytes, or a value as JSON; return what it answers. Raises urllib.error.HTTPError."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = self._ask(urllib.request.Request(self.url(path), content, method=method))
        return json.loads(answer or b"{}")

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.http_port}{path}"

    def _ask(self, request: urllib.request.Request) -> bytes:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return bytes(answer.read())

    def modalities(self) -> list[str]:
        """Return the modality of each instance."""
        instances = self.get("/instances?expand")
        series = {item["ID"]: item["MainDicomTags"]["Modality"] for item in self.get("/series?expand")}
        return sorted(series[instance["ParentSeries"]] for instance in instances)

    def store(self, files: tuple[Path, ...]) -> None:
        """Send files by C-STORE."""
        send(files, AE_TITLE, self.dicom_port)


def send(files: tuple[Path, ...], called_ae_title: str, port: int) -> None:
    """Send files by C-STORE in the encodings that they have; raises RuntimeError when one is refused."""
    datasets = [dcmread(path) for path in files]
    ae = AE(ae_title="DEMO_ULTRASOUND")
    for sop_class, syntax in sorted({(ds.SOPClassUID, ds.file_meta.TransferSyntaxUID) for ds in datasets}):
        ae.add_requested_context(sop_class, syntax)
    association = ae.associate("127.0.0.1", port, ae_title=called_ae_title)
    if not association.is_established:
        raise RuntimeError(f"{called_ae_title} does not answer on port {port}")
    try:
        for ds in datasets:
            status = association.send_c_store(ds)
            if status.get("Status") != 0:
                raise RuntimeError(f"{called_ae_title} refused {ds.SOPInstanceUID}: {status}")
    finally:
        association.release()


def program() -> str | None:
    """Return Orthanc's path; None when it or its plugin is not installed."""
    found = shutil.which("Orthanc", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    return found if PLUGIN.exists() else None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_orthanc(folder: Path, settings: Mapping[str, object] | None = None) -> Iterator[Orthanc]:
    """Run Orthanc with its storage below `folder`, and `settings` beside ours.

    Raises RuntimeError when it is not installed or does not start.
    """
    found = program()
    if found is None:
        raise RuntimeError(
            "Orthanc and its DICOMweb plugin are not installed: apt-get install orthanc orthanc-dicomweb"
        )
    archive = Orthanc(free_port(), free_port())
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "orthanc.json"
    config.write_text(json.dumps(_configuration(archive, folder) | dict(settings or {})))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([found, str(config)], stdout=log, stderr=log)
    try:
        _wait(archive, process, folder)
        yield archive
    finally:
        process.terminate()
        process.wait(30)


def _configuration(archive: Orthanc, folder: Path) -> dict[str, object]:
    return {
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "HttpPort": archive.http_port,
        "DicomPort": archive.dicom_port,
        "DicomAet": AE_TITLE,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAlwaysAllowStore": True,
        "UnknownSopClassAccepted": True,
        "HttpThreadsCount": 16,
        "Plugins": [str(PLUGIN)],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }


def _wait(archive: Orthanc, process: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            archive.get("/system")
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
        else:
            return
    raise RuntimeError(f"Orthanc did not start; see {folder / 'log'}")
