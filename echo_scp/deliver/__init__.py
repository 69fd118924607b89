"""Results to those who want them: by C-STORE or STOW-RS, one object at a time, each answer judged."""

from echo_scp.deliver.commitment import request_commitment
from echo_scp.deliver.dimse import MAXIMUM_PDU_BYTES, accepted_sop_classes, associate, echo, proposed_syntaxes, send
from echo_scp.deliver.outcome import DeliveryOutcome, Offer, Sender, offer_of
from echo_scp.deliver.rules import StudyFacts, in_its_place, study_facts, wants
from echo_scp.deliver.sender import open_sender

__all__ = [
    "MAXIMUM_PDU_BYTES",
    "DeliveryOutcome",
    "Offer",
    "Sender",
    "StudyFacts",
    "accepted_sop_classes",
    "associate",
    "echo",
    "in_its_place",
    "offer_of",
    "open_sender",
    "proposed_syntaxes",
    "request_commitment",
    "send",
    "study_facts",
    "wants",
]
