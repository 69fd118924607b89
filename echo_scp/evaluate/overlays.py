"""Draw labelled frames with both outlines: the experts' and the product's."""

from __future__ import annotations

import cv2
import numpy as np

from echo_scp.evaluate.case import LabelMap
from echo_scp.evaluate.overlap import dice
from echo_scp.evaluate.trial import OutlinedFrame, Trial
from echo_scp.model import PixelSpacing, Region, Structure
from echo_scp.report.canvas import BACKGROUND, ED_COLOUR, ES_COLOUR, MUTED, TEXT, Box, Colour, Picture, fill, write

PANEL_SIDE, MARGIN, HEADER, FOOTER = 480, 16, 52, 40
OURS, EXPERTS = ES_COLOUR, ED_COLOUR


def draw_labelled_frames(trial: Trial) -> Picture:
    """Return one panel per labelled frame, the 2D region only: what lies outside may name the patient."""
    assert trial.loaded is not None  # frames come from a loaded clip
    clip = trial.loaded.clip
    width = MARGIN + len(trial.frames) * (PANEL_SIDE + MARGIN)
    picture = np.full((HEADER + PANEL_SIDE + FOOTER, width, 3), BACKGROUND, dtype=np.uint8)
    write(picture, trial.source.name, (MARGIN, 34), 0.65, TEXT)
    for number, frame in enumerate(trial.frames):
        x0 = MARGIN + number * (PANEL_SIDE + MARGIN)
        box = Box(x0, HEADER, x0 + PANEL_SIDE, HEADER + PANEL_SIDE)
        _draw_panel(picture, box, clip.frames[frame.labelled.frame_index], clip.region, frame)
    baseline = HEADER + PANEL_SIDE + 26
    x = write(picture, "echo-scp", (MARGIN, baseline), 0.5, OURS) + 20
    write(picture, "experts", (x, baseline), 0.5, EXPERTS)
    return picture


def _draw_panel(picture: Picture, box: Box, image: LabelMap, region: Region, frame: OutlinedFrame) -> None:
    fill(picture, box, (0, 0, 0))
    width, height = _fitted(region)
    left, top = box.x0 + (box.width - width) // 2, box.y0 + (box.height - height) // 2
    shown = cv2.resize(_cut(image, region), (width, height), interpolation=cv2.INTER_AREA)
    view = picture[top : top + height, left : left + width]
    view[:] = shown[..., np.newaxis]
    if frame.labelled.label_map is not None:
        for value in range(1, len(frame.labelled.structures) + 1):
            _trace(view, _cut(frame.labelled.label_map, region) == value, EXPERTS)
    for value, structure in enumerate(frame.structures, start=1):
        if structure in (frame.labelled.structures or frame.structures):
            _trace(view, _cut(frame.outline, region) == value, OURS)
    write(picture, _caption(frame), (box.x0 + 8, box.y0 + 20), 0.5, MUTED)


def _caption(frame: OutlinedFrame) -> str:
    caption = f"{frame.labelled.phase}, frame {frame.labelled.frame_index + 1}"
    traced = frame.labelled.label_map
    if traced is None or Structure.LV_CAVITY not in frame.labelled.structures:
        return caption
    ours = frame.outline == frame.structures.index(Structure.LV_CAVITY) + 1
    score = dice(ours, traced == frame.labelled.structures.index(Structure.LV_CAVITY) + 1)
    return caption if score is None else f"{caption}, LV Dice {score:.3f}"


def _fitted(region: Region) -> tuple[int, int]:
    """Return the width and height that show the region in its true proportions."""
    spacing = region.spacing or PixelSpacing(1, 1)
    width, height = (region.x1 - region.x0) * spacing.column_mm, (region.y1 - region.y0) * spacing.row_mm
    scale = PANEL_SIDE / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _cut(picture: LabelMap, region: Region) -> LabelMap:
    return picture[region.y0 : region.y1, region.x0 : region.x1]


def _trace(view: Picture, mask: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], colour: Colour) -> None:
    """Draw the border of a mask; it is enlarged as grey levels, so that the line is smooth."""
    enlarged = cv2.resize(mask.astype(np.uint8) * 255, (view.shape[1], view.shape[0]), interpolation=cv2.INTER_CUBIC)
    borders, _ = cv2.findContours((enlarged > 127).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    canvas = np.ascontiguousarray(view)
    cv2.drawContours(canvas, borders, -1, colour, 1, cv2.LINE_AA)
    view[:] = canvas
