"""Tell a peer of its storage commitment on an association of our own (PS3.4 J.3.3)."""

from __future__ import annotations

from pynetdicom import AE
from pynetdicom.presentation import build_role

from echo_scp.commitment import CommitmentAnswer
from echo_scp.receive.notes import event_report
from echo_scp.receive.policy import STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE


def send_event_report(answer: CommitmentAnswer, host: str, port: int, timeout_s: float) -> bool:
    """Send an N-EVENT-REPORT to the peer that asked; say whether it confirmed it, with whatever status."""
    ae = AE(ae_title=answer.request.called_ae_title)
    ae.connection_timeout = ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = timeout_s
    ae.add_requested_context(STORAGE_COMMITMENT)
    role = build_role(STORAGE_COMMITMENT, scp_role=True)  # we are the SCP, and call all the same
    try:
        association = ae.associate(host, port, ae_title=answer.request.calling_ae_title, ext_neg=[role])
    except OSError:  # the host has no address
        return False
    if not association.is_established:
        return False
    event_type_id, information = event_report(answer)
    try:
        status, _ = association.send_n_event_report(
            information, event_type_id, STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE
        )
    except (ValueError, RuntimeError):  # the context was not accepted; the association ended meanwhile
        return False
    finally:
        association.release()
    return "Status" in status
