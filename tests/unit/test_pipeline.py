"""The order of the stages, and that neither a batch nor a memory nor another instance changes a result."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.uid import UltrasoundMultiFrameImageStorage

from echo_scp import pipeline
from echo_scp.config import Config
from echo_scp.decode import decode_clip, read_instance
from echo_scp.errors import EngineError, GpuError, GpuFault, StorageError
from echo_scp.inference.catalogue import Engines
from echo_scp.kept import KeptResults
from echo_scp.measure import measure_study
from echo_scp.model import Flag, Instance, NotAssessed, Reason, StudyMeasurement, View, ViewEstimate
from echo_scp.phantom import instance as phantom_instance
from echo_scp.phantom.heart import Heart
from echo_scp.phantom.instance import Area, Patient, Picture
from echo_scp.phantom.scene import Rhythm, Scanner, render
from echo_scp.pipeline import Pipeline, Request
from tests.unit.fakes import FakeEngine, make_manifest

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SCANNER = Scanner(rows=200, columns=260, depth_mm=155.0)


def write_cine(folder, number, spatial_format=1, on_its_head=False, birth_date="19600101"):
    """Write one JPEG cine of a beat and a half; 2 is an M-mode."""
    rhythm = Rhythm(heart_rate_bpm=75, frame_rate_hz=40, frame_count=52, first_phase=0.8)
    heart = Heart(View.A4C, 110.0, 60.0, tilt_deg=3.0 * number)
    frames = render(heart, SCANNER, rhythm).frames[:, :: -1 if on_its_head else 1]
    area = Area(0, 0, 260, 200, spatial_format, 1, SCANNER.mm_per_px / 10, SCANNER.mm_per_px / 10)
    picture = Picture(
        f"clip{number}", np.repeat(frames[..., None], 3, axis=-1), (area,), f"000{spatial_format}", 25.0, 75.0
    )
    ds = phantom_instance.build(picture, Patient(birth_date=birth_date), 0, number, phantom_instance.jpeg_baseline)
    phantom_instance.save(ds, folder / f"{number}.dcm")
    return read_instance(folder / f"{number}.dcm")


@pytest.fixture(scope="module")
def instances(tmp_path_factory):
    """Two cines and an M-mode of one study."""
    folder = tmp_path_factory.mktemp("study")
    return [write_cine(folder, 1), write_cine(folder, 2), write_cine(folder, 3, spatial_format=2)]


def saying(view: int) -> FakeEngine:
    row = np.full((1, 4), -4, dtype=np.float32)
    row[0, view] = 4
    return FakeEngine(make_manifest("view"), lambda batch: np.repeat(row, len(batch), axis=0))


def darkness_is_ventricle(refuse=lambda frame: False, fault: Exception | None = None) -> FakeEngine:
    """Draw an LV as wide as the frame is dark in the middle: a poor engine that looks at each frame alone."""
    size = 96
    rows, columns = np.mgrid[0:size, 0:size] / size

    def ellipse(scale, middle=0.42, half=(0.13, 0.24)):
        return ((columns - 0.5) / (half[0] * scale)) ** 2 + ((rows - middle) / (half[1] * scale)) ** 2 < 1

    near = ellipse(1.4)

    def answer(batch):
        logits = np.zeros((len(batch), 4, size, size), dtype=np.float32)
        for frame, (grey,) in zip(logits, batch, strict=True):
            if refuse(grey):
                raise fault or RuntimeError("boom")
            scale = 2 * np.mean(cv2.GaussianBlur(grey, (0, 0), 2)[near] < 0.3)
            frame[3][ellipse(1.0, 0.72, (0.12, 0.1))] = 2
            frame[2][ellipse(scale * 1.25) & (rows < 0.42 + 0.18 * scale)] = 4
            frame[1][ellipse(scale) & (rows < 0.42 + 0.18 * scale)] = 8
        return logits

    return FakeEngine(make_manifest("segmentation", size), answer)


def analyse(instances, view=0, segmentation=None, kept=None, progress=lambda analysis: None, objects=None, **analysis):
    """Return the pipeline, what it found, and the files by name."""
    report = {} if objects is None else {"objects": objects}
    config = Config.model_validate({"analysis": {"batch_frames": 64, **analysis}, "report": report})
    pipeline = Pipeline(config, Engines(saying(view), segmentation or darkness_is_ventricle()), kept)
    files = {}
    analysed = pipeline.analyse(
        Request("1.2.3", 1, tuple(instances), NOW),
        lambda file, content: files.update({file.name: content}),
        progress,
    )
    return analysed, files


def test_each_instance_has_a_measurement_or_a_reason(instances):
    """Two clips are measured, the M-mode instance says why not."""
    analysed, files = analyse(instances)

    first, second, m_mode = analysed.analysis.clips
    assert first.measurement is not None
    assert second.measurement is not None
    assert m_mode.not_assessed is not None
    assert m_mode.not_assessed.reason is Reason.M_MODE
    of_the_study, of_a_clip = ["SR", "SR_COMPREHENSIVE", "SR_ECHO", "KO", "PDF"], ["SEG", "CINE", "PNG"]
    assert [file.kind for file in analysed.files] == [*of_the_study, *of_a_clip, *of_a_clip]
    assert {file.name for file in analysed.files} == set(files)
    assert analysed.analysis.assessment is not None


def test_the_page_shows_the_clips_that_the_result_rests_on(instances, monkeypatch):
    """The best pair may be the last of many."""
    shown = []
    uids = [instance.sop_instance_uid for instance in instances[:2]]

    def second_only(clips, *arguments):
        return replace(measure_study(clips, *arguments), sop_instance_uids=(uids[1],))

    def keep(study, segs, pictures, *arguments, **more):
        shown.extend(pictures)
        return ()

    monkeypatch.setattr(pipeline, "measure_study", second_only)
    monkeypatch.setattr(pipeline, "study_objects", keep)
    _, files = analyse(instances)

    assert shown == [files[f"{uid}.png"] for uid in reversed(uids)]


def test_a_lost_file_is_told(instances):
    """The other clips are measured."""
    bare = Dataset()
    bare.StudyInstanceUID, bare.SOPInstanceUID = "1.2.3", "1.2.3.99"
    bare.SeriesInstanceUID, bare.SOPClassUID = "1.2.3.4", UltrasoundMultiFrameImageStorage
    lost = Instance(bare, Path("gone.dcm"), is_lost=True)

    analysed, files = analyse([instances[0], lost])

    told = {clip.instance.sop_instance_uid: clip.not_assessed for clip in analysed.analysis.clips}
    assert told["1.2.3.99"].reason is Reason.FILE_LOST
    assert isinstance(analysed.analysis.result, StudyMeasurement)
    (report,) = (content for name, content in files.items() if name.startswith("SR-"))
    assert b"its file is gone from the store" in report


def test_a_stage_of_a_stress_protocol_is_measured_without_a_grade(instances):
    """Where the site wants it: its numbers are not those of a heart at rest."""
    header = deepcopy(instances[0].header)
    header.StageName = "Peak"

    analysis = analyse([replace(instances[0], header=header)], stress=True)[0].analysis

    assert isinstance(analysis.result, StudyMeasurement)
    assert Flag.STRESS_STAGE in {note.flag for note in analysis.result.notes}
    assert analysis.assessment is None


def test_two_patients_get_no_number_together(instances):
    """A wrong name on one clip, or a study of two: nothing is measured, and no object but the reports is made."""
    other = deepcopy(instances[1].header)
    other.PatientID = "SOMEBODY-ELSE"

    analysed, files = analyse([instances[0], replace(instances[1], header=other)])

    assert {clip.not_assessed.reason for clip in analysed.analysis.clips} == {Reason.SEVERAL_PATIENTS}
    assert analysed.analysis.result.detail == "no clip could be measured: 2 x several_patients"
    assert not any(name.startswith(("SEG-", "CINE-")) for name in files)
    (report,) = (content for name, content in files.items() if name.startswith("SR-"))
    assert b"have 2 values of Patient ID" in report
    assert b"SOMEBODY-ELSE" not in report


def test_kinds_that_are_asked_for_are_made(instances):
    """The simplified echo report, when there is a number to put into it."""
    measured = analyse(instances, objects=["SR_SIMPLIFIED"])[0]
    refused = analyse(instances, view=2, objects=["SR_SIMPLIFIED"])[0]

    assert [file.kind for file in measured.files if file.kind != "PNG"] == ["SR_SIMPLIFIED"]
    assert refused.files == ()


def test_a_picture_on_its_head_is_shown_to_the_networks_upright(instances, tmp_path):
    """The same EF, outlines where the picture has them, and a flag."""
    upright = analyse(instances[:1])[0].analysis.clips[0].measurement

    clip = analyse([write_cine(tmp_path, 1, on_its_head=True)])[0].analysis.clips[0]

    assert clip.measurement is not None, clip.not_assessed
    assert clip.measurement.ef_percent == pytest.approx(upright.ef_percent, abs=2.0)
    assert Flag.APEX_DOWN in {note.flag for note in clip.notes}
    turned, above = (one.beats[0].end_diastole.apex[1] for one in (clip.measurement, upright))
    assert turned == pytest.approx(SCANNER.rows - above, abs=3.0)


def test_a_child_is_measured_and_not_graded(tmp_path):
    """The scales are of adults; a reader is told why there is no grade."""
    analysed, _ = analyse([write_cine(tmp_path, 1, birth_date="20200101")])

    assert isinstance(analysed.analysis.result, StudyMeasurement)
    assert Flag.NOT_AN_ADULT in {note.flag for note in analysed.analysis.result.notes}
    assert analysed.analysis.assessment is None


def test_a_view_that_is_not_measured_says_so(instances):
    """The headline is an honest "not assessed"."""
    analysed, files = analyse(instances, view=2)

    assert {clip.not_assessed.reason for clip in analysed.analysis.clips} == {Reason.VIEW_NOT_MEASURED, Reason.M_MODE}
    assert isinstance(analysed.analysis.result, NotAssessed)
    assert analysed.analysis.assessment is None
    assert sorted(name.split("-")[0] for name in files) == ["PDF", "SR", "SR_COMPREHENSIVE", "SR_ECHO"]


def test_frames_are_decoded_in_full_only_where_they_are_measured(instances):
    """The view needs a few frames; damage behind them does not matter to a clip that nobody measures."""
    engine = darkness_is_ventricle()

    analyse(instances, view=2, segmentation=engine)

    assert engine.batches == []


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
    analysed, _ = analyse(instances, segmentation=darkness_is_ventricle(refuse=lambda frame: True))

    assert [clip.not_assessed.reason for clip in analysed.analysis.clips] == [
        Reason.INTERNAL_ERROR,
        Reason.INTERNAL_ERROR,
        Reason.M_MODE,
    ]


@pytest.mark.parametrize("fault", [EngineError("boom"), GpuError(GpuFault.EXECUTION_FAILED, "boom")], ids=repr)
def test_an_engine_that_fails_ends_the_analysis(instances, fault):
    """The clip is not to blame: the study is tried again, and no clip keeps a reason that is not its own."""
    with pytest.raises(EngineError, match="boom"):
        analyse(instances, segmentation=darkness_is_ventricle(lambda frame: True, fault))


def test_one_failing_clip_holds_no_other_up(instances):
    """Even where its frames go through the engine together with another's, they have what they had alone."""
    seen = darkness_is_ventricle()
    alone, _ = analyse(instances[:1], segmentation=seen)
    good = {frame.tobytes() for batch in seen.batches for frame in batch}
    both, _ = analyse(
        instances[:2],
        segmentation=darkness_is_ventricle(refuse=lambda grey: grey[None].tobytes() not in good),
        batch_frames=512,
    )

    first, second = both.analysis.clips
    assert first.measurement.ef_percent == alone.analysis.clips[0].measurement.ef_percent
    assert second.not_assessed.reason is Reason.INTERNAL_ERROR


