"""Whatever is wrong with one instance, it gets its reason and the rest of the study is analysed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid

from echo_scp.phantom.study import write_study


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-400_000])


def edited(change: Callable[[Dataset], None]) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        dataset = dcmread(path)
        change(dataset)
        dataset.save_as(path)

    return apply


def drop_pixels(dataset: Dataset) -> None:
    del dataset.PixelData


def zero_frames(dataset: Dataset) -> None:
    dataset.NumberOfFrames = 0


def absurd_size(dataset: Dataset) -> None:
    dataset.Rows = dataset.Columns = 65535


def two_regions(dataset: Dataset) -> None:
    first = dataset.SequenceOfUltrasoundRegions[0]
    second = Dataset()
    second.update(first)
    first.RegionLocationMaxX1 = 300
    second.RegionLocationMinX0 = 310
    dataset.SequenceOfUltrasoundRegions = [first, second]


def no_frame_time(dataset: Dataset) -> None:
    for keyword in ("FrameTime", "FrameTimeVector", "CineRate", "RecommendedDisplayFrameRate", "FrameIncrementPointer"):
        if keyword in dataset:
            delattr(dataset, keyword)


CASES: tuple[tuple[str, Callable[[Path], None]], ...] = (
    ("truncated_pixel_data", cut),
    ("no_pixel_data", edited(drop_pixels)),
    ("zero_frames", edited(zero_frames)),
    ("bad_dimensions", edited(absurd_size)),
    ("two_regions", edited(two_regions)),
    ("no_frame_time", edited(no_frame_time)),
)


def test_each_bad_instance_has_its_reason_and_the_good_one_is_measured(command, tmp_path):
    """One study with one good clip, six bad ones and two files that are no DICOM at all."""
    originals = tmp_path / "originals"
    template = write_study(originals, seed=3, frame_count=60)[1].path
    study = tmp_path / "study"
    study.mkdir()
    reasons = {}
    for reason, spoil in (("", lambda path: None), *CASES):
        dataset = dcmread(template)
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid(prefix=None)
        dataset.PatientName = "Müller^Jürgen"
        dataset.SpecificCharacterSet = "ISO_IR 192"
        path = study / f"{reason or 'good'}.dcm"
        dataset.save_as(path)
        spoil(path)
        reasons[str(dataset.SOPInstanceUID)] = reason
    (study / "text.dcm").write_text("not DICOM")
    (study / "empty.dcm").write_bytes(b"")

    done = command("analyse", study, "--out", tmp_path / "out")

    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    found = {
        instance["sop_instance_uid"]: (instance["not_assessed"] or {"reason": ""})["reason"]
        for instance in results["instances"]
    }
    assert found == reasons
    assert results["result"]["assessed"]
    report = next((tmp_path / "out").glob("SR-*.dcm"))
    assert str(dcmread(report).PatientName) == "Müller^Jürgen"
    assert done.stdout.count("skipped") == 2
