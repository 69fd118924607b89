"""Segmentation -> beats, volumes and ejection fraction. Pure: values in, values out."""

from echo_scp.measure.anatomy import refuse_other_views
from echo_scp.measure.clip import measure_clip
from echo_scp.measure.study import measure_study

__all__ = ["measure_clip", "measure_study", "refuse_other_views"]
