"""Small ultrasound cines, made from nothing: one sector of moving speckle on a screen, encoded in any way."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    UltrasoundMultiFrameImageStorage,
)

from echo_scp.config import AnalysisConfig
from echo_scp.decode import decode_clip, read_instance
from echo_scp.errors import InstanceError
from echo_scp.model import Clip, Flag, Instance, Reason

ROWS, COLUMNS, COUNT = 96, 128, 12
CONFIG = AnalysisConfig()
NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)


@lru_cache
def make_frames(rows: int = ROWS, columns: int = COLUMNS, count: int = COUNT) -> np.ndarray:
    """Return (count, rows, columns): a sector of smooth moving tissue, a banner that stands still, an ECG strip."""
    ys, xs = np.mgrid[:rows, :columns] / rows
    angle, depth = np.arctan2(xs - columns / rows / 2, ys - 0.1), np.hypot(xs - columns / rows / 2, ys - 0.1)
    sector = (np.abs(angle) < 0.7) & (depth < 0.75)
    frames = np.zeros((count, rows, columns))
    for index, phase in enumerate(np.linspace(0, 2 * np.pi, count, endpoint=False)):
        tissue = 110 + 50 * np.sin(18 * depth + 1.2 * np.sin(phase)) + 50 * np.sin(15 * angle + np.cos(phase))
        frames[index] = np.where(sector, tissue, 0)
        frames[index, -4:-2, (index * 5) % columns :][:, :5] = 200  # the ECG's pen
    frames[:, 2:5, 4 : columns // 3] = 220  # the banner
    frames = frames.round().astype(np.uint8)
    frames.setflags(write=False)
    return frames


def make_region(**changes: Any) -> Dataset:
    """Return one item of the Sequence of Ultrasound Regions: the whole screen below the banner, 2D, tissue, 1 mm."""
    values: dict[str, Any] = {
        "RegionSpatialFormat": 1,
        "RegionDataType": 1,
        "RegionFlags": 2,
        "RegionLocationMinX0": 0,
        "RegionLocationMinY0": 8,
        "RegionLocationMaxX1": COLUMNS - 1,
        "RegionLocationMaxY1": 87,
        "PhysicalUnitsXDirection": 3,
        "PhysicalUnitsYDirection": 3,
        "PhysicalDeltaX": 0.1,
        "PhysicalDeltaY": 0.1,
    }
    return _filled(Dataset(), values | changes)


def make_header(**changes: Any) -> Dataset:
    """Return a complete header; a change to None removes the element."""
    values: dict[str, Any] = {
        "SpecificCharacterSet": "ISO_IR 100",
        "SOPClassUID": UltrasoundMultiFrameImageStorage,
        "SOPInstanceUID": "1.2.826.0.1.3680043.8.498.3",
        "SeriesInstanceUID": "1.2.826.0.1.3680043.8.498.2",
        "StudyInstanceUID": "1.2.826.0.1.3680043.8.498.1",
        "PatientName": "Phantom^Echo",
        "PatientID": "P-1",
        "Modality": "US",
        "ImageType": ["ORIGINAL", "PRIMARY", "", "0001"],
        "NumberOfFrames": COUNT,
        "FrameTime": "33.333",
        "FrameIncrementPointer": 0x00181063,
        "HeartRate": 62,
        "SequenceOfUltrasoundRegions": [make_region()],
        "Rows": ROWS,
        "Columns": COLUMNS,
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 8,
        "BitsStored": 8,
        "HighBit": 7,
        "PixelRepresentation": 0,
    }
    return _filled(Dataset(), values | changes)


def make_dataset(pixels: np.ndarray | None = None, *, syntax: UID = ExplicitVRLittleEndian, **changes: Any) -> Dataset:
    """Return a native cine of `pixels` (T, H, W) or (T, H, W, 3), 8 or 16 bits; by default the usual frames."""
    pixels = make_frames() if pixels is None else pixels
    bits = 8 * pixels.dtype.itemsize
    described: dict[str, Any] = {
        "NumberOfFrames": len(pixels),
        "Rows": pixels.shape[1],
        "Columns": pixels.shape[2],
        "BitsAllocated": bits,
        "BitsStored": bits,
        "PixelRepresentation": int(pixels.dtype.kind == "i"),
    }
    if pixels.ndim == 4:
        described |= {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}
    ds = make_header(**(described | changes))
    ds.HighBit = ds.BitsStored - 1
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    ds.PixelData = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    ds["PixelData"].VR = "OB" if bits == 8 and syntax != ImplicitVRLittleEndian else "OW"
    return ds


def make_encapsulated(streams: list[bytes], syntax: UID, **changes: Any) -> Dataset:
    """Return a cine whose frames are these encoded streams."""
    ds = make_header(NumberOfFrames=len(streams), **changes)
    ds.HighBit = ds.BitsStored - 1
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.PixelData = encapsulate(streams)
    ds["PixelData"].is_undefined_length = True
    ds["PixelData"].VR = "OB"
    return ds


def write(ds: Dataset, folder: Path) -> Path:
    """Write a Part-10 file."""
    path = folder / "clip.dcm"
    ds.save_as(path, enforce_file_format=True)
    return path


def make_instance(folder: Path, ds: Dataset | None = None, **changes: Any) -> Instance:
    """Write a cine and read its header back."""
    return read_instance(write(make_dataset(**changes) if ds is None else ds, folder))


def make_clip(folder: Path, ds: Dataset | None = None, config: AnalysisConfig = CONFIG, **changes: Any) -> Clip:
    """Write a cine and decode it."""
    return decode_clip(make_instance(folder, ds, **changes), config)


def refusal(action: Callable[[], object]) -> InstanceError:
    """Return the InstanceError that `action` raises."""
    try:
        action()
    except InstanceError as error:
        return error
    raise AssertionError("nothing was refused")


def reason(folder: Path, ds: Dataset | None = None, config: AnalysisConfig = CONFIG, **changes: Any) -> Reason:
    """Return why a cine is refused."""
    return refusal(lambda: make_clip(folder, ds, config, **changes)).reason


def flags(clip: Clip) -> set[Flag]:
    return {note.flag for note in clip.notes}


def rgb(frames: np.ndarray) -> np.ndarray:
    """Return grey frames as RGB."""
    return np.repeat(frames[..., None], 3, axis=-1)


def _filled(ds: Dataset, values: dict[str, Any]) -> Dataset:
    for keyword, value in values.items():
        if value is not None:
            setattr(ds, keyword, value)
    return ds
