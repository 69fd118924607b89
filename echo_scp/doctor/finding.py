"""What was tried, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """Passed; a remark that no one must act on; failed."""

    PASSED = "passed"
    REMARK = "remark"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was tried. `fix` says what to do; it is "" when there is nothing to do."""

    topic: str
    name: str
    outcome: Outcome
    detail: str
    fix: str = ""


def passed(topic: str, name: str, detail: str) -> Finding:
    """Return what went well."""
    return Finding(topic, name, Outcome.PASSED, detail)


def remark(topic: str, name: str, detail: str, fix: str = "") -> Finding:
    """Return what is worth knowing."""
    return Finding(topic, name, Outcome.REMARK, detail, fix)


def failed(topic: str, name: str, detail: str, fix: str) -> Finding:
    """Return what must be mended."""
    return Finding(topic, name, Outcome.FAILED, detail, fix)
