"""The phantom study: every file is a valid instance, and the truth beside it is complete."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import UltrasoundImageStorage, UltrasoundMultiFrameImageStorage

from echo_scp.model import Reason, View
from echo_scp.phantom.instance import Patient
from echo_scp.phantom.study import PhantomInstance, PhantomStudy, write_cines, write_study

FRAMES = 12


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> tuple[PhantomInstance, ...]:
    """The standard study with short clips."""
    return write_study(tmp_path_factory.mktemp("study"), seed=7, frame_count=FRAMES)


def test_cines_alone_are_those_of_the_study(written, tmp_path):
    """Byte by byte, without the six instances that nobody measures."""
    patient = Patient(name="Phantom^Echo7", patient_id="PHANTOM-7")

    cines = write_cines(tmp_path, PhantomStudy(seed=7, frame_count=FRAMES, patient=patient))

    assert [(cine.view, cine.path.read_bytes()) for cine in cines] == [
        (item.view, item.path.read_bytes()) for item in written[:2]
    ]


def test_two_clips_are_measurable_and_the_rest_says_why_not(written):
    """A4C and A2C carry volumes and EF; nothing else does."""
    measurable = [item for item in written if item.not_assessed is None]

    assert [item.view for item in measurable] == [View.A4C, View.A2C]
    assert all(item.ef_percent == 58 and item.edv_ml == 112 for item in measurable)
    assert all(item.ef_percent is None for item in written if item.not_assessed is not None)
    assert {item.not_assessed for item in written} >= {
        Reason.VIEW_NOT_MEASURED,
        Reason.COLOUR_DOPPLER,
        Reason.M_MODE,
        Reason.SPECTRAL_DOPPLER,
        Reason.TOO_FEW_FRAMES,
    }


def test_every_instance_decodes_to_the_picture_that_its_header_describes(written):
    """Whatever the transfer syntax, pixel_array has the stated shape and is not blank."""
    for item in written:
        ds = dcmread(item.path)
        pixels = ds.pixel_array

        assert pixels.shape[:2] == (600, 800) or pixels.shape[1:3] == (600, 800)
        assert len(pixels) == ds.get("NumberOfFrames", len(pixels))
        assert pixels.std() > 5


def test_the_study_covers_the_usual_transfer_syntaxes(written):
    """JPEG Baseline, uncompressed, RLE, JPEG 2000 and JPEG-LS."""
    syntaxes = {dcmread(item.path, stop_before_pixels=True).file_meta.TransferSyntaxUID.name for item in written}

    assert len(syntaxes) == 5


def test_single_frames_and_cines_use_their_own_sop_class(written):
    """A cine has frame time and a pointer to it; a still has neither."""
    for item in written:
        ds = dcmread(item.path, stop_before_pixels=True)
        still = item.not_assessed is Reason.TOO_FEW_FRAMES

        assert ds.SOPClassUID == (UltrasoundImageStorage if still else UltrasoundMultiFrameImageStorage)
        assert ("FrameTime" in ds) is ("FrameIncrementPointer" in ds) is not still


def test_regions_lie_inside_the_image_and_are_calibrated_like_the_scanner(written):
    """The 2D region of the A4C cine is square-pixelled, in cm, below the banner."""
    for item in written:
        ds = dcmread(item.path, stop_before_pixels=True)
        for region in ds.SequenceOfUltrasoundRegions:
            assert 0 <= region.RegionLocationMinX0 < region.RegionLocationMaxX1 < ds.Columns
            assert 0 < region.RegionLocationMinY0 < region.RegionLocationMaxY1 < ds.Rows
    (tissue,) = dcmread(written[0].path, stop_before_pixels=True).SequenceOfUltrasoundRegions

    assert (tissue.RegionSpatialFormat, tissue.RegionDataType, tissue.PhysicalUnitsXDirection) == (1, 1, 3)
    assert tissue.PhysicalDeltaX == tissue.PhysicalDeltaY == pytest.approx(15.5 / 480)


def test_only_the_colour_clip_has_colour_inside_its_sector(written):
    """Elsewhere red, green and blue differ by no more than JPEG rounding."""
    for item in written:
        pixels = dcmread(item.path).pixel_array
        if pixels.ndim < 4:
            continue
        sector = pixels[:, 60:520, 90:710].astype(np.int16)
        spread = np.percentile(sector.max(axis=-1) - sector.min(axis=-1), 99.9)

        assert spread > 60 if item.not_assessed is Reason.COLOUR_DOPPLER else spread < 12


def test_the_same_seed_writes_the_same_bytes(tmp_path):
    """UIDs, dates and pixels follow from the seed; another seed is another study."""
    seeds = {"first": 1, "again": 1, "other": 2}
    first, again, other = (write_study(tmp_path / name, seed=seed, frame_count=2) for name, seed in seeds.items())

    assert [item.path.read_bytes() for item in first] == [item.path.read_bytes() for item in again]
    assert not {item.sop_instance_uid for item in first} & {item.sop_instance_uid for item in other}


def test_an_independent_validator_finds_no_error(written):
    """dciodvfy accepts every module of every instance."""
    validator = Path(sys.executable).with_name("dciodvfy")
    for item in written:
        answer = subprocess.run([validator, "-new", item.path], capture_output=True, text=True, check=False)
        errors = [line for line in (answer.stdout + answer.stderr).splitlines() if line.startswith("Error")]

        assert errors == []
