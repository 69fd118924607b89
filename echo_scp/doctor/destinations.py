"""A destination, from its name in the network to the objects that it would take."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

from pydicom.uid import UID, ExplicitVRLittleEndian

from echo_scp.commitment import STORAGE_COMMITMENT
from echo_scp.config import Config, Destination, ObjectKind
from echo_scp.deliver import Offer, accepted_sop_classes, echo, in_its_place
from echo_scp.doctor.finding import Finding, failed, passed, remark
from echo_scp.errors import DeliveryError, DestinationRefusedError
from echo_scp.report.sop_classes import SOP_CLASSES, transfer_syntax_of

LONGEST_WAIT_S = 10.0

Place = tuple[str, int]


def examine_destination(destination: Destination, config: Config) -> Iterator[Finding]:
    """Yield each step towards the destination; ends where the next has nothing to stand on."""
    topic = f"destination {destination.name}"
    timeout_s = min(config.deliver.timeout_s, LONGEST_WAIT_S)
    calling = config.receive.ae_title
    place = _place_of(destination)
    for step in (_name, _connection):
        finding = step(topic, place, timeout_s)
        yield finding
        if finding.fix:
            return
    if destination.url:
        yield remark(topic, "STOW-RS", "whether it takes the objects shows when the first is sent")
        return
    finding = _echo(topic, destination, calling, timeout_s)
    yield finding
    if not finding.fix:
        yield from _objects(topic, destination, config, timeout_s)


def _place_of(destination: Destination) -> Place:
    """Return host and port, which a STOW-RS service has in its URL."""
    if not destination.url:
        return destination.host, destination.port
    url = urlsplit(destination.url)
    return url.hostname or "", url.port or (443 if url.scheme == "https" else 80)


def _name(topic: str, place: Place, timeout_s: float) -> Finding:
    host, port = place
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        fix = "correct host, or the name server of this machine (/etc/resolv.conf); an address works without one"
        return failed(topic, "name", f"{host}: {error.strerror or error}", fix)
    return passed(topic, "name", f"{host} is {found[0][4][0]}")


def _connection(topic: str, place: Place, timeout_s: float) -> Finding:
    host, port = place
    try:
        socket.create_connection(place, timeout_s).close()
    except OSError as error:
        fix = "start the destination, correct port, and open the firewalls between here and there for TCP"
        return failed(topic, "connection", f"{host}:{port}: {error.strerror or error}", fix)
    return passed(topic, "connection", f"{host}:{port} accepts TCP")


def _echo(topic: str, destination: Destination, calling: str, timeout_s: float) -> Finding:
    try:
        echo(destination, calling, timeout_s)
    except DestinationRefusedError as error:  # it talks to us; objects are another matter
        return remark(topic, "C-ECHO", error.quoting)
    except DeliveryError as error:
        fix = f"enter AE title {calling} and this machine's address there, and check ae_title {destination.ae_title}"
        return failed(topic, "C-ECHO", error.quoting, fix)
    return passed(topic, "C-ECHO", f"{destination.ae_title} answers {calling}")


def _objects(topic: str, destination: Destination, config: Config, timeout_s: float) -> Iterator[Finding]:
    """Propose what would be sent, what would go in its place, and what would confirm it."""
    offers = [Offer(uid, transfer_syntax_of(kind)) for kind, uids in SOP_CLASSES.items() for uid in uids]
    asked = [*offers, Offer(STORAGE_COMMITMENT, ExplicitVRLittleEndian)]
    try:
        taken = accepted_sop_classes(destination, config.receive.ae_title, timeout_s, asked)
    except DeliveryError as error:
        yield failed(topic, "presentation contexts", error.detail, "see the destination's log")
        return
    for kind in destination.send:
        yield _kind(topic, kind, destination, config, taken)
    yield _commitment(topic, destination, is_offered=STORAGE_COMMITMENT in taken)


def _kind(topic: str, kind: ObjectKind, destination: Destination, config: Config, taken: frozenset[str]) -> Finding:
    """Say whether it takes a kind, else what goes in its place, else what to do."""
    missing = sorted(set(SOP_CLASSES[kind]) - taken)
    if not missing:
        return passed(topic, f"takes {kind}", "accepted")
    refused = f"does not accept {', '.join(missing)} in {UID(transfer_syntax_of(kind)).name}"
    available = {other for other in config.report.objects if taken.issuperset(SOP_CLASSES[other])}
    if others := in_its_place(kind, destination, available):
        return remark(topic, f"takes {kind}", f"{refused}; {others[0]} goes in its place")
    fix = f"enable {', '.join(missing)} there, or take {kind} out of send"
    return failed(topic, f"takes {kind}", refused, fix)


def _commitment(topic: str, destination: Destination, *, is_offered: bool) -> Finding:
    name = "Storage Commitment"
    if is_offered:
        return passed(topic, name, "offered")
    if destination.commitment:
        fix = "enable it there, or set commitment = false: nothing would ever count as committed"
        return failed(topic, name, "not offered, and commitment = true", fix)
    return remark(topic, name, "not offered: that an object was taken is all that can be known")
