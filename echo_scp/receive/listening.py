"""The listening sockets, which all receiver processes share."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass

from echo_scp.config import ReceiveConfig

_BACKLOG = 1024
_NONE = -1


@dataclass(frozen=True, slots=True)
class Doors:
    """What is listened on: the plain port, the TLS port, or both."""

    plain: socket.socket | None
    tls: socket.socket | None

    def descriptors(self) -> tuple[int, int]:
        """Return what `inherit` needs in a child."""
        plain, tls = (door.fileno() if door else _NONE for door in (self.plain, self.tls))
        return plain, tls

    def open(self) -> list[tuple[socket.socket, bool]]:
        """Return the sockets, each with whether TLS is spoken there."""
        return [(door, door is self.tls) for door in (self.plain, self.tls) if door is not None]


def bind(config: ReceiveConfig) -> Doors:
    """Return the listening sockets; raises OSError when a port cannot be had.

    Several processes accept from one socket, in turn. With a socket each (SO_REUSEPORT) the kernel would deal
    connections out by a hash, four to one process and none to the other, a process that starts anew would lose those
    that wait, and a second node of the same user would get half of them instead of an error.
    """
    plain = None if config.tls.only else _listen(config.address, config.port)
    if config.tls.certificate is None:
        return Doors(plain, None)
    try:
        return Doors(plain, _listen(config.address, config.tls.port))
    except OSError as error:
        if plain is not None:
            plain.close()
        raise OSError(error.errno, f"{error.strerror} (port {config.tls.port}, for TLS)") from error


def inherit(plain: int, tls: int) -> Doors:
    """Return the sockets whose descriptors a parent passed on."""
    doors = (None if number == _NONE else socket.socket(fileno=number) for number in (plain, tls))
    return Doors(*doors)


def stop_accepting(doors: Doors) -> None:
    """Refuse new connections, in all processes that share the sockets, and wake their accepting threads."""
    for listening, _ in doors.open():
        try:
            listening.shutdown(socket.SHUT_RDWR)
        except OSError as error:
            if error.errno != errno.ENOTCONN:  # another process was first
                raise
        listening.close()


def port_of(listening: socket.socket | None, configured: int) -> int:
    """Return the port that is bound; the configured one when nothing listens."""
    return configured if listening is None else int(listening.getsockname()[1])


def _listen(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.create_server((address, port), family=family, backlog=_BACKLOG)
