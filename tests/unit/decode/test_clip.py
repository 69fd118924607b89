"""Files as they come: real cines, and everything that is wrong with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
    UltrasoundMultiFrameImageStorage,
)

from echo_scp.config import AnalysisConfig
from echo_scp.decode import decode_clip, read_instance
from echo_scp.model import Flag, PixelSpacing, Reason
from tests.unit.decode.builders import (
    CONFIG,
    COUNT,
    flags,
    make_clip,
    make_dataset,
    make_encapsulated,
    make_frames,
    make_instance,
    make_region,
    reason,
    refusal,
    rgb,
    write,
)


def test_a_clip_carries_what_later_stages_need(tmp_path: Path) -> None:
    """Frames, times, region, heart rate, R waves."""
    clip = make_clip(tmp_path, RWaveTimeVector=[120.0])

    assert np.array_equal(clip.frames, make_frames())
    assert clip.frame_times_ms[-1] == pytest.approx(33.333 * (COUNT - 1))
    assert clip.region.spacing == PixelSpacing(1.0, 1.0)
    assert clip.heart_rate_bpm == 62
    assert clip.r_wave_times_ms == (120.0,)
    assert clip.notes == ()


def test_a_real_cine_is_eligible_and_calibrated() -> None:
    """A SonoSite A4C: JPEG Baseline 4:2:2, one region, a green mark inside it, no heart rate."""
    clip = decode_clip(read_instance(Path(get_testdata_file("color3d_jpeg_baseline.dcm", download=False))), CONFIG)

    assert clip.frames.shape == (120, 480, 640)
    assert (clip.region.x0, clip.region.y0, clip.region.x1, clip.region.y1) == (84, 31, 596, 415)
    assert clip.region.spacing == PixelSpacing(pytest.approx(0.5105, abs=1e-4), pytest.approx(0.5105, abs=1e-4))
    assert clip.frame_times_ms[1] == pytest.approx(33.333)
    assert clip.heart_rate_bpm is None
    assert clip.notes == ()


def test_a_real_cine_that_was_halved_keeps_its_true_scale() -> None:
    """The regions of this file are those of the full size: trusted as they are, volumes would be eight times wrong."""
    clip = decode_clip(read_instance(Path(get_testdata_file("examples_ybr_color.dcm", download=False))), CONFIG)

    assert clip.frames.shape == (30, 240, 320)
    assert (clip.region.x0, clip.region.y0, clip.region.x1, clip.region.y1) == (42, 16, 298, 208)
    assert clip.region.spacing == PixelSpacing(pytest.approx(1.021, abs=1e-3), pytest.approx(1.021, abs=1e-3))
    assert flags(clip) == {Flag.REGION_OUTSIDE_IMAGE}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("OBXXXX1A_2frame.dcm", Reason.COLOUR_DOPPLER),
        ("gdcm-US-ALOKA-16.dcm", Reason.TWO_REGIONS),
        ("emri_small.dcm", Reason.NOT_ULTRASOUND),
        ("rtdose.dcm", Reason.NOT_AN_IMAGE),
        ("test-SR.dcm", Reason.NOT_AN_IMAGE),
        ("waveform_ecg.dcm", Reason.NOT_AN_IMAGE),
    ],
)
def test_real_files_that_are_no_cines_are_refused(name: str, expected: Reason) -> None:
    """Two 2D pictures, another modality, other objects."""
    instance = read_instance(Path(get_testdata_file(name, download=False)))
    instance.header.NumberOfFrames = 12

    assert refusal(lambda: decode_clip(instance, CONFIG)).reason is expected


def test_a_tinted_display_is_eligible(tmp_path: Path) -> None:
    """Sepia is a function of luminance."""
    frames = make_frames()
    sepia = np.stack([frames, (frames * 0.8).astype(np.uint8), (frames * 0.5).astype(np.uint8)], axis=-1)
    clip = make_clip(tmp_path, make_dataset(sepia))

    assert clip.notes == ()


def test_colour_doppler_in_the_pixels_only_is_refused(tmp_path: Path) -> None:
    """The header says nothing of colour."""
    pixels = rgb(make_frames())
    pixels[4:8, 40:60, 50:75] = (250, 40, 0)
    error = refusal(lambda: make_clip(tmp_path, make_dataset(pixels)))

    assert error.reason is Reason.COLOUR_DOPPLER
    assert "of the 2D region is coloured" in error.detail


def test_colour_outside_the_region_is_no_colour_doppler(tmp_path: Path) -> None:
    """A coloured banner and a green ECG are how screens look."""
    pixels = rgb(make_frames())
    pixels[:, :8] = (40, 60, 160)
    pixels[:, 88:] = (0, 220, 40)

    assert make_clip(tmp_path, make_dataset(pixels)).notes == ()


def test_a_large_grey_cine_is_decoded(tmp_path: Path) -> None:
    """768 x 1024, one sample per pixel."""
    frames = make_frames(768, 1024, 10)
    region = make_region(RegionLocationMaxX1=1023, RegionLocationMaxY1=700, PhysicalDeltaX=0.02, PhysicalDeltaY=0.02)
    clip = make_clip(tmp_path, make_dataset(frames, SequenceOfUltrasoundRegions=[region]))

    assert clip.frames.shape == (10, 768, 1024)
    assert clip.region.spacing == PixelSpacing(pytest.approx(0.2), pytest.approx(0.2))


def test_a_cine_whose_describing_elements_are_empty_is_decoded(tmp_path: Path) -> None:
    """Empty tells as much as missing."""
    ds = make_dataset(rgb(make_frames()))
    for keyword in ("PhotometricInterpretation", "BitsStored", "PixelRepresentation", "PlanarConfiguration"):
        setattr(ds, keyword, None)

    assert np.array_equal(make_clip(tmp_path, ds).frames, make_frames())


def test_a_cine_without_describing_elements_is_decoded(tmp_path: Path) -> None:
    """Samples per Pixel, Photometric Interpretation, Bits Stored and Pixel Representation have a usual value."""
    ds = make_dataset()
    for keyword in ("SamplesPerPixel", "PhotometricInterpretation", "BitsStored", "HighBit", "PixelRepresentation"):
        del ds[keyword]

    assert np.array_equal(make_clip(tmp_path, ds).frames, make_frames())


def test_a_bare_data_set_is_decoded(tmp_path: Path) -> None:
    """Without preamble and file meta information."""
    ds = make_dataset()
    del ds.file_meta.TransferSyntaxUID
    path = tmp_path / "bare.dcm"
    ds.save_as(path, implicit_vr=False, little_endian=True)

    assert np.array_equal(decode_clip(read_instance(path), CONFIG).frames, make_frames())


def test_missing_pixel_data_is_said(tmp_path: Path) -> None:
    """The header describes pixels that are not there."""
    ds = make_dataset()
    del ds.PixelData

    assert reason(tmp_path, ds) is Reason.NO_PIXEL_DATA


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless, JPEGLSLossless, JPEG2000Lossless])
@pytest.mark.parametrize("kept", [0.3, 0.7, 0.98])
def test_a_truncated_file_is_said(syntax: str, kept: float, tmp_path: Path) -> None:
    """Whatever the encoding, and wherever the file ends."""
    ds = make_dataset()
    if syntax != ExplicitVRLittleEndian:
        ds.compress(syntax, generate_instance_uid=False)
    path = write(ds, tmp_path)
    content = path.read_bytes()
    header = content.index(b"\xe0\x7f\x10\x00") + 12
    path.write_bytes(content[: header + int(kept * (len(content) - header))])
    error = refusal(lambda: decode_clip(read_instance(path), CONFIG))

    assert error.reason is Reason.TRUNCATED_PIXEL_DATA


@pytest.mark.parametrize("encapsulated", [False, True])
def test_fewer_frames_than_number_of_frames_are_said(encapsulated: bool, tmp_path: Path) -> None:
    """Never decode what is left and go on as if it were all."""
    ds = make_dataset()
    if encapsulated:
        ds.compress(RLELossless, generate_instance_uid=False)
    ds.NumberOfFrames = COUNT + 3
    error = refusal(lambda: make_clip(tmp_path, ds))

    assert error.reason is Reason.TRUNCATED_PIXEL_DATA


def test_frames_beyond_number_of_frames_are_left_out(tmp_path: Path) -> None:
    """The header decides how many there are."""
    ds = make_dataset()
    ds.compress(JPEGLSLossless, generate_instance_uid=False)
    ds.NumberOfFrames = COUNT - 1

    assert np.array_equal(make_clip(tmp_path, ds).frames, make_frames()[:-1])


@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, JPEG2000Lossless, JPEGLSLossless, RLELossless])
def test_rubbish_in_the_frames_is_undecodable(syntax: str, tmp_path: Path) -> None:
    """Every decoder's own complaint comes out as the one reason."""
    ds = make_encapsulated([bytes(range(1, 200))] * COUNT, syntax)

    assert reason(tmp_path, ds) is Reason.UNDECODABLE


