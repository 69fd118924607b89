"""Where the 2D tissue picture is and what a pixel measures (PS3.3 C.8.5.5, US Region Calibration).

Pixel Spacing (0028,0030) is not used: an ultrasound screen has no single spacing, and carts and archives that write it
write 1 as often as the truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydicom import Dataset

from echo_scp.decode import tags
from echo_scp.decode.box import Box
from echo_scp.decode.sector import find_sectors, share_outside
from echo_scp.errors import InstanceError
from echo_scp.model import Flag, Frames, Note, PixelSpacing, Reason, Region

TWO_D, M_MODE, SPECTRAL = 1, 2, 3  # Region Spatial Format, C.8.5.5.1.1
TISSUE, COLOUR_FLOW = 1, 2  # Region Data Type, C.8.5.5.1.2
_CENTIMETRES = 3  # Physical Units, C.8.5.5.1.15
_FINEST_MM, _COARSEST_MM = 0.01, 2.0
_SHALLOWEST_MM, _DEEPEST_MM = 20.0, 500.0  # of a region's height, screen and all; beyond, cm stands for another unit
_MOST_STRETCHED = 3.0  # between the directions: analogue video halves the lines
_OVERHANG_PX = 2  # carts that write the maximum exclusively, or round it
_SMALLEST_PX = 16  # less is no picture
_THUMBNAIL = 0.1  # of the largest region's area: an orientation picture beside a zoomed one
_SAME = 0.9  # common share of the boxes of a region that is listed twice
_FACTORS = (2, 3, 4)  # by which archives scale cines down
_SECTOR_FILL = 0.85  # of a rescaled region's width and height
_SECTOR_MARGIN = 0.03
_BEYOND = 0.1  # of the moving picture, outside of its region; an ECG that touches the sector is less


@dataclass(frozen=True, slots=True)
class ListedRegion:
    """One item of the Sequence of Ultrasound Regions; x before y in pairs, None where the item does not say."""

    spatial_format: int | None
    data_type: int | None
    box: Box
    units: tuple[int | None, int | None]
    delta: tuple[float | None, float | None]


def listed_regions(ds: Dataset) -> tuple[ListedRegion, ...]:
    """Return the regions that have an area. The maximum coordinates are inclusive."""
    listed = map(_listed, tags.items(ds, "SequenceOfUltrasoundRegions"))
    return tuple(region for region in listed if region is not None)


def tissue_regions(ds: Dataset) -> tuple[ListedRegion, ...]:
    """Return the different 2D tissue regions, the largest first. A region that is listed twice counts once."""
    regions = sorted(filter(_is_tissue, listed_regions(ds)), key=lambda region: -region.box.area)
    kept: list[ListedRegion] = []
    for region in regions:
        if region.box.area >= _THUMBNAIL * regions[0].box.area and not any(_same(region, other) for other in kept):
            kept.append(region)
    return tuple(kept)


def is_placed_by_header(ds: Dataset) -> bool:
    """Tell whether the header lists a 2D tissue region that the picture can hold."""
    rows, columns = (tags.whole_number(ds, keyword) or 0 for keyword in ("Rows", "Columns"))
    regions = tissue_regions(ds)
    return bool(regions) and _holds(Box(0, 0, columns, rows), regions[0])


def place_region(ds: Dataset, frames: Frames) -> tuple[Region, tuple[Note, ...]]:
    """Return the 2D region of the clip and what a reader should know of its calibration.

    `frames` are spread over the clip: those of `motion_samples` or, where the header places it, of `checking_samples`.
    The header decides; where it lists no 2D tissue region, or one that the picture cannot hold or moves far beyond, the
    moving pixels do.
    Raises InstanceError(NO_2D_REGION) when nothing moves, InstanceError(TWO_REGIONS).
    """
    regions = tissue_regions(ds)
    if not regions:
        return _region(_moving_sector(frames), None), (
            Note(Flag.NO_REGIONS, f"{tags.name('SequenceOfUltrasoundRegions')} lists no 2D tissue region"),
            Note(Flag.NO_CALIBRATION, "the region was found by its motion; nothing tells the size of its pixels"),
        )
    screen = Box(0, 0, frames.shape[2], frames.shape[1])
    if _holds(screen, regions[0]):
        beyond = share_outside(frames, _with_margin(regions[0].box))
        if beyond > _BEYOND:
            told = f"{_reach(regions[0], screen)}, and {100 * beyond:.0f} % of what moves there goes beyond it"
            return _unscaled(told, _moving_sector(frames))
        spacing, notes = _spacing(regions[0], 1)
        return _region(regions[0].box.intersection(screen), spacing), notes
    return _place_overhanging(regions[0], screen, _moving_sector(frames))


def _holds(screen: Box, region: ListedRegion) -> bool:
    return screen.grown(_OVERHANG_PX, _OVERHANG_PX).contains(region.box)


def _listed(item: Dataset) -> ListedRegion | None:
    corners = [tags.whole_number(item, f"RegionLocation{corner}") for corner in ("MinX0", "MinY0", "MaxX1", "MaxY1")]
    known = [corner for corner in corners if corner is not None]
    if len(known) != 4 or known[2] < known[0] or known[3] < known[1]:
        return None
    return ListedRegion(
        spatial_format=tags.whole_number(item, "RegionSpatialFormat"),
        data_type=tags.whole_number(item, "RegionDataType"),
        box=Box(known[0], known[1], known[2] + 1, known[3] + 1),
        units=(tags.whole_number(item, "PhysicalUnitsXDirection"), tags.whole_number(item, "PhysicalUnitsYDirection")),
        delta=(tags.number(item, "PhysicalDeltaX"), tags.number(item, "PhysicalDeltaY")),
    )


def _is_tissue(region: ListedRegion) -> bool:
    tissue = region.spatial_format == TWO_D and region.data_type in (TISSUE, 0, None)
    return tissue and min(region.box.width, region.box.height) >= _SMALLEST_PX


def _same(first: ListedRegion, second: ListedRegion) -> bool:
    common = first.box.intersection(second.box).area
    return common >= _SAME * max(first.box.area, second.box.area) and first.delta == second.delta


def _spacing(region: ListedRegion, factor: int) -> tuple[PixelSpacing | None, tuple[Note, ...]]:
    """Return the spacing in a picture that was scaled down by `factor`, or None and why."""
    if region.units != (_CENTIMETRES, _CENTIMETRES):
        detail = f"Physical Units X, Y Direction (0018,6024), (0018,6026) are {_pair(region.units)}, not 3, 3 (cm)"
        return None, (Note(Flag.WRONG_SPACING_UNITS, detail), Note(Flag.NO_CALIBRATION, detail))
    column_mm, row_mm = (abs(delta or 0.0) * 10 * factor for delta in region.delta)  # the sign is a direction
    depth_mm = region.box.height / factor * row_mm
    if not _is_plausible(row_mm, column_mm, depth_mm):
        detail = f"Physical Delta X, Y (0018,602C), (0018,602E) are {_pair(region.delta)} cm: not plausible"
        return None, (Note(Flag.NO_CALIBRATION, f"{detail} in a region that is then {depth_mm:.0f} mm deep"),)
    return PixelSpacing(row_mm=row_mm, column_mm=column_mm), ()


def _is_plausible(row_mm: float, column_mm: float, depth_mm: float) -> bool:
    finer, coarser = sorted((row_mm, column_mm))
    possible = finer >= _FINEST_MM and coarser <= min(_COARSEST_MM, _MOST_STRETCHED * finer)
    return possible and _SHALLOWEST_MM <= depth_mm <= _DEEPEST_MM


def _place_overhanging(region: ListedRegion, screen: Box, sector: Box) -> tuple[Region, tuple[Note, ...]]:
    """Scale a region down that was written for a larger picture, if the moving sector confirms the factor."""
    told = _reach(region, screen)
    factor = next((f for f in _FACTORS if screen.scaled(f).contains(region.box)), None)
    if factor is None or not _confirms(sector, region.box.scaled(1 / factor)):
        return _unscaled(told, sector)
    outside = Note(Flag.REGION_OUTSIDE_IMAGE, f"{told}: scaled down by {factor}, which the moving sector confirms")
    spacing, notes = _spacing(region, factor)
    return _region(region.box.scaled(1 / factor).intersection(screen), spacing), (outside, *notes)


def _reach(region: ListedRegion, screen: Box) -> str:
    corner = f"({region.box.x1:.0f}, {region.box.y1:.0f})"
    return f"the region reaches {corner} in a picture of {screen.x1:.0f} x {screen.y1:.0f}"


def _unscaled(told: str, sector: Box) -> tuple[Region, tuple[Note, ...]]:
    """Take the moving sector for the region, of which nothing tells the size."""
    notes = Note(Flag.REGION_OUTSIDE_IMAGE, told), Note(Flag.NO_CALIBRATION, f"{told}: its scale is unknown")
    return _region(sector, None), notes


def _with_margin(box: Box) -> Box:
    return box.grown(_SECTOR_MARGIN * box.width, _SECTOR_MARGIN * box.height)


def _confirms(sector: Box, region: Box) -> bool:
    inside = _with_margin(region).contains(sector)
    return inside and sector.width >= _SECTOR_FILL * region.width and sector.height >= _SECTOR_FILL * region.height


def _moving_sector(frames: Frames) -> Box:
    sectors = find_sectors(frames)
    if not sectors:
        raise InstanceError(Reason.NO_2D_REGION, "the header does not tell where the 2D picture is, and nothing moves")
    if len(sectors) > 1:
        raise InstanceError(
            Reason.TWO_REGIONS, "the header does not tell where the 2D picture is, and two move side by side"
        )
    return sectors[0]


def _region(box: Box, spacing: PixelSpacing | None) -> Region:
    return Region(round(box.x0), round(box.y0), round(box.x1), round(box.y1), spacing)


def _pair(values: Sequence[object]) -> str:
    return ", ".join("missing" if value is None else str(value) for value in values)
