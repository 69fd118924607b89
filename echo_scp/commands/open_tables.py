"""The database of the node that a command asks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from echo_scp.errors import DatabaseUnavailableError

if TYPE_CHECKING:
    from echo_scp.config import Config
    from echo_scp.database.connection import Database


@contextmanager
def open_tables(settings: Config) -> Iterator[tuple[Database, str]]:
    """Open the node's database and yield it with its URL. Raises DatabaseUnavailableError with what to do."""
    from echo_scp.database.connection import Database
    from echo_scp.database.embedded import running_server_url
    from echo_scp.database.inspect import inspect_server

    url = settings.database.url or running_server_url(settings.data_folder / "postgresql")
    if url is None:
        raise DatabaseUnavailableError(
            f"no node runs on data_folder {settings.data_folder}, and with it its PostgreSQL: start it "
            "(systemctl start echo-scp), or name its configuration with --config"
        )
    if inspect_server(url).missing_migrations:
        raise DatabaseUnavailableError("the tables are older than this version: start the node once, it migrates them")
    with Database(url, connections=1) as database:
        yield database, url
