"""The order of the examination: what the rest stands on comes first."""

from __future__ import annotations

from collections.abc import Iterator

from echo_scp.config import Config
from echo_scp.doctor.clock import examine_clock
from echo_scp.doctor.database import examine_database
from echo_scp.doctor.destinations import examine_destination
from echo_scp.doctor.disk import examine_disk
from echo_scp.doctor.engines import examine_engines
from echo_scp.doctor.finding import Finding, passed, remark
from echo_scp.doctor.ports import examine_ports

TOPIC = "configuration"


def examine(config: Config) -> Iterator[Finding]:
    """Yield one finding after another. Raises nothing; leaves nothing behind."""
    yield passed(TOPIC, "every key", "known and in range")
    if not config.destinations:
        yield remark(
            TOPIC, "destinations", "none: results stay in data_folder", "add a [[destinations]] table for each PACS"
        )
    if not config.report.research_use:
        yield remark(TOPIC, "report.research_use", "false: results do not say that they are for research use")
    yield from examine_disk(config)
    yield from examine_ports(config)
    yield from examine_database(config)
    yield from examine_engines(config.analysis)
    for destination in config.destinations:
        yield from examine_destination(destination, config)
    yield from examine_clock()
