"""Segmentation -> beats, volumes and ejection fraction. Pure: values in, values out."""

from echo_scp.measure.age import note_child
from echo_scp.measure.anatomy import refuse_other_views
from echo_scp.measure.body import find_body
from echo_scp.measure.clip import doubted, measure_clip
from echo_scp.measure.orientation import upended_outlines, upright
from echo_scp.measure.patient import several_patients
from echo_scp.measure.study import measure_study, none_measured

__all__ = [
    "doubted",
    "find_body",
    "measure_clip",
    "measure_study",
    "none_measured",
    "note_child",
    "refuse_other_views",
    "several_patients",
    "upended_outlines",
    "upright",
]