def test_pixels_are_let_go_after_each_clip(instances):
    """A study of many clips fits into memory: neither frames nor label maps stay."""
    analysed, _ = analyse(instances)

    assert all(clip.clip is None or clip.clip.frames.size == 0 for clip in analysed.analysis.clips)
    assert all(clip.segmentation is None for clip in analysed.analysis.clips)


def test_a_clip_that_fills_the_memory_is_analysed_alone(instances, monkeypatch):
    """Where each clip needs all there is, none begins before another has ended."""
    monkeypatch.setattr("echo_scp.pipeline._BYTES_PER_PIXEL", 10**9)
    turns = []
    view, segmentation = recorded(turns, saying(0)), recorded(turns, darkness_is_ventricle())
    config = Config.model_validate(
        {"analysis": {"memory_mb": 64, "batch_frames": 512}, "report": {"objects": ["SR", "SEG"]}}
    )

    Pipeline(config, Engines(view, segmentation)).analyse(
        Request("1.2.3", 1, tuple(instances), NOW), lambda file, content: turns.append(file.kind)
    )

    assert turns == ["view", "segmentation", "SEG", "PNG"] * 2 + ["SR"]


def recorded(turns, engine):
    run = engine.run

    def note(batch):
        turns.append(engine.manifest.task)
        return run(batch)

    engine.run = note
    return engine


