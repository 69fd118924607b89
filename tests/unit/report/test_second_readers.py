"""What we write, read by programs that share no code with us.

dcmjs and the adapters of Cornerstone3D, on which OHIF is built, in Node.js; dcmqi, the reader of 3D Slicer.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from echo_scp.config import ReportConfig
from echo_scp.model import ClipAnalysis, View
from echo_scp.report import build_sr, encode, write_seg
from echo_scp.report.codes import LEFT_ATRIUM, LEFT_VENTRICLE
from echo_scp.report.seg import SEGMENT_LABELS
from tests.unit.report.builders import NOW, STRUCTURES, make_clip_analysis, make_study_analysis

HERE = Path(__file__).parent
NODE_MODULES = HERE.parents[2] / ".viewer" / "node_modules"
DCMQI = Path(sys.executable).parent
CENTRE = 0.5  # of the first pixel in DICOM (PS3.3 C.10.5.1.2); where a viewer has its origin

needs_node = pytest.mark.skipif(
    shutil.which("node") is None or not (NODE_MODULES / "dcmjs").exists(),
    reason="dcmjs NOT TESTED: Node.js or dcmjs is not there (make viewer-tools)",
)
needs_adapters = pytest.mark.skipif(
    shutil.which("node") is None or not (NODE_MODULES / "@cornerstonejs" / "adapters").exists(),
    reason="@cornerstonejs/adapters NOT TESTED: Node.js or it is not there (make viewer-tools)",
)
needs_dcmqi = pytest.mark.skipif(
    shutil.which("segimage2itkimage", path=str(DCMQI)) is None, reason="dcmqi NOT TESTED: it is not installed"
)


def read(path: Path):
    """Return what dcmjs finds."""
    return run_node("read.mjs", path)


def read_as_viewer(path: Path, analysis: ClipAnalysis):
    """Return what Cornerstone3D's adapters make of an object that is of a clip."""
    rows, columns = analysis.segmentation.label_maps.shape[1:]
    clip = {
        "uid": analysis.instance.sop_instance_uid,
        "series": analysis.instance.series_instance_uid,
        "rows": rows,
        "columns": columns,
        "frames": len(analysis.segmentation.label_maps),
        "spacing": [1, 1],
    }
    return run_node("read_adapters.mjs", path, json.dumps(clip))


