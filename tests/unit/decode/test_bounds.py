"""Bombs: small files that would take much memory, refused before they do."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    RLELossless,
)

from echo_scp.decode import bounds, decode_clip, read_instance
from echo_scp.decode.bounds import pixel_bytes, require_plausible_streams
from echo_scp.errors import InstanceError, UnindexableFileError
from echo_scp.model import Reason
from tests.unit.decode.builders import CONFIG, make_dataset, make_frames, make_header, refusal, write

LITTLE_MB = 40


def peak_memory_mb(work: Callable[[], object]) -> float:
    """Return by how much the memory of this process grew at most while `work` ran."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from now
    before = _memory_mb("VmRSS")
    work()
    return _memory_mb("VmHWM") - before


def _memory_mb(name: str) -> float:
    return int(re.search(rf"{name}:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024


def deflated(tmp_path: Path, tail: bytes) -> Path:
    """Write a deflated cine whose inflated data set has `tail` behind it."""
    ds = make_dataset(syntax=DeflatedExplicitVRLittleEndian)
    path = write(ds, tmp_path)
    content = path.read_bytes()
    start = 144 + struct.unpack_from("<L", content, 140)[0]
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    inflated = zlib.decompress(content[start:], -15)
    path.write_bytes(content[:start] + compressor.compress(inflated + tail) + compressor.flush())
    return path


def bomb(megabytes: int) -> bytes:
    return struct.pack("<HH2sHL", 0x7FE1, 0x1010, b"OB", 0, megabytes << 20) + bytes(megabytes << 20)


def encapsulated(tmp_path: Path, syntax: UID, stream: bytes) -> Path:
    ds = make_dataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.PixelData = encapsulate([stream] * ds.NumberOfFrames)
    ds["PixelData"].is_undefined_length = True
    return write(ds, tmp_path)


def test_a_deflated_cine_is_read(tmp_path):
    """Also with something behind its pixels."""
    clip = decode_clip(read_instance(deflated(tmp_path, bomb(1))), CONFIG)

    np.testing.assert_array_equal(clip.frames, make_frames())


def test_a_deflated_bomb_is_refused_at_what_its_pixels_explain(tmp_path, monkeypatch):
    """Rows x Columns x Frames is known; what comes beyond is not inflated."""
    monkeypatch.setattr(bounds, "_SLACK_BYTES", 4 << 20)
    instance = read_instance(deflated(tmp_path, bomb(200)))
    caught = []

    grown_mb = peak_memory_mb(lambda: caught.append(refusal(lambda: decode_clip(instance, CONFIG))))

    assert caught[0].reason is Reason.UNDECODABLE
    assert "inflates to more than" in caught[0].detail
    assert grown_mb < LITTLE_MB


def test_a_deflated_header_is_inflated_no_further_than_a_header_goes(tmp_path, monkeypatch):
    """Indexing needs the identity, and takes no more memory than that."""
    monkeypatch.setattr(bounds, "_DEFLATED_HEADER_BYTES", 1 << 20)
    path = deflated(tmp_path, bomb(200))

    grown_mb = peak_memory_mb(lambda: read_instance(path))

    assert read_instance(path).header.Rows == make_dataset().Rows
    assert grown_mb < LITTLE_MB


def test_damaged_deflate_is_unindexable(tmp_path):
    """It says so."""
    path = deflated(tmp_path, b"")
    path.write_bytes(path.read_bytes()[:400] + b"\xff" * 400)

    with pytest.raises(UnindexableFileError):
        read_instance(path)


def test_a_long_element_of_a_header_is_left_on_disk(tmp_path):
    """A private volume before the pixels: the rest of the header is read."""
    ds = make_dataset()
    ds.add_new(0x00190010, "LO", "VENDOR")
    ds.add_new(0x00191001, "OB", bytes(bounds.LONGEST_ELEMENT_BYTES + 2))
    path = write(ds, tmp_path)

    grown_mb = peak_memory_mb(lambda: read_instance(path))

    assert 0x00191001 not in read_instance(path).header
    assert read_instance(path).header.Rows == ds.Rows
    assert grown_mb < bounds.LONGEST_ELEMENT_BYTES / 2**20


def test_a_header_without_an_end_is_unindexable(tmp_path, monkeypatch):
    """Whatever it is made of; the file is kept aside."""
    monkeypatch.setattr(bounds, "HEADER_BYTES", 10_000)
    ds = make_dataset()
    for number in range(100):
        ds.add_new(0x00191000 + number, "OB", bytes(1000))

    with pytest.raises(UnindexableFileError, match="header is longer"):
        read_instance(write(ds, tmp_path))


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, JPEGBaseline8Bit])
def test_a_file_that_is_longer_than_its_pixels_explain_is_not_read(tmp_path, monkeypatch, syntax):
    """Twelve small frames in a file of gigabytes."""
    path = write(make_dataset(), tmp_path)
    monkeypatch.setattr(bounds, "_SLACK_BYTES", 100_000)
    with path.open("ab") as file:
        file.truncate(10 << 30)

    error = refusal(lambda: decode_clip(read_instance(path), CONFIG))

    assert error.reason is Reason.UNDECODABLE
    assert "the file has 10737418240 bytes" in error.detail


