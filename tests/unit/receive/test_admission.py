"""Connections before their association."""

from __future__ import annotations

import socket
from collections.abc import Callable

from echo_scp.receive.admission import Admission
from tests.network.peers import associate_request


def test_one_connection_that_cannot_be_admitted_ends_no_other() -> None:
    """Whatever fails with it: without its thread the node would be deaf, and nobody would know."""
    admitted: list[str] = []

    def admit(connection: socket.socket, address: str, request: bytes) -> bytes | None:
        if address == "bad":
            raise ValueError
        admitted.append(address)
        connection.close()
        return None

    admission = Admission(5, admit)
    admission.start()
    ends = [knock(admission.add, address) for address in ("bad", "good")]

    heard = [end.recv(1) for end in ends]
    for end in ends:
        end.close()
    admission.stop()

    assert heard == [b"", b""]  # both are closed
    assert admitted == ["good"]


def knock(add: Callable[[socket.socket, str], None], address: str) -> socket.socket:
    """Ask for an association; return the peer's end."""
    ours, theirs = socket.socketpair()
    theirs.settimeout(5)
    theirs.sendall(associate_request())
    add(ours, address)
    return theirs
