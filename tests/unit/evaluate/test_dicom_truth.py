"""A folder of DICOM with a CSV, or with another device's reports."""

from __future__ import annotations

import shutil

import cv2
import numpy as np
import pytest
from pydicom import dcmread

from echo_scp.config import AnalysisConfig
from echo_scp.errors import EvaluationError
from echo_scp.evaluate.case import Phase, Reference
from echo_scp.evaluate.dicom import cases_by_csv, cases_by_reports
from echo_scp.evaluate.layouts import Selection, open_data
from echo_scp.folder import find_studies
from echo_scp.model import Sex, Structure, View
from echo_scp.phantom.study import write_study
from tests.unit.evaluate.builders import write_archive
from tests.unit.evaluate.reports import group, number, report, save


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The phantom's eight instances; number 2 is the A2C cine in 480 x 640."""
    folder = tmp_path_factory.mktemp("study")
    return folder, write_study(folder, frame_count=12)


def csv_of(tmp_path, *rows, header="identifier,view,ef_percent,ed_frame,es_frame,ed_mask,es_mask"):
    path = tmp_path / "truth.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


@pytest.mark.parametrize("name", ["02-a2c.dcm", "02-a2c", "uid"])
def test_a_row_names_an_instance_by_its_file_or_uid(name, study, tmp_path):
    """Only the named clips are evaluated."""
    folder, written = study
    identifier = written[1].sop_instance_uid if name == "uid" else name

    (case,), remarks = cases_by_csv(folder, csv_of(tmp_path, f"{identifier},A2C,58,3,9,,"))

    (clip,) = case.clips
    assert (clip.path, clip.view, clip.reference) == (written[1].path, View.A2C, Reference(58))
    assert clip.frames == ((Phase.END_DIASTOLE, 2, None), (Phase.END_SYSTOLE, 8, None))
    assert case.sex is Sex.FEMALE
    assert remarks[0] == "0 of 1 studies are named by no row"


def test_the_truth_of_a_study_needs_all_its_clips(study, tmp_path):
    """The headline rests on the study; a clip's own row is kept beside it."""
    folder, written = study
    uid = str(dcmread(written[0].path, stop_before_pixels=True).StudyInstanceUID)

    (case,), _ = cases_by_csv(folder, csv_of(tmp_path, f"{uid},,58,,,,", "01-a4c,A4C,57,,,,"))

    assert case.reference == Reference(58)
    assert len(case.clips) == len(written)
    assert {clip.view for clip in case.clips} == {View.A4C, None}


def test_a_csv_without_a_row_is_named(study, tmp_path):
    """The folder is not to blame."""
    with pytest.raises(EvaluationError, match=r"truth.csv: has no row"):
        cases_by_csv(study[0], csv_of(tmp_path))


def test_a_row_of_a_study_cannot_tell_of_a_clip(study, tmp_path):
    """A view of the study would be compared with nothing, in silence."""
    folder, written = study
    uid = str(dcmread(written[0].path, stop_before_pixels=True).StudyInstanceUID)

    with pytest.raises(EvaluationError, match=r"truth.csv:2: view, ed_frame: is of a clip, .* a study: 1\.2"):
        cases_by_csv(folder, csv_of(tmp_path, f"{uid},A4C,58,3,,,"))


def test_a_row_that_names_nothing_is_a_case_with_a_problem(study, tmp_path):
    """Its truth is not forgotten, and its line is named."""
    folder, _ = study

    (case,), _ = cases_by_csv(folder, csv_of(tmp_path, "99-gone,A4C,40,,,,"))

    assert case.reference == Reference(40)
    assert "truth.csv:2: identifier: '99-gone' names no study" in case.problem.detail


def test_a_row_that_names_a_report_is_a_case_with_a_problem(study, tmp_path):
    """Its truth would belong to a case without clips, and be compared with nothing."""
    folder, _ = study
    both = tmp_path / "both"
    shutil.copytree(folder, both)
    save(report(group(number(("18043-0", "LN"), "58", "%"))), both / "sr.dcm")

    (case,), _ = cases_by_csv(both, csv_of(tmp_path, "sr,,40,,,,"))

    assert (case.reference, case.problem.reason) == (Reference(40), "missing_file")


def test_a_name_that_two_files_share_is_not_guessed(study, tmp_path):
    """The number of files is told."""
    folder = tmp_path / "data"
    for seed in (1, 2):
        write_study(folder / str(seed), seed=seed, frame_count=4)

    (shared, exact), _ = sorted_cases(folder, csv_of(tmp_path, "01-a4c,A4C,40,,,,", "2/02-a2c,A2C,41,,,,"))

    assert "names 2 files of the same name" in shared.problem.detail
    assert exact.clips[0].path.parent.name == "2"


