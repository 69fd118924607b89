"""Every encoding that ultrasound sends gives the same luminance."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
import simplejpeg
from PIL import Image
from pydicom import Dataset
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from echo_scp.decode import jpeg
from echo_scp.model import Flag
from tests.unit.decode import streams
from tests.unit.decode.builders import NATIVE, flags, make_clip, make_dataset, make_encapsulated, make_frames, rgb

FRAMES = make_frames()
COLOURED = np.stack([FRAMES, FRAMES // 2, 255 - FRAMES], axis=-1)  # no greys: a wrong plane or conversion shows
SEPIA = np.stack([FRAMES, (FRAMES * 0.9).astype(np.uint8), (FRAMES * 0.8).astype(np.uint8)], axis=-1)


def bt601(pixels: np.ndarray) -> np.ndarray:
    """Return the luminance by the formula."""
    return pixels @ np.array([0.299, 0.587, 0.114])


def ybr(pixels: np.ndarray) -> np.ndarray:
    """Return YBR_FULL (PS3.3 C.7.6.3.1.2)."""
    red, _, blue = np.moveaxis(pixels.astype(float), -1, 0)
    y = bt601(pixels)
    planes = [y, 128 + (blue - y) / 1.772, 128 + (red - y) / 1.402]
    return np.stack(planes, axis=-1).round().clip(0, 255).astype(np.uint8)


def planar(ds: Dataset, pixels: np.ndarray) -> Dataset:
    ds.PlanarConfiguration = 1
    ds.PixelData = np.moveaxis(pixels, -1, 1).tobytes()
    return ds


def half_columns(pixels: np.ndarray) -> bytes:
    """Return YBR_FULL_422: Y1 Y2 Cb Cr (PS3.3 C.7.6.3.1.2)."""
    converted = ybr(pixels)
    pairs = [converted[:, :, ::2, 0], converted[:, :, 1::2, 0], converted[:, :, ::2, 1], converted[:, :, ::2, 2]]
    return np.stack(pairs, axis=-1).tobytes()


def with_pixel_data(ds: Dataset, data: bytes) -> Dataset:
    ds.PixelData = data
    return ds


def labelled(ds: Dataset, photometric: str) -> Dataset:
    ds.PhotometricInterpretation = photometric
    return ds


def compressed(syntax: UID, pixels: np.ndarray) -> Dataset:
    ds = make_dataset(pixels)
    ds.compress(syntax, generate_instance_uid=False)
    return ds


def jpeg_baseline(pixels: np.ndarray, photometric: str = "YBR_FULL_422", subsampling: str = "422") -> Dataset:
    encoded = [
        simplejpeg.encode_jpeg(np.ascontiguousarray(p), quality=95, colorspace="RGB", colorsubsampling=subsampling)
        for p in pixels
    ]
    return make_encapsulated(
        encoded, JPEGBaseline8Bit, SamplesPerPixel=3, PhotometricInterpretation=photometric, PlanarConfiguration=0
    )


def jpeg_grey(pixels: np.ndarray, syntax: UID = JPEGBaseline8Bit, **changes: str) -> Dataset:
    encoded = [simplejpeg.encode_jpeg(p[..., None], quality=95, colorspace="GRAY") for p in pixels]
    return make_encapsulated(encoded, syntax, **changes)


def jpeg_of_rgb_planes(pixels: np.ndarray) -> Dataset:
    """Encode R, G, B as they are: Adobe's marker says so."""
    encoded = []
    for picture in pixels:
        buffer = BytesIO()
        Image.fromarray(picture).save(buffer, "JPEG", quality=95, keep_rgb=True, subsampling=0)
        encoded.append(buffer.getvalue())
    return make_encapsulated(
        encoded, JPEGBaseline8Bit, SamplesPerPixel=3, PhotometricInterpretation="YBR_FULL_422", PlanarConfiguration=0
    )


