"""Make a clip playable: the pictures of its 2D region as small JPEG files, the outlines of the LV beside them.

Runs as a process of its own, `python -m echo_scp.web.cine`: a decoder that crashes must not take the node with it. Only
the 2D region is shown: what lies outside it may be the burned-in name of the patient.

A playable cine is: length of the head (4 bytes, big-endian), head (JSON), then the JPEG files one after the other.
"""

from __future__ import annotations

import json
import os
import struct
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread

from echo_scp.config import AnalysisConfig
from echo_scp.decode import decode_clip, decoded_pixels, read_instance
from echo_scp.errors import EchoScpError
from echo_scp.model import Clip, Frames, Region

LARGEST_PIXELS = 400_000_000  # of a clip: half a gigabyte in hand
LONGEST_SIDE = 480
_QUALITY = 72
_NICENESS = 5
_LV_LABEL = "LV cavity"  # of our segment
Outlines = tuple[tuple[tuple[float, float], ...], ...]


@dataclass(frozen=True, slots=True)
class Order:
    """What the process is to make; `seg_path` is empty where nothing was outlined."""

    instance_path: str
    seg_path: str
    analysis: str  # of an AnalysisConfig, as JSON


def make_cine(order: Order) -> bytes:
    """Return the playable cine. Raises EchoScpError, ValueError when there is nothing to play."""
    instance = read_instance(Path(order.instance_path))
    if decoded_pixels(instance.header) > LARGEST_PIXELS:
        raise ValueError("the clip is too large to be played here")
    clip = decode_clip(instance, AnalysisConfig.model_validate_json(order.analysis))
    seg = dcmread(order.seg_path) if order.seg_path else None
    return encode_cine(clip, {} if seg is None else outlines_of(seg))


def encode_cine(clip: Clip, masks: dict[int, NDArray[np.bool_]]) -> bytes:
    """Return the playable cine of a clip and masks (rows, columns) by frame number."""
    region = clip.region
    scale = min(1.0, LONGEST_SIDE / max(region.x1 - region.x0, region.y1 - region.y0))
    pictures = [_jpeg(frame, scale) for frame in _cropped(clip.frames, region)]
    head = {
        "times_ms": [round(float(time_ms), 1) for time_ms in clip.frame_times_ms],
        "sizes": [len(picture) for picture in pictures],
        "outlines": [_polygons(masks.get(number), region, scale) for number in range(1, len(pictures) + 1)],
    }
    text = json.dumps(head, separators=(",", ":")).encode()
    return b"".join((struct.pack(">L", len(text)), text, *pictures))


def outlines_of(seg: Dataset) -> dict[int, NDArray[np.bool_]]:
    """Return the masks of the LV cavity in a Segmentation of ours, by frame number of the clip."""
    numbers = {int(item.SegmentNumber) for item in seg.SegmentSequence if item.SegmentLabel == _LV_LABEL}
    frames = seg.pixel_array.reshape(-1, int(seg.Rows), int(seg.Columns))
    masks = {}
    for item, mask in zip(seg.PerFrameFunctionalGroupsSequence, frames, strict=True):
        if int(item.SegmentIdentificationSequence[0].ReferencedSegmentNumber) in numbers:
            source = item.DerivationImageSequence[0].SourceImageSequence[0]
            masks[int(source.ReferencedFrameNumber)] = mask.astype(bool)
    return masks


def _cropped(frames: Frames, region: Region) -> Frames:
    return frames[:, region.y0 : region.y1, region.x0 : region.x1]


def _jpeg(frame: NDArray[np.uint8], scale: float) -> bytes:
    size = (max(1, round(frame.shape[1] * scale)), max(1, round(frame.shape[0] * scale)))
    small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    ok, content = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not ok:
        raise ValueError("OpenCV could not encode a JPEG")
    return content.tobytes()


def _polygons(mask: NDArray[np.bool_] | None, region: Region, scale: float) -> Outlines:
    """Return the outer borders of a mask in pixels of the small picture."""
    if mask is None:
        return ()
    inside = np.ascontiguousarray(mask[region.y0 : region.y1, region.x0 : region.x1], dtype=np.uint8)
    contours, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_TC89_L1)
    return tuple(
        tuple((round((x + 0.5) * scale, 1), round((y + 0.5) * scale, 1)) for x, y in contour[:, 0].tolist())
        for contour in contours
        if len(contour) > 2
    )


def main() -> int:
    """Read an order as JSON from stdin, write the cine to stdout; what is wrong goes to stderr with status 1."""
    os.nice(_NICENESS)  # a sender waits for the receiver, a reader can wait a little longer
    try:
        content = make_cine(Order(**json.load(sys.stdin)))
    except (EchoScpError, ValueError, OSError, AttributeError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.buffer.write(content)
    return 0


def order_json(order: Order) -> bytes:
    """Return what the process reads."""
    return json.dumps(asdict(order)).encode()


if __name__ == "__main__":
    raise SystemExit(main())
