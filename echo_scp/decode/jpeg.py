"""JPEG with 8 bits: the luminance channel straight from each frame's stream."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from echo_scp.model import Frames

_SOI, _SOS, _APP0, _APP14 = 0xD8, 0xDA, 0xE0, 0xEE
_NOT_FRAME_HEADERS = {0xC4, 0xC8, 0xCC}  # DHT, JPG, DAC lie among the SOF markers (ISO 10918-1, table B.1)
_RGB_MARKER = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"  # APP14, transform 0


class JpegError(ValueError):
    """A JPEG stream is not what the header says; the frame number is 1-based."""


def decode_luminance(
    streams: Sequence[bytes], rows: int, columns: int, rgb: bool, wanted: Sequence[int] | None = None
) -> Frames:
    """Return (T, rows, columns), of all streams or of those with the `wanted` indices.

    `rgb`: what the header says of streams that do not tell their own colour space. Runs one thread per core; the
    decoder releases the GIL. Raises JpegError, ValueError.
    """
    indices = range(len(streams)) if wanted is None else wanted
    frames = np.empty((len(indices), rows, columns), dtype=np.uint8)

    def decode(index: int, frame: NDArray[np.uint8]) -> None:
        stream = streams[index]
        _check_size(stream, index + 1, rows, columns)
        simplejpeg.decode_jpeg(_tell_colour_space(stream, rgb), colorspace="GRAY", buffer=frame)

    with ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="jpeg") as pool:
        for _ in pool.map(decode, indices, frames):
            pass
    return frames


def decode_colours(
    streams: Sequence[bytes], rows: int, columns: int, rgb: bool, wanted: Sequence[int]
) -> NDArray[np.uint8]:
    """Return the frames with the `wanted` indices (S, rows, columns, 3) as RGB."""
    colours = np.empty((len(wanted), rows, columns, 3), dtype=np.uint8)
    for index, colour in zip(wanted, colours, strict=True):
        _check_size(streams[index], index + 1, rows, columns)
        simplejpeg.decode_jpeg(_tell_colour_space(streams[index], rgb), colorspace="RGB", buffer=colour)
    return colours


def has_colour(stream: bytes) -> bool:
    """Say whether a stream has more than a luminance channel."""
    return bool(simplejpeg.decode_jpeg_header(stream)[2] != "Gray")


def _check_size(stream: bytes, frame_number: int, rows: int, columns: int) -> None:
    height, width = simplejpeg.decode_jpeg_header(stream)[:2]
    if (height, width) != (rows, columns):
        raise JpegError(f"frame {frame_number} is {height} x {width} in its JPEG stream, not {rows} x {columns}")


def _tell_colour_space(stream: bytes, rgb: bool) -> bytes:
    """Mark a stream as RGB when the header says so and nothing in the stream says otherwise.

    The decoder itself obeys JFIF, Adobe's transform and the component identifiers R, G, B; all else it takes for YCbCr.
    Components 1, 2, 3 are how YCbCr is numbered: carts that call it RGB in the header are not believed.
    """
    if not rgb or _speaks_for_itself(stream):
        return stream
    return stream[:2] + _RGB_MARKER + stream[2:]


def _speaks_for_itself(stream: bytes) -> bool:
    for marker, body in _segments(stream):
        if (marker == _APP0 and body.startswith(b"JFIF\x00")) or (marker == _APP14 and _is_adobe(body)):
            return True
        if 0xC0 <= marker <= 0xCF and marker not in _NOT_FRAME_HEADERS:
            return body[6:15:3] in (b"RGB", b"\x01\x02\x03") or len(body) < 15
    return True


def _is_adobe(body: bytes) -> bool:
    return len(body) >= 12 and body.startswith(b"Adobe")


def _segments(stream: bytes) -> list[tuple[int, bytes]]:
    """Return the marker segments before the first scan."""
    segments = []
    position = 2
    while position + 4 <= len(stream) and stream[position] == 0xFF and stream[position + 1] != _SOS:
        if stream[position + 1] == 0xFF:  # a fill byte
            position += 1
            continue
        length = int.from_bytes(stream[position + 2 : position + 4])
        segments.append((stream[position + 1], stream[position + 4 : position + 2 + length]))
        position += 2 + length
    return segments
