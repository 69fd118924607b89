"""Results as DICOM objects and as a picture; the same result always gives the same bytes."""

from echo_scp.report.cine import build_cine
from echo_scp.report.cine_frames import draw_cine
from echo_scp.report.files import ResultFile, encode, object_file, picture_file
from echo_scp.report.key_objects import build_key_objects
from echo_scp.report.overlay import draw_summary
from echo_scp.report.page import build_page
from echo_scp.report.seg import build_seg
from echo_scp.report.seg_file import write_seg
from echo_scp.report.sr import PredecessorReference, build_echo_sr, build_simplified_sr, build_sr
from echo_scp.report.study_objects import study_objects
from echo_scp.report.uids import derive_uid, input_fingerprint, result_uid

__all__ = [
    "PredecessorReference",
    "ResultFile",
    "build_cine",
    "build_echo_sr",
    "build_key_objects",
    "build_page",
    "build_seg",
    "build_simplified_sr",
    "build_sr",
    "derive_uid",
    "draw_cine",
    "draw_summary",
    "encode",
    "input_fingerprint",
    "object_file",
    "picture_file",
    "result_uid",
    "study_objects",
    "write_seg",
]