def sorted_cases(folder, truth):
    cases, remarks = cases_by_csv(folder, truth)
    return sorted(cases, key=lambda case: case.problem is None), remarks


def test_paths_may_be_written_as_under_windows(study, tmp_path):
    """Of clips and of masks."""
    folder = tmp_path / "data"
    write_study(folder / "sub", frame_count=4)

    (case,), _ = cases_by_csv(folder, csv_of(tmp_path, r"sub\01-a4c.dcm,A4C,57,2,,masks\ed.png,"))

    assert case.clips[0].path == folder / "sub" / "01-a4c.dcm"
    assert case.clips[0].frames[0][2] == tmp_path / "masks" / "ed.png"


def test_a_uid_is_not_taken_for_another_files_name_without_suffix(study, tmp_path):
    """Files are often called by their UIDs, and one UID may begin with another."""
    folder = tmp_path / "data"
    folder.mkdir()
    for uid in ("1.2.3.100", "1.2.3.100.1"):
        instance = dcmread(study[1][0].path)
        instance.SOPInstanceUID = instance.file_meta.MediaStorageSOPInstanceUID = uid
        instance.save_as(folder / uid)

    (case,), _ = cases_by_csv(folder, csv_of(tmp_path, "1.2.3.100,A4C,57,,,,"))

    assert [clip.path.name for clip in case.clips] == ["1.2.3.100"]


def test_two_truths_of_the_same_are_named(study, tmp_path):
    """Also under two names; the last one would count in silence."""
    folder, written = study
    truth = csv_of(tmp_path, "01-a4c,A4C,57,,,,", f"{written[0].sop_instance_uid},A4C,41,,,,")

    with pytest.raises(EvaluationError, match=r"truth.csv:3: identifier: names what line 2 names: .*01-a4c.dcm"):
        cases_by_csv(folder, truth)


def test_masks_are_read_beside_the_csv(study, tmp_path):
    """255 is the ventricle alone; 1, 2 and 3 are the three structures, of which the wall was not traced here."""
    folder, _ = study
    alone, three = np.zeros((2, 480, 640), dtype=np.uint8)
    alone[100:200, 300:400] = 255
    three[100:200, 300:400] = 1
    three[200:220, 300:400] = 3
    shape = dcmread(study[1][1].path, stop_before_pixels=True)
    size = (int(shape.Columns), int(shape.Rows))
    for name, mask in (("ed.png", alone), ("es.png", three)):
        cv2.imwrite(str(tmp_path / name), cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST))

    (case,), _ = cases_by_csv(folder, csv_of(tmp_path, "02-a2c,A2C,,3,9,ed.png,es.png"))
    first, second = case.clips[0].load(AnalysisConfig()).labelled

    assert first.structures == (Structure.LV_CAVITY,)
    assert first.label_map.max() == 1
    assert second.structures == (Structure.LV_CAVITY, Structure.LEFT_ATRIUM)
    assert set(np.unique(second.label_map)) == {0, 1, 2}


@pytest.mark.parametrize(("mask", "told"), [("gone.png", "not a readable picture"), ("small.png", "as the clip")])
def test_a_mask_that_does_not_fit_is_named(mask, told, study, tmp_path):
    """With its path."""
    folder, _ = study
    cv2.imwrite(str(tmp_path / "small.png"), np.zeros((4, 4), dtype=np.uint8))

    (case,), _ = cases_by_csv(folder, csv_of(tmp_path, f"02-a2c,A2C,,3,,{mask},"))

    with pytest.raises(EvaluationError, match=f"{mask}: .*{told}"):
        case.clips[0].load(AnalysisConfig())


def test_a_frame_beyond_the_clip_is_named(study, tmp_path):
    """Frames are counted from one."""
    folder, _ = study

    (case,), _ = cases_by_csv(folder, csv_of(tmp_path, "02-a2c,A2C,,13,,,"))

    with pytest.raises(EvaluationError, match="ED is said to be frame 13 of 12"):
        case.clips[0].load(AnalysisConfig())


