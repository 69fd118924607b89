"""Which SOP classes the results have, and in which transfer syntax they are stored, by kind."""

from __future__ import annotations

from pydicom.uid import (
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    DeflatedExplicitVRLittleEndian,
    EncapsulatedPDFStorage,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    KeyObjectSelectionDocumentStorage,
    SegmentationStorage,
    SimplifiedAdultEchoSRStorage,
    UltrasoundMultiFrameImageStorage,
)

from echo_scp.config import ObjectKind

# The SR is Comprehensive 3D when it draws a contour, else Comprehensive: a destination must take both.
SOP_CLASSES: dict[ObjectKind, tuple[str, ...]] = {
    "SR": (str(Comprehensive3DSRStorage), str(ComprehensiveSRStorage)),
    "SEG": (str(SegmentationStorage),),
    "SR_COMPREHENSIVE": (str(ComprehensiveSRStorage),),
    "SR_ECHO": (str(ComprehensiveSRStorage),),
    "SR_SIMPLIFIED": (str(SimplifiedAdultEchoSRStorage),),
    "CINE": (str(UltrasoundMultiFrameImageStorage),),
    "KO": (str(KeyObjectSelectionDocumentStorage),),
    "PDF": (str(EncapsulatedPDFStorage),),
}


def transfer_syntax_of(kind: ObjectKind) -> str:
    """Return the UID of the encoding in which objects of a kind are stored."""
    encodings = {"SEG": DeflatedExplicitVRLittleEndian, "CINE": JPEGBaseline8Bit}
    return str(encodings.get(kind, ExplicitVRLittleEndian))
