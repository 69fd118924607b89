"""Which SOP classes the results have, by kind."""

from __future__ import annotations

from pydicom.uid import (
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    EncapsulatedPDFStorage,
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
