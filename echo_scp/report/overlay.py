"""Draw a measured clip as one picture: end-diastole and end-systole side by side, the volume curve below.

Only the 2D region is shown: what lies outside it may be the burned-in name of the patient.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from echo_scp.model import Clip, ClipAnalysis, ClipMeasurement, Points, Ventricle, View, as_told
from echo_scp.report.canvas import (
    BACKGROUND,
    ED_COLOUR,
    ES_COLOUR,
    MUTED,
    PANEL,
    TEXT,
    WARNING,
    Box,
    Colour,
    Picture,
    dot,
    fill,
    polyline,
    text_width,
    write,
)
from echo_scp.report.narrative import METHOD_NAMES
from echo_scp.report.plot import draw_curve

WIDTH, HEIGHT, MARGIN = 1280, 960, 28
CURVE_BOX = Box(MARGIN, 668, WIDTH - MARGIN, 912)
CAPTION_HEIGHT = 40


@dataclass(frozen=True, slots=True)
class Panel:
    """Where one frame is shown, and as what."""

    box: Box
    title: str
    colour: Colour


END_DIASTOLE = Panel(Box(MARGIN, 96, 634, 656), "End-diastole", ED_COLOUR)
END_SYSTOLE = Panel(Box(646, 96, WIDTH - MARGIN, 656), "End-systole", ES_COLOUR)


def draw_summary(analysis: ClipAnalysis, *, research_use: bool = True) -> Picture:
    """Return the picture (960, 1280, 3) with the clip's first beat. Raises ValueError when it was not measured."""
    clip, measurement = analysis.clip, analysis.measurement
    if clip is None or measurement is None or not measurement.beats:
        raise ValueError(f"{analysis.instance.sop_instance_uid} was not measured")
    picture = np.full((HEIGHT, WIDTH, 3), BACKGROUND, dtype=np.uint8)
    beat = measurement.beats[0]
    _draw_header(picture, View.OTHER if analysis.view is None else analysis.view.view, measurement)
    _draw_frame(picture, END_DIASTOLE, clip, beat.end_diastole)
    _draw_frame(picture, END_SYSTOLE, clip, beat.end_systole)
    draw_curve(picture, CURVE_BOX, clip.frame_times_ms, measurement)
    if research_use:
        write(picture, "RESEARCH USE ONLY - not for diagnosis or treatment", (MARGIN, HEIGHT - 18), 0.5, WARNING)
    return picture


def _draw_header(picture: Picture, view: View, measurement: ClipMeasurement) -> None:
    x = write(picture, f"EF {measurement.ef_percent:.1f} %", (MARGIN, 62), 1.3, TEXT) + 28
    write(picture, f"{view}  |  {METHOD_NAMES[measurement.method]}", (x, 42), 0.55, TEXT)
    beats = "1 beat" if len(measurement.beats) == 1 else f"mean of {len(measurement.beats)} beats"
    write(picture, f"{beats}  |  heart rate {as_told(measurement.heart_rate_bpm):.0f}/min", (x, 68), 0.55, MUTED)
    if measurement.edv_ml is None or measurement.esv_ml is None:
        _write_right(picture, "Uncalibrated: no volumes", 62, 0.8, WARNING)
    else:
        _write_right(picture, f"EDV {measurement.edv_ml:.1f} mL   ESV {measurement.esv_ml:.1f} mL", 62, 1.0, TEXT)


def _write_right(picture: Picture, text: str, baseline: int, scale: float, colour: Colour) -> None:
    write(picture, text, (WIDTH - MARGIN - text_width(text, scale), baseline), scale, colour)


def _draw_frame(picture: Picture, panel: Panel, clip: Clip, ventricle: Ventricle) -> None:
    box, baseline = panel.box, panel.box.y0 + 27
    fill(picture, box, PANEL)
    x = write(picture, panel.title, (box.x0 + 16, baseline), 0.6, panel.colour)
    write(picture, _caption(ventricle), (x + 14, baseline), 0.5, MUTED)
    image_box = Box(box.x0, box.y0 + CAPTION_HEIGHT, box.x1, box.y1)
    placement = _paste_region(picture, image_box, clip, ventricle.frame_index)
    _draw_ventricle(picture, placement, ventricle, panel.colour)


def _caption(ventricle: Ventricle) -> str:
    volume = "" if ventricle.disks_ml is None else f"  |  {ventricle.disks_ml:.1f} mL"
    return f"frame {ventricle.frame_index + 1}{volume}"


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the pixels of a clip lie in the picture."""

    scale: float
    x0: float
    y0: float

    def points(self, points: Points) -> Points:
        """Return (N, 2) image coordinates as coordinates of the picture."""
        return np.column_stack([points[:, 0] * self.scale + self.x0, points[:, 1] * self.scale + self.y0])


def _paste_region(picture: Picture, box: Box, clip: Clip, frame_index: int) -> Placement:
    """Paste the 2D region of a frame, as large as the box allows and centred."""
    region = clip.region
    image = clip.frames[frame_index, region.y0 : region.y1, region.x0 : region.x1]
    rows, columns = image.shape
    scale = min(box.width / columns, box.height / rows)
    width, height = max(int(columns * scale), 1), max(int(rows * scale), 1)
    resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    x0, y0 = box.x0 + (box.width - width) // 2, box.y0 + (box.height - height) // 2
    picture[y0 : y0 + height, x0 : x0 + width] = resized[..., np.newaxis]
    return Placement(scale, x0 - region.x0 * scale, y0 - region.y0 * scale)


def _draw_ventricle(picture: Picture, placement: Placement, ventricle: Ventricle, colour: Colour) -> None:
    apex, *annulus = placement.points(np.array([ventricle.apex, *ventricle.annulus]))
    base = np.mean(annulus, axis=0)
    polyline(picture, placement.points(ventricle.contour), colour, 2, closed=True)
    polyline(picture, np.array([apex, base]), TEXT, 1)
    for point in (apex, base):
        dot(picture, (float(point[0]), float(point[1])), 3.5, TEXT)
