"""Programs that send one instance by C-STORE, each as its users would start it."""

from __future__ import annotations

import urllib.error
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread
from pydicom.filereader import read_file_meta_info
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from pynetdicom import AE
from pynetdicom.association import Association

from scripts.interop import tools
from scripts.interop.credentials import Credentials
from scripts.interop.node import Target
from scripts.interop.tools import Tool
from scripts.viewer.archive import Orthanc

CALLING = "INTEROP"

# Part-10 file, whom to -> what the program complained of; empty when the instance was acknowledged.
Send = Callable[[Path, Target], str]


@dataclass(frozen=True, slots=True)
class Sender:
    """One program."""

    name: str
    tool: Tool
    send: Send
    knows_tls: bool = True


def senders(orthanc: Orthanc | None) -> tuple[Sender, ...]:
    """Return all of them, with those that are missing; Orthanc sends from the given instance."""
    dcmtk = tools.dcmtk()
    return (
        Sender("storescu", dcmtk, storescu),
        Sender("dcmsend", dcmtk, dcmsend, knows_tls=False),
        Sender("Orthanc", tools.orthanc(), lambda path, to: orthanc_store(orthanc, path, to)),
        Sender("dcmjs-dimse", tools.dcmjs_dimse(), dcmjs_store),
        Sender("pynetdicom", tools.pynetdicom_(), pynetdicom_store),
    )


# What storescu has to be told to propose.
_STORESCU = {
    ImplicitVRLittleEndian: "-xi",
    ExplicitVRLittleEndian: "-xe",
    ExplicitVRBigEndian: "-xb",
    DeflatedExplicitVRLittleEndian: "-xd",
    JPEGBaseline8Bit: "-xy",
    JPEGLosslessSV1: "-xs",
    JPEGLSLossless: "-xt",
    JPEG2000Lossless: "-xv",
    RLELossless: "-xr",
}


def storescu(path: Path, to: Target) -> str:
    syntax = read_file_meta_info(path).TransferSyntaxUID
    return _dcmtk("storescu", to, "-R", _STORESCU[syntax], path=path)


def dcmsend(path: Path, to: Target) -> str:
    return _dcmtk("dcmsend", to, path=path)


def dcmtk_echo(to: Target) -> str:
    return _dcmtk("echoscu", to)


def _dcmtk(program: str, to: Target, *options: str, path: Path | None = None) -> str:
    titles = ("-aet", CALLING, "-aec", to.ae_title)
    files = () if path is None else (path,)
    done = tools.run(program, *titles, *_dcmtk_tls(to.tls), *options, "127.0.0.1", to.port, *files)
    return "" if done.returncode == 0 else tools.last_line(done.stderr) or f"status {done.returncode}"


def _dcmtk_tls(tls: Credentials | None) -> tuple[object, ...]:
    if tls is None:
        return ()
    shown = ("+tla",) if tls.certificate is None else ("+tls", tls.key, tls.certificate)
    return (*shown, "+cf", tls.authority)


def orthanc_store(orthanc: Orthanc | None, path: Path, to: Target) -> str:
    """Put the file into Orthanc, then let it send what it has."""
    assert orthanc is not None
    try:
        instance = orthanc.tell("POST", "/instances", path.read_bytes())["ID"]
        with orthanc_modality(orthanc, to) as modality:
            orthanc.tell("POST", f"{modality}/store", {"Resources": [instance], "Synchronous": True})
    except urllib.error.HTTPError as error:
        return f"HTTP {error.code}"
    return ""


def orthanc_echo(orthanc: Orthanc | None, to: Target) -> str:
    assert orthanc is not None
    try:
        with orthanc_modality(orthanc, to) as modality:
            orthanc.tell("POST", f"{modality}/echo", {})
    except urllib.error.HTTPError as error:
        return f"HTTP {error.code}"
    return ""


@contextmanager
def orthanc_modality(orthanc: Orthanc, to: Target) -> Iterator[str]:
    """Make the target known to Orthanc; yield its place in the REST interface."""
    known = {"AET": to.ae_title, "Host": "127.0.0.1", "Port": to.port, "UseDicomTls": to.tls is not None}
    orthanc.tell("PUT", "/modalities/target", known)
    yield "/modalities/target"


def dcmjs_store(path: Path, to: Target) -> str:
    return _dcmjs({"do": "store", "file": str(path)}, to)


def dcmjs_echo(to: Target) -> str:
    return _dcmjs({"do": "echo"}, to)


def _dcmjs(order: dict[str, object], to: Target) -> str:
    answer = dcmjs(order, to)
    if "complaint" in answer:
        return str(answer["complaint"])
    return "" if answer["status"] == 0 else f"status 0x{answer['status']:04X}"


def dcmjs(order: dict[str, object], to: Target) -> dict[str, object]:
    """Let dcmjs-dimse do something with the target; return what it answers."""
    whom = {"port": to.port, "calling": CALLING, "called": to.ae_title, "tls": to.tls and to.tls.as_order()}
    return tools.dimse(order | whom)


def pynetdicom_store(path: Path, to: Target) -> str:
    ds = dcmread(path)
    ae = AE(ae_title=CALLING)
    ae.add_requested_context(ds.SOPClassUID, ds.file_meta.TransferSyntaxUID)
    with pynetdicom_association(ae, to) as association:
        if not association.is_established:
            return "no association"
        status = association.send_c_store(path)
    return "" if status.get("Status") == 0 else f"status {status}"


def pynetdicom_echo(to: Target) -> str:
    ae = AE(ae_title=CALLING)
    ae.add_requested_context("1.2.840.10008.1.1")
    with pynetdicom_association(ae, to) as association:
        if not association.is_established:
            return "no association"
        status = association.send_c_echo()
    return "" if status.get("Status") == 0 else f"status {status}"


@contextmanager
def pynetdicom_association(ae: AE, to: Target, **options: object) -> Iterator[Association]:
    """Associate over plain TCP or TLS; release and wait for its threads."""
    tls = None if to.tls is None else (to.tls.client(), "127.0.0.1")
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 30
    association = ae.associate("127.0.0.1", to.port, ae_title=to.ae_title, tls_args=tls, **options)
    try:
        yield association
    finally:
        if association.is_established:
            association.release()
        for thread in (association, association.dul):
            if thread.is_alive():
                thread.join()
