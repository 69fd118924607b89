"""How data sets are compared in the trials with other programs: what differs is never called the same."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless
from pynetdicom.dsutils import encode

from scripts.interop.encoded import Encoded, Likeness, likeness

PIXELS = np.arange(64, dtype=np.uint8).reshape(8, 8)


def make(syntax: UID = ExplicitVRLittleEndian, pixels: np.ndarray = PIXELS, **changes: object) -> Encoded:
    """Return an image of 8 x 8 pixels with one item in a sequence."""
    item, ds = Dataset(), Dataset()
    item.CodeValue = str(changes.pop("code", "A4C"))
    ds.SOPInstanceUID, ds.PatientID = "1.2.3", "1"
    ds.ViewCodeSequence = [item]
    ds.Rows, ds.Columns = pixels.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 0
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit = 7
    ds.PixelData = pixels.tobytes()
    for keyword, value in changes.items():
        setattr(ds, keyword, value)
    if syntax.is_compressed:
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.compress(syntax, generate_instance_uid=False)
    content = encode(ds, syntax.is_implicit_VR, syntax.is_little_endian)
    assert content is not None
    return Encoded(str(syntax), content)


def test_the_same_bytes_are_the_same():
    """In the same transfer syntax."""
    assert likeness(make(), make()) == (Likeness.BYTES, ())


def test_equal_values_in_another_encoding_are_equal_elements():
    """The VR is part of the encoding, where one has it."""
    assert likeness(make(), make(ImplicitVRLittleEndian)) == (Likeness.ELEMENTS, ())


def test_pixels_are_compared_decoded_when_they_are_packed_otherwise():
    """Lossless compression changes Pixel Data and nothing that is seen."""
    assert likeness(make(), make(RLELossless)) == (Likeness.PIXELS, ())


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"PatientID": "2"}, ("PatientID",)),
        ({"code": "A2C"}, ("ViewCodeSequence",)),
        ({"StudyID": "1"}, ("StudyID",)),
        ({"pixels": PIXELS.T.copy()}, ("PixelData",)),
        ({"pixels": PIXELS.T.copy(), "syntax": RLELossless}, ("PixelData",)),
    ],
    ids=["a value", "a value in an item", "one more element", "pixels", "compressed pixels"],
)
def test_what_differs_is_named(changes, named):
    """However deep, and however encoded."""
    assert likeness(make(), make(**changes)) == (Likeness.OTHER, named)


def test_garbage_is_not_readable():
    """A data set under a name that is not its encoding."""
    assert make().is_readable()
    assert not Encoded("1.2.840.10008.1.2.1.99", make().data_set).is_readable()
