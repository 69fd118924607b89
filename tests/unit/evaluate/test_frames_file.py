"""Archives of frames."""

from __future__ import annotations

import numpy as np
import pytest

from echo_scp.config import AnalysisConfig
from echo_scp.errors import EvaluationError
from echo_scp.evaluate.case import Phase, Reference
from echo_scp.evaluate.frames_file import find_cases
from echo_scp.model import Structure, View
from tests.unit.evaluate.builders import write_archive


def test_patients_are_cases_and_views_come_from_the_files_name(tmp_path):
    """Two archives of the same patients make one case with two clips."""
    four = write_archive(tmp_path / "camus-a4c.npz")
    two = write_archive(tmp_path / "camus-a2c.npz", patients=2, split=False, lvef=55.0)

    cases = find_cases([four, two], None)

    assert [case.identifier for case in cases] == ["patient0000", "patient0001", "patient0002"]
    assert [clip.view for clip in cases[0].clips] == [View.A4C, View.A2C]
    assert cases[0].reference == Reference(ef_percent=55)
    assert cases[2].reference == Reference()


def test_frames_keep_their_phase_and_labels(tmp_path):
    """The clip is the patient's two frames."""
    (case, *_) = find_cases([write_archive(tmp_path / "a4c.npz")], None)

    loaded = case.clips[0].load(AnalysisConfig())

    assert [frame.phase for frame in loaded.labelled] == [Phase.END_DIASTOLE, Phase.END_SYSTOLE]
    assert loaded.clip.frames[0].max() == 180
    assert loaded.labelled[0].label_map.max() == 3
    assert loaded.clip.region.spacing.row_mm == pytest.approx(0.9)


def test_a_split_is_asked_of_every_archive(tmp_path):
    """One that has none is named: leaving its frames out silently would look like a small data set."""
    four = write_archive(tmp_path / "a4c.npz")
    two = write_archive(tmp_path / "a2c.npz", split=False)

    assert [case.identifier for case in find_cases([four], "valid")] == ["patient0001"]
    with pytest.raises(EvaluationError, match=r"a2c.npz: meta has no field 'split'"):
        find_cases([four, two], "valid")


def test_pictures_with_a_view_alone_are_cases_of_the_view_engine(tmp_path):
    """Colour becomes grey; a view that the product has no word for is other."""
    meta = np.array([("one", "A4C"), ("two", "DOPPLER")], dtype=[("name", "U8"), ("view", "U12")])
    np.savez(tmp_path / "views.npz", images=np.zeros((2, 16, 16, 3), dtype=np.uint8), meta=meta)

    first, second = find_cases([tmp_path / "views.npz"], None)
    loaded = first.clips[0].load(AnalysisConfig())

    assert (first.clips[0].view, second.clips[0].view) == (View.A4C, View.OTHER)
    assert loaded.clip.frames.shape == (1, 16, 16)
    assert loaded.labelled == ()


