"""Cases through the stages with engines whose answer is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from echo_scp.config import MeasureConfig
from echo_scp.errors import EvaluationError, InstanceError
from echo_scp.evaluate import trial as trial_module
from echo_scp.evaluate.case import NOTHING_KNOWN, Case, LabelledFrame, LoadedClip, Phase, Reference, Refusal
from echo_scp.evaluate.changes import UNCHANGED
from echo_scp.evaluate.compare import study_comparisons
from echo_scp.evaluate.frames_file import STRUCTURES, find_cases
from echo_scp.evaluate.outcome import Against, Quantity
from echo_scp.evaluate.still import clip_of
from echo_scp.evaluate.trial import OutlinedFrame, Trial
from echo_scp.model import Interval, PixelSpacing, Reason, Region, StudyMeasurement, View, VolumeMethod
from tests.unit.evaluate.builders import (
    SIDE,
    blind_engine,
    failing_engine,
    heart_labels,
    make_evaluator,
    picture_of,
    reading_engine,
    regressing_engine,
    write_archive,
)
from tests.unit.fakes import make_manifest

CYCLE = 30  # frames at 25 ms: 80 beats per minute


class Beating:
    """A cine of two and a half beats; ED is frame 30, ES frame 45."""

    def __init__(self, tmp_path, reference=NOTHING_KNOWN, view=View.A4C, fault=None, structures=STRUCTURES):
        self.name, self.view, self.reference, self.cine = "cine", view, reference, True
        self.paths = (tmp_path / "cine",)
        self._fault, self._structures = fault, structures

    def load(self, config):
        if self._fault is not None:
            raise self._fault
        shrink = 0.85 + 0.15 * np.cos(np.arange(76) * 2 * np.pi / CYCLE)
        maps = np.stack([heart_labels(width=44 * share) for share in shrink])
        clip = clip_of(picture_of(maps), self.name, self.paths[0], PixelSpacing(0.9, 0.9), 25.0)
        labels = np.where(maps <= len(self._structures), maps, 0).astype(np.uint8)
        ends = ((Phase.END_DIASTOLE, 30), (Phase.END_SYSTOLE, 45))
        return LoadedClip(clip, tuple(LabelledFrame(p, k, labels[k], self._structures) for p, k in ends))


def beating_case(tmp_path, reference=NOTHING_KNOWN, **changes):
    return Case("beating", "beating", (Beating(tmp_path, reference, **changes),))


def comparison(result, quantity=Quantity.EF, measured_by=None, against=Against.REFERENCE):
    return next(
        item
        for item in result.comparisons
        if (item.quantity, item.against) == (quantity, against) and measured_by in {None, item.measured_by}
    )


def test_an_engine_that_sees_the_truth_agrees_with_it(tmp_path):
    """Dice is 1 and EF the experts' EF, but for the resampling into the engine's input."""
    case, *_ = find_cases([write_archive(tmp_path / "a4c.npz", ef_percent=44.0)], None)

    result = make_evaluator().evaluate(case)

    assert len(result.frames) == 2 * len(STRUCTURES)
    assert min(frame.dice for frame in result.frames) > 0.97
    ours = comparison(result, against=Against.EXPERTS)
    assert ours.measured == pytest.approx(ours.truth, abs=1)
    assert ours.truth == pytest.approx(44, abs=3)
    told = {item.measured_by: item.truth for item in result.comparisons if item.against is Against.REFERENCE}
    method = "A4C single plane, labelled frames"
    assert told == {method: 44, f"experts' outlines, {method}": 44, "headline, labelled frames": 44}


def test_frames_that_nobody_traced_are_measured_and_not_scored(tmp_path):
    """Against the reference, as the patients of a challenge are whose tracings are kept back."""
    path = write_archive(tmp_path / "a4c.npz", ef_percent=44.0)
    with np.load(path) as file:
        bare = {name: file[name] for name in file.files if name != "labels"}
    np.savez(path, **bare)
    case, *_ = find_cases([path], None)

    result = make_evaluator().evaluate(case)

    assert result.frames == ()
    assert result.clips[0].refusal is None
    assert {item.against for item in result.comparisons} == {Against.REFERENCE}
    assert comparison(result, measured_by="A4C single plane, labelled frames").measured == pytest.approx(44, abs=3)


def test_a_truth_of_stills_of_one_phase_is_not_forgotten(tmp_path):
    """Without end-systole there is no EF to compare it with."""
    path = write_archive(tmp_path / "a4c.npz", patients=1, ef_percent=44.0)
    with np.load(path) as file:
        first = {name: file[name][:1] for name in file.files}
    np.savez(path, **first)
    (case,) = find_cases([path], None)

    (only,) = make_evaluator().evaluate(case).comparisons

    assert (only.truth, only.refusal.reason) == (44, "one_phase")


def test_two_views_give_a_biplane_ef(tmp_path):
    """Of both outlines, against each other and against the reference."""
    paths = [write_archive(tmp_path / f"a{k}c.npz", ef_percent=44.0) for k in (4, 2)]
    case, *_ = find_cases(paths, None)

    result = make_evaluator().evaluate(case)

    ours = comparison(result, measured_by="biplane, labelled frames")
    experts = comparison(result, measured_by="experts' outlines, biplane, labelled frames")
    assert ours.measured == pytest.approx(experts.measured, abs=1)
    assert comparison(result, measured_by="biplane, labelled frames", against=Against.EXPERTS).truth == experts.measured
    assert ours.interval[0] < ours.measured < ours.interval[1]
    assert experts.interval is None
    assert comparison(result, measured_by="headline, labelled frames").measured == ours.measured
    assert {len(clip.sizes_px) for clip in result.clips} == {2}


def test_outlines_that_the_product_would_not_report_give_no_headline(tmp_path):
    """Upside down they are no apical view; they are compared all the same, and one view is left of two."""
    paths = [write_archive(tmp_path / f"a{k}c.npz", ef_percent=44.0) for k in (4, 2)]
    with np.load(paths[1]) as file:
        turned = {name: file[name][:, ::-1] if name != "meta" else file[name] for name in file.files}
    np.savez(paths[1], **turned)
    alone, *_ = find_cases(paths[1:], None)
    both, *_ = find_cases(paths, None)

    refused, left = make_evaluator().evaluate(alone), make_evaluator().evaluate(both)

    assert comparison(refused, measured_by="headline, labelled frames").refusal.reason == Reason.NOT_APICAL
    single = comparison(left, measured_by="A4C single plane, labelled frames")
    assert comparison(left, measured_by="headline, labelled frames").measured == single.measured
    assert comparison(left, measured_by="A2C single plane, labelled frames").measured is not None


def test_trust_goes_with_the_clip_and_widens_its_interval(tmp_path):
    """As far as the engine's manifest says how to judge it."""
    case, *_ = find_cases([write_archive(tmp_path / "a4c.npz", ef_percent=44.0)], None)
    table = {"certain": 0.0, "mirrored": 0.0, "turned": 0.0, "refuse_below": 0.1, "doubt_below": 0.2}
    engine = reading_engine()
    engine.manifest = make_manifest("segmentation", SIDE, trust={"bias": 0.0, **table})

    judged, unjudged = make_evaluator(engine).evaluate(case), make_evaluator().evaluate(case)

    assert judged.clips[0].trust == pytest.approx(0.5)
    assert unjudged.clips[0].trust is None
    widths = [clip.ef_interval[1] - clip.ef_interval[0] for clip in (judged.clips[0], unjudged.clips[0])]
    assert widths[0] > widths[1]


