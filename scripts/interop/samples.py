"""Ultrasound instances, one per transfer syntax that machines send."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset, dcmread, dcmwrite
from pydicom.data import get_testdata_file
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

from echo_scp.phantom.study import PhantomStudy, write_cines

FRAMES = 4
# Nothing that we depend on writes this encoding: one frame of a real machine, from pydicom-data.
_LOSSLESS_JPEG = "JPGLosslessP14SV1_1s_1f_8b.dcm"
SHORT_NAMES = {
    ImplicitVRLittleEndian: "Implicit",
    ExplicitVRLittleEndian: "Explicit",
    ExplicitVRBigEndian: "Big Endian",
    DeflatedExplicitVRLittleEndian: "Deflated",
    JPEGBaseline8Bit: "JPEG Baseline",
    JPEGLosslessSV1: "JPEG Lossless SV1",
    JPEGLSLossless: "JPEG-LS",
    JPEG2000Lossless: "JPEG 2000",
    RLELossless: "RLE",
}


def short_name(syntax: UID) -> str:
    return SHORT_NAMES.get(syntax, syntax.name)


@dataclass(frozen=True, slots=True)
class Sample:
    """One instance in one encoding, to be sent again and again under new UIDs."""

    syntax: UID
    path: Path

    def copy(self, folder: Path) -> Path:
        """Write it as a new instance of a study of its own; return the file, named by its SOP Instance UID."""
        ds = dcmread(self.path)
        ds.StudyInstanceUID, ds.SeriesInstanceUID = generate_uid(prefix=None), generate_uid(prefix=None)
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid(prefix=None)
        path = folder / f"{ds.SOPInstanceUID}.dcm"
        ds.save_as(path)
        return path


def write_samples(folder: Path) -> tuple[Sample, ...]:
    """Write a synthetic clip of four frames, 600 x 800 pixels, in every syntax."""
    colour, grey = (dcmread(instance.path) for instance in write_cines(folder, PhantomStudy(frame_count=FRAMES)))
    made: dict[UID, Callable[[], Dataset]] = {
        ImplicitVRLittleEndian: lambda: _relabelled(grey, ImplicitVRLittleEndian),
        ExplicitVRLittleEndian: lambda: grey,
        ExplicitVRBigEndian: lambda: _relabelled(grey, ExplicitVRBigEndian),
        DeflatedExplicitVRLittleEndian: lambda: _relabelled(grey, DeflatedExplicitVRLittleEndian),
        JPEGBaseline8Bit: lambda: colour,
        JPEGLosslessSV1: _lossless_jpeg,
        JPEGLSLossless: lambda: _compressed(grey, JPEGLSLossless),
        JPEG2000Lossless: lambda: _compressed(grey, JPEG2000Lossless),
        RLELossless: lambda: _compressed(grey, RLELossless),
    }
    return tuple(_write(folder, syntax, make()) for syntax, make in made.items())


def _write(folder: Path, syntax: UID, ds: Dataset) -> Sample:
    path = folder / f"{syntax.keyword}.dcm"
    implicit, little = syntax.is_implicit_VR, syntax.is_little_endian
    dcmwrite(path, ds, implicit_vr=implicit, little_endian=little, force_encoding=True)
    return Sample(syntax, path)


def _relabelled(source: Dataset, syntax: UID) -> Dataset:
    """Return what is written in another uncompressed syntax; 8 bit pixels (OB) have no order of bytes."""
    ds = deepcopy(source)
    list(ds.iterall())  # values that were never looked at would be written as the bytes that were read
    ds.file_meta.TransferSyntaxUID = syntax
    return ds


def _compressed(source: Dataset, syntax: UID) -> Dataset:
    ds = deepcopy(source)
    ds.compress(syntax, generate_instance_uid=False)
    return ds


def _lossless_jpeg() -> Dataset:
    path = get_testdata_file(_LOSSLESS_JPEG)
    assert isinstance(path, str)
    return dcmread(path)