def palette(pixels: np.ndarray, bits: int = 16, factor: int = 257) -> Dataset:
    """Encode indices that run backwards, so that an index taken for a grey level shows."""
    ds = make_dataset(255 - pixels, PhotometricInterpretation="PALETTE COLOR")
    table = (255 - np.arange(256)).astype("<u2") * factor
    for colour in ("Red", "Green", "Blue"):
        setattr(ds, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, bits])
        setattr(ds, f"{colour}PaletteColorLookupTableData", table.tobytes())
    return ds


GREY: dict[str, Callable[[], Dataset]] = {
    **{f"MONOCHROME2, {syntax.name}": lambda syntax=syntax: make_dataset(FRAMES, syntax=syntax) for syntax in NATIVE},
    **{
        f"MONOCHROME2, {syntax.name}": lambda syntax=syntax: compressed(syntax, FRAMES)
        for syntax in (RLELossless, JPEGLSLossless, JPEG2000Lossless)
    },
    "MONOCHROME1": lambda: make_dataset(255 - FRAMES, PhotometricInterpretation="MONOCHROME1"),
    "PALETTE COLOR": lambda: palette(FRAMES),
    "PALETTE COLOR, entries of 8 bits in words": lambda: palette(FRAMES, 8, 1),
    "PALETTE COLOR, entries of 8 bits that are called 16": lambda: palette(FRAMES, 16, 1),
    "JPEG Baseline, grey": lambda: jpeg_grey(FRAMES),
    "JPEG Extended with 8 bits": lambda: jpeg_grey(FRAMES, JPEGExtended12Bit),
    "JPEG Baseline, MONOCHROME1": lambda: jpeg_grey(255 - FRAMES, PhotometricInterpretation="MONOCHROME1"),
}
TINTED: dict[str, Callable[[], Dataset]] = {
    **{f"RGB, {syntax.name}": lambda syntax=syntax: make_dataset(SEPIA, syntax=syntax) for syntax in NATIVE},
    **{
        f"RGB, {syntax.name}": lambda syntax=syntax: compressed(syntax, SEPIA)
        for syntax in (RLELossless, JPEGLSLossless, JPEG2000Lossless)
    },
    "RGB by plane": lambda: planar(make_dataset(SEPIA), SEPIA),
    "YBR_FULL": lambda: make_dataset(ybr(SEPIA), PhotometricInterpretation="YBR_FULL"),
    "YBR_FULL_422": lambda: with_pixel_data(
        make_dataset(SEPIA, PhotometricInterpretation="YBR_FULL_422"), half_columns(SEPIA)
    ),
    "YBR_FULL_422 that is not subsampled": lambda: make_dataset(ybr(SEPIA), PhotometricInterpretation="YBR_FULL_422"),
    **{
        f"RGB that the header calls {label}, {syntax.name}": lambda syntax=syntax, label=label: labelled(
            compressed(syntax, SEPIA), label
        )
        for syntax in (RLELossless, JPEGLSLossless, JPEG2000Lossless)
        for label in ("YBR_FULL", "YBR_FULL_422")
    },
    "RGB that the header calls YBR_FULL_422": lambda: make_dataset(SEPIA, PhotometricInterpretation="YBR_FULL_422"),
    "YBR_FULL that the header calls RGB": lambda: make_dataset(ybr(SEPIA)),
    "YBR_FULL that the header calls YBR_RCT": lambda: labelled(compressed(JPEGLSLossless, ybr(SEPIA)), "YBR_RCT"),
    "JPEG Baseline 4:2:2": lambda: jpeg_baseline(SEPIA),
    "JPEG Baseline 4:2:0": lambda: jpeg_baseline(SEPIA, subsampling="420"),
    "JPEG Baseline that the header calls RGB": lambda: jpeg_baseline(SEPIA, "RGB", "444"),
    "JPEG Baseline of RGB planes that the header calls YBR": lambda: jpeg_of_rgb_planes(SEPIA),
}

# JPEG loses everywhere, halved colour columns at edges.
LOSSY = {name for name in (*GREY, *TINTED) if "JPEG Baseline" in name or "JPEG Extended" in name} | {"YBR_FULL_422"}


