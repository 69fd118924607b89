"""What was seen when one thing was tried with one tool."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """Whose doing it is."""

    GOOD = "good"
    LIMITED = "limited"  # by what the other side can do or takes
    WRONG = "wrong"  # by us, until shown otherwise
    NOT_RUN = "not run"


@dataclass(frozen=True, slots=True)
class Seen:
    """One cell of a table, and what is told of it below the table."""

    verdict: Verdict
    text: str
    note: str = ""


def good(text: str, note: str = "") -> Seen:
    return Seen(Verdict.GOOD, text, note)


def limited(text: str, note: str = "") -> Seen:
    return Seen(Verdict.LIMITED, text, note)


def wrong(text: str, note: str = "") -> Seen:
    return Seen(Verdict.WRONG, f"WRONG: {text}", note)


def not_run(reason: str) -> Seen:
    return Seen(Verdict.NOT_RUN, "not run", reason)