def run_node(script: str, *arguments: Path | str):
    """Return what a script of this folder prints."""
    command = ["node", HERE / script, NODE_MODULES, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def make_seg_file(folder: Path, analysis: ClipAnalysis) -> Path:
    _, content = write_seg(analysis, make_study_analysis(analysis), ReportConfig(), NOW)
    path = folder / "seg.dcm"
    path.write_bytes(content)
    return path


@pytest.mark.viewer
@needs_node
@pytest.mark.parametrize("shape", [(48, 64), (37, 51)], ids=["whole bytes", "odd"])
def test_dcmjs_reads_every_mask_on_its_frame(shape: tuple[int, int], tmp_path: Path) -> None:
    """Of the deflated file, bit for bit."""
    analysis = make_clip_analysis(frames=9, shape=shape)

    found = {(mask["segment"], mask["frame"]): mask["sha1"] for mask in read(make_seg_file(tmp_path, analysis))}

    assert found == masks_of(analysis)


def masks_of(analysis: ClipAnalysis) -> dict[tuple[int, int], str]:
    """Return the hash of each mask that is not empty, by segment and frame number."""
    return {
        (number, frame): hashlib.sha1(mask.astype(np.uint8).tobytes()).hexdigest()
        for number, structure in enumerate(STRUCTURES, start=1)
        for frame, mask in enumerate(analysis.segmentation.masks(structure), start=1)
        if mask.any()
    }


@pytest.mark.viewer
@needs_adapters
@pytest.mark.parametrize("shape", [(48, 64), (37, 57)], ids=["whole bytes", "odd"])
def test_a_viewer_shows_every_mask_on_its_frame(shape: tuple[int, int], tmp_path: Path) -> None:
    """The label maps that Cornerstone3D draws, bit for bit, and the names of the segments.

    All masks together take an even number of bytes: else it counts the byte that fills up (PS3.5 8.1.1), and stops.
    """
    analysis = make_clip_analysis(frames=9, shape=shape)

    found = read_as_viewer(make_seg_file(tmp_path, analysis), analysis)

    assert {(mask["segment"], mask["frame"]): mask["sha1"] for mask in found["masks"]} == masks_of(analysis)
    assert found["labels"] == [SEGMENT_LABELS[structure] for structure in STRUCTURES]


@pytest.mark.viewer
@needs_adapters
def test_a_viewer_draws_every_contour_on_its_frame(tmp_path: Path) -> None:
    """Each beat's, closed, point by point, with its chamber and area; the mark of the study's numbers too."""
    analysis = make_clip_analysis()
    path = tmp_path / "sr.dcm"
    path.write_bytes(encode(build_sr(make_study_analysis(analysis), [], ReportConfig(), NOW)))

    found = read_as_viewer(path, analysis)

    drawn = [contour for contour in found if contour["tool"] == "PlanarFreehandROI"]
    measured = [
        (site, shape)
        for beat in analysis.measurement.beats
        for site, shape in (
            (LEFT_VENTRICLE, beat.end_diastole),
            (LEFT_VENTRICLE, beat.end_systole),
            (LEFT_ATRIUM, beat.left_atrium),
        )
        if shape is not None
    ]
    assert len(drawn) == len(measured)
    for contour, (site, shape) in zip(drawn, measured, strict=True):
        assert (contour["site"], contour["frame"], contour["closed"]) == (site.value, shape.frame_index + 1, True)
        assert np.allclose(np.array(contour["points"])[:, :2] + CENTRE, shape.contour, atol=1e-3)
        assert contour["firstNumber"] == pytest.approx(shape.area_mm2 / 100, abs=0.01)
    (mark,) = (contour for contour in found if contour["tool"] == "Probe")
    apex = analysis.measurement.beats[0].end_systole.apex
    assert np.allclose(np.array(mark["points"][0])[:2] + CENTRE, apex, atol=1e-3)


@pytest.mark.viewer
@needs_node
def test_dcmjs_reads_numbers_and_contours_of_the_report(tmp_path: Path) -> None:
    """EF, EDV and ESV by their codes; the contour point by point, on its frame."""
    study = make_study_analysis(make_clip_analysis(1), make_clip_analysis(2, view=View.A2C))
    path = tmp_path / "sr.dcm"
    path.write_bytes(encode(build_sr(study, [], ReportConfig(), NOW)))

    items = list(walk(read(path)))

    values = {item["name"]: item["value"] for item in reversed(items) if item["type"] == "NUM"}
    assert values["79993-2"] == round(study.result.ef_percent, 1)
    assert values["79999-9"] == round(study.result.edv_ml, 1)
    assert values["80004-5"] == round(study.result.esv_ml, 1)
    ventricle = study.clips[0].measurement.beats[1].end_systole
    contours = [
        np.reshape(item["points"], (-1, 2))[:-1]
        for item in items
        if item["type"] == "SCOORD" and item["children"][0]["frame"] == ventricle.frame_index + 1
    ]
    assert any(len(c) == len(ventricle.contour) and np.allclose(c, ventricle.contour, atol=1e-3) for c in contours)


def walk(item):
    """Yield an item and all below it."""
    yield item
    for child in item["children"]:
        yield from walk(child)


@needs_dcmqi
def test_the_reader_of_3d_slicer_reads_the_segmentation(tmp_path: Path) -> None:
    """One volume for each segment, with every frame a slice; the cavity has the mask's count of voxels."""
    analysis = make_clip_analysis(frames=8)
    out = tmp_path / "out"
    out.mkdir()
    seg = make_seg_file(tmp_path, analysis)

    command = ["segimage2itkimage", "--inputDICOM", seg, "--outputDirectory", out, "-t", "nrrd"]
    subprocess.run([DCMQI / command[0], *command[1:]], check=True, capture_output=True)

    assert len(list(out.glob("*.nrrd"))) == len(STRUCTURES)
    (meta,) = out.glob("*.json")
    assert "LV cavity" in meta.read_text()


@needs_dcmqi
def test_the_reader_of_tid_1500_reads_the_numbers(tmp_path: Path) -> None:
    """Names, values and units of the measurement groups."""
    path = tmp_path / "sr.dcm"
    path.write_bytes(encode(build_sr(make_study_analysis(), [], ReportConfig(), NOW)))
    out = tmp_path / "sr.json"

    command = [DCMQI / "tid1500reader", "--inputDICOM", path, "--outputMetadata", out]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "117.8" in out.read_text()
