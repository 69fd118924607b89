"""Which presentation contexts are accepted."""

from __future__ import annotations

import pytest
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit
from pynetdicom.presentation import build_context

from echo_scp.receive import policy

US_MULTI_FRAME = "1.2.840.10008.5.1.4.1.1.3.1"
JPIP_REFERENCED = "1.2.840.10008.1.2.4.94"


@pytest.mark.parametrize(
    "uid",
    [
        US_MULTI_FRAME,
        "1.2.840.10008.5.1.4.1.1.3",  # Ultrasound Multi-frame Image Storage, retired
        "1.2.840.10008.5.1.4.1.1.6",  # Ultrasound Image Storage, retired
        "1.2.840.10008.5.1.4.1.1.66",  # Raw Data
        "1.2.840.10008.5.1.4.1.1.999.1",  # not defined yet
        "1.3.46.670589.2.5.1.1",  # private
    ],
)
def test_storage_sop_classes_are_accepted_known_or_not(uid):
    """An instance must not be lost because its SOP class is old, new or a vendor's own."""
    assert policy.is_storage(UID(uid))


@pytest.mark.parametrize(
    "uid",
    [
        "1.2.840.10008.1.1",  # Verification
        "1.2.840.10008.1.20.1",  # Storage Commitment
        "1.2.840.10008.5.1.4.1.2.2.1",  # Study Root FIND
        "1.2.840.10008.5.1.4.31",  # Modality Worklist
        "1.2.840.10008.5.1.1.9",  # Basic Grayscale Print Management
    ],
)
def test_other_services_are_not_storage(uid):
    """To accept what nobody serves would be a lie."""
    assert not policy.is_storage(UID(uid))


def test_transfer_syntaxes_keep_the_order_of_the_requestor():
    """It names first what it can send as it is."""
    proposed = [build_context(US_MULTI_FRAME, [JPEGBaseline8Bit, ImplicitVRLittleEndian, ExplicitVRLittleEndian])]

    (context,) = policy.supported_contexts(proposed)

    assert context.transfer_syntax == [JPEGBaseline8Bit, ImplicitVRLittleEndian, ExplicitVRLittleEndian]


def test_contexts_of_one_sop_class_are_one_supported_context():
    """A requestor may propose a context per transfer syntax."""
    proposed = [build_context(US_MULTI_FRAME, uid) for uid in (JPEGBaseline8Bit, ExplicitVRLittleEndian)]

    (context,) = policy.supported_contexts(proposed)

    assert context.transfer_syntax == [JPEGBaseline8Bit, ExplicitVRLittleEndian]


def test_objects_without_their_pixels_are_not_accepted():
    """JPIP sends a reference instead of the image."""
    (context,) = policy.supported_contexts([build_context(US_MULTI_FRAME, [JPIP_REFERENCED])])

    assert context.transfer_syntax == []
