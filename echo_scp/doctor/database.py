"""The database: does it answer, is it new enough, does it have our tables, does its clock agree."""

from __future__ import annotations

from collections.abc import Iterator

from echo_scp.config import Config
from echo_scp.database.embedded import running_server_url
from echo_scp.database.inspect import ServerFacts, inspect_server
from echo_scp.doctor.finding import Finding, failed, passed, remark
from echo_scp.errors import ConfigurationError, DatabaseUnavailableError

TOPIC = "database"
OLDEST_VERSION = 14
CLOCK_TOLERANCE_S = 2.0
_SERVER_FIX = (
    "start PostgreSQL, let this host in (pg_hba.conf, listen_addresses), and check user, password and name in "
    "database.url with: psql URL -c 'SELECT 1'"
)


def examine_database(config: Config) -> Iterator[Finding]:
    """Yield what is to be known of the configured server, or of the node's own."""
    url = config.database.url or running_server_url(config.data_folder / "postgresql")
    if url is None:
        yield passed(TOPIC, "embedded PostgreSQL", "not running; it starts with the node")
        return
    try:
        facts = inspect_server(url)
    except (DatabaseUnavailableError, ConfigurationError) as error:
        fix = _SERVER_FIX if config.database.url else f"see {config.data_folder / 'postgresql' / 'log'}"
        yield failed(TOPIC, "connection", str(error), fix)
        return
    yield passed(TOPIC, "connection", f"PostgreSQL {facts.version}")
    yield from _server(facts)
    for name in sorted(set(facts.awaited) - {destination.name for destination in config.destinations}):
        yield remark(
            TOPIC,
            f"destination {name}",
            "results wait for it and it is not configured",
            f"configure it again under this name, or: echo-scp deliveries cancel --destination {name}",
        )


def _server(facts: ServerFacts) -> Iterator[Finding]:
    if facts.version < OLDEST_VERSION:
        yield failed(TOPIC, "version", f"{facts.version}", f"PostgreSQL {OLDEST_VERSION} or newer")
    if facts.unknown_migrations:
        newest = ", ".join(map(str, facts.unknown_migrations))
        yield failed(
            TOPIC, "tables", f"made by a newer version (migration {newest})", "install the version that ran last here"
        )
    elif facts.missing_migrations:
        yield remark(TOPIC, "tables", f"{facts.missing_migrations} migrations to come; the next start applies them")
    else:
        yield passed(TOPIC, "tables", "up to date")
    if not facts.may_create and facts.missing_migrations:
        yield failed(
            TOPIC,
            "rights",
            "the user may not create tables",
            "GRANT CREATE ON SCHEMA public TO the user of database.url",
        )
    if abs(facts.clock_offset_s) > CLOCK_TOLERANCE_S:
        detail = f"{facts.clock_offset_s:+.1f} s against this machine"
        yield remark(TOPIC, "clock", detail, "synchronise both by NTP: ages and quiet periods are reckoned in both")
