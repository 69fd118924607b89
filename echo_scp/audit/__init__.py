"""The audit trail: who got what, when (PS3.15 A.5). It names patients; the logs do not."""

from echo_scp.audit.message import (
    Party,
    Study,
    application_started,
    application_stopped,
    instances_accessed,
    instances_transferred,
    study_deleted,
)
from echo_scp.audit.trail import AuditTrail

__all__ = [
    "AuditTrail",
    "Party",
    "Study",
    "application_started",
    "application_stopped",
    "instances_accessed",
    "instances_transferred",
    "study_deleted",
]