def test_reports_of_another_device_are_the_truth_of_their_study(study, tmp_path):
    """The report may lie among the images; it is not evaluated as one."""
    folder, written = study
    uid = str(dcmread(written[0].path, stop_before_pixels=True).StudyInstanceUID)
    told = group(number(("18043-0", "LN"), "58", "%"))
    save(report(told, study_instance_uid=uid), tmp_path / "sr" / "1.dcm")
    save(report(told, study_instance_uid="1.2.3.4"), tmp_path / "sr" / "2.dcm")
    save(report(group(number(("18026-5", "LN"), "90", "mL")), study_instance_uid="1.2.3.4"), tmp_path / "sr" / "3.dcm")

    cases, _ = cases_by_reports(folder, tmp_path / "sr")
    lost = next(case for case in cases if case.identifier == "1.2.3.4")
    found = next(case for case in cases if case.identifier == uid)

    assert (len(found.clips), found.reference) == (len(written), Reference(58))
    assert lost.problem.reason == "missing_file"
    assert lost.reference == Reference(58, 90)


def test_a_folder_without_truth_is_evaluated_as_far_as_it_goes(study):
    """Every image of every study, and it is said that nothing is known."""
    folder, written = study

    data = open_data((folder,), None)

    assert data.layout == "DICOM without truth"
    assert [len(case.clips) for case in data.cases] == [len(written)]
    assert data.cases[0].reference == Reference()
    assert "nothing is known to be true" in data.remarks[0]


def test_reports_among_the_images_are_found(study, tmp_path):
    """They need no option."""
    folder, written = study
    both = tmp_path / "both"
    shutil.copytree(folder, both)
    uid = str(dcmread(written[0].path, stop_before_pixels=True).StudyInstanceUID)
    save(report(group(number(("18043-0", "LN"), "58", "%")), study_instance_uid=uid), both / "sr.dcm")

    (case,) = open_data((both,), None).cases

    assert (len(case.clips), case.reference) == (len(written), Reference(58))


def test_our_own_results_are_neither_truth_nor_clips(study, tmp_path):
    """An archive's export holds what the node sent it; its overlay cines show hearts that are drawn on."""
    folder, written = study
    both = tmp_path / "both"
    shutil.copytree(folder, both)
    cine = dcmread(written[0].path)
    ours = report(group(number(("18043-0", "LN"), "58", "%")), study_instance_uid=cine.StudyInstanceUID)
    cine.SOPInstanceUID = cine.file_meta.MediaStorageSOPInstanceUID = "2.25.1"
    for result in (cine, ours):
        result.Manufacturer = result.ManufacturerModelName = "echo-scp"
    cine.save_as(both / "cine.dcm")
    save(ours, both / "sr.dcm")

    data = open_data((both,), None)
    _, skipped = find_studies([both])

    assert data.layout == "DICOM without truth"
    assert [len(case.clips) for case in data.cases] == [len(written)]
    assert {file.path.name: file.detail for file in skipped} == dict.fromkeys(
        ("cine.dcm", "sr.dcm"), "a result of echo-scp, not an acquisition"
    )


def test_a_patient_is_grouped_without_being_named(study, tmp_path):
    """The identifier of the patient is in no output."""
    folder, written = study
    patient = str(dcmread(written[0].path, stop_before_pixels=True).PatientID)

    (case,), _ = cases_by_csv(folder, csv_of(tmp_path, "01-a4c,A4C,57,,,,"))

    assert patient not in repr(case)


def test_no_report_with_an_ef_is_an_error(study):
    """Where reports are asked for, images alone will not do."""
    with pytest.raises(EvaluationError, match="none of 0 reports of other devices"):
        open_data((study[0],), study[0])


def test_a_file_that_is_no_truth_is_named(study, tmp_path):
    """A table under another suffix is not searched for reports."""
    (tmp_path / "truth.txt").write_text("identifier,ef_percent\n")

    with pytest.raises(EvaluationError, match=r"truth.txt: is neither a table of truth \(.csv\) nor"):
        open_data((study[0],), tmp_path / "truth.txt")


def test_a_folder_of_dicom_has_no_splits(study):
    """The option is not ignored."""
    with pytest.raises(EvaluationError, match="--split"):
        open_data((study[0],), None, Selection(split="test"))


def test_an_empty_selection_says_what_emptied_it(study, tmp_path):
    """The wrong folder, the wrong split, or no patient with both views."""
    archive = write_archive(tmp_path / "a4c.npz")
    (tmp_path / "empty").mkdir()

    with pytest.raises(EvaluationError, match=r"empty: no case .* expected DICOM, FileList.csv \(EchoNet-Dynamic\)"):
        open_data((tmp_path / "empty",), None)
    with pytest.raises(EvaluationError, match="no case of split 'tset' in layout NumPy"):
        open_data((archive,), None, Selection(split="tset"))
    with pytest.raises(EvaluationError, match=r"none of 3 cases .* has both views"):
        open_data((archive,), None, Selection(both_views=True))
