"""Write one ultrasound instance (PS3.3 A.6 and A.7): modules, regions, encoding. Every value follows from the seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
    UltrasoundImageStorage,
    UltrasoundMultiFrameImageStorage,
    generate_uid,
)

from echo_scp import __version__

_UID_PREFIX = "1.2.826.0.1.3680043.8.498."
_CENTIMETRES, _SECONDS, _CENTIMETRES_PER_SECOND = 3, 4, 7  # PS3.3 C.8.5.5.1.15
_FRAME_TIME = 0x00181063
_DATE, _TIME = "20260105", "101500"
_JPEG_QUALITY = 90


@dataclass(frozen=True, slots=True)
class Patient:
    """Whom the phantom study is said to show. The name says that nobody is."""

    name: str = "Phantom^Echo"
    patient_id: str = "PHANTOM-0"
    sex: str = "F"
    birth_date: str = "19600101"
    size_m: float = 1.68
    weight_kg: float = 66.0


@dataclass(frozen=True, slots=True)
class Area:
    """One item of the Sequence of Ultrasound Regions: a half-open pixel box and the physical size of its pixels."""

    x0: int
    y0: int
    x1: int
    y1: int
    spatial_format: int  # 1 2D, 2 M-mode, 3 spectral
    data_type: int  # 1 tissue, 2 colour flow, 3 PW spectral Doppler
    delta_x: float
    delta_y: float


@dataclass(frozen=True, slots=True)
class Picture:
    """What one instance shows: `pixels` (T, H, W) grey or (T, H, W, 3) RGB; one frame makes a single-frame object."""

    label: str
    pixels: NDArray[np.uint8]
    areas: tuple[Area, ...]
    image_type: str  # value 4 of Image Type: 0001 2D, 0002 M-mode, 0008 PW, 0011 2D with colour
    frame_time_ms: float
    heart_rate_bpm: float


def uid(*sources: str | int) -> str:
    """Return the UID that belongs to these words; the same words give the same UID."""
    return str(generate_uid(_UID_PREFIX, entropy_srcs=["echo-scp phantom", *map(str, sources)]))


def build(
    picture: Picture, patient: Patient, seed: int, number: int, encode: Callable[[Dataset, Picture], None]
) -> Dataset:
    """Return a complete data set with its file meta information and encoded pixel data."""
    ds = Dataset()
    multi_frame = len(picture.pixels) > 1
    ds.SOPClassUID = UltrasoundMultiFrameImageStorage if multi_frame else UltrasoundImageStorage
    ds.SOPInstanceUID = uid(seed, "instance", number)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    _add_study(ds, patient, seed)
    _add_equipment(ds)
    _add_image(ds, picture, number)
    if multi_frame:
        _add_cine(ds, picture)
    ds.SequenceOfUltrasoundRegions = Sequence([_region(area) for area in picture.areas])
    _add_pixels(ds, picture)
    encode(ds, picture)
    return ds


def save(ds: Dataset, path: Path) -> None:
    """Write a Part-10 file."""
    ds.save_as(path, enforce_file_format=True)


def explicit_little_endian(ds: Dataset, picture: Picture) -> None:
    """Leave the pixels as they are."""
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.PixelData = picture.pixels.tobytes()


def jpeg_baseline(ds: Dataset, picture: Picture) -> None:
    """Encode each RGB frame as JPEG Baseline with half the colour columns, as most machines do."""
    frames = [
        simplejpeg.encode_jpeg(
            np.ascontiguousarray(frame), quality=_JPEG_QUALITY, colorspace="RGB", colorsubsampling="422"
        )
        for frame in picture.pixels
    ]
    ds.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    ds.PhotometricInterpretation = "YBR_FULL_422"
    ds.PixelData = encapsulate(frames)
    ds["PixelData"].is_undefined_length = True
    ds.LossyImageCompression = "01"
    ds.LossyImageCompressionRatio = round(picture.pixels.nbytes / sum(map(len, frames)), 2)
    ds.LossyImageCompressionMethod = "ISO_10918_1"


def run_length(ds: Dataset, picture: Picture) -> None:
    """Encode as RLE Lossless."""
    _compress(ds, picture, RLELossless)


def jpeg_ls(ds: Dataset, picture: Picture) -> None:
    """Encode as JPEG-LS Lossless."""
    _compress(ds, picture, JPEGLSLossless)


def jpeg_2000(ds: Dataset, picture: Picture) -> None:
    """Encode as JPEG 2000 Lossless."""
    _compress(ds, picture, JPEG2000Lossless)


def _compress(ds: Dataset, picture: Picture, transfer_syntax: UID) -> None:
    explicit_little_endian(ds, picture)
    ds.compress(transfer_syntax, generate_instance_uid=False)


def _add_study(ds: Dataset, patient: Patient, seed: int) -> None:
    ds.PatientName = patient.name
    ds.PatientID = patient.patient_id
    ds.PatientBirthDate = patient.birth_date
    ds.PatientSex = patient.sex
    ds.PatientSize = patient.size_m
    ds.PatientWeight = patient.weight_kg
    ds.StudyInstanceUID = uid(seed, "study")
    ds.SeriesInstanceUID = uid(seed, "series")
    ds.StudyDate = ds.SeriesDate = ds.ContentDate = ds.AcquisitionDate = _DATE
    ds.StudyTime = ds.SeriesTime = ds.ContentTime = ds.AcquisitionTime = _TIME
    ds.ReferringPhysicianName = ""
    ds.StudyID = str(seed)
    ds.AccessionNumber = f"PH{seed}"
    ds.StudyDescription = "Synthetic echocardiogram"
    ds.Modality = "US"
    ds.SeriesNumber = 1
    ds.SeriesDescription = "TTE phantom"
    ds.BodyPartExamined = "HEART"  # unpaired: Laterality is not required


def _add_equipment(ds: Dataset) -> None:
    ds.Manufacturer = "echo-scp"
    ds.ManufacturerModelName = "phantom"
    ds.DeviceSerialNumber = "0"
    ds.SoftwareVersions = __version__


def _add_image(ds: Dataset, picture: Picture, number: int) -> None:
    ds.InstanceNumber = number
    ds.PatientOrientation = ""
    ds.ImageType = ["ORIGINAL", "PRIMARY", "TTE", picture.image_type]
    ds.BurnedInAnnotation = "YES"
    ds.LossyImageCompression = "00"
    ds.HeartRate = round(picture.heart_rate_bpm)
    colour_flow = any(area.data_type == 2 for area in picture.areas)
    ds.UltrasoundColorDataPresent = int(colour_flow)


def _add_cine(ds: Dataset, picture: Picture) -> None:
    ds.NumberOfFrames = len(picture.pixels)
    ds.FrameTime = round(picture.frame_time_ms, 4)
    ds.FrameIncrementPointer = _FRAME_TIME
    ds.CineRate = ds.RecommendedDisplayFrameRate = round(1000 / picture.frame_time_ms)
    ds.FrameDelay = 0
    ds.EffectiveDuration = round(len(picture.pixels) * picture.frame_time_ms / 1000, 4)


def _add_pixels(ds: Dataset, picture: Picture) -> None:
    ds.Rows, ds.Columns = picture.pixels.shape[1:3]
    ds.SamplesPerPixel = 3 if picture.pixels.ndim == 4 else 1
    ds.PhotometricInterpretation = "RGB" if ds.SamplesPerPixel == 3 else "MONOCHROME2"
    if ds.SamplesPerPixel == 3:
        ds.PlanarConfiguration = 0
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit = 7
    ds.PixelRepresentation = 0


def _region(area: Area) -> Dataset:
    """Return one item; the reference pixel is the transducer's face, or the left end of a trace's baseline."""
    units = {
        1: (_CENTIMETRES, _CENTIMETRES),
        2: (_SECONDS, _CENTIMETRES),
        3: (_SECONDS, _CENTIMETRES_PER_SECOND),
    }
    item = Dataset()
    item.RegionSpatialFormat = area.spatial_format
    item.RegionDataType = area.data_type
    item.RegionFlags = 2 if area.data_type == 1 else 3  # bit 1: pixels are opaque; bit 0: the region lies over another
    item.RegionLocationMinX0, item.RegionLocationMinY0 = area.x0, area.y0
    item.RegionLocationMaxX1, item.RegionLocationMaxY1 = area.x1 - 1, area.y1 - 1
    item.PhysicalUnitsXDirection, item.PhysicalUnitsYDirection = units[area.spatial_format]
    item.PhysicalDeltaX, item.PhysicalDeltaY = area.delta_x, area.delta_y
    item.ReferencePixelX0 = (area.x1 - area.x0) // 2 if area.spatial_format == 1 else 0
    item.ReferencePixelY0 = 0
    item.ReferencePixelPhysicalValueX = item.ReferencePixelPhysicalValueY = 0.0
    item.TransducerFrequency = 2500
    return item