def test_a_frame_of_another_size_is_undecodable(tmp_path: Path) -> None:
    """Rows and Columns bound the memory; a stream that holds more is not decoded."""
    ds = make_dataset()
    ds.compress(JPEG2000Lossless, generate_instance_uid=False)
    ds.Rows = 48

    assert reason(tmp_path, ds) is Reason.UNDECODABLE


def test_an_unknown_transfer_syntax_is_said(tmp_path: Path) -> None:
    """A private syntax has no decoder."""
    ds = make_encapsulated([b"\x01\x02"] * COUNT, JPEGBaseline8Bit)
    path = write(ds, tmp_path)
    path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.4.50", b"1.2.840.10008.1.2.4.94"))
    error = refusal(lambda: decode_clip(read_instance(path), CONFIG))

    assert error.reason is Reason.UNSUPPORTED_TRANSFER_SYNTAX


def test_an_unknown_photometric_interpretation_is_said(tmp_path: Path) -> None:
    """CMYK, HSV and their like never came from ultrasound."""
    assert reason(tmp_path, PhotometricInterpretation="HSV") is Reason.UNSUPPORTED_PIXEL_FORMAT


def test_absurd_dimensions_are_refused_before_pixels_are_read(tmp_path: Path) -> None:
    """The file need not even be there any more."""
    instance = make_instance(tmp_path, make_dataset(), Rows=96)
    instance.header.Rows, instance.header.Columns = 60000, 60000
    instance.path.unlink()

    assert refusal(lambda: decode_clip(instance, CONFIG)).reason is Reason.BAD_DIMENSIONS


