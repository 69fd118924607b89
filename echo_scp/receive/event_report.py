"""Tell a peer of its storage commitment on an association of our own (PS3.4 J.3.3)."""

from __future__ import annotations

from pynetdicom.presentation import build_context, build_role

from echo_scp.commitment import CommitmentAnswer
from echo_scp.config import Destination
from echo_scp.deliver.dimse import associate
from echo_scp.errors import DestinationUnreachableError
from echo_scp.receive.notes import event_report
from echo_scp.receive.policy import STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE


def send_event_report(answer: CommitmentAnswer, peer: Destination, timeout_s: float) -> bool:
    """Send an N-EVENT-REPORT to the peer that asked; say whether it confirmed it, with whatever status."""
    contexts = [build_context(STORAGE_COMMITMENT)]
    role = build_role(STORAGE_COMMITMENT, scp_role=True)  # we are the SCP, and call all the same
    event_type_id, information = event_report(answer)
    try:
        with associate(peer, answer.request.called_ae_title, timeout_s, contexts, roles=[role]) as association:
            if association is None:
                return False
            status, _ = association.send_n_event_report(
                information, event_type_id, STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE
            )
    except (DestinationUnreachableError, ValueError):  # ValueError: the context was not accepted in this role
        return False
    return "Status" in status
