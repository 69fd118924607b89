"""The listening socket, which all receiver processes share."""

from __future__ import annotations

import errno
import socket

from echo_scp.config import ReceiveConfig

_BACKLOG = 1024


def bind(config: ReceiveConfig) -> socket.socket:
    """Return the listening socket; raises OSError when the port cannot be had.

    Several processes accept from the one socket, in turn. With a socket each (SO_REUSEPORT) the kernel would deal
    connections out by a hash, four to one process and none to the other, a process that starts anew would lose those
    that wait, and a second node of the same user would get half of them instead of an error.
    """
    family = socket.AF_INET6 if ":" in config.address else socket.AF_INET
    return socket.create_server((config.address, config.port), family=family, backlog=_BACKLOG)


def stop_accepting(listening: socket.socket) -> None:
    """Refuse new connections, in all processes that share the socket, and wake their accepting threads."""
    try:
        listening.shutdown(socket.SHUT_RDWR)
    except OSError as error:
        if error.errno != errno.ENOTCONN:  # another process was first
            raise
    listening.close()