def test_nothing_outlined_is_a_refusal_and_a_dice_of_zero(tmp_path):
    """Not a missing row."""
    case, *_ = find_cases([write_archive(tmp_path / "a4c.npz")], None)

    result = make_evaluator(blind_engine()).evaluate(case)

    assert {frame.dice for frame in result.frames} == {0}
    ours = comparison(result, against=Against.EXPERTS)
    assert ours.measured is None
    assert ours.refusal.reason == Reason.NO_VENTRICLE


def test_a_cine_is_measured_over_its_beats(tmp_path):
    """EF by beats, beside the reference; areas per frame and beats are kept for the exports."""
    result = make_evaluator().evaluate(beating_case(tmp_path, Reference(ef_percent=51)))

    cine = comparison(result, measured_by="A4C cine")
    assert cine.measured == pytest.approx(51, abs=3)
    (clip,) = result.clips
    assert len(clip.sizes_px) == 76
    assert [beat.end_systole for beat in clip.beats] == pytest.approx([15, 45], abs=2)
    assert (clip.true_end_diastole, clip.true_end_systole) == (30, 45)


def test_only_what_the_experts_traced_shapes_the_comparison(tmp_path):
    """With the cavity alone traced, ours is measured by its cavity alone too."""
    result = make_evaluator().evaluate(beating_case(tmp_path, structures=STRUCTURES[:1]))

    ours = comparison(result, against=Against.EXPERTS)
    assert ours.measured == pytest.approx(ours.truth, abs=1)
    assert {frame.structure for frame in result.frames} == set(STRUCTURES[:1])


