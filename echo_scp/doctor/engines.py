"""The engines that would run: whole, loadable in the configured runtime, right on frames of known truth."""

from __future__ import annotations

from collections.abc import Iterator

from echo_scp.config import AnalysisConfig
from echo_scp.doctor.finding import Finding, Outcome, failed
from echo_scp.inference.listing import list_engines
from echo_scp.inference.verify import Check, verify
from echo_scp.phantom.probe import probes

TOPIC = "engines"


def examine_engines(config: AnalysisConfig) -> Iterator[Finding]:
    """Yield the checks of `echo-scp engines verify` for the engines in use. A GPU is tried when it is configured."""
    listing = list_engines(config)
    for problem in listing.problems:
        yield failed(TOPIC, "start", problem, "see: echo-scp engines list")
    truth = probes()
    for engine in listing.engines:
        if engine.runs and engine.roles:
            for check in verify(engine.folder, config, truth):
                yield _finding(engine.folder.name, check)


def _finding(engine: str, check: Check) -> Finding:
    outcome = Outcome.PASSED if check.passed else Outcome.FAILED if check.required else Outcome.REMARK
    return Finding(TOPIC, f"{engine}: {check.name}", outcome, check.detail, "" if check.passed else check.fix)
