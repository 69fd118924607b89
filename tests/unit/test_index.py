"""What a spooled file is, read from its header alone."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, UltrasoundMultiFrameImageStorage

from echo_scp.errors import UnindexableFileError
from echo_scp.index import read_spooled
from echo_scp.spool import dataset_digest


def write_spooled(path, **changes):
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.SourceApplicationEntityTitle = "CART"
    dataset.SOPClassUID = UltrasoundMultiFrameImageStorage
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID = "1.2.1", "1.2.2", "1.2.3"
    for keyword, value in changes.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    dataset.save_as(path, enforce_file_format=True)
    return path


def test_a_spooled_instance_is_placed_by_its_uids(tmp_path):
    """UIDs from the data set, sender and syntax from the file meta, the digest over the data set bytes."""
    path = write_spooled(tmp_path / "a.dcm")

    instance = read_spooled(path)

    assert (instance.study_instance_uid, instance.series_instance_uid, instance.sop_instance_uid) == (
        "1.2.1",
        "1.2.2",
        "1.2.3",
    )
    assert instance.calling_ae_title == "CART"
    assert instance.transfer_syntax_uid == ExplicitVRLittleEndian
    assert (instance.dataset_sha256, instance.byte_count) == dataset_digest(path)
    assert abs((datetime.now(UTC) - instance.received_at).total_seconds()) < 60


@pytest.mark.parametrize(
    ("keyword", "name"), [("StudyInstanceUID", "Study Instance UID"), ("SeriesInstanceUID", "Series Instance UID")]
)
def test_an_instance_without_a_place_is_named(tmp_path, keyword, name):
    """The quarantine's reason says which UID is missing."""
    path = write_spooled(tmp_path / "a.dcm", **{keyword: None})

    with pytest.raises(UnindexableFileError, match=name):
        read_spooled(path)


@pytest.mark.parametrize("content", [b"", b"not DICOM", bytes(128) + b"DICM" + b"\xff" * 40])
def test_bytes_that_are_no_dicom_are_an_error_of_their_own(tmp_path, content):
    """Whatever pydicom raises, the indexer sees one error."""
    path = tmp_path / "a.dcm"
    path.write_bytes(content)

    with pytest.raises(UnindexableFileError):
        read_spooled(path)
