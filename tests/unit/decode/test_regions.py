"""Where the 2D picture is, and what its pixels measure."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from pydicom import Dataset

from echo_scp.decode.regions import place_region, tissue_regions
from echo_scp.decode.sector import find_sectors
from echo_scp.model import Flag, PixelSpacing, Reason, Region
from tests.unit.decode.builders import COLUMNS, make_frames, make_header, make_region, refusal

FRAMES = make_frames()
SECTOR = (19, 10, 110, 82)  # x0, y0, x1, y1 of what moves in the usual frames


def place(*changes: dict[str, Any], frames: np.ndarray = FRAMES, **header: Any) -> tuple[Region, dict[Flag, str]]:
    regions = [make_region(**change) for change in changes] or None
    region, notes = place_region(make_header(SequenceOfUltrasoundRegions=regions, **header), frames)
    return region, {note.flag: note.detail for note in notes}


def box(region: Region) -> tuple[int, int, int, int]:
    return region.x0, region.y0, region.x1, region.y1


def near(actual: tuple[int, ...], expected: tuple[int, ...], pixels: int) -> bool:
    return all(abs(a - e) <= pixels for a, e in zip(actual, expected, strict=True))


def test_the_maximum_coordinates_are_inclusive() -> None:
    """A region from 10 to 109 is 100 columns wide."""
    region, notes = place({"RegionLocationMinX0": 10, "RegionLocationMaxX1": 109})

    assert box(region) == (10, 8, 110, 88)
    assert notes == {}


def test_spacing_comes_in_mm_per_direction() -> None:
    """Physical Delta is in cm; X is between columns, Y between rows."""
    region, notes = place({"PhysicalDeltaX": 0.05, "PhysicalDeltaY": 0.03})

    assert region.spacing == PixelSpacing(row_mm=pytest.approx(0.3), column_mm=pytest.approx(0.5))
    assert notes == {}


def test_the_sign_of_a_delta_is_a_direction() -> None:
    """Some carts count upwards."""
    region, _ = place({"PhysicalDeltaY": -0.1})

    assert region.spacing == PixelSpacing(1.0, 1.0)


@pytest.mark.parametrize("units", [0, 1, 4, None])
def test_other_units_leave_the_clip_uncalibrated(units: int | None) -> None:
    """Only cm x cm is a length; the region itself still holds."""
    region, notes = place({"PhysicalUnitsYDirection": units})

    assert region.spacing is None
    assert set(notes) == {Flag.WRONG_SPACING_UNITS, Flag.NO_CALIBRATION}
    assert box(region) == (0, 8, COLUMNS, 88)


@pytest.mark.parametrize("delta", [0.0, None, 0.0005, 0.3])
def test_an_implausible_delta_leaves_the_clip_uncalibrated(delta: float | None) -> None:
    """0.01 to 2 mm per pixel is possible."""
    region, notes = place({"PhysicalDeltaX": delta})

    assert region.spacing is None
    assert "Physical Delta X, Y (0018,602C), (0018,602E)" in notes[Flag.NO_CALIBRATION]


@pytest.mark.parametrize(
    ("x", "y", "depth"), [(0.02, 0.02, "16"), (0.15, 0.15, "720"), (0.02, 0.08, "384")], ids=["dm", "mm", "stretched"]
)
def test_deltas_in_another_unit_than_cm_leave_the_clip_uncalibrated(x: float, y: float, depth: str) -> None:
    """Each pixel is possible; a picture of 16 mm or 72 cm, or one stretched four times, is not."""
    rows = {"16": 80, "720": 480, "384": 480}[depth]
    screen = np.zeros((12, rows + 8, COLUMNS), dtype=np.uint8)
    region, notes = place({"RegionLocationMaxY1": rows + 7, "PhysicalDeltaX": x, "PhysicalDeltaY": y}, frames=screen)

    assert region.spacing is None
    assert f"then {depth} mm deep" in notes[Flag.NO_CALIBRATION]


def test_the_largest_tissue_region_is_chosen_not_the_finest() -> None:
    """A thumbnail with a smaller delta does not calibrate the clip."""
    thumbnail = {"RegionLocationMaxX1": 19, "RegionLocationMaxY1": 27, "PhysicalDeltaX": 0.01, "PhysicalDeltaY": 0.01}
    region, _ = place(thumbnail, {})

    assert region.spacing == PixelSpacing(1.0, 1.0)


def test_regions_that_are_no_sequence_are_not_listed() -> None:
    """Bytes under another value representation."""
    header = make_header(SequenceOfUltrasoundRegions=None)
    header.add_new(0x00186011, "OB", b"\x01\x00")

    assert tissue_regions(header) == ()


def test_an_unfinished_item_is_no_region() -> None:
    """A region without all its corners is not listed."""
    assert tissue_regions(make_header(SequenceOfUltrasoundRegions=[make_region(RegionLocationMaxX1=None)])) == ()


def test_a_region_of_a_few_pixels_is_no_picture() -> None:
    """Corners that were never filled in leave the decision to the pixels."""
    assert set(place({"RegionLocationMinY0": 0, "RegionLocationMaxX1": 1, "RegionLocationMaxY1": 1})[1]) == {
        Flag.NO_REGIONS,
        Flag.NO_CALIBRATION,
    }


def test_a_maximum_that_is_written_exclusively_is_taken() -> None:
    """Columns 128, maximum 128: one pixel over is a habit of carts, not another scale."""
    region, notes = place({"RegionLocationMaxX1": COLUMNS})

    assert box(region) == (0, 8, COLUMNS, 88)
    assert region.spacing is not None
    assert notes == {}


@pytest.mark.parametrize("factor", [2, 3])
def test_a_region_of_a_larger_picture_is_scaled_when_the_sector_confirms_it(factor: int) -> None:
    """The archive scaled the frames down and left the regions: the spacing grows by the factor."""
    x0, y0, x1, y1 = (factor * edge for edge in SECTOR)
    region, notes = place(
        {
            "RegionLocationMinX0": x0,
            "RegionLocationMinY0": y0,
            "RegionLocationMaxX1": x1 - 1,
            "RegionLocationMaxY1": y1 - 1,
            "PhysicalDeltaX": 0.02,
            "PhysicalDeltaY": 0.02,
        }
    )
    beyond = x1 > COLUMNS

    assert beyond
    assert near(box(region), SECTOR, 1)
    assert region.spacing == PixelSpacing(pytest.approx(0.2 * factor), pytest.approx(0.2 * factor))
    assert set(notes) == {Flag.REGION_OUTSIDE_IMAGE}


@pytest.mark.parametrize(
    "corners", [(0, 0, 159, 119), (0, 0, 320, 95), (60, 21, 190, 90), (300, 300, 700, 700)], ids=str
)
def test_a_region_of_an_unknown_scale_is_not_trusted(corners: tuple[int, int, int, int]) -> None:
    """The moving sector does not fill what the factor would give: no spacing, and the region that moves."""
    x0, y0, x1, y1 = corners
    region, notes = place(
        {"RegionLocationMinX0": x0, "RegionLocationMinY0": y0, "RegionLocationMaxX1": x1, "RegionLocationMaxY1": y1}
    )

    assert region.spacing is None
    assert set(notes) == {Flag.REGION_OUTSIDE_IMAGE, Flag.NO_CALIBRATION}
    assert near(box(region), SECTOR, 4)


@pytest.mark.parametrize("factor", [1.25, 1.6])
def test_a_region_of_a_smaller_picture_is_not_trusted(factor: float) -> None:
    """The archive enlarged the frames and left the regions: they fit still, and volumes would be twice wrong."""
    enlarged = np.stack([cv2.resize(frame, None, fx=factor, fy=factor) for frame in FRAMES])
    x0, y0, x1, y1 = SECTOR
    tight = {"RegionLocationMinX0": x0, "RegionLocationMinY0": y0}
    region, notes = place(tight | {"RegionLocationMaxX1": x1 - 1, "RegionLocationMaxY1": y1 - 1}, frames=enlarged)

    assert region.spacing is None
    assert set(notes) == {Flag.REGION_OUTSIDE_IMAGE, Flag.NO_CALIBRATION}
    assert "% of what moves there goes beyond it" in notes[Flag.REGION_OUTSIDE_IMAGE]
    assert near(box(region), tuple(round(factor * edge) for edge in SECTOR), 6)


def test_a_still_picture_does_not_doubt_its_region() -> None:
    """Nothing moves: nothing contradicts the header."""
    region, notes = place({}, frames=np.repeat(FRAMES[:1], 12, axis=0))

    assert region.spacing == PixelSpacing(1.0, 1.0)
    assert notes == {}


def test_a_blank_frame_does_not_doubt_the_region() -> None:
    """All of a grey screen changes then, and tells nothing of where the picture ends."""
    x0, y0, x1, y1 = SECTOR
    tight = {"RegionLocationMinX0": x0, "RegionLocationMinY0": y0}
    grey = np.maximum(FRAMES, 25)
    grey[0] = 0
    region, notes = place(tight | {"RegionLocationMaxX1": x1 - 1, "RegionLocationMaxY1": y1 - 1}, frames=grey)

    assert region.spacing == PixelSpacing(1.0, 1.0)
    assert notes == {}


def test_what_moves_beside_the_region_does_not_doubt_it() -> None:
    """A second picture, larger than the listed one, has nothing to do with its scale."""
    x0, y0, x1, y1 = SECTOR
    tight = {"RegionLocationMinX0": x0, "RegionLocationMinY0": y0}
    beside = np.concatenate([FRAMES, np.stack([cv2.resize(frame, (160, 96)) for frame in FRAMES])], axis=2)
    region, notes = place(tight | {"RegionLocationMaxX1": x1 - 1, "RegionLocationMaxY1": y1 - 1}, frames=beside)

    assert region.spacing == PixelSpacing(1.0, 1.0)
    assert notes == {}


def test_without_regions_the_moving_sector_is_found() -> None:
    """Banner and ECG strip are left out, and nothing is known of the scale."""
    region, notes = place()

    assert near(box(region), SECTOR, 4)
    assert region.spacing is None
    assert set(notes) == {Flag.NO_REGIONS, Flag.NO_CALIBRATION}


def test_pixel_spacing_does_not_calibrate() -> None:
    """Nothing tells what the tag means on a screen; 1 mm is as often wrong as right."""
    region, _ = place(PixelSpacing=["1", "1"])

    assert region.spacing is None


def test_a_picture_without_motion_has_no_2d_region() -> None:
    """A frozen screen, with no region listed."""
    still = np.repeat(FRAMES[:1], 12, axis=0)

    assert refusal(lambda: place(frames=still)).reason is Reason.NO_2D_REGION


def test_two_pictures_that_move_side_by_side_are_refused() -> None:
    """Biplane screens without regions."""
    twins = np.concatenate([FRAMES, FRAMES], axis=2)

    assert refusal(lambda: place(frames=twins)).reason is Reason.TWO_REGIONS


def test_the_sector_is_found_at_every_size() -> None:
    """The box scales with the picture."""
    large = np.stack([cv2.resize(frame, None, fx=6, fy=6) for frame in FRAMES])
    (sector,) = find_sectors(large)

    assert near((sector.x0, sector.y0, sector.x1, sector.y1), tuple(6 * edge for edge in SECTOR), 30)


def test_noise_of_a_video_grabber_is_no_motion() -> None:
    """A little noise everywhere does not make the whole screen a sector."""
    noise = np.random.default_rng(3).normal(0, 1.0, FRAMES.shape)
    grabbed = np.clip(FRAMES + 20 + noise, 0, 255).astype(np.uint8)
    (sector,) = find_sectors(grabbed)

    assert near((sector.x0, sector.y0, sector.x1, sector.y1), SECTOR, 6)


def test_regions_are_read_from_nothing_but_the_header() -> None:
    """An empty data set lists none."""
    assert tissue_regions(Dataset()) == ()
