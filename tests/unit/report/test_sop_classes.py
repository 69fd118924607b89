"""What a destination is asked to take is what is written."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO

import pytest
from pydicom import dcmread

from echo_scp.config import ReportConfig
from echo_scp.report import build_cine, draw_cine, encode, study_objects, write_seg
from echo_scp.report.sop_classes import SOP_CLASSES, transfer_syntax_of
from tests.unit.report.builders import NOW, make_clip_analysis, make_study_analysis

CONFIG = ReportConfig(objects=tuple(SOP_CLASSES))


@pytest.fixture(scope="module")
def written() -> dict[str, bytes]:
    """Every kind of object of a study."""
    return dict(_files())


def _files() -> Iterator[tuple[str, bytes]]:
    analysis = make_clip_analysis(frames=6, shape=(240, 500), picture=True)
    study = make_study_analysis(analysis)
    yield "SEG", write_seg(analysis, study, CONFIG, NOW)[1]
    yield "CINE", encode(build_cine(analysis, draw_cine(analysis), study, CONFIG, NOW))
    for file, content in study_objects(study, [], [], CONFIG, NOW):
        yield file.kind, content


@pytest.mark.parametrize("kind", SOP_CLASSES)
def test_class_and_encoding_are_those_of_the_file(kind, written):
    """The doctor and the conformance statement rest on these tables."""
    meta = dcmread(BytesIO(written[kind]), stop_before_pixels=True).file_meta

    assert meta.MediaStorageSOPClassUID in SOP_CLASSES[kind]
    assert meta.TransferSyntaxUID == transfer_syntax_of(kind)
