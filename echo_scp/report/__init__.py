"""Results as DICOM objects and as a picture; the same result always gives the same bytes."""

from echo_scp.report.files import ResultFile, encode, object_file, picture_file
from echo_scp.report.overlay import draw_summary
from echo_scp.report.seg import build_seg
from echo_scp.report.seg_file import write_seg
from echo_scp.report.sr import PredecessorReference, build_sr
from echo_scp.report.uids import derive_uid, input_fingerprint, result_uid

__all__ = [
    "PredecessorReference",
    "ResultFile",
    "build_seg",
    "build_sr",
    "derive_uid",
    "draw_summary",
    "encode",
    "input_fingerprint",
    "object_file",
    "picture_file",
    "result_uid",
    "write_seg",
]
