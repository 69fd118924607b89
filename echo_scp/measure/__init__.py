"""Segmentation -> beats, volumes and ejection fraction. Pure: values in, values out."""

from echo_scp.measure.body import find_body
from echo_scp.measure.clip import measure_clip
from echo_scp.measure.reproduce import beat_windows
from echo_scp.measure.study import measure_study

__all__ = ["beat_windows", "find_body", "measure_clip", "measure_study"]
