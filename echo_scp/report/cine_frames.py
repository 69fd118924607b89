"""Draw a clip again, frame by frame, with outlines, volume curve and result in the picture, as JPEG.

Only the 2D region of the source is shown: what lies outside it may be the burned-in name of the patient. Ultrasound has
no colour but that of the lines: everything is drawn on the planes that JPEG keeps, and colour only where a line is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from echo_scp.model import Clip, ClipAnalysis, ClipMeasurement, OverlayCine, Segmentation, Structure, View
from echo_scp.report.canvas import (
    BACKGROUND,
    ES_COLOUR,
    TEXT,
    WARNING,
    Box,
    Colour,
    Picture,
    fill,
    polyline,
    text_width,
    write,
)
from echo_scp.report.narrative import METHOD_NAMES
from echo_scp.report.plot import Axes, axes_of, draw_curve

HEADER_HEIGHT, CURVE_HEIGHT, MINIMUM_WIDTH = 56, 150, 480
QUALITY = 85
COLOURS: tuple[tuple[Structure, Colour], ...] = (
    (Structure.LEFT_ATRIUM, (190, 120, 255)),
    (Structure.LV_CAVITY, (90, 230, 120)),
)
_GREY: Colour = (0, 0, 0)  # no chroma: of a frame only the luma is put there
_TOLERANCE = 0.75  # pixels: what no eye sees, a sixth of the corners

Plane = NDArray[np.uint8]  # (H, W)


def draw_cine(analysis: ClipAnalysis, *, research_use: bool = True) -> OverlayCine:
    """Return the pictures of a clip that was measured; raises ValueError when it was not."""
    clip, measurement, segmentation = analysis.clip, analysis.measurement, analysis.segmentation
    if clip is None or measurement is None or segmentation is None:
        raise ValueError(f"{analysis.instance.sop_instance_uid} was not measured")
    region = clip.region
    columns, rows = region.x1 - region.x0, region.y1 - region.y0
    width = max(columns, MINIMUM_WIDTH) + 1 & ~1  # even: JPEG 4:2:2 shares colour between two pixels
    seen = Box((width - columns) // 2, HEADER_HEIGHT, (width - columns) // 2 + columns, HEADER_HEIGHT + rows)
    page = np.full((seen.y1 + CURVE_HEIGHT, width, 3), BACKGROUND, dtype=np.uint8)
    view = View.OTHER if analysis.view is None else analysis.view.view
    _draw_header(page, view, measurement, research_use=research_use)
    fill(page, seen, _GREY)
    box = Box(0, seen.y1, width, seen.y1 + CURVE_HEIGHT)
    draw_curve(page, box, clip.frame_times_ms, measurement)
    scene = _Scene(_Planes.of(page), seen, clip, segmentation, axes_of(box, clip.frame_times_ms, measurement))
    frames = tuple(scene.at(index).as_jpeg() for index in range(len(clip.frames)))
    return OverlayCine(frames, page.shape[0], page.shape[1], seen.x0, seen.y0)


def _draw_header(page: Picture, view: View, measurement: ClipMeasurement, *, research_use: bool) -> None:
    volumes = "uncalibrated: no volumes"
    if measurement.edv_ml is not None and measurement.esv_ml is not None:
        volumes = f"EDV {measurement.edv_ml:.1f} mL  ESV {measurement.esv_ml:.1f} mL"
    x = write(page, f"EF {measurement.ef_percent:.1f} %", (10, 28), 0.8, TEXT)
    write(page, volumes, (x + 14, 28), 0.5, TEXT)
    small = f"{view}, {METHOD_NAMES[measurement.method]}"
    write(page, small, (10, 48), 0.4, TEXT)
    if research_use:
        warning = "RESEARCH USE ONLY"
        write(page, warning, (page.shape[1] - 10 - text_width(warning, 0.4), 48), 0.4, WARNING)


@dataclass(frozen=True, slots=True)
class _Planes:
    """A picture of an even width as luma and, one for every two columns, red and blue chroma."""

    luma: Plane
    red: Plane
    blue: Plane

    @classmethod
    def of(cls, picture: Picture) -> _Planes:
        """Return the planes of an RGB picture."""
        planes = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2YCrCb), np.uint8)
        halves = (planes[:, ::2].astype(np.uint16) + planes[:, 1::2] + 1 >> 1).astype(np.uint8)
        return cls(*(np.ascontiguousarray(plane) for plane in (planes[..., 0], halves[..., 1], halves[..., 2])))

    def copy(self) -> _Planes:
        """Return planes to draw on."""
        return _Planes(self.luma.copy(), self.red.copy(), self.blue.copy())

    def line(self, points: NDArray[np.float64], colour: Colour) -> None:
        """Draw a line of one pixel through (N, 2) points."""
        for plane, value, across in self._coloured(colour):
            polyline(plane, points / (across, 1), value, 1)

    def contour(self, contour: NDArray[np.int32], colour: Colour) -> None:
        """Draw a closed line of two pixels through (N, 1, 2) pixels."""
        for plane, value, across in self._coloured(colour):
            cv2.polylines(plane, [contour // np.array((across, 1), np.int32)], True, value, 2, cv2.LINE_8)

    def _coloured(self, colour: Colour) -> Iterator[tuple[Plane, Colour, int]]:
        """Yield each plane with its part of an RGB colour and the columns that share one value."""
        values = cv2.cvtColor(np.array([[colour]], np.uint8), cv2.COLOR_RGB2YCrCb)[0, 0].tolist()
        for plane, value, across in zip((self.luma, self.red, self.blue), values, (1, 2, 2), strict=True):
            yield plane, (value, value, value), across

    def as_jpeg(self) -> bytes:
        """Return the picture as JPEG 4:2:2."""
        content: bytes = simplejpeg.encode_jpeg_yuv_planes(self.luma, self.blue, self.red, quality=QUALITY)
        return content


@dataclass(frozen=True, slots=True)
class _Scene:
    """What is the same on every frame, and where the 2D region is `seen`."""

    page: _Planes
    seen: Box
    clip: Clip
    segmentation: Segmentation
    axes: Axes

    def at(self, index: int) -> _Planes:
        """Return the picture of a frame."""
        region, seen, axes = self.clip.region, self.seen, self.axes
        rows, columns = slice(region.y0, region.y1), slice(region.x0, region.x1)
        picture = self.page.copy()
        picture.luma[seen.y0 : seen.y1, seen.x0 : seen.x1] = self.clip.frames[index, rows, columns]
        self._outline(picture, self.segmentation.label_maps[index, rows, columns])
        x = axes.x(float(self.clip.frame_times_ms[index]) / 1000)
        picture.line(np.array([[x, axes.box.y0], [x, axes.box.y1]]), ES_COLOUR)
        return picture

    def _outline(self, picture: _Planes, labels: NDArray[np.uint8]) -> None:
        x, y, width, height = cv2.boundingRect(labels)
        labels, offset = labels[y : y + height, x : x + width], (x + self.seen.x0, y + self.seen.y0)
        structures = self.segmentation.structures
        for structure, colour in COLOURS:
            if structure in structures and labels.size:
                mask = np.equal(labels, structures.index(structure) + 1).view(np.uint8)
                contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE, offset=offset)
                for contour in contours:
                    picture.contour(cv2.approxPolyDP(contour, _TOLERANCE, closed=True).astype(np.int32), colour)
