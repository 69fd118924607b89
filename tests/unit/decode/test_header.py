"""Reading headers, whatever a machine wrote into them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from echo_scp.decode import decode_clip, read_instance
from echo_scp.errors import InstanceError, UnindexableFileError
from echo_scp.model import Reason
from tests.unit.decode.builders import CONFIG, make_dataset, make_instance, refusal, write


def test_the_header_comes_without_pixel_data(tmp_path: Path) -> None:
    """Identity and attributes are there, the pixels stay in the file."""
    instance = make_instance(tmp_path)

    assert instance.study_instance_uid == "1.2.826.0.1.3680043.8.498.1"
    assert instance.header.HeartRate == 62
    assert "PixelData" not in instance.header
    assert instance.path == tmp_path / "clip.dcm"


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
def test_a_data_set_without_preamble_and_meta_information_is_read(syntax: str, tmp_path: Path) -> None:
    """Some archives store the bare data set."""
    ds = make_dataset(syntax=syntax)
    ds.file_meta = FileMetaDataset()
    path = tmp_path / "bare.dcm"
    ds.save_as(path, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=True)

    assert read_instance(path).header.Rows == ds.Rows


@pytest.mark.parametrize("content", [b"", b"\x00", b"GIF89a" + bytes(200), b"%PDF-1.7\n" * 50, bytes(1000)])
def test_a_file_that_is_not_dicom_is_unindexable(content: bytes, tmp_path: Path) -> None:
    """The message says so."""
    path = tmp_path / "letter.dcm"
    path.write_bytes(content)

    with pytest.raises(UnindexableFileError, match=r"letter.dcm: not a DICOM file"):
        read_instance(path)


@pytest.mark.parametrize(
    ("keyword", "named"),
    [
        ("StudyInstanceUID", r"Study Instance UID \(0020,000D\)"),
        ("SeriesInstanceUID", r"Series Instance UID \(0020,000E\)"),
        ("SOPInstanceUID", r"SOP Instance UID \(0008,0018\)"),
    ],
)
def test_a_file_without_identity_is_unindexable(keyword: str, named: str, tmp_path: Path) -> None:
    """The missing element is named."""
    ds = make_dataset()
    ds.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    del ds[keyword]
    path = tmp_path / "clip.dcm"
    ds.save_as(path, enforce_file_format=False)

    with pytest.raises(UnindexableFileError, match=named):
        read_instance(path)


def test_a_file_cut_off_before_its_identity_is_unindexable(tmp_path: Path) -> None:
    """What was received in part has no place in a study."""
    path = write(make_dataset(), tmp_path)
    path.write_bytes(path.read_bytes()[:400])

    with pytest.raises(UnindexableFileError):
        read_instance(path)


def test_a_file_that_the_system_cannot_read_is_an_instance_error(tmp_path: Path) -> None:
    """A missing file is not mistaken for one that is not DICOM."""
    error = refusal(lambda: read_instance(tmp_path / "gone.dcm"))

    assert error.reason is Reason.UNDECODABLE
    assert error.detail == "gone.dcm cannot be read: No such file or directory"


@pytest.mark.parametrize(
    ("character_set", "name"),
    [
        ("ISO_IR 192", "Müller^Jürgen"),
        ("ISO_IR 100", "Ångström^Åsa"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
    ],
)
def test_names_beyond_ascii_are_read(character_set: str | list[str], name: str, tmp_path: Path) -> None:
    """The character set of the data set is obeyed."""
    instance = make_instance(tmp_path, SpecificCharacterSet=character_set, PatientName=name)

    assert str(instance.header.PatientName) == name


def test_a_wrong_character_set_is_no_error(tmp_path: Path) -> None:
    """Bytes that the named character set cannot hold leave a name with replacement characters."""
    path = write(make_dataset(PatientName="Mueller^Juergen"), tmp_path)
    broken = (
        path.read_bytes()
        .replace(b"Mueller^Juergen", b"M\xfc\xff\xfeller^J\x90rgen")
        .replace(b"ISO_IR 100", b"ISO_IR 192")
    )
    path.write_bytes(broken)
    instance = read_instance(path)

    assert "ler^J" in str(instance.header.PatientName)


def test_an_element_that_cannot_be_parsed_counts_as_missing(tmp_path: Path) -> None:
    """A two-byte number of one byte is left out, the rest stays."""
    path = write(make_dataset(UltrasoundColorDataPresent=1), tmp_path)
    element = b"\x28\x00\x14\x00US\x02\x00\x01\x00"
    path.write_bytes(path.read_bytes().replace(element, b"\x28\x00\x14\x00US\x01\x00\x01"))
    instance = read_instance(path)

    assert "UltrasoundColorDataPresent" not in instance.header
    assert instance.header.BitsStored == 8


def test_text_in_a_number_counts_as_missing(tmp_path: Path) -> None:
    """The next element that tells the frame time is used."""
    path = write(make_dataset(CineRate="25"), tmp_path)
    path.write_bytes(path.read_bytes().replace(b"33.333", b"abcdef"))
    clip = decode_clip(read_instance(path), CONFIG)

    assert clip.frame_times_ms[1] == 40


def test_an_odd_uid_is_kept(tmp_path: Path) -> None:
    """A UID with a leading zero in a component identifies as well as any other."""
    path = write(make_dataset(), tmp_path)
    path.write_bytes(path.read_bytes().replace(b"1.2.826.0.1.3680043.8.498.1", b"1.2.826.0.1.3680043.8.498.01"[:27]))

    assert read_instance(path).study_instance_uid == "1.2.826.0.1.3680043.8.498.0"


@settings(max_examples=150, deadline=None)
@given(edits=st.lists(st.tuples(st.integers(132, 1200), st.integers(0, 255)), min_size=1, max_size=12))
def test_damaged_headers_raise_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, edits: list[tuple[int, int]]
) -> None:
    """Whatever bytes are changed, reading gives an instance or one of the two errors."""
    path = write(make_dataset(), tmp_path_factory.mktemp("damaged"))
    content = bytearray(path.read_bytes())
    for position, value in edits:
        content[position] = value
    path.write_bytes(content)
    try:
        instance = read_instance(path)
    except (UnindexableFileError, InstanceError):
        return

    assert instance.study_instance_uid
    for element in instance.header:
        str(element.value)
