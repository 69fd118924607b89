"""CAMUS as it is published: NIfTI, or the older MetaImage, and .cfg files."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 - its usual name

from echo_scp.config import AnalysisConfig
from echo_scp.errors import EvaluationError, InstanceError
from echo_scp.evaluate.camus import find_cases, is_camus
from echo_scp.evaluate.case import Phase, Reference
from echo_scp.model import PixelSpacing, Sex, View

CFG = "ED: 1\nES: 18\nNbFrame: 18\nSex: F\nAge: 56\nImageQuality: Good\nEF: 63\nFrameRate: 53.1\n"
OLD_CFG = "LVedv: 93.3\nLVesv: 34.2\nLVef: 63.3\n"


def write_image(path, pixels):
    """Write (H, W) with a spacing of 0.3 mm across and 0.15 mm down."""
    image = sitk.GetImageFromArray(pixels[np.newaxis] if path.suffix == ".mhd" else pixels)
    image.SetSpacing((0.3, 0.15, 1.0)[: image.GetDimension()])
    sitk.WriteImage(image, str(path))


def write_patient(folder, number=1, suffix=".nii.gz", cfg=CFG, labels=True):
    patient = folder / f"patient{number:04d}"
    patient.mkdir(parents=True)
    for chamber in ("4CH", "2CH"):
        (patient / f"Info_{chamber}.cfg").write_text(cfg)
        for level, phase in enumerate(("ED", "ES"), start=1):
            pixels = np.zeros((30, 20), dtype=np.uint8)
            pixels[2, 5] = 100 * level
            stem = patient / f"{patient.name}_{chamber}_{phase}"
            write_image(stem.with_name(f"{stem.name}{suffix}"), pixels)
            if labels:
                write_image(stem.with_name(f"{stem.name}_gt{suffix}"), (pixels > 0).astype(np.uint8) * 3)
    return patient


@pytest.mark.parametrize("suffix", [".nii.gz", ".mhd"])
def test_both_formats_give_the_same_frames(suffix, tmp_path):
    """Rows are rows and the spacing is the right way round."""
    write_patient(tmp_path, suffix=suffix)

    (case,) = find_cases(tmp_path, None)
    loaded = case.clips[0].load(AnalysisConfig())

    assert [clip.view for clip in case.clips] == [View.A4C, View.A2C]
    assert loaded.clip.frames.shape == (2, 30, 20)
    assert loaded.clip.frames[:, 2, 5].tolist() == [100, 200]
    spacing = loaded.clip.region.spacing
    assert (spacing.row_mm, spacing.column_mm) == (pytest.approx(0.15), pytest.approx(0.3))
    assert [frame.phase for frame in loaded.labelled] == [Phase.END_DIASTOLE, Phase.END_SYSTOLE]
    assert loaded.labelled[0].label_map[2, 5] == 3
    assert PixelSpacing is type(spacing)


def test_images_that_were_unpacked_beside_the_packed_count_once(tmp_path):
    """Twice the same view would be two clips of each patient."""
    patient = write_patient(tmp_path)
    for packed in patient.glob("*.nii.gz"):
        write_image(packed.with_suffix(""), np.zeros((30, 20), dtype=np.uint8))

    (case,) = find_cases(tmp_path, None)

    assert [clip.view for clip in case.clips] == [View.A4C, View.A2C]


def test_the_cfg_tells_the_patients_numbers_and_sex(tmp_path):
    """Today's key is EF; the first edition had volumes too."""
    write_patient(tmp_path, 1)
    write_patient(tmp_path, 2, cfg=OLD_CFG)

    today, first = find_cases(tmp_path, None)

    assert (today.reference, today.sex) == (Reference(ef_percent=63), Sex.FEMALE)
    assert first.reference == Reference(63.3, 93.3, 34.2)


def test_frames_without_labels_are_still_measured(tmp_path):
    """The first edition's testing patients have no tracings."""
    write_patient(tmp_path, labels=False)

    (case,) = find_cases(tmp_path, None)

    labelled = case.clips[0].load(AnalysisConfig()).labelled
    assert [(frame.label_map, frame.structures) for frame in labelled] == [(None, ()), (None, ())]


def test_a_split_names_patients_and_misses_none(tmp_path):
    """A listed patient whose folder is not there is a case with a problem."""
    database = tmp_path / "database_nifti"
    write_patient(database, 1)
    write_patient(database, 2)
    (tmp_path / "database_split").mkdir()
    (tmp_path / "database_split" / "subgroup_testing.txt").write_text("patient0002\npatient0009\n")

    found, lost = find_cases(database, "testing")

    assert found.identifier == "patient0002"
    assert lost.identifier == "patient0009"
    assert lost.problem.reason == "missing_file"
    with pytest.raises(EvaluationError, match="subgroup_other"):
        find_cases(database, "other")


def test_a_broken_image_is_refused_with_its_path(tmp_path):
    """The other view is not touched by it."""
    patient = write_patient(tmp_path)
    (patient / f"{patient.name}_4CH_ES.nii.gz").write_bytes(b"broken")

    (case,) = find_cases(tmp_path, None)

    with pytest.raises(InstanceError, match="4CH_ES"):
        case.clips[0].load(AnalysisConfig())
    case.clips[1].load(AnalysisConfig())


def test_labels_of_another_size_are_named(tmp_path):
    """They would be scored on the wrong pixels."""
    patient = write_patient(tmp_path)
    write_image(patient / f"{patient.name}_4CH_ED_gt.nii.gz", np.zeros((4, 4), dtype=np.uint8))

    (case,) = find_cases(tmp_path, None)

    with pytest.raises(EvaluationError, match="4CH_ED_gt"):
        case.clips[0].load(AnalysisConfig())


def test_a_number_that_is_none_is_named(tmp_path):
    """With folder and key."""
    write_patient(tmp_path, cfg="EF: high\n")

    with pytest.raises(EvaluationError, match=r"patient0001: Info_.*EF"):
        find_cases(tmp_path, None)


def test_a_missing_library_is_told_before_anything_is_computed(tmp_path, monkeypatch):
    """Results without a number would be stored, and be taken up again once it is installed."""
    write_patient(tmp_path)
    monkeypatch.setitem(sys.modules, "SimpleITK", None)

    with pytest.raises(EvaluationError, match=r"pip install 'echo-scp\[camus\]'"):
        find_cases(tmp_path, None)


def test_other_folders_are_not_taken_for_camus(tmp_path):
    """Only its .cfg files tell."""
    assert not is_camus(tmp_path)
    write_patient(tmp_path)
    assert is_camus(tmp_path)
