"""Results as DICOM objects and as a picture; the same result always gives the same bytes."""

from echo_scp.report.overlay import draw_summary
from echo_scp.report.seg import build_seg
from echo_scp.report.sr import PredecessorReference, build_sr
from echo_scp.report.uids import derive_uid, input_fingerprint, result_uid

__all__ = [
    "PredecessorReference",
    "build_seg",
    "build_sr",
    "derive_uid",
    "draw_summary",
    "input_fingerprint",
    "result_uid",
]
