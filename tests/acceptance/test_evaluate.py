"""`echo-scp evaluate` as a user runs it: the real engines, several processes, stopped and started again."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from pydicom import dcmread

from echo_scp.model import View
from echo_scp.phantom.heart import Heart
from echo_scp.phantom.scene import LV_CAVITY, Cine, Rhythm, Scanner, render
from echo_scp.phantom.study import write_study

SIDE = 192


def heart_of(number: int) -> Heart:
    return Heart(View.A4C, edv_ml=90.0 + 8 * number, ef_percent=35.0 + 5 * number)


def draw(heart: Heart, frame_count: int = 2) -> Cine:
    """Two frames: end-diastole and end-systole; more: a cine at 40 frames per second."""
    scanner = Scanner(rows=SIDE, columns=SIDE, depth_mm=155, seed=int(heart.ef_percent))
    stills = Rhythm(heart_rate_bpm=60, frame_rate_hz=1 / 0.36, frame_count=2)
    cine = Rhythm(heart_rate_bpm=66, frame_rate_hz=40, frame_count=frame_count, first_phase=0.85)
    return render(heart, scanner, stills if frame_count == 2 else cine)


def write_archive(path: Path, patients: int) -> Path:
    hearts = [heart_of(number) for number in range(patients)]
    cines = [draw(heart) for heart in hearts]
    fields = [("patient", "U11"), ("phase", "U2"), ("mm_per_px_y", "f4"), ("mm_per_px_x", "f4"), ("lvef", "f4")]
    rows = [
        (f"patient{number:04d}", phase, 155 / SIDE, 155 / SIDE, heart.ef_percent)
        for number, heart in enumerate(hearts)
        for phase in ("ED", "ES")
    ]
    np.savez(
        path,
        images=np.concatenate([cine.frames for cine in cines]),
        labels=np.concatenate([cine.label_maps for cine in cines]),
        meta=np.array(rows, dtype=fields),
    )
    return path


def write_echonet(folder: Path, hearts: list[Heart]) -> None:
    """As EchoNet-Dynamic: 112 x 112 videos, two traced frames, chords across the ventricle."""
    (folder / "Videos").mkdir(parents=True)
    files = ["FileName,EF,ESV,EDV,FrameHeight,FrameWidth,FPS,NumberOfFrames,Split"]
    tracings = ["FileName,X1,Y1,X2,Y2,Frame"]
    for number, heart in enumerate(hearts):
        cine = draw(heart, 80)
        writer = cv2.VideoWriter(
            str(folder / f"Videos/0X{number}.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 40, (112, 112)
        )
        for frame in cine.frames:
            small = cv2.resize(frame, (112, 112), interpolation=cv2.INTER_AREA)
            writer.write(cv2.cvtColor(small, cv2.COLOR_GRAY2BGR))
        writer.release()
        files.append(f"0X{number},{heart.ef_percent},{heart.esv_ml},{heart.edv_ml},112,112,40,80,TEST")
        sizes = (cine.label_maps == LV_CAVITY).sum(axis=(1, 2))
        for index in (int(sizes.argmin()), int(sizes.argmax())):
            tracings += [f"0X{number}.avi,{chord},{index}" for chord in chords(cine.label_maps[index] == LV_CAVITY)]
    (folder / "FileList.csv").write_text("\n".join(files) + "\n")
    (folder / "VolumeTracings.csv").write_text("\n".join(tracings) + "\n")


def chords(mask: np.ndarray) -> list[str]:
    scale = 112 / SIDE
    rows = np.flatnonzero(mask.any(axis=1))
    chosen = rows[np.linspace(0, len(rows) - 1, 20).astype(int)]
    ends = [(np.flatnonzero(mask[row])[[0, -1]], row) for row in chosen]
    middle = float(np.mean([columns.mean() for columns, _ in ends]))
    lines = [(middle, rows[0], middle, rows[-1])]
    lines += [(columns[0], row, columns[1], row) for columns, row in ends]
    return [",".join(f"{value * scale:.3f}" for value in line) for line in lines]


def comparisons(out: Path, measured_by: str, quantity: str = "ef_percent") -> list[dict[str, str]]:
    with (out / "comparisons.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [row for row in rows if (row["measured_by"], row["quantity"]) == (measured_by, quantity)]


def test_frames_are_evaluated_in_several_processes(command, tmp_path):
    """Outlines, EF against both truths, the report and its tables."""
    out = tmp_path / "out"

    done = command("evaluate", write_archive(tmp_path / "a4c.npz", 4), "--out", out, "--jobs", 2)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "Agreement of outlines" in done.stdout
    overlap = json.loads((out / "evaluation.json").read_text())["summary"]["overlap"]
    assert next(row["dice"]["value"] for row in overlap if row["structure"] == "lv_cavity") > 0.85
    rows = comparisons(out, "A4C single plane, labelled frames")
    assert len(rows) == 8
    assert max(abs(float(row["difference"])) for row in rows) < 15
    assert (out / "report.html").stat().st_size > 10_000


def test_a_killed_run_goes_on(command, tmp_path):
    """kill -9 leaves whole results; the second run keeps them and finishes; no process is left behind."""
    archive, out = write_archive(tmp_path / "a4c.npz", 12), tmp_path / "out"
    arguments = [sys.executable, "-m", "echo_scp.cli", "evaluate", archive, "--out", out, "--jobs", "2"]
    process = subprocess.Popen(
        arguments,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd=Path(__file__).parents[2],
    )
    while process.poll() is None and len(list((out / "cases").glob("*.json"))) < 2:
        time.sleep(0.02)
    assert process.poll() is None, "the run was over before it could be killed"
    process.kill()
    process.wait()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and session_members(process.pid):
        time.sleep(0.1)
    assert session_members(process.pid) == []
    kept = {path: path.stat().st_mtime_ns for path in (out / "cases").glob("*.json")}

    done = command("evaluate", archive, "--out", out, "--jobs", 2)

    assert done.returncode == 0, done.stdout + done.stderr
    assert 2 <= len(kept) < 12
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert len(list((out / "cases").glob("*.json"))) == 12
    assert json.loads((out / "evaluation.json").read_text())["summary"]["cases"] == 12


def session_members(session: int) -> list[int]:
    members = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if os.getsid(int(folder.name)) == session and b"\0" in (folder / "cmdline").read_bytes():
                    members.append(int(folder.name))
            except (ProcessLookupError, FileNotFoundError):
                continue
    return members


def test_echonet_dynamics_layout_is_read(command, tmp_path):
    """EF over the beats of uncalibrated videos; a missing video and the volumes carry their reasons."""
    folder, out = tmp_path / "data", tmp_path / "out"
    write_echonet(folder, [heart_of(3)])
    with (folder / "FileList.csv").open("a") as file:
        file.write("0XGONE,50,60,120,112,112,40,80,TEST\n")

    done = command("evaluate", folder, "--out", out, "--split", "test", "--true-views", "--jobs", 1)

    assert done.returncode == 0, done.stdout + done.stderr
    measured, lost = comparisons(out, "A4C cine")
    assert abs(float(measured["difference"])) < 12
    assert lost["reason"] == "missing_file"
    assert {row["reason"] for row in comparisons(out, "A4C cine", "edv_ml")} == {"not_calibrated", "missing_file"}
    with (out / "exports" / "size.csv").open() as file:
        sizes = list(csv.DictReader(file))
    assert len(sizes) == 80
    assert sum(int(row["HumanLarge"]) for row in sizes) == 1
    assert sum(int(row["ComputerSmall"]) for row in sizes) >= 1


def test_dicom_with_a_csv_is_measured_as_a_study(command, tmp_path):
    """The headline of the study and one clip, and views that nobody measures."""
    folder, out = tmp_path / "study", tmp_path / "out"
    written = write_study(folder, seed=11)
    uid = str(dcmread(written[0].path, stop_before_pixels=True).StudyInstanceUID)
    truth = tmp_path / "truth.csv"
    rows = [f"{uid},,58,112,47", "01-a4c,A4C,58,112,47", "03-plax,PLAX,,,"]
    truth.write_text("\n".join(["identifier,view,ef_percent,edv_ml,esv_ml", *rows]) + "\n")

    done = command("evaluate", folder, "--truth", truth, "--out", out, "--jobs", 1)

    assert done.returncode == 0, done.stdout + done.stderr
    (study,), (clip,) = comparisons(out, "study"), comparisons(out, "A4C cine")
    assert abs(float(study["difference"])) <= 5
    assert abs(float(clip["difference"])) <= 5
    (volume,) = comparisons(out, "study", "edv_ml")
    assert float(volume["measured"]) == pytest.approx(112, rel=0.15)
    reasons = (out / "not_assessed.csv").read_text()
    assert "colour_doppler" in reasons
    assert "m_mode" in reasons


def test_a_wrong_csv_is_one_clear_message(command, tmp_path):
    """File, line and column; nothing is computed."""
    folder = tmp_path / "study"
    write_study(folder, frame_count=4)
    truth = tmp_path / "truth.csv"
    truth.write_text("identifier,ef_percent\n01-a4c,58\n02-a2c,fifty\n")

    done = command("evaluate", folder, "--truth", truth, "--out", tmp_path / "out")

    assert done.returncode == 1
    assert f"{truth}:3: ef_percent: " in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
