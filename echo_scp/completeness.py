"""When is a study complete? Decided from what is known of it, purely.

Best evidence first: a performed procedure step (MPPS) that is finished and whose instances are all here; a request for
storage commitment that named every instance, from a machine that asks once per study. Against it speaks a step in
progress, or an open association that brought the study's last instance. When nothing else is known, quiet has to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

_SOON_S = 5.0  # an association may close at any moment, and nobody tells


class StepState(StrEnum):
    """Performed Procedure Step Status (0040,0252)."""

    IN_PROGRESS = "IN PROGRESS"
    COMPLETED = "COMPLETED"
    DISCONTINUED = "DISCONTINUED"


@dataclass(frozen=True, slots=True)
class StepEvidence:
    """A procedure step of the study: how many instances it names, how many of them are not here."""

    state: StepState
    named_instances: int
    missing_instances: int


@dataclass(frozen=True, slots=True)
class StudyEvidence:
    """What is known of a study at a moment; `quiet_s`: since its last new instance."""

    quiet_s: float
    steps: tuple[StepEvidence, ...] = ()
    is_committed: bool = False
    is_association_open: bool = False


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for what: see [study] and [[receive.peers]] in config/echo-scp.toml."""

    quiet_period_s: float
    settle_s: float
    longest_wait_s: float
    trusts_commitment: bool = False


def seconds_until_complete(evidence: StudyEvidence, patience: Patience) -> float:
    """Return how long to wait before asking again if nothing happens meanwhile; 0 or less: the study is complete."""
    longest_s = max(patience.longest_wait_s, patience.quiet_period_s) - evidence.quiet_s
    if any(step.state is StepState.IN_PROGRESS for step in evidence.steps):
        return longest_s
    settled_s = min(patience.settle_s, patience.quiet_period_s) - evidence.quiet_s
    if _is_all_here(evidence.steps):
        return settled_s
    quiet_s = patience.quiet_period_s - evidence.quiet_s
    if any(step.missing_instances for step in evidence.steps):
        return max(quiet_s, min(longest_s, _SOON_S)) if evidence.is_association_open else quiet_s
    if evidence.is_committed and patience.trusts_commitment:
        return settled_s
    if evidence.is_association_open:
        return max(quiet_s, min(longest_s, _SOON_S))
    return quiet_s


def _is_all_here(steps: tuple[StepEvidence, ...]) -> bool:
    """Say whether finished steps name instances, and none is missing: one that names nothing says nothing."""
    return bool(steps) and all(step.named_instances and not step.missing_instances for step in steps)
