"""What is accepted on an association: every storage SOP class, known or not, in every syntax whose objects are whole;
Verification, Storage Commitment and Modality Performed Procedure Step.

Decided per association, from what the requestor proposes: an instance of a SOP class that nobody has heard of is
still an instance that must not be lost. It is stored, and said to be not assessed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import ALL_TRANSFER_SYNTAXES
from pynetdicom.presentation import PresentationContext
from pynetdicom.service_class import ServiceClass, StorageServiceClass, VerificationServiceClass
from pynetdicom.sop_class import uid_to_service_class

from echo_scp.commitment import STORAGE_COMMITMENT

PROCEDURE_STEP = UID("1.2.840.10008.3.1.2.3.3")  # Modality Performed Procedure Step SOP Class
_STORAGE_SOP_CLASS_ROOT = "1.2.840.10008.5.1.4.1.1."  # retired and future storage SOP classes are under it too

# Their pixels are elsewhere (JPIP) or a live stream (SMPTE ST 2110): to take the object is not to keep the image.
_NOT_WHOLE = frozenset(
    {
        "1.2.840.10008.1.2.4.94",
        "1.2.840.10008.1.2.4.95",
        "1.2.840.10008.1.2.4.204",
        "1.2.840.10008.1.2.4.205",
        "1.2.840.10008.1.2.7.1",
        "1.2.840.10008.1.2.7.2",
        "1.2.840.10008.1.2.7.3",
    }
)
_OF_NOTES = frozenset({ImplicitVRLittleEndian, ExplicitVRLittleEndian})
TRANSFER_SYNTAXES: frozenset[str] = frozenset(ALL_TRANSFER_SYNTAXES) - _NOT_WHOLE


def is_storage(sop_class_uid: UID) -> bool:
    """Say whether objects of this SOP class may come: it is a storage one, or private, or unknown under their root."""
    service = uid_to_service_class(sop_class_uid)
    if service is not ServiceClass:  # pynetdicom knows the SOP class
        return service is StorageServiceClass
    return bool(sop_class_uid.is_private) or sop_class_uid.startswith(_STORAGE_SOP_CLASS_ROOT)


def _syntaxes(abstract_syntax: UID) -> frozenset[str]:
    """Return the transfer syntaxes that we take for an abstract syntax; none when it is not ours."""
    if abstract_syntax in (STORAGE_COMMITMENT, PROCEDURE_STEP):
        return _OF_NOTES
    if uid_to_service_class(abstract_syntax) is VerificationServiceClass or is_storage(abstract_syntax):
        return TRANSFER_SYNTAXES
    return frozenset()


def supported_contexts(proposed: Iterable[PresentationContext]) -> list[PresentationContext]:
    """Return what to accept of `proposed`, one context per abstract syntax.

    Transfer syntaxes keep the requestor's order: what it names first is what it can send without transcoding.
    """
    supported: dict[UID, PresentationContext] = {}
    for context in proposed:
        uid = cast(UID, context.abstract_syntax)
        syntaxes = _syntaxes(uid)
        if not syntaxes:
            continue
        ours = supported.setdefault(uid, PresentationContext())
        ours.abstract_syntax = uid
        if uid == STORAGE_COMMITMENT:  # an archive calls as SCP, to report on what it took from us (PS3.4 J.3.3)
            ours.scu_role = ours.scp_role = True
        for transfer_syntax in context.transfer_syntax:
            if transfer_syntax in syntaxes:
                ours.add_transfer_syntax(transfer_syntax)
    return list(supported.values())
