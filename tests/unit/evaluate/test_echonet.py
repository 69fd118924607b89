"""EchoNet-Dynamic's layout, written as its authors write it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from echo_scp.config import AnalysisConfig
from echo_scp.errors import EvaluationError, InstanceError
from echo_scp.evaluate.case import Phase
from echo_scp.evaluate.echonet import find_cases, read_video, traced_mask

HEADER = "FileName,EF,ESV,EDV,FrameHeight,FrameWidth,FPS,NumberOfFrames,Split\n"


def write_video(path, count=12, side=112):
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 50, (side, side))
    for level in range(count):
        writer.write(np.full((side, side, 3), 20 * level, dtype=np.uint8))
    writer.release()


def chords(width: float, top: float = 20, bottom: float = 90, middle: float = 56):
    """The long axis, then level chords of a box of that width."""
    yield middle, top, middle, bottom
    for y in np.linspace(top, bottom, 20):
        yield middle - width / 2, y, middle + width / 2, y


def write_data(folder, names=("0XA", "0XB")):
    rows = "".join(
        f"{name},55.5,40.1,90.2,112,112,50,12,{split}\n" for name, split in zip(names, ("TRAIN", "TEST"), strict=True)
    )
    (folder / "FileList.csv").write_text(HEADER + rows)
    lines = ["FileName,X1,Y1,X2,Y2,Frame\n"]
    for name in names:
        write_video(folder / "Videos" / f"{name}.avi")
        for frame, width in ((3, 20), (9, 40)):
            for chord in chords(width):
                lines.append(f"{name}.avi,{','.join(f'{value:.4f}' for value in chord)},{frame}\n")
    (folder / "VolumeTracings.csv").write_text("".join(lines))


def test_a_video_brings_its_numbers_frames_and_tracings(tmp_path):
    """ED is the frame with the larger tracing, wherever it stands."""
    write_data(tmp_path)

    case, _ = find_cases(tmp_path, None)
    loaded = case.clips[0].load(AnalysisConfig())

    assert case.clips[0].name == "0XA.avi"  # as size.csv and test_predictions.csv of EchoNet-Dynamic have it
    assert case.clips[0].reference.ef_percent == 55.5
    assert loaded.clip.frames.shape == (12, 112, 112)
    assert loaded.clip.frame_times_ms[1] == 20
    assert loaded.clip.region.spacing is None
    assert [(frame.phase, frame.frame_index) for frame in loaded.labelled] == [
        (Phase.END_DIASTOLE, 9),
        (Phase.END_SYSTOLE, 3),
    ]


def test_splits_are_compared_without_case(tmp_path):
    """The files say TEST, the command says test."""
    write_data(tmp_path)

    assert [case.identifier for case in find_cases(tmp_path, "test")] == ["0XB"]


def test_a_missing_video_stays_a_case_with_its_reason(tmp_path):
    """Its EF counts among the truths that met no number."""
    write_data(tmp_path)
    (tmp_path / "Videos" / "0XA.avi").unlink()

    lost, found = find_cases(tmp_path, None)

    assert lost.problem is not None
    assert "0XA.avi" in lost.problem.detail
    assert lost.clips[0].reference.ef_percent == 55.5
    assert found.problem is None


def test_a_video_without_tracings_is_evaluated_without_them(tmp_path):
    """A few videos of the data set have none."""
    write_data(tmp_path)
    (tmp_path / "VolumeTracings.csv").unlink()

    assert find_cases(tmp_path, None)[0].clips[0].load(AnalysisConfig()).labelled == ()


def test_a_tracing_beyond_the_video_is_named(tmp_path):
    """A cut video must not be scored on another frame."""
    write_data(tmp_path)
    write_video(tmp_path / "Videos" / "0XA.avi", count=5)

    with pytest.raises(EvaluationError, match=r"0XA\.avi: frame 9 is traced, the video has 5 frames"):
        find_cases(tmp_path, None)[0].clips[0].load(AnalysisConfig())


def test_a_file_that_is_no_video_is_refused(tmp_path, capfd):
    """With the path."""
    path = tmp_path / "x.avi"
    path.write_bytes(b"no video")

    with pytest.raises(InstanceError, match="OpenCV reads no frame"):
        read_video(path)
    capfd.readouterr()  # OpenCV writes to the terminal


def test_a_wrong_row_is_named(tmp_path):
    """File, line, column."""
    write_data(tmp_path)
    (tmp_path / "FileList.csv").write_text(HEADER + "0XA,much,40,90,112,112,50,12,TRAIN\n")

    with pytest.raises(EvaluationError, match=r"FileList.csv:2: EF: "):
        find_cases(tmp_path, None)


def test_two_rows_of_a_video_are_named(tmp_path):
    """With and without suffix; it would count twice, also where its truths differ."""
    write_data(tmp_path)
    rows = "0XA,55,40,90,112,112,50,12,TRAIN\n0XA.avi,35,60,90,112,112,50,12,TEST\n"
    (tmp_path / "FileList.csv").write_text(HEADER + rows)

    with pytest.raises(EvaluationError, match=r"FileList.csv:3: FileName: names what line 2 names: 0XA.avi"):
        find_cases(tmp_path, "test")


def test_the_mask_holds_the_pixels_on_and_in_the_polygon():
    """A box of 40 x 70 between pixel centres has 41 x 71 of them."""
    mask = traced_mask(tuple(chords(40)), (112, 112))

    assert mask.sum() == 41 * 71
    assert mask[20:91, 36:77].all()


def test_a_tracing_that_leaves_the_picture_is_cut():
    """Only pixels that are there count."""
    mask = traced_mask(tuple(chords(200)), (112, 112))

    assert mask.sum() == 71 * 112
