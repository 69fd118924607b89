"""Open the database: a pool on PostgreSQL, the SQL by name, and migrations that only go forward."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from types import TracebackType
from typing import Self

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import ConnectionPool, PoolTimeout

from echo_scp.errors import ConfigurationError, DatabaseUnavailableError

Parameters = dict[str, object]
Row = tuple[object, ...]
Options = Mapping[str, str | int]
# Seconds, but the last: milliseconds. The system's own would take hours.
_WATCHFUL = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 30_000}
_QUERY_FILES = ("queries.sql", "page.sql")
MIGRATION_LOCK = 7_305_441  # any constant: two nodes that start together take turns


@cache
def _queries() -> dict[str, str]:
    folder = files("echo_scp.database")
    text = "".join(folder.joinpath(name).read_text(encoding="utf-8") for name in _QUERY_FILES)
    parts = re.split(r"^-- name: (\w+)\n", text, flags=re.MULTILINE)[1:]
    return {name: sql.strip() for name, sql in zip(parts[::2], parts[1::2], strict=True)}


class Transaction:
    """Named statements on one connection; committed together when the `with` block ends without an exception."""

    def __init__(self, connection: psycopg.Connection[Row]) -> None:
        self._connection = connection

    def execute(self, name: str, /, **parameters: object) -> None:
        """Run the statement `name` of queries.sql."""
        self._connection.execute(_queries()[name], parameters)

    def rows(self, name: str, /, **parameters: object) -> list[Row]:
        """Run the statement `name` and return its rows."""
        return self._connection.execute(_queries()[name], parameters).fetchall()

    def row(self, name: str, /, **parameters: object) -> Row | None:
        """Run the statement `name` and return its first row."""
        return self._connection.execute(_queries()[name], parameters).fetchone()


class Database:
    """A pool of connections. Safe to use from any thread."""

    def __init__(self, url: str, connections: int = 4, timeout_s: float = 10, options: Options | None = None) -> None:
        """Wait `timeout_s` for a connection; `options` are libpq's connection parameters."""
        self._timeout_s = timeout_s
        self._pool = ConnectionPool(
            url,
            min_size=1,
            max_size=connections,
            open=False,
            name="echo-scp",
            check=ConnectionPool.check_connection,
            configure=_configure,
            kwargs=dict(options or {}),
        )

    def __enter__(self) -> Self:
        self._pool.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._pool.close()

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Open a transaction.

        Raises DatabaseUnavailableError when no connection can be had or it breaks, ValueError when a value does not
        fit its column.
        """
        try:
            with self._pool.connection(timeout=self._timeout_s) as connection:
                yield Transaction(connection)
        except (psycopg.DataError, psycopg.errors.ProgramLimitExceeded) as error:  # the latter: too long for an index
            # Not its text: that may quote the value.
            raise ValueError(f"the database refuses a value ({type(error).__name__})") from error
        except (PoolTimeout, psycopg.OperationalError, psycopg.InterfaceError) as error:
            raise DatabaseUnavailableError(f"the database does not answer: {error}") from error

    def ping(self) -> bool:
        """Tell whether the database answers."""
        try:
            with self.transaction() as transaction:
                return transaction.row("ping") == (1,)
        except DatabaseUnavailableError:
            return False


def watchful(url: str) -> str:
    """Return the URL with what makes a client notice that its server has vanished; what it says itself stands."""
    said = conninfo_to_dict(url)
    return make_conninfo(url, **{key: value for key, value in _WATCHFUL.items() if key not in said})


def _configure(connection: psycopg.Connection[Row]) -> None:
    """Have the server free soon what a host held that vanished, and leave alone what waits for a slow destination.

    And have it keep what it commits: the spool forgets an instance when its row is there.
    """
    connection.execute(
        "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
    )
    connection.execute("SET tcp_keepalives_idle = 10")
    connection.execute("SET tcp_keepalives_interval = 5")
    connection.execute("SET tcp_keepalives_count = 3")
    connection.execute("SET idle_in_transaction_session_timeout = 0")
    connection.commit()


def migrate(url: str) -> None:
    """Apply every migration that the database has not had; numbered, forward only, each in its own transaction."""
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
            connection.execute("SELECT pg_advisory_lock(%s)", (MIGRATION_LOCK,))
            connection.execute(
                "CREATE TABLE IF NOT EXISTS schema_migration"
                " (number integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
            )
            done = {row[0] for row in connection.execute("SELECT number FROM schema_migration")}
            for number, name, sql in _migrations():
                if number not in done:
                    _apply(connection, number, name, sql)
    except psycopg.OperationalError as error:
        raise DatabaseUnavailableError(f"the database does not answer: {error}") from error
    except psycopg.ProgrammingError as error:
        if error.sqlstate is not None:  # the server's word on a statement of ours
            raise
        # Without the text: it repeats the URL, and with it the password.
        raise ConfigurationError("database.url: expected postgresql://user:password@host:port/name") from None


def migration_numbers() -> tuple[int, ...]:
    """Return the numbers of all migrations that this version knows, in order."""
    return tuple(number for number, _, _ in _migrations())


def _apply(connection: psycopg.Connection[Row], number: int, name: str, sql: str) -> None:
    with connection.transaction():
        connection.execute(sql)
        connection.execute("INSERT INTO schema_migration (number, name) VALUES (%s, %s)", (number, name))


def _migrations() -> list[tuple[int, str, str]]:
    folder = files("echo_scp.database").joinpath("migrations")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [(int(name[:4]), name, folder.joinpath(name).read_text(encoding="utf-8")) for name in names]