def test_frames_of_which_different_structures_were_traced_are_measured_by_what_both_have(tmp_path, monkeypatch):
    """The atrium is the second structure of one frame and the third of the other."""
    loaded = Beating(tmp_path).load(None)
    whole, other = loaded.labelled
    labels = np.array([0, 1, 0, 2], dtype=np.uint8)[other.label_map]
    bare = replace(other, label_map=labels, structures=(STRUCTURES[0], STRUCTURES[2]))
    frames = tuple(OutlinedFrame(frame, frame.label_map, frame.structures) for frame in (whole, bare))
    monkeypatch.setattr(trial_module, "measure_frames", lambda view, maps, structures, *_: (maps, structures))

    (first, second), structures = Trial(Beating(tmp_path), loaded, frames=frames).traced_plane(MeasureConfig())

    assert structures == (STRUCTURES[0], STRUCTURES[2])
    assert np.array_equal(first == 2, whole.label_map == 3)
    assert np.array_equal(second, labels)


def test_the_view_engines_answer_decides_unless_the_truth_is_taken(tmp_path):
    """A clip taken for PLAX has no EF; its outlines are scored all the same."""
    case = beating_case(tmp_path, Reference(ef_percent=51))

    asked = make_evaluator(view=2).evaluate(case)
    told = make_evaluator(view=2, true_views=True).evaluate(case)

    refused = comparison(asked, measured_by="A4C cine")
    assert refused.refusal.reason == Reason.VIEW_NOT_MEASURED
    assert asked.clips[0].view is View.PLAX
    assert min(frame.dice for frame in asked.frames) > 0.97
    assert comparison(told, measured_by="A4C cine").measured is not None


def test_the_studys_headline_is_compared_with_the_studys_truth(tmp_path):
    """By the product's own choice of clips."""
    case = replace(beating_case(tmp_path), reference=Reference(ef_percent=51))

    study = comparison(make_evaluator().evaluate(case), measured_by="study")

    assert study.measured == pytest.approx(51, abs=3)
    assert study.interval[0] < study.measured < study.interval[1]


@pytest.mark.parametrize("view", [0, 2], ids=["measured", "not measured"])
def test_a_study_of_two_patients_has_no_number_as_in_the_product(view, tmp_path):
    """The clips have theirs, where they have one; that none has is not what the product says either."""

    class Named(Beating):
        def load(self, config):
            loaded = super().load(config)
            loaded.clip.instance.header.PatientID = self.name
            return loaded

    clips = tuple(Named(tmp_path, Reference(51)) for _ in range(2))
    clips[1].name = "another"

    result = make_evaluator(view=view).evaluate(Case("a", "a", clips, Reference(50)))

    assert comparison(result, measured_by="study").refusal.reason == Reason.SEVERAL_PATIENTS
    assert (comparison(result, measured_by="A4C cine").measured is None) == (view == 2)


@pytest.mark.parametrize("view", [2, None])
def test_a_study_without_a_measured_clip_says_what_became_of_each(view, tmp_path):
    """Also where no clip was so much as looked at: M-mode is no heart without a ventricle."""
    faults = [InstanceError(Reason.M_MODE, "a"), InstanceError(Reason.M_MODE, "b")]
    clips = tuple(Beating(tmp_path, fault=fault) for fault in faults)
    clips += () if view is None else (Beating(tmp_path),)

    result = make_evaluator(view=view or 0).evaluate(Case("a", "a", clips, Reference(50)))

    refusal = comparison(result, measured_by="study").refusal
    assert refusal.reason == Reason.NO_ELIGIBLE_CLIP
    others = "" if view is None else ", 1 x view_not_measured"
    assert refusal.detail == f"no clip could be measured: 2 x m_mode{others}"


