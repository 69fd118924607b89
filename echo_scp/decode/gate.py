"""Which instances are 2D grey-scale tissue cines: the header's answer, as a table.

Accepted by class: Ultrasound and Ultrasound Multi-frame Image Storage, also the retired ones, Secondary Capture in all
its forms, and any other image class, a private one or none, as long as its Modality does not name another one. A
missing element never refuses: what the header does not say is asked of the pixels.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from pydicom import Dataset
from pydicom.config import IGNORE
from pydicom.uid import UID, EnhancedUSVolumeStorage, MPEGTransferSyntaxes

from echo_scp.config import AnalysisConfig
from echo_scp.decode import tags
from echo_scp.decode.regions import COLOUR_FLOW, M_MODE, SPECTRAL, TWO_D, listed_regions, tissue_regions
from echo_scp.decode.stage import stage_of
from echo_scp.errors import InstanceError
from echo_scp.model import Reason, is_own_result

_SMALLEST_PX, _LARGEST_PX = 16, 8192
_MODALITIES = {"US", "EC", "OT", "SC"}  # EC: echocardiography, retired; OT and SC: what converters write
# Bits of Image Type value 4 (PS3.3 C.8.5.6.1.1).
_M_MODE_BITS, _SPECTRAL_BITS, _COLOUR_BITS, _RENDERING_BITS = 0x0022, 0x000C, 0x0110, 0x0040
_NO_AGENT = {"NONE", "NO", "N", "NA", "N/A", "NIL", "0"}

Check = Callable[[Dataset, AnalysisConfig], str | None]


def refuse_by_header(ds: Dataset, config: AnalysisConfig) -> None:
    """Raise InstanceError with the first reason of the table that applies."""
    for reason, check in _CHECKS:
        detail = check(ds, config)
        if detail is not None:
            raise InstanceError(reason, detail)


def frame_count(ds: Dataset) -> int:
    """Return Number of Frames; an image that does not tell it has one (PS3.3 C.7.6.6)."""
    count = tags.whole_number(ds, "NumberOfFrames")
    return 1 if count is None else count


def decoded_pixels(ds: Dataset) -> int:
    """Return Rows x Columns x Frames as far as the header tells them, for any header."""
    rows, columns = (tags.whole_number(ds, keyword) or 0 for keyword in ("Rows", "Columns"))
    return max(0, rows * columns * frame_count(ds))


def _not_an_image(ds: Dataset, config: AnalysisConfig) -> str | None:
    """Refuse the standard's classes without images (SR, PDF, waveform, raw data); a private class may hold one."""
    sop_class = _sop_class(ds)
    known = sop_class.name != sop_class
    image = "Image" in sop_class.name or sop_class == EnhancedUSVolumeStorage
    return f"{tags.name('SOPClassUID')} is {sop_class.name}" if known and not image else None


def _own_result(ds: Dataset, config: AnalysisConfig) -> str | None:
    """Refuse a cine with outlines drawn into it: another node's, or ours when nobody remembers it."""
    return f"{tags.told(ds, 'Manufacturer')}: it is drawn from another clip" if is_own_result(ds) else None


def _no_pixel_data(ds: Dataset, config: AnalysisConfig) -> str | None:
    described = any(keyword in ds for keyword in ("Rows", "Columns", "BitsAllocated"))
    return None if described else "no element describes pixels; a private format may hold the image"


def _volume(ds: Dataset, config: AnalysisConfig) -> str | None:
    sop_class = _sop_class(ds)
    if sop_class == EnhancedUSVolumeStorage:
        return f"{tags.name('SOPClassUID')} is {sop_class.name}"
    return _by_image_type(ds, _RENDERING_BITS)


def _sop_class(ds: Dataset) -> UID:
    return UID(str(ds.get("SOPClassUID") or "").strip(), IGNORE)


def _another_modality(ds: Dataset, config: AnalysisConfig) -> str | None:
    modalities = tags.words(ds, "Modality")
    return None if set(modalities) <= _MODALITIES else tags.told(ds, "Modality")


def _zero_frames(ds: Dataset, config: AnalysisConfig) -> str | None:
    return tags.told(ds, "NumberOfFrames") if frame_count(ds) <= 0 else None


def _too_few_frames(ds: Dataset, config: AnalysisConfig) -> str | None:
    if frame_count(ds) >= config.minimum_frames:
        return None
    return f"{tags.told(ds, 'NumberOfFrames')}, fewer than {config.minimum_frames} (analysis.minimum_frames)"


def _bad_dimensions(ds: Dataset, config: AnalysisConfig) -> str | None:
    """Refuse what cannot be a screen, and what would not fit into memory, before any memory is taken."""
    rows, columns = (tags.whole_number(ds, keyword) or 0 for keyword in ("Rows", "Columns"))
    if not all(_SMALLEST_PX <= size <= _LARGEST_PX for size in (rows, columns)):
        return f"{tags.told(ds, 'Rows')}, {tags.told(ds, 'Columns')}; expected {_SMALLEST_PX} to {_LARGEST_PX}"
    pixels = rows * columns * frame_count(ds) * (tags.whole_number(ds, "SamplesPerPixel") or 1)
    if pixels > config.maximum_pixels:
        return f"{rows} x {columns} x {frame_count(ds)} frames are more than analysis.maximum_pixels"
    return None


