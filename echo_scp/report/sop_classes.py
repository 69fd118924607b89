"""Which SOP classes the results have, by kind."""

from __future__ import annotations

from pydicom.uid import Comprehensive3DSRStorage, ComprehensiveSRStorage, SegmentationStorage

# The SR is Comprehensive 3D when it draws a contour, else Comprehensive: a destination must take both.
SOP_CLASSES: dict[str, tuple[str, ...]] = {
    "SR": (str(Comprehensive3DSRStorage), str(ComprehensiveSRStorage)),
    "SEG": (str(SegmentationStorage),),
}