@pytest.mark.parametrize("encoding", GREY)
def test_grey_encodings_give_the_grey_levels(encoding: str, tmp_path: Path) -> None:
    """What was grey comes out as it was, within JPEG's loss."""
    error = np.abs(make_clip(tmp_path, GREY[encoding]()).frames.astype(int) - FRAMES)

    assert error.mean() <= (1 if encoding in LOSSY else 0)
    assert error.max() <= (24 if encoding in LOSSY else 0)


@pytest.mark.parametrize("encoding", TINTED)
def test_colour_encodings_give_the_luminance(encoding: str, tmp_path: Path) -> None:
    """Whatever the colour space and the order of samples, frames are 0.299 R + 0.587 G + 0.114 B."""
    error = np.abs(make_clip(tmp_path, TINTED[encoding]()).frames - bt601(SEPIA))

    assert error.mean() < 1
    assert error.max() <= (24 if encoding in LOSSY else 2.5)


def test_a_mask_of_zeros_does_not_belie_ybr(tmp_path: Path) -> None:
    """De-identification leaves it around the sector, as black as its zeros are in no other colour space."""
    stored = ybr(SEPIA)
    masked = np.arange(stored.shape[1]) >= stored.shape[1] * 0.4
    stored[:, masked] = 0
    frames = make_clip(tmp_path, make_dataset(stored, PhotometricInterpretation="YBR_FULL")).frames

    assert np.abs(frames - bt601(SEPIA))[:, ~masked].max() <= 2.5


@pytest.mark.parametrize(
    ("syntax", "stream", "bits_stored", "tolerance"),
    [
        (HTJ2KLossless, streams.HTJ2K_LOSSLESS, 8, 0),
        (JPEGLossless, streams.JPEG_LOSSLESS, 8, 0),
        (JPEGLosslessSV1, streams.JPEG_LOSSLESS, 8, 0),
        (JPEGLosslessSV1, streams.JPEG_LOSSLESS_12_BIT, 12, 1),
        (JPEGExtended12Bit, streams.JPEG_EXTENDED_12_BIT, 12, 3),
    ],
)
def test_streams_of_another_encoder_are_read(
    syntax: UID, stream: bytes, bits_stored: int, tolerance: int, tmp_path: Path
) -> None:
    """HTJ2K, JPEG Lossless and 12-bit JPEG, written by another implementation."""
    ds = make_encapsulated(
        [stream] * 12,
        syntax,
        Rows=streams.ROWS,
        Columns=streams.COLUMNS,
        BitsStored=bits_stored,
        BitsAllocated=8 if bits_stored == 8 else 16,
    )
    region = ds.SequenceOfUltrasoundRegions[0]
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = streams.COLUMNS - 1, streams.ROWS - 1
    clip = make_clip(tmp_path, ds)

    assert clip.frames.shape == (12, streams.ROWS, streams.COLUMNS)
    assert np.abs(clip.frames.astype(int) - streams.gradient()).max() <= tolerance


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize(
    ("pixels", "bits_stored"),
    [
        (FRAMES.astype(np.uint16) * 257, 16),
        (FRAMES.astype(np.uint16) * 16, 12),
        (FRAMES.astype(np.uint16) * 16 + 0xF000, 12),  # bits above Bits Stored are no pixels
        ((FRAMES.astype(np.int32) * 16 - 2048).astype(np.int16), 12),
    ],
    ids=["16 bits", "12 bits", "12 bits below an overlay", "12 bits signed"],
)
def test_more_than_eight_bits_are_reduced_and_said(
    syntax: UID, pixels: np.ndarray, bits_stored: int, tmp_path: Path
) -> None:
    """The full stored range becomes 0..255."""
    clip = make_clip(tmp_path, make_dataset(pixels, syntax=syntax, BitsStored=bits_stored))

    assert np.abs(clip.frames.astype(int) - FRAMES).max() <= 1
    assert flags(clip) == {Flag.BITS_REDUCED}


def test_the_window_tells_how_more_than_eight_bits_are_reduced(tmp_path: Path) -> None:
    """Values outside the window are black and white, those inside are spread."""
    clip = make_clip(
        tmp_path, make_dataset(FRAMES.astype(np.uint16), BitsStored=12, WindowCenter="128.0", WindowWidth="256")
    )

    assert np.abs(clip.frames.astype(int) - FRAMES).max() <= 1


