"""Look at a server without changing it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

import psycopg

from echo_scp.database.connection import migration_numbers
from echo_scp.errors import ConfigurationError, DatabaseUnavailableError


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a server says of itself and of our tables.

    `clock_offset_s` is its clock minus ours, `awaited` the destinations for which something waits.
    """

    version: int
    missing_migrations: int
    unknown_migrations: tuple[int, ...]
    may_create: bool
    clock_offset_s: float
    awaited: tuple[str, ...]


def inspect_server(url: str) -> ServerFacts:
    """Return the facts. Raises DatabaseUnavailableError, or ConfigurationError when the URL is none."""
    try:
        with psycopg.connect(url, connect_timeout=5, autocommit=True) as connection:
            return _facts(connection)
    except psycopg.OperationalError as error:
        raise DatabaseUnavailableError(f"the database does not answer: {error}") from error
    except psycopg.ProgrammingError:
        # Without the text: it repeats the URL, and with it the password.
        raise ConfigurationError("database.url: expected postgresql://user:password@host:port/name") from None


def _facts(connection: psycopg.Connection[tuple[object, ...]]) -> ServerFacts:
    row = connection.execute(
        "SELECT clock_timestamp(), has_schema_privilege(current_schema(), 'CREATE'), to_regclass('schema_migration')"
    ).fetchone()
    assert row is not None  # the statement returns its row
    now, may_create, table = row
    done: set[int] = set()
    awaited: list[tuple[object, ...]] = []
    if table is not None:
        awaited = connection.execute("SELECT DISTINCT destination FROM delivery WHERE state = 'waiting'").fetchall()
        done = {cast(int, number) for (number,) in connection.execute("SELECT number FROM schema_migration")}
    known = set(migration_numbers())
    return ServerFacts(
        version=connection.info.server_version // 10000,
        missing_migrations=len(known - done),
        unknown_migrations=tuple(sorted(done - known)),
        may_create=bool(may_create),
        clock_offset_s=(cast(datetime, now) - datetime.now(UTC)).total_seconds(),
        awaited=tuple(sorted(str(name) for (name,) in awaited)),
    )