def jpeg_2000_of(rows: int, columns: int, components: int) -> bytes:
    """Encode the main header of a codestream: SOC, SIZ."""
    siz = struct.pack(">HHLLLLLLLLH", 38 + 3 * components, 0, columns, rows, 0, 0, columns, rows, 0, 0, components)
    return b"\xff\x4f\xff\x51" + siz + b"\x07\x01\x01" * components


def jpeg_of(rows: int, columns: int, components: int, marker: int = 0xC0) -> bytes:
    """Encode a comment, a fill byte and the frame header."""
    frame = struct.pack(">BHHB", 8, rows, columns, components) + b"\x01\x11\x00" * components
    return b"\xff\xd8\xff\xfe\x00\x06okay\xff" + bytes((0xFF, marker)) + struct.pack(">H", 2 + len(frame)) + frame


@pytest.mark.parametrize(
    ("syntax", "stream"),
    [
        pytest.param(JPEG2000Lossless, jpeg_2000_of(60_000, 60_000, 1), id="JPEG 2000 of 60000 x 60000"),
        pytest.param(JPEG2000Lossless, jpeg_2000_of(96, 128, 16_384), id="JPEG 2000 of 16384 components"),
        pytest.param(JPEGLosslessSV1, jpeg_of(65_535, 65_535, 1, 0xC3), id="JPEG Lossless of 65535 x 65535"),
        pytest.param(JPEGLosslessSV1, jpeg_of(96, 128, 255, 0xC3), id="JPEG Lossless of 255 components"),
        pytest.param(UID("1.2.840.10008.1.2.4.80"), jpeg_of(65_535, 65_535, 1, 0xF7), id="JPEG-LS of 65535 x 65535"),
        pytest.param(JPEGBaseline8Bit, jpeg_of(65_535, 65_535, 3), id="JPEG Baseline of 65535 x 65535"),
        pytest.param(RLELossless, bytes(3_000_000), id="RLE of 3 MB for 12 kB"),
    ],
)
def test_a_stream_that_is_larger_than_its_header_says_is_not_decoded(tmp_path, syntax, stream):
    """A few hundred bytes can claim gigabytes of pixels."""
    instance = read_instance(encapsulated(tmp_path, syntax, stream))
    caught = []

    grown_mb = peak_memory_mb(lambda: caught.append(refusal(lambda: decode_clip(instance, CONFIG))))

    assert caught[0].reason is Reason.UNDECODABLE
    assert "frame 1" in caught[0].detail
    assert grown_mb < 2 * LITTLE_MB


@pytest.mark.parametrize(
    "stream", [b"", b"\xff", b"\xff\xd8\xff", b"\xff\xd8\xff\xc0\x00", b"\xff\x4f\xff\x51\x00", b"\0" * 64]
)
def test_a_damaged_stream_is_the_decoder_s(stream):
    """Nothing is read beyond its end; what it is worth the decoder says."""
    require_plausible_streams([stream], make_header())


def test_the_size_of_pixels_is_that_of_all_their_frames():
    """Two bytes for more than 8 bits; one frame when the header names none."""
    assert pixel_bytes(make_header(Rows=10, Columns=20, NumberOfFrames=3, BitsAllocated=16)) == 1200
    assert pixel_bytes(make_header(Rows=10, Columns=20, NumberOfFrames=None, SamplesPerPixel=3)) == 600


def test_the_refusal_names_what_it_found():
    """The operator can compare it with the header."""
    ds: Dataset = make_header(Rows=96, Columns=128)

    with pytest.raises(InstanceError, match="frame 7 is 97 x 128 x 1 in its stream, not 96 x 128 x 1"):
        require_plausible_streams([*[jpeg_of(96, 128, 1)] * 6, jpeg_of(97, 128, 1)], ds)