def test_fewer_than_eight_bits_are_spread(tmp_path: Path) -> None:
    """Six stored bits still run from black to white."""
    clip = make_clip(tmp_path, make_dataset(FRAMES // 4, BitsStored=6))

    assert clip.frames.max() == round(FRAMES.max() // 4 / 63 * 255)


def test_sixteen_bit_colour_is_reduced(tmp_path: Path) -> None:
    """RGB of 16 bits keeps its eight most significant."""
    clip = make_clip(tmp_path, make_dataset(rgb(FRAMES).astype(np.uint16) * 256))

    assert np.abs(clip.frames.astype(int) - FRAMES).max() <= 1
    assert flags(clip) == {Flag.BITS_REDUCED}


def test_grey_and_colour_decoding_of_a_jpeg_agree() -> None:
    """The fast luminance channel is the luminance of the decoded colours."""
    stream = simplejpeg.encode_jpeg(np.ascontiguousarray(SEPIA[0]), quality=90, colorspace="RGB")
    grey = jpeg.decode_luminance([stream], *SEPIA.shape[1:3], rgb=False)[0]
    (colour,) = jpeg.decode_colours([stream], *SEPIA.shape[1:3], rgb=False, wanted=[0])
    assert np.abs(grey - bt601(colour)).max() < 3


def test_an_unmarked_rgb_stream_is_believed_when_its_components_are_not_numbered_as_ycbcr() -> None:
    """Without JFIF, Adobe or R, G, B identifiers the header decides, unless the components are 1, 2, 3."""
    marked = BytesIO()
    Image.fromarray(COLOURED[0]).save(marked, "JPEG", quality=95, keep_rgb=True, subsampling=0)
    numbered_0_1_2 = _renumbered(_without_application_segments(marked.getvalue()), b"\x00\x01\x02")
    numbered_1_2_3 = _renumbered(_without_application_segments(marked.getvalue()), b"\x01\x02\x03")
    size = COLOURED.shape[1:3]
    believed = jpeg.decode_luminance([numbered_0_1_2], *size, rgb=True)[0]
    not_believed = jpeg.decode_luminance([numbered_1_2_3], *size, rgb=True)[0]

    assert np.abs(believed - bt601(COLOURED[0])).mean() < 2
    assert np.abs(not_believed.astype(int) - COLOURED[0, ..., 0]).mean() < 2


def test_a_stream_of_another_size_is_refused() -> None:
    """The header's Rows and Columns, which bound the memory, are held against the stream."""
    stream = simplejpeg.encode_jpeg(np.zeros((16, 24, 1), np.uint8), colorspace="GRAY")

    with pytest.raises(jpeg.JpegError, match="frame 1 is 16 x 24 in its JPEG stream, not 24 x 16"):
        jpeg.decode_luminance([stream], 24, 16, rgb=False)


def test_libjpeg_and_opencv_agree() -> None:
    """A second decoder gives the same luminance."""
    stream = simplejpeg.encode_jpeg(FRAMES[0][..., None], quality=90, colorspace="GRAY")
    other = cv2.imdecode(np.frombuffer(stream, np.uint8), cv2.IMREAD_GRAYSCALE)

    assert np.array_equal(jpeg.decode_luminance([stream], *FRAMES.shape[1:], rgb=False)[0], other)


def _without_application_segments(stream: bytes) -> bytes:
    position, kept = 2, stream[:2]
    while 0xE0 <= stream[position + 1] <= 0xEF:
        position += 2 + int.from_bytes(stream[position + 2 : position + 4])
    return kept + stream[position:]


def _renumbered(stream: bytes, identifiers: bytes) -> bytes:
    """Write other component identifiers into SOF and SOS."""
    changed = bytearray(stream)
    frame, scan = stream.index(b"\xff\xc0"), stream.index(b"\xff\xda")
    for index, identifier in enumerate(identifiers):
        changed[frame + 10 + 3 * index] = identifier
        changed[scan + 5 + 2 * index] = identifier
    return bytes(changed)
