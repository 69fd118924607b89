"""Archives of other makes to which the node delivers, and what they have afterwards."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from scripts.interop import node, tools
from scripts.interop.credentials import Credentials
from scripts.interop.encoded import Encoded, parse, read
from scripts.interop.proxy import https_before
from scripts.interop.tools import Tool
from scripts.viewer.archive import Orthanc, free_port, running_orthanc

KINDS = ("SR", "SEG", "SR_ECHO", "CINE", "KO", "PDF", "SR_SIMPLIFIED")
_HEAD = """\
[[destinations]]
name = "{name}"
send = {kinds}
"""


@dataclass(frozen=True, slots=True)
class Destination:
    """One archive as the node knows it; `received` gives what it has of a SOP Instance UID, None when nothing."""

    name: str
    title: str
    tool: Tool
    table: str = ""
    received: Callable[[str], Encoded | None] = lambda _uid: None
    commits: bool = False


@contextmanager
def running_destinations(folder: Path, ports: node.Ports, tls: Credentials) -> Iterator[tuple[Destination, ...]]:
    """Run all archives whose programs are installed, plain and with TLS; the others are named with what is missing."""
    with ExitStack() as stack:
        yield (*_storescp(stack, folder, tls), *_orthanc(stack, folder, ports, tls), *_dcmjs(stack, folder, tls))


def _storescp(stack: ExitStack, folder: Path, tls: Credentials) -> Iterator[Destination]:
    tool = tools.dcmtk()
    kinds = (
        ("storescp", "storescp", None, ()),
        ("storescp-all", "storescp +xa", None, ("+xa",)),
        ("storescp-tls", "storescp +xa, TLS", tls, ("+xa",)),
    )
    for name, title, shown, options in kinds:
        if tool.missing:
            yield Destination(name, title, tool)
            continue
        kept, port = folder / name, free_port()
        kept.mkdir()
        secure = () if shown is None else ("+tls", shown.key, shown.certificate, "+cf", shown.authority)
        command = ("storescp", "-aet", "STORESCP", "+B", "-pm", "-od", kept, *secure, *options, port)
        stack.enter_context(_process(folder / f"{name}.log", *command))
        yield Destination(name, title, tool, _dimse_table(name, "STORESCP", port, shown), _files(kept))


def _files(folder: Path) -> Callable[[str], Encoded | None]:
    """Find a file of storescp: its name ends with the SOP Instance UID."""

    def received(uid: str) -> Encoded | None:
        return next((read(path) for path in folder.iterdir() if path.name.endswith(uid)), None)

    return received


def _orthanc(stack: ExitStack, folder: Path, ports: node.Ports, tls: Credentials) -> Iterator[Destination]:
    tool = tools.orthanc()
    if tool.missing:
        for title in ("Orthanc", "Orthanc, TLS", "Orthanc STOW-RS", "Orthanc STOW-RS, https"):
            yield Destination(title, title, tool)
        return
    for name, title, shown in (("ORTHANC", "Orthanc", None), ("ORTHANC_TLS", "Orthanc, TLS", tls)):
        settings = orthanc_settings(name, ports, tls) | {"DicomTlsEnabled": shown is not None}
        archive = stack.enter_context(running_orthanc(folder / name, settings))
        table = _dimse_table(name, name, archive.dicom_port, shown) + "commitment = true\n"
        yield Destination(name, title, tool, table, _instances(archive), commits=True)
    for name, title, shown in (("stow", "Orthanc STOW-RS", None), ("stow-https", "Orthanc STOW-RS, https", tls)):
        archive = stack.enter_context(running_orthanc(folder / name))
        url = archive.url("/dicom-web/studies")
        if shown is not None:
            url = f"https://127.0.0.1:{stack.enter_context(https_before(archive.http_port, shown))}/dicom-web/studies"
        yield Destination(name, title, tool, f'{_head(name)}url = "{url}"\n{_trust(shown)}', _instances(archive))


def orthanc_settings(ae_title: str, ports: node.Ports, tls: Credentials) -> dict[str, object]:
    """Return what Orthanc is told to know the node, and to call it over TLS."""
    return {
        "DicomAet": ae_title,
        "DicomModalities": {"node": [node.AE_TITLE, "127.0.0.1", ports.plain]},
        "DicomTlsCertificate": str(tls.certificate),
        "DicomTlsPrivateKey": str(tls.key),
        "DicomTlsTrustedCertificates": str(tls.authority),
    }


def _instances(orthanc: Orthanc) -> Callable[[str], Encoded | None]:
    def received(uid: str) -> Encoded | None:
        for found in orthanc.tell("POST", "/tools/lookup", uid.encode()):
            if found["Type"] == "Instance":
                return parse(orthanc.content(f"{found['Path']}/file"))
        return None

    return received


def _dcmjs(stack: ExitStack, folder: Path, tls: Credentials) -> Iterator[Destination]:
    tool = tools.dcmjs_dimse()
    for name, title, shown in (("dcmjs", "dcmjs-dimse", None), ("dcmjs-tls", "dcmjs-dimse, TLS", tls)):
        if tool.missing:
            yield Destination(name, title, tool)
            continue
        kept, port = folder / name, free_port()
        kept.mkdir()
        order = {"do": "serve", "port": port, "folder": str(kept), "tls": shown and shown.as_order()}
        stack.enter_context(
            _process(folder / f"{name}.log", "node", tools.DIMSE, tools.NODE_MODULES, json.dumps(order))
        )
        yield Destination(name, title, tool, _dimse_table(name, "DCMJS", port, shown), _raw_files(kept))


def _raw_files(folder: Path) -> Callable[[str], Encoded | None]:
    """Find what dimse.mjs kept: a data set in a file that is named by SOP Instance UID and transfer syntax."""

    def received(uid: str) -> Encoded | None:
        for path in folder.glob(f"{uid}_*"):
            return Encoded(path.name.partition("_")[2], path.read_bytes())
        return None

    return received


def _head(name: str) -> str:
    return _HEAD.format(name=name, kinds=list(KINDS))


def _dimse_table(name: str, ae_title: str, port: int, tls: Credentials | None) -> str:
    where = f'ae_title = "{ae_title}"\nhost = "127.0.0.1"\nport = {port}\n'
    return _head(name) + where + ("tls = true\n" if tls else "") + _trust(tls)


def _trust(tls: Credentials | None) -> str:
    if tls is None:
        return ""
    return f"tls_ca = '{tls.authority}'\ntls_certificate = '{tls.certificate}'\ntls_key = '{tls.key}'\n"


@contextmanager
def _process(log: Path, *command: object) -> Iterator[None]:
    with log.open("wb") as file:
        process = subprocess.Popen([str(word) for word in command], stdout=file, stderr=file)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)
