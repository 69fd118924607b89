"""Stored pixel values -> 8-bit luminance, by table: what Bits Stored, sign, window, palette and MONOCHROME1 ask for."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.pixels.processing import apply_color_lut

from echo_scp.decode import tags

Grey = NDArray[np.uint8]  # (H, W)
Colour = NDArray[np.uint8]  # (H, W, 3) RGB


def luminance(colour: Colour) -> Grey:
    """Return the luminance of RGB, ITU-R BT.601: the Y of JPEG."""
    return np.asarray(cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def grey_table(ds: Dataset) -> Grey:
    """Return the luminance (256,) or (65536,) of each pattern of bits of a MONOCHROME image.

    More than 8 bits are reduced by the window, if there is one, else by their full range (PS3.3 C.11.2.1.2).
    """
    values = _stored_values(ds)
    stored = int(ds.BitsStored)
    low, high = float(values.min()), float(values.max())
    if stored > 8:
        low, high = _window(ds) or (low, high)
    grey = np.clip((values - low) / (high - low) * 255, 0, 255).round().astype(np.uint8)
    inverted = ds.PhotometricInterpretation == "MONOCHROME1"
    return np.asarray(255 - grey if inverted else grey, dtype=np.uint8)


def palette_table(ds: Dataset) -> Colour:
    """Return the RGB (256, 3) or (65536, 3) of each index of a PALETTE COLOR image.

    Some write entries of 8 bits in words, with the high byte padded (PS3.3 C.7.6.3.1.6).
    """
    allocated = int(ds.BitsAllocated)
    table: NDArray[np.unsignedinteger] = apply_color_lut(np.arange(2**allocated).astype(f"uint{allocated}"), ds)
    padded = int(table.max()) < 256
    return eight_bits(table, 8 if padded else 8 * table.dtype.itemsize)


def eight_bits(array: NDArray[np.unsignedinteger], bits_stored: int) -> NDArray[np.uint8]:
    """Return the eight most significant of the stored bits, widened where there are fewer."""
    if bits_stored < 8:
        return np.asarray(array.astype(np.uint16) * 255 // (2**bits_stored - 1), dtype=np.uint8)
    return np.asarray(array >> (bits_stored - 8), dtype=np.uint8)


def _stored_values(ds: Dataset) -> NDArray[np.int64]:
    """Return the number that each pattern of bits stands for (PS3.5 8.1.1); bits above Bits Stored are not pixels."""
    patterns = np.arange(2 ** int(ds.BitsAllocated)) & (2 ** int(ds.BitsStored) - 1)
    sign = 2 ** (int(ds.BitsStored) - 1)
    signed = (patterns ^ sign) - sign
    return np.asarray(signed if ds.PixelRepresentation == 1 else patterns, dtype=np.int64)


def _window(ds: Dataset) -> tuple[float, float] | None:
    """Return the stored values that the window shows as black and as white."""
    centre, width = tags.number(ds, "WindowCenter"), tags.number(ds, "WindowWidth")
    if centre is None or width is None or width <= 1:
        return None
    slope = tags.number(ds, "RescaleSlope") or 1.0
    intercept = tags.number(ds, "RescaleIntercept") or 0.0
    low, high = centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2
    return (low - intercept) / slope, (high - intercept) / slope