@given(st.integers(1, 130), st.integers(64, 512), st.randoms(use_true_random=False))
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_neither_batches_nor_memory_nor_order_of_arrival_change_a_byte(instances, frames, memory_mb, order):
    """What runs together is a matter of speed."""
    expected, expected_files = analyse(instances)
    shuffled = order.sample(instances, len(instances))
    told = []

    analysed, files = analyse(shuffled, batch_frames=frames, memory_mb=memory_mb, progress=told.append)

    assert files == expected_files
    assert analysed.files == expected.files
    assert [clip.instance for clip in told] == instances


def test_what_cannot_be_written_ends_the_analysis(instances):
    """A full disk is no property of a clip: the job is tried again."""
    config = Config()
    pipeline = Pipeline(config, Engines(saying(0), darkness_is_ventricle()))

    def refuse(file, content):
        raise StorageError("disk full")

    with pytest.raises(StorageError):
        pipeline.analyse(Request("1.2.3", 1, tuple(instances), NOW), refuse)


def test_nothing_is_reported_under_an_engine_that_was_exchanged(instances):
    """The GPU fails, the CPU takes over: the study is analysed again rather than signed by both."""
    engine = darkness_is_ventricle()
    config = Config.model_validate({"analysis": {"batch_frames": 64}})
    pipeline = Pipeline(config, Engines(saying(0), engine))
    files = []

    def exchange(analysis):
        changed = engine.manifest.artefacts["fp32"].model_copy(update={"sha256": "1" * 64})
        engine.manifest = engine.manifest.model_copy(update={"artefacts": {"fp32": changed}})

    with pytest.raises(EngineError, match="exchanged"):
        pipeline.analyse(
            Request("1.2.3", 1, tuple(instances), NOW), lambda file, content: files.append(file.kind), exchange
        )
    assert "SR" not in files