@pytest.mark.parametrize("fault", [EvaluationError("truth.png: too small"), ValueError("a bug of ours")])
def test_a_clip_that_fails_leaves_its_truths_with_a_reason(fault, tmp_path):
    """The other clips of the case are evaluated."""
    good, bad = Beating(tmp_path, Reference(51)), Beating(tmp_path, Reference(52), fault=fault)
    bad.name = "bad"

    result = make_evaluator().evaluate(Case("both", "both", (bad, good)))

    refused, measured = (item for item in result.comparisons if item.measured_by == "A4C cine")
    assert refused.measured is None
    assert str(fault) in refused.refusal.detail
    assert measured.measured is not None


def test_a_stated_interval_goes_with_the_ef_alone():
    """Volumes have none; nor has a measurement that states none."""
    case = Case("a", "a", (), Reference(50, 100, 50))
    silent = StudyMeasurement(51.0, 98.0, 48.0, View.A4C, VolumeMethod.DISKS_SINGLE_PLANE, 2, ())
    stated = replace(silent, ef_interval=Interval(45, 57))

    intervals = {item.quantity: item.interval for item in study_comparisons(case, (), stated)}
    assert intervals == {Quantity.EF: (45, 57), Quantity.EDV: None, Quantity.ESV: None}
    assert {item.interval for item in study_comparisons(case, (), silent)} == {None}


def test_a_regression_networks_ef_is_compared_beside():
    """Under its own name, with the truth's EF; it has no volumes."""
    result = StudyMeasurement(51.0, 98.0, 48.0, View.A4C, VolumeMethod.DISKS_SINGLE_PLANE, 2, ())
    result = replace(result, regressed_ef_percent=55.0)

    compared = study_comparisons(Case("a", "a", (), Reference(50, 100, 50)), (), result)

    beside = [item for item in compared if item.measured_by == "study, regression"]
    assert [(item.quantity, item.measured, item.truth) for item in beside] == [(Quantity.EF, 55, 50)]


@pytest.mark.parametrize("segmentation", [reading_engine, blind_engine])
def test_a_regression_network_is_compared_clip_by_clip(segmentation, tmp_path):
    """With the truth of the clip, also where outlines give no EF; a view that it is not for carries the reason."""
    four = Beating(tmp_path, Reference(51, 100, 49))
    two = Beating(tmp_path, Reference(50), view=View.A2C)
    two.name = "two"

    results = [
        make_evaluator(segmentation(), additional=(regressing_engine(55),), view=view).evaluate(
            Case("a", "a", (source,))
        )
        for view, source in ((0, four), (1, two))
    ]

    measured = [item for item in results[0].comparisons if item.measured_by == "A4C cine, regression"]
    assert [(item.quantity, item.truth, item.measured) for item in measured] == [(Quantity.EF, 51, 55)]
    refused = comparison(results[1], measured_by="A2C cine, regression")
    assert (refused.measured, refused.refusal is None) == (None, False)
    assert not [
        item for item in make_evaluator().evaluate(Case("a", "a", (four,))).comparisons if "reg" in item.measured_by
    ]


def test_a_broken_engine_does_not_end_the_run(tmp_path):
    """Every clip says so."""
    result = make_evaluator(failing_engine()).evaluate(beating_case(tmp_path, Reference(51)))

    assert result.clips[0].refusal.reason == Reason.INTERNAL_ERROR
    assert comparison(result).refusal.reason == Reason.INTERNAL_ERROR


def test_a_case_without_files_keeps_its_truth():
    """Every quantity that somebody measured is there, with the problem as reason."""
    problem = Refusal("missing_file", "truth.csv:7")

    result = make_evaluator().evaluate(Case("lost", "lost", (), Reference(50, 100, 50), problem=problem))

    assert {item.quantity: item.refusal for item in result.comparisons} == dict.fromkeys(Quantity, problem)


def test_a_picture_shows_both_outlines(tmp_path):
    """A PNG; None for a clip that the case does not have."""
    case, *_ = find_cases([write_archive(tmp_path / "a4c.npz")], None)
    evaluator = make_evaluator()

    assert evaluator.picture(case, case.clips[0].name).startswith(b"\x89PNG")
    assert evaluator.picture(case, "another") is None


def test_a_picture_of_stills_shows_the_region_alone(tmp_path):
    """What lies outside may name the patient."""

    class Banner(Beating):
        def load(self, config):
            loaded = super().load(config)
            return replace(loaded, clip=replace(loaded.clip, region=Region(10, 10, 110, 110, None)))

    case = Case("a", "a", (Banner(tmp_path),))

    assert make_evaluator().picture(case, "cine") is not None
    assert make_evaluator().evaluate(case, UNCHANGED).frames[0].calibrated is False
