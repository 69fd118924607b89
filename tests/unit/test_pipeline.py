"""The order of the stages, and that nothing in one instance stops the others."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from echo_scp.config import Config
from echo_scp.decode import decode_clip, read_instance
from echo_scp.inference.catalogue import Engines
from echo_scp.model import NotAssessed, Reason, View, ViewEstimate
from echo_scp.phantom.study import write_study
from echo_scp.pipeline import Pipeline
from tests.unit.fakes import FakeEngine, make_manifest

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def instances(tmp_path_factory):
    """A4C in JPEG and A2C uncompressed, and an M-mode instance."""
    written = write_study(tmp_path_factory.mktemp("study"), frame_count=60)
    return [read_instance(written[index].path) for index in (0, 1, 4)]


def saying(view: int) -> FakeEngine:
    row = np.full((1, 4), -4, dtype=np.float32)
    row[0, view] = 4
    return FakeEngine(make_manifest("view"), lambda batch: np.repeat(row, len(batch), axis=0))


def darkness_is_ventricle() -> FakeEngine:
    """Outline what the phantom draws dark in the middle of the upper sector: a poor engine, but a real outline."""

    def answer(batch):
        size = batch.shape[-1]
        rows, columns = np.mgrid[0:size, 0:size] / size
        near = ((columns - 0.5) / 0.16) ** 2 + ((rows - 0.48) / 0.24) ** 2 < 1
        logits = np.zeros((len(batch), 4, size, size), dtype=np.float32)
        beat = 0.75 + 0.25 * np.cos(np.arange(len(batch)) * 2 * np.pi / 35)
        for frame, share in zip(logits, beat, strict=True):
            inside = ((columns - 0.5) / (0.16 * share)) ** 2 + ((rows - 0.48) / 0.24) ** 2 < 1
            frame[1][inside & near] = 8
        return logits

    return FakeEngine(make_manifest("segmentation", 96), answer)


def broken() -> FakeEngine:
    def answer(batch):
        raise RuntimeError("boom")

    return FakeEngine(make_manifest("segmentation", 96), answer)


def analyse(instances, view=0, segmentation=None):
    config = Config.model_validate({"analysis": {"batch_frames": 64}})
    pipeline = Pipeline(config, Engines(saying(view), segmentation or darkness_is_ventricle()))
    return pipeline, pipeline.analyse("1.2.3", 1, instances)


def test_each_instance_has_a_measurement_or_a_reason(instances):
    """Two clips are measured, the M-mode instance says why not."""
    _, analysed = analyse(instances)

    four, two, m_mode = analysed.analysis.clips
    assert four.measurement is not None
    assert two.measurement is not None
    assert m_mode.not_assessed is not None
    assert m_mode.not_assessed.reason is Reason.M_MODE
    assert len(analysed.pictures) == 2
    assert analysed.analysis.assessment is not None


def test_a_view_that_is_not_measured_says_so(instances):
    """The headline is an honest "not assessed"."""
    _, analysed = analyse(instances, view=2)

    assert {clip.not_assessed.reason for clip in analysed.analysis.clips} == {Reason.VIEW_NOT_MEASURED, Reason.M_MODE}
    assert isinstance(analysed.analysis.result, NotAssessed)
    assert analysed.analysis.assessment is None


def test_a_given_view_is_taken_as_it_is(instances):
    """A clip whose view is known is measured under it, whatever the view engine would say."""
    config = Config.model_validate({"analysis": {"batch_frames": 64}})
    pipeline = Pipeline(config, Engines(saying(2), darkness_is_ventricle()))
    clip = decode_clip(instances[0], config.analysis)
    known = ViewEstimate(View.A4C, 1.0, ((View.A4C, 1.0),))

    asked, told = pipeline.analyse_clip(clip), pipeline.analyse_clip(clip, known)

    assert asked.measurement is None
    assert told.measurement is not None
    assert told.view is known


def test_an_error_of_ours_is_a_reason_and_not_the_end_of_the_study(instances):
    """The other instances keep their own reasons."""
    _, analysed = analyse(instances, segmentation=broken())

    assert [clip.not_assessed.reason for clip in analysed.analysis.clips] == [
        Reason.INTERNAL_ERROR,
        Reason.INTERNAL_ERROR,
        Reason.M_MODE,
    ]


def test_pixels_are_let_go_after_each_clip(instances):
    """A study of many clips fits into memory."""
    _, analysed = analyse(instances)

    assert all(clip.clip is None or clip.clip.frames.size == 0 for clip in analysed.analysis.clips)


def test_the_same_values_and_time_give_the_same_bytes(instances):
    """A repeated analysis sends the same objects again."""
    first, second = (pipeline.report(done.analysis, NOW) for pipeline, done in (analyse(instances), analyse(instances)))

    assert [file.kind for file in first] == ["SR", "SEG", "SEG"]
    assert first == second