def keep_in(folder, limit_bytes=10**9):
    return KeptResults(folder, limit_bytes, lambda count: None)


def test_a_revision_asks_the_engines_about_new_instances_only(instances, tmp_path):
    """And its objects are, byte by byte, those of an analysis without memory."""
    _, expected = analyse(instances)
    analyse(instances[:1], kept=keep_in(tmp_path))
    engine = darkness_is_ventricle()

    _, files = analyse(instances, segmentation=engine, kept=keep_in(tmp_path))

    assert sum(map(len, engine.batches)) == 52
    assert files == expected


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_a_damaged_memory_is_computed_again(instances, tmp_path, damage):
    """Whatever happened to the file, the bytes are those of an analysis without memory."""
    _, expected = analyse(instances[:1], kept=keep_in(tmp_path))
    (path,) = tmp_path.iterdir()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes({"cut": content[: len(content) // 2], "flipped": content, "empty": b""}[damage])
    engine = darkness_is_ventricle()

    _, files = analyse(instances[:1], segmentation=engine, kept=keep_in(tmp_path))

    assert sum(map(len, engine.batches)) == 52
    assert files == expected


@pytest.mark.parametrize(
    "changes", [{"minimum_frames": 12}, {"stress": True}, {"threads": 3}], ids=lambda changes: next(iter(changes))
)
def test_a_setting_that_can_change_a_number_is_part_of_what_is_remembered(instances, tmp_path, changes):
    """And of the UIDs; the number of threads is neither."""
    engine = darkness_is_ventricle()
    _, before = analyse(instances[:1], kept=keep_in(tmp_path))

    _, after = analyse(instances[:1], segmentation=engine, kept=keep_in(tmp_path), **changes)

    counts = "threads" not in changes
    assert bool(engine.batches) == counts
    assert (set(after) != set(before)) == counts


def test_another_engine_remembers_nothing(instances, tmp_path):
    """The hash of its artefact decides."""
    analyse(instances[:1], kept=keep_in(tmp_path))
    other = darkness_is_ventricle()
    changed = other.manifest.artefacts["fp32"].model_copy(update={"sha256": "1" * 64})
    other.manifest = other.manifest.model_copy(update={"artefacts": {"fp32": changed}})

    analyse(instances[:1], segmentation=other, kept=keep_in(tmp_path))

    assert sum(map(len, other.batches)) == 52


def test_other_bytes_under_the_same_uid_remember_nothing(instances, tmp_path):
    """A UID is no proof of content."""
    store = tmp_path / "kept"
    analyse(instances[:1], kept=keep_in(store))
    other = tmp_path / "other.dcm"
    other.write_bytes(instances[0].path.read_bytes().replace(b"Synthetic", b"synthetic"))
    engine = darkness_is_ventricle()

    analyse([read_instance(other)], segmentation=engine, kept=keep_in(store))

    assert sum(map(len, engine.batches)) == 52


def test_a_header_that_contradicts_a_sure_network_is_not_measured(instances):
    """One of them errs; the reason tells both."""
    header = deepcopy(instances[0].header)
    header.ViewName = "PLAX"

    analysed, _ = analyse([replace(instances[0], header=header)])

    (clip,) = analysed.analysis.clips
    assert clip.not_assessed.reason is Reason.VIEW_NOT_MEASURED
    assert "View Name (0008,2127) names PLAX; the network sees A4C" in clip.not_assessed.detail


def test_outlines_that_no_apical_view_shows_are_not_measured(instances):
    """What the view network took for an A4C, the anatomy refuses."""
    engine = darkness_is_ventricle()
    run = engine.run
    engine.run = lambda batch: np.ascontiguousarray(run(batch)[:, :, ::-1])  # upside down

    analysed, _ = analyse(instances[:1], segmentation=engine)

    (clip,) = analysed.analysis.clips
    assert clip.not_assessed.reason is Reason.NOT_APICAL


@pytest.mark.parametrize("refuse_below", [0.0, 1.0])
def test_trust_decides_over_the_number(instances, refuse_below):
    """Too little of it and there is none; otherwise the score goes with the clip, and a flag where it is not high."""
    trust = {"bias": 0, "certain": 0.1, "mirrored": 0.1, "turned": 0.1, "refuse_below": refuse_below, "doubt_below": 1}
    engine = darkness_is_ventricle()
    engine.manifest = make_manifest("segmentation", 96, trust=trust)

    analysed, _ = analyse(instances[:1], segmentation=engine)

    (clip,) = analysed.analysis.clips
    assert 0 < clip.trust < 1
    assert (clip.measurement is None) == (refuse_below == 1)
    if clip.measurement is None:
        assert clip.not_assessed.reason is Reason.UNTRUSTED_SEGMENTATION
    else:
        assert Flag.DOUBTFUL_SEGMENTATION in {note.flag for note in clip.notes}