def test_the_memory_limit_counts_samples(tmp_path: Path) -> None:
    """Three samples per pixel take three times the memory."""
    config = AnalysisConfig(maximum_pixels=1_000_000)
    frames = make_frames(200, 200, 10)

    assert make_clip(tmp_path, make_dataset(frames), config).frames.shape == (10, 200, 200)
    assert reason(tmp_path, make_dataset(rgb(frames)), config) is Reason.BAD_DIMENSIONS


def test_a_file_that_vanished_is_undecodable(tmp_path: Path) -> None:
    """Between header and pixels."""
    instance = make_instance(tmp_path)
    instance.path.unlink()

    assert refusal(lambda: decode_clip(instance, CONFIG)).reason is Reason.UNDECODABLE


@pytest.mark.parametrize(
    "sop_class_uid", ["1.2.840.10008.5.1.4.1.1.3", "1.2.840.10008.5.1.4.1.1.7.4", UltrasoundMultiFrameImageStorage]
)
def test_a_cine_of_another_class_is_decoded(sop_class_uid: str, tmp_path: Path) -> None:
    """Retired ultrasound and Secondary Capture."""
    assert make_clip(tmp_path, SOPClassUID=sop_class_uid).frames.shape[0] == COUNT


def test_missing_regions_leave_an_uncalibrated_clip(tmp_path: Path) -> None:
    """The EF can still be had."""
    clip = make_clip(tmp_path, SequenceOfUltrasoundRegions=None)

    assert clip.region.spacing is None
    assert flags(clip) == {Flag.NO_REGIONS, Flag.NO_CALIBRATION}
