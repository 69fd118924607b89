"""Pixel Data -> luminance of every frame, and a few frames in colour for the gate.

JPEG with 8 bits goes to libjpeg-turbo, all else through pydicom's decoders, frame by frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from math import ceil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.encaps import generate_frames
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.utils import expand_ybr422, iter_pixels
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit, JPEGExtended12Bit

from echo_scp.decode.bounds import read_whole, require_plausible_streams
from echo_scp.decode.chroma import Colours
from echo_scp.decode.colour_space import true_photometric
from echo_scp.decode.gate import frame_count
from echo_scp.decode.greyscale import eight_bits, grey_table, luminance, palette_table
from echo_scp.decode.jpeg import decode_colours, decode_luminance, has_colour
from echo_scp.decode.quiet import quiet
from echo_scp.decode.spread import spread
from echo_scp.errors import InstanceError
from echo_scp.model import Flag, Frames, Instance, Note, Reason

_COLOUR_SAMPLES = 12  # frames, spread over the clip: colour flow comes and goes within a beat
_PIXEL_DATA_TAG = 0x7FE00010


@dataclass(frozen=True, slots=True)
class Pixels:
    """Frames (T, H, W) in luminance, some in colour; None when none were asked for or the picture has no colour."""

    frames: Frames
    colours: Colours | None
    notes: tuple[Note, ...] = ()


def read_pixels(instance: Instance, wanted: Sequence[int] | None = None, *, in_colour: bool = True) -> Pixels:
    """Decode an instance whose header passed the gate: all of its frames, or those with the `wanted` indices.

    `in_colour` adds samples in colour, spread over the whole clip. Raises InstanceError: NO_PIXEL_DATA,
    TRUNCATED_PIXEL_DATA, UNSUPPORTED_TRANSFER_SYNTAX, UNSUPPORTED_PIXEL_FORMAT, UNDECODABLE.
    """
    try:
        with quiet():  # what pydicom repairs or doubts on the way is judged by the result
            ds = _complete(instance.path, read_whole(instance.path, instance.header))
            return _decode(ds, wanted, in_colour=in_colour)
    except InstanceError:
        raise
    except OSError as error:
        detail = f"{instance.path.name} cannot be read: {error.strerror or error}"
        raise InstanceError(Reason.UNDECODABLE, detail) from error
    except Exception as error:  # the border to decoder plug-ins and to pydicom, which raise what they like
        raise InstanceError(Reason.UNDECODABLE, f"{type(error).__name__}: {_summary(error)}") from error


def _complete(path: Path, ds: Dataset) -> Dataset:
    """Return the data set with the usual value where an element that describes pixels is missing or empty."""
    if "PixelData" not in ds:
        # pydicom drops an element that the file ends in
        reason = Reason.TRUNCATED_PIXEL_DATA if _ends_in_pixel_data(path) else Reason.NO_PIXEL_DATA
        raise InstanceError(reason, f"no complete Pixel Data (7FE0,0010) in {path.name}")
    if "TransferSyntaxUID" not in ds.file_meta:
        implicit = bool(ds.original_encoding[0])
        ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    _settle(ds, "SamplesPerPixel", 1)
    _settle(ds, "PhotometricInterpretation", "RGB" if ds.SamplesPerPixel == 3 else "MONOCHROME2")
    _settle(ds, "BitsAllocated", 8)
    _settle(ds, "BitsStored", ds.BitsAllocated)
    _settle(ds, "PixelRepresentation", 0)
    if ds.SamplesPerPixel == 3:
        _settle(ds, "PlanarConfiguration", 0)
    return ds


def _settle(ds: Dataset, keyword: str, usual: object) -> None:
    if ds.get(keyword) in (None, ""):
        setattr(ds, keyword, usual)


def _ends_in_pixel_data(path: Path) -> bool:
    with path.open("rb") as file:
        dcmread(file, stop_before_pixels=True, force=True)
        return file.read(4) in (_PIXEL_DATA_TAG.to_bytes(4, "big"), b"\xe0\x7f\x10\x00")


def _decode(ds: Dataset, wanted: Sequence[int] | None, *, in_colour: bool) -> Pixels:
    syntax = UID(ds.file_meta.TransferSyntaxUID)
    _check_format(ds, syntax)
    if syntax.is_encapsulated:
        streams = _streams(ds)
        require_plausible_streams(streams, ds)
        if syntax in (JPEGBaseline8Bit, JPEGExtended12Bit) and ds.BitsAllocated == 8:
            return _from_jpeg(ds, streams, wanted, in_colour=in_colour)
    else:
        _conform_native(ds)
    if ds.SamplesPerPixel == 3 and ds.BitsAllocated == 8:
        _correct_colour_space(ds)
    return _from_arrays(ds, wanted, in_colour=in_colour)


def _check_format(ds: Dataset, syntax: UID) -> None:
    try:
        decodable = get_decoder(syntax).is_available
    except NotImplementedError:
        decodable = False
    if not decodable:
        detail = f"Transfer Syntax UID (0002,0010) is {syntax.name}: there is no decoder for it"
        raise InstanceError(Reason.UNSUPPORTED_TRANSFER_SYNTAX, detail)
    known = {1: ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR")}.get(
        ds.SamplesPerPixel, ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
    )
    if ds.PhotometricInterpretation not in known:
        detail = (
            f"Photometric Interpretation (0028,0004) is {ds.PhotometricInterpretation}, expected {', '.join(known)}"
        )
        raise InstanceError(Reason.UNSUPPORTED_PIXEL_FORMAT, detail)


def _streams(ds: Dataset) -> list[bytes]:
    """Return the encoded frames; more than Number of Frames are left out."""
    expected = frame_count(ds)
    offsets = None
    if "ExtendedOffsetTable" in ds and "ExtendedOffsetTableLengths" in ds:
        offsets = (ds.ExtendedOffsetTable, ds.ExtendedOffsetTableLengths)
    try:
        found = generate_frames(ds.PixelData, number_of_frames=expected, extended_offsets=offsets)
        streams = list(islice(found, expected))
    except ValueError as error:  # fewer fragments than frames, or an item that is cut off
        raise InstanceError(Reason.TRUNCATED_PIXEL_DATA, _summary(error)) from error
    if len(streams) < expected or not all(streams):
        detail = f"{sum(map(bool, streams))} encoded frames of {expected} (Number of Frames (0028,0008))"
        raise InstanceError(Reason.TRUNCATED_PIXEL_DATA, detail)
    return streams


def _conform_native(ds: Dataset) -> None:
    expected = ds.Rows * ds.Columns * frame_count(ds) * ds.SamplesPerPixel * ds.BitsAllocated // 8
    halved = ds.PhotometricInterpretation == "YBR_FULL_422" and len(ds.PixelData) < expected
    expected = ceil(expected * 2 / 3) if halved else expected
    if len(ds.PixelData) < expected:
        detail = f"{len(ds.PixelData)} bytes of {expected} in Pixel Data (7FE0,0010)"
        raise InstanceError(Reason.TRUNCATED_PIXEL_DATA, detail)
    if halved:
        ds.PixelData = expand_ybr422(ds.PixelData[:expected], ds.BitsAllocated)
    if ds.PhotometricInterpretation == "YBR_FULL_422":  # pydicom loses count of frames; some carts do not halve at all
        ds.PhotometricInterpretation = "YBR_FULL"


def _correct_colour_space(ds: Dataset) -> None:
    if ds.PhotometricInterpretation == "YBR_FULL_422":  # once decoded, no columns are left out
        ds.PhotometricInterpretation = "YBR_FULL"
    stored = next(iter_pixels(ds, indices=[0], raw=True))
    ds.PhotometricInterpretation = true_photometric(stored, ds.PhotometricInterpretation)


def _from_jpeg(ds: Dataset, streams: list[bytes], wanted: Sequence[int] | None, *, in_colour: bool) -> Pixels:
    rgb = ds.PhotometricInterpretation == "RGB"
    frames = decode_luminance(streams, ds.Rows, ds.Columns, rgb, wanted)
    if ds.PhotometricInterpretation == "MONOCHROME1":
        np.subtract(255, frames, out=frames)
    if not (in_colour and has_colour(streams[0])):
        return Pixels(frames, None)
    samples = spread(len(streams), _COLOUR_SAMPLES)
    return Pixels(frames, decode_colours(streams, ds.Rows, ds.Columns, rgb, samples))


def _from_arrays(ds: Dataset, wanted: Sequence[int] | None, *, in_colour: bool) -> Pixels:
    count = frame_count(ds)
    render = _Renderer(ds)
    samples = spread(count, _COLOUR_SAMPLES) if in_colour and render.has_colour else ()
    places = {index: place for place, index in enumerate(range(count) if wanted is None else wanted)}
    frames = np.empty((len(places), ds.Rows, ds.Columns), dtype=np.uint8)
    colours = []
    for index, array in _arrays(ds, None if wanted is None else sorted({*wanted, *samples})):
        if index in places:
            frames[places[index]] = render.grey(array)
        if index in samples:
            colours.append(render.colour(array))
    if ds.BitsStored > 8:
        note = Note(Flag.BITS_REDUCED, f"Bits Stored (0028,0101) is {ds.BitsStored}, reduced to 8")
        return Pixels(frames, np.stack(colours) if colours else None, (note,))
    return Pixels(frames, np.stack(colours) if colours else None)


def _arrays(ds: Dataset, wanted: list[int] | None) -> Iterator[tuple[int, NDArray[np.integer]]]:
    """Yield index and values of all frames or of the wanted ones; more than Number of Frames are left out."""
    indices = range(frame_count(ds)) if wanted is None else wanted
    return zip(indices, iter_pixels(ds, indices=wanted), strict=False)


class _Renderer:
    """Turns one frame's decoded array into 8 bits; tables are made once."""

    def __init__(self, ds: Dataset) -> None:
        self._bits_stored = int(ds.BitsStored)
        self._samples = int(ds.SamplesPerPixel)
        palette = ds.PhotometricInterpretation == "PALETTE COLOR"
        self._palette = palette_table(ds) if palette else None
        self._table = None
        if self._palette is not None:
            self._table = luminance(self._palette[None])[0]
        elif self._samples == 1:
            self._table = grey_table(ds)
        self.has_colour = palette or self._samples == 3

    def grey(self, array: NDArray[np.integer]) -> NDArray[np.uint8]:
        """Return (H, W) luminance."""
        if self._table is None:
            return luminance(self.colour(array))
        return np.asarray(self._table[_patterns(array)], dtype=np.uint8)

    def colour(self, array: NDArray[np.integer]) -> NDArray[np.uint8]:
        """Return (H, W, 3) RGB."""
        if self._palette is not None:
            return np.asarray(self._palette[_patterns(array)], dtype=np.uint8)
        return eight_bits(_patterns(array), self._bits_stored)


def _patterns(array: NDArray[np.integer]) -> NDArray[np.unsignedinteger]:
    """Return the bits of numbers as they are stored, to index a table with: native order, without sign."""
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    unsigned: NDArray[np.unsignedinteger] = native.view(f"uint{8 * native.dtype.itemsize}")
    return unsigned


def _summary(error: Exception) -> str:
    """Return what an error says, on one line and not longer than a table's cell."""
    return " ".join(str(error).split())[:200] or "no message"
