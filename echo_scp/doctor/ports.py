"""The ports: free, held by a node of ours, or taken by something else."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPSConnection

from echo_scp.config import Config, Destination, WebConfig
from echo_scp.deliver import echo
from echo_scp.doctor.finding import Finding, failed, passed
from echo_scp.errors import DeliveryError
from echo_scp.occupancy import has_node

TOPIC = "ports"
TIMEOUT_S = 3.0


def examine_ports(config: Config) -> Iterator[Finding]:
    """Yield whether the node can listen, or who does already."""
    receive, web = config.receive, config.web
    encrypted = receive.tls.certificate is not None
    if not (encrypted and receive.tls.only):
        # A node that knows its peers closes on who is none, as it would on us.
        is_node = _answers_dicom(config) or (bool(receive.peers) and has_node(config.data_folder))
        yield _port("receive.port", receive.address, receive.port, is_node)
    if encrypted:  # a client without a certificate hears nothing of who listens
        yield _port("receive.tls.port", receive.address, receive.tls.port, has_node(config.data_folder))
    yield _port("web.port", web.address, web.port, _answers_health(web))


def _port(key: str, address: str, port: int, is_node: bool) -> Finding:
    place = f"{address}:{port}"
    try:
        with socket.create_server((address, port), family=_family(address)):
            return passed(TOPIC, key, f"{place} is free")
    except OSError as error:
        if is_node and error.errno == errno.EADDRINUSE:
            return passed(TOPIC, key, f"{place}: a node answers there")
        return failed(TOPIC, key, f"{place}: {error.strerror or error}", _fix(key, port, error.errno))


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _fix(key: str, port: int, number: int | None) -> str:
    if number == errno.EADDRINUSE:
        return f"another program listens there (ss -ltnp 'sport = :{port}'): end it, or set another {key}"
    if number == errno.EACCES:
        return f"ports below 1024 need CAP_NET_BIND_SERVICE, which the systemd units give; or set another {key}"
    return f"set {key.partition('.')[0]}.address to an address of this machine (ip address), or 0.0.0.0"


def _reachable(address: str) -> str:
    """Return where a listener on `address` is reached from this machine."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)  # noqa: S104 - compared, not bound


def _answers_dicom(config: Config) -> bool:
    """Tell whether a DICOM application answers; one that rejects us is one too."""
    receive = config.receive
    host = _reachable(receive.address)
    itself = Destination(name="this-node", ae_title=receive.ae_title, host=host, port=receive.port)
    try:
        socket.create_connection((host, receive.port), TIMEOUT_S).close()
        echo(itself, receive.ae_title, TIMEOUT_S)
    except OSError:
        return False
    except DeliveryError as error:
        return "rejected" in error.detail
    return True


def _answers_health(web: WebConfig) -> bool:
    host = _reachable(web.address)
    if web.certificate is None:
        connection = HTTPConnection(host, web.port, timeout=TIMEOUT_S)
    else:
        trusting = ssl.create_default_context()  # whose certificate it is does not matter: nothing is told to it
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        connection = HTTPSConnection(host, web.port, timeout=TIMEOUT_S, context=trusting)
    try:
        with closing(connection):
            connection.request("GET", "/healthz")
            return connection.getresponse().read() == b"ok\n"
    except (OSError, HTTPException):
        return False
