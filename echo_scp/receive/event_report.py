"""Tell a peer of its storage commitment on an association of our own (PS3.4 J.3.3)."""

from __future__ import annotations

from pynetdicom.presentation import build_context, build_role

from echo_scp.commitment import STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE, CommitmentAnswer
from echo_scp.config import Destination
from echo_scp.deliver import associate
from echo_scp.errors import DestinationUnreachableError
from echo_scp.receive.notes import event_report


def send_event_report(answer: CommitmentAnswer, place: Destination, timeout_s: float) -> bool:
    """Send an N-EVENT-REPORT to where the peer that asked takes it; say whether it confirmed it, with any status."""
    contexts = [build_context(STORAGE_COMMITMENT)]
    roles = [build_role(STORAGE_COMMITMENT, scp_role=True)]  # we are the SCP, and call all the same
    event_type_id, information = event_report(answer)
    try:
        with associate(place, answer.request.called_ae_title, timeout_s, contexts, roles=roles) as association:
            if association is None:
                return False
            status, _ = association.send_n_event_report(
                information, event_type_id, STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE
            )
    except (DestinationUnreachableError, ValueError, RuntimeError):  # it does not take the role; it went meanwhile
        return False
    return "Status" in status
