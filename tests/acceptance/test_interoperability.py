"""Programs of other makes against a real node, both ways: the trials of `python -m scripts.interop`, fewer of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, JPEGBaseline8Bit

from scripts.interop import tools, trial
from scripts.interop.seen import Seen, Verdict
from scripts.interop.tools import Tool

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore:unclosed <:ResourceWarning"),  # pynetdicom's, of refused handshakes
]

SENDERS = {"storescu", "dcmsend", "dcmjs-dimse", "pynetdicom"}
SYNTAXES = {ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, JPEGBaseline8Bit}


@pytest.fixture(scope="module")
def received(tmp_path_factory):
    folder = tmp_path_factory.mktemp("receiving")
    return trial.receiving(folder, SENDERS, SYNTAXES)


@pytest.fixture(scope="module")
def delivered(tmp_path_factory):
    return trial.delivering(tmp_path_factory.mktemp("delivering"))


def require(find: Callable[[], Tool]) -> None:
    if missing := find().missing:
        pytest.skip(f"INTEROPERABILITY NOT TESTED: {missing}")


@pytest.mark.dcmtk
@pytest.mark.parametrize(("sender", "secure"), [("storescu", False), ("storescu", True), ("dcmsend", False)])
def test_what_dcmtk_sends_is_stored_bit_for_bit(received, sender, secure):
    """Uncompressed, deflated and in JPEG; plain, and over TLS with a certificate."""
    require(tools.dcmtk)
    seen = {each.syntax: each.seen.text for each in received[0] if (each.sender, each.secure) == (sender, secure)}

    assert seen == dict.fromkeys(SYNTAXES, "bytes")


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
def test_what_dcmjs_sends_is_stored_as_it_sent_it(received, secure):
    """It encodes anew; what it cannot encode in a way that others read is kept apart, and not lost."""
    require(tools.dcmjs_dimse)
    seen = {each.syntax: each.seen for each in received[0] if (each.sender, each.secure) == ("dcmjs-dimse", secure)}

    assert seen[ExplicitVRLittleEndian] == Seen(Verdict.GOOD, "elements as Implicit")
    assert seen[JPEGBaseline8Bit] == Seen(Verdict.GOOD, "pixels")
    assert seen[DeflatedExplicitVRLittleEndian].text == "sender's encoding is wrong"


@pytest.mark.parametrize(
    ("find", "programs"),
    [
        pytest.param(tools.dcmtk, {"echoscu"}, id="DCMTK"),
        pytest.param(tools.orthanc, {"Orthanc"}, id="Orthanc"),
        pytest.param(tools.dcmjs_dimse, {"dcmjs-dimse"}, id="dcmjs-dimse"),
        pytest.param(tools.pynetdicom_, {"pynetdicom"}, id="pynetdicom"),
    ],
)
def test_the_other_services_answer(received, delivered, find, programs):
    """Echo with and without certificates, storage commitment, procedure steps."""
    require(find)
    seen = [each for each in (*received[1], *delivered[1]) if each.program in programs]

    assert seen
    assert [each for each in seen if each.seen.verdict not in (Verdict.GOOD, Verdict.LIMITED)] == []


@pytest.mark.parametrize(
    ("find", "archives"),
    [
        pytest.param(tools.dcmtk, {"storescp +xa", "storescp +xa, TLS"}, id="DCMTK"),
        pytest.param(
            tools.orthanc,
            {"Orthanc", "Orthanc, TLS", "Orthanc STOW-RS", "Orthanc STOW-RS, https"},
            id="Orthanc",
        ),
        pytest.param(tools.dcmjs_dimse, {"dcmjs-dimse", "dcmjs-dimse, TLS"}, id="dcmjs-dimse"),
    ],
)
def test_an_archive_has_every_kind_of_object(delivered, find, archives):
    """Plain and over TLS; Orthanc also answers for them (Storage Commitment)."""
    require(find)
    seen = [each for each in delivered[0] if each.destination in archives]

    assert {each.destination for each in seen} == archives
    assert [each for each in seen if each.seen.verdict is not Verdict.GOOD] == []


@pytest.mark.dcmtk
def test_an_archive_that_takes_no_compressed_objects_has_the_others(delivered):
    """storescp as it comes: the deflated SEG is inflated for it, the cine in JPEG is not decoded for it."""
    require(tools.dcmtk)
    seen = {each.kind: each.seen.text for each in delivered[0] if each.destination == "storescp"}

    assert seen["SEG"] == "elements, Explicit"
    assert seen["CINE"] == "not accepted"
