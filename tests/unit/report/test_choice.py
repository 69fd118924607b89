"""What a destination gets follows from what it accepts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import (
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    DeflatedExplicitVRLittleEndian,
    EncapsulatedPDFStorage,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    KeyObjectSelectionDocumentStorage,
    SegmentationStorage,
    UltrasoundMultiFrameImageStorage,
)

from echo_scp.config import OBJECT_KINDS
from echo_scp.report import Offer, choose

NATIVE = (ExplicitVRLittleEndian,)
OFFERS = (
    Offer("SR", Comprehensive3DSRStorage, NATIVE),
    Offer("SR_COMPREHENSIVE", ComprehensiveSRStorage, NATIVE),
    Offer("SR_ECHO", ComprehensiveSRStorage, NATIVE),
    Offer("SEG", SegmentationStorage, (DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian)),
    Offer("CINE", UltrasoundMultiFrameImageStorage, (JPEGBaseline8Bit,)),
    Offer("KO", KeyObjectSelectionDocumentStorage, NATIVE),
    Offer("PDF", EncapsulatedPDFStorage, NATIVE),
)


def accepts(*sop_class_uids: str) -> dict[str, frozenset[str]]:
    """Return the contexts of a destination that takes the usual encodings of these classes."""
    return {uid: frozenset({ExplicitVRLittleEndian, JPEGBaseline8Bit}) for uid in sop_class_uids}


@pytest.mark.parametrize(
    ("accepted", "kinds"),
    [
        ((Comprehensive3DSRStorage, SegmentationStorage), ("SR", "SEG")),
        ((ComprehensiveSRStorage, SegmentationStorage), ("SR_COMPREHENSIVE", "SEG")),
        ((Comprehensive3DSRStorage, UltrasoundMultiFrameImageStorage), ("SR", "CINE")),
        ((EncapsulatedPDFStorage, UltrasoundMultiFrameImageStorage), ("PDF", "CINE")),
        ((UltrasoundMultiFrameImageStorage,), ("CINE",)),
        ((), ()),
    ],
    ids=["modern", "no 3D SR", "no SEG", "no SR", "pictures only", "nothing"],
)
def test_what_is_not_accepted_is_replaced(accepted: tuple[str, ...], kinds: tuple[str, ...]) -> None:
    """SR and SEG are wanted; the best of what the destination takes is sent, and once."""
    assert choose(("SR", "SEG"), OFFERS, accepts(*accepted)) == kinds


def test_a_kind_that_was_not_made_is_replaced_too() -> None:
    """Without a Comprehensive SR the page follows at once."""
    offers = [offer for offer in OFFERS if offer.kind != "SR_COMPREHENSIVE"]

    assert choose(("SR",), offers, accepts(EncapsulatedPDFStorage)) == ("PDF",)


def test_a_class_in_no_encoding_that_there_is_counts_as_refused() -> None:
    """A destination that takes US Multi-frame only uncompressed does not take the JPEG cine."""
    accepted = {UltrasoundMultiFrameImageStorage: frozenset({ExplicitVRLittleEndian})}

    assert choose(("CINE",), OFFERS, accepted) == ()


def test_fallbacks_can_be_switched_off() -> None:
    """A site may want nothing rather than something else."""
    assert choose(("SR", "SEG"), OFFERS, accepts(EncapsulatedPDFStorage), fallbacks={}) == ()


@given(
    wanted=st.lists(st.sampled_from(OBJECT_KINDS), unique=True),
    accepted=st.sets(st.sampled_from([offer.sop_class_uid for offer in OFFERS])),
    links=st.dictionaries(st.sampled_from(OBJECT_KINDS), st.lists(st.sampled_from(OBJECT_KINDS))),
)
def test_only_what_is_accepted_is_sent_and_once(wanted, accepted, links) -> None:
    """Also with fallbacks that lead in a circle."""
    chosen = choose(wanted, OFFERS, accepts(*accepted), links)

    classes = {offer.kind: offer.sop_class_uid for offer in OFFERS}
    assert all(classes[kind] in accepted for kind in chosen)
    assert len(set(chosen)) == len(chosen)
    assert {kind for kind in wanted if classes[kind] in accepted} <= set(chosen)