def test_what_an_archive_lacks_is_named(tmp_path):
    """The file, and the array or field."""
    (tmp_path / "text.npz").write_text("no archive")
    with (tmp_path / "array.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    np.savez(tmp_path / "bare.npz", images=np.zeros((1, 4, 4), dtype=np.uint8))
    np.savez(tmp_path / "nameless.npz", images=np.zeros((1, 4, 4), np.uint8), meta=np.zeros(1, dtype=[("phase", "U2")]))

    with pytest.raises(EvaluationError, match=r"text.npz"):
        find_cases([tmp_path / "text.npz"], None)
    with pytest.raises(EvaluationError, match=r"array.npz: is not a readable"):
        find_cases([tmp_path / "array.npz"], None)
    with pytest.raises(EvaluationError, match=r"bare.npz: has no array meta"):
        find_cases([tmp_path / "bare.npz"], None)
    with pytest.raises(EvaluationError, match=r"nameless.npz: meta has no field 'name'"):
        find_cases([tmp_path / "nameless.npz"], None)


FAULTS = {
    "images: expected uint8": {"images": np.zeros((2, 16, 16), dtype=np.float32)},
    "as many as meta has rows": {"images": np.zeros((1, 16, 16), dtype=np.uint8)},
    r"or \(2, H, W, 3\)": {"images": np.zeros((2, 3, 16, 16), dtype=np.uint8)},
    "labels: expected whole numbers": {"labels": np.zeros((2, 8, 8), dtype=np.uint8)},
}


@pytest.mark.parametrize(("told", "arrays"), FAULTS.items(), ids=FAULTS)
def test_arrays_that_do_not_fit_are_named_before_anything_is_computed(told, arrays, tmp_path):
    """Grey values from 0 to 1 would be read as black pictures."""
    values = {"images": np.zeros((2, 16, 16), dtype=np.uint8), "meta": meta_of("ED", "ES")}
    np.savez(tmp_path / "wrong-a4c.npz", **(values | arrays))

    with pytest.raises(EvaluationError, match=rf"wrong-a4c.npz: .*{told}"):
        find_cases([tmp_path / "wrong-a4c.npz"], None)


def meta_of(*phases, text="U"):
    fields = [("patient", f"{text}8"), ("phase", f"{text}2")]
    return np.array([("one", phase) for phase in phases], dtype=fields)


def test_labels_that_mean_nothing_are_named(tmp_path):
    """255 is a mask's way to say it, not an archive's."""
    images = np.zeros((2, 16, 16), dtype=np.uint8)
    np.savez(tmp_path / "a4c.npz", images=images, labels=images + 255, meta=meta_of("ED", "ES"))

    (case,) = find_cases([tmp_path / "a4c.npz"], None)

    with pytest.raises(EvaluationError, match=r"a4c.npz: labels are 0 to 3; it has 255 to 255"):
        case.clips[0].load(AnalysisConfig())


def test_text_may_be_bytes(tmp_path):
    """As HDF5 gives it."""
    images = np.zeros((2, 16, 16), dtype=np.uint8)
    np.savez(tmp_path / "a4c.npz", images=images, meta=meta_of(b"ED", b"ES", text="S"))

    (case,) = find_cases([tmp_path / "a4c.npz"], None)

    assert (case.patient, case.clips[0].phases) == ("one", (Phase.END_DIASTOLE, Phase.END_SYSTOLE))


def test_a_structure_between_two_others_may_be_left_out(tmp_path):
    """Ventricle and atrium without the wall: nobody is blamed for the wall."""
    labels = np.zeros((2, 16, 16), dtype=np.uint8)
    labels[:, 4:8], labels[:, 8:12] = 1, 3
    np.savez(tmp_path / "a4c.npz", images=labels * 60, labels=labels, meta=meta_of("ED", "ES"))

    (case,) = find_cases([tmp_path / "a4c.npz"], None)
    frame, _ = case.clips[0].load(AnalysisConfig()).labelled

    assert frame.structures == (Structure.LV_CAVITY, Structure.LEFT_ATRIUM)
    assert (frame.label_map[5, 0], frame.label_map[9, 0]) == (1, 2)


@pytest.mark.parametrize("unknown", [float("nan"), 0.0])
def test_a_spacing_that_is_no_length_is_not_known(unknown, tmp_path):
    """Tables of many patients mark so whose pictures have no scale; their EF needs none."""
    path = write_archive(tmp_path / "a4c.npz", patients=1)
    with np.load(path) as file:
        arrays = dict(file)
    arrays["meta"]["mm_per_px_x"] = unknown
    np.savez(path, **arrays)

    (case,) = find_cases([path], None)

    assert case.clips[0].load(AnalysisConfig()).clip.region.spacing is None


def test_what_nobody_traced_in_an_archive_is_not_compared(tmp_path):
    """The ventricle alone, or nothing at all."""
    images = np.zeros((2, 16, 16), dtype=np.uint8)
    np.savez(tmp_path / "alone-a4c.npz", images=images, labels=images + 1, meta=meta_of("ED", "ES"))
    np.savez(tmp_path / "bare-a4c.npz", images=images, meta=meta_of("ED", "ES"))

    (alone,), (bare,) = (find_cases([tmp_path / f"{name}-a4c.npz"], None) for name in ("alone", "bare"))

    assert {frame.structures for frame in alone.clips[0].load(AnalysisConfig()).labelled} == {(Structure.LV_CAVITY,)}
    assert {frame.structures for frame in bare.clips[0].load(AnalysisConfig()).labelled} == {()}