def _colour_doppler(ds: Dataset, config: AnalysisConfig) -> str | None:
    if tags.whole_number(ds, "UltrasoundColorDataPresent") == 1:
        return tags.told(ds, "UltrasoundColorDataPresent")
    if any(r.spatial_format in (TWO_D, None) and r.data_type == COLOUR_FLOW for r in listed_regions(ds)):
        return f"a region's {tags.name('RegionDataType')} is 2, colour flow"
    return _by_image_type(ds, _COLOUR_BITS)


def _m_mode(ds: Dataset, config: AnalysisConfig) -> str | None:
    """Refuse any picture with an M-mode: what 2D there is beside it serves to aim, and is often frozen."""
    return _by_spatial_format(ds, M_MODE) or _by_image_type(ds, _M_MODE_BITS)


def _spectral(ds: Dataset, config: AnalysisConfig) -> str | None:
    return _by_spatial_format(ds, SPECTRAL) or _by_image_type(ds, _SPECTRAL_BITS)


def _by_spatial_format(ds: Dataset, spatial_format: int) -> str | None:
    if any(region.spatial_format == spatial_format for region in listed_regions(ds)):
        return f"a region's {tags.name('RegionSpatialFormat')} is {spatial_format}"
    return None


def _by_image_type(ds: Dataset, bits: int) -> str | None:
    """Ask value 4 of Image Type, where no regions say better."""
    value = (ds.get("ImageType") or ())[3:4]
    if listed_regions(ds) or not value or not re.fullmatch(r"[0-9A-Fa-f]{4}", str(value[0])):
        return None
    return tags.told(ds, "ImageType") if int(str(value[0]), 16) & bits else None


def _two_regions(ds: Dataset, config: AnalysisConfig) -> str | None:
    count = len(tissue_regions(ds))
    return f"{tags.name('SequenceOfUltrasoundRegions')} lists {count} 2D tissue regions" if count > 1 else None


def _contrast(ds: Dataset, config: AnalysisConfig) -> str | None:
    if set(tags.words(ds, "ContrastBolusAgent")) - _NO_AGENT:
        return tags.told(ds, "ContrastBolusAgent")
    if (tags.number(ds, "ContrastBolusVolume") or 0) > 0:
        return tags.told(ds, "ContrastBolusVolume")
    present = bool(ds.get("ContrastBolusAgentSequence"))
    return f"{tags.name('ContrastBolusAgentSequence')} names an agent" if present else None


def _stress(ds: Dataset, config: AnalysisConfig) -> str | None:
    """Refuse the stages of a stress protocol, except the one that says it is the rest."""
    return None if config.stress else stage_of(ds) or None


def _pixel_format(ds: Dataset, config: AnalysisConfig) -> str | None:
    for keyword, expected in (("SamplesPerPixel", (1, 3)), ("BitsAllocated", (8, 16))):
        if ds.get(keyword) is not None and tags.whole_number(ds, keyword) not in expected:
            return f"{tags.told(ds, keyword)}; expected {expected[0]} or {expected[1]}"
    return None


def _video(ds: Dataset, config: AnalysisConfig) -> str | None:
    syntax = getattr(ds, "file_meta", Dataset()).get("TransferSyntaxUID")
    if syntax not in MPEGTransferSyntaxes:
        return None
    return f"Transfer Syntax UID (0002,0010) is {UID(syntax).name}: video is not decoded"


# The order is what an operator wants to know first: what it is, then what is wrong with it.
_CHECKS: tuple[tuple[Reason, Check], ...] = (
    (Reason.NOT_AN_IMAGE, _not_an_image),
    (Reason.OWN_RESULT, _own_result),
    (Reason.VOLUME_3D, _volume),
    (Reason.NOT_ULTRASOUND, _another_modality),
    (Reason.NO_PIXEL_DATA, _no_pixel_data),
    (Reason.ZERO_FRAMES, _zero_frames),
    (Reason.TOO_FEW_FRAMES, _too_few_frames),
    (Reason.COLOUR_DOPPLER, _colour_doppler),
    (Reason.M_MODE, _m_mode),
    (Reason.SPECTRAL_DOPPLER, _spectral),
    (Reason.TWO_REGIONS, _two_regions),
    (Reason.CONTRAST, _contrast),
    (Reason.STRESS, _stress),
    (Reason.BAD_DIMENSIONS, _bad_dimensions),
    (Reason.UNSUPPORTED_PIXEL_FORMAT, _pixel_format),
    (Reason.UNSUPPORTED_TRANSFER_SYNTAX, _video),
)
