"""All that is tried, in order: one node that receives, one that analyses and delivers."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from pydicom.uid import UID

from echo_scp.phantom.study import write_study
from scripts.interop import credentials, node, services, tools
from scripts.interop.delivering import Delivered, deliver
from scripts.interop.destinations import orthanc_settings, running_destinations
from scripts.interop.receiving import Received, receive
from scripts.interop.samples import write_samples
from scripts.interop.senders import senders
from scripts.interop.services import Served
from scripts.viewer.archive import Orthanc, running_orthanc

ANSWERS_TO_ORTHANC = """\
[[destinations]]
name = "orthanc"
ae_title = "ORTHANC"
host = "127.0.0.1"
port = {port}
"""


@dataclass(frozen=True, slots=True)
class Results:
    """What was seen of everything that was tried."""

    received: tuple[Received, ...]
    served: tuple[Served, ...]
    delivered: tuple[Delivered, ...]


def receiving(
    folder: Path, only_senders: Collection[str] = (), only_syntaxes: Collection[UID] = ()
) -> tuple[tuple[Received, ...], tuple[Served, ...]]:
    """Send everything to a node that asks for certificates, then ask it for its other services."""
    (folder / "samples").mkdir(parents=True)
    samples = tuple(
        each for each in write_samples(folder / "samples") if not only_syntaxes or each.syntax in only_syntaxes
    )
    ours, client = credentials.issue(folder / "tls", "node", "client")
    ports = node.pick_ports()
    with ExitStack() as stack:
        orthanc: Orthanc | None = None
        if not tools.orthanc().missing:
            settings = orthanc_settings("ORTHANC", ports, client)
            orthanc = stack.enter_context(running_orthanc(folder / "orthanc", settings))
        destinations = ANSWERS_TO_ORTHANC.format(port=orthanc.dicom_port) if orthanc else ""
        running = node.running(
            folder / "node", ports, ours, client, asks_for_certificates=True, destinations=destinations
        )
        there = stack.enter_context(running)
        chosen = [each for each in senders(orthanc) if not only_senders or each.name in only_senders]
        received = receive(there, chosen, samples, folder / "sent")
        instance = services.instance_of(next(iter(there.stored().values())))
        served = (
            *services.echoes(there, orthanc, asks_for_certificates=True),
            *services.commitments(there, orthanc, instance),
            *services.procedure_steps(there, instance),
        )
    return received, served


def delivering(folder: Path) -> tuple[tuple[Delivered, ...], tuple[Served, ...]]:
    """Let a node that asks for no certificates analyse a synthetic study and deliver its results to every archive."""
    study = tuple(instance.path for instance in write_study(folder / "study", seed=5, frame_count=60))
    ours, client = credentials.issue(folder / "tls", "node", "client")
    ports = node.pick_ports()
    with running_destinations(folder, ports, client) as destinations:
        tables = "\n".join(destination.table for destination in destinations)
        with node.running(
            folder / "node", ports, ours, client, asks_for_certificates=False, quiet_period_s=1, destinations=tables
        ) as there:
            served = tuple(services.echoes(there, None, asks_for_certificates=False))
            return deliver(there, destinations, study), served


def try_everything(folder: Path) -> Results:
    """Try all that is installed; what is not is in the results as not run."""
    received, served = receiving(folder / "receiving")
    delivered, also_served = delivering(folder / "delivering")
    return Results(received, (*served, *also_served), delivered)
