"""Time how long the results of a large study take to build: SR, SEGs, overlays and the other documents.

An 80-clip study with 12 analysed clips of 120 frames of 600 x 800, on two threads, as the pipeline does it. Beside it
highdicom's own Segmentation of as many single-frame sources, the only ultrasound sources that it takes.

    python -m scripts.bench.report
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import replace

import cv2
import numpy as np
from highdicom.seg import Segmentation as SegmentationObject
from highdicom.seg import SegmentationTypeValues
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from echo_scp.config import ReportConfig
from echo_scp.model import ClipAnalysis, StudyAnalysis
from echo_scp.report import ResultFile, build_cine, build_seg, draw_cine, draw_summary, encode, study_objects, write_seg
from tests.unit.report.builders import NOW, make_clip_analysis, make_refused_analysis, make_study_analysis

CONFIG = ReportConfig()


class Clock:
    """Wall time and processor time; the latter is what counts on a machine that does other things too."""

    def __init__(self) -> None:
        self._wall_s, self._processor_s = time.perf_counter(), time.process_time()

    def tell(self, what: str, size: int) -> None:
        """Print what was done since, and how many bytes came of it."""
        wall_s, processor_s = time.perf_counter() - self._wall_s, time.process_time() - self._processor_s
        print(f"{what:38} wall {wall_s:7.2f} s  processor {processor_s:6.2f} s {size / 1e6:8.2f} MB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=12)
    parser.add_argument("--instances", type=int, default=80)
    parser.add_argument("--frames", type=int, default=120)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    first = smooth(make_clip_analysis(1, frames=arguments.frames, shape=(600, 800), picture=True))
    clips = [replace(first, instance=make_refused_analysis(n).instance) for n in range(1, arguments.clips + 1)]
    others = [make_refused_analysis(number) for number in range(arguments.clips + 1, arguments.instances + 1)]
    study = make_study_analysis(*clips, *others)
    write_seg(first, study, CONFIG, NOW)  # what is imported once is not what is measured
    report(arguments.threads, clips, study)
    compare(first, study)


def smooth(analysis: ClipAnalysis) -> ClipAnalysis:
    """Return the clip with the grain of ultrasound: noise of single pixels, which no machine makes, codes badly."""
    frames = np.stack([cv2.GaussianBlur(frame, (0, 0), 1.5) for frame in analysis.clip.frames])
    return replace(analysis, clip=replace(analysis.clip, frames=frames))


def report(threads: int, clips: list[ClipAnalysis], study: StudyAnalysis) -> None:
    pictures = [cv2.imencode(".png", draw_summary(clip))[1].tobytes() for clip in clips[:2]]
    started = Clock()

    def build(kind: str, make: Callable[[ClipAnalysis], tuple[ResultFile | None, bytes]]) -> list[ResultFile | None]:
        clock = Clock()
        with ThreadPoolExecutor(threads) as pool:
            made = list(pool.map(make, clips))
        clock.tell(kind, sum(len(content) for _, content in made))
        return [file for file, _ in made]

    files = build("SEG", lambda clip: write_seg(clip, study, CONFIG, NOW))
    build("CINE", lambda clip: (None, encode(build_cine(clip, draw_cine(clip), study, CONFIG, NOW))))
    segs = [file.as_evidence(study.study_instance_uid) for file in files if file is not None]
    clock = Clock()
    for file, content in study_objects(study, segs, pictures, CONFIG, NOW):
        clock.tell(file.kind, len(content))
        if file.kind == "SR":
            started.tell(f"SEG, CINE and SR, on {threads} threads", 0)
        clock = Clock()
    started.tell(f"all, on {threads} threads", 0)


def compare(clip: ClipAnalysis, study: StudyAnalysis) -> None:
    """Time one Segmentation three ways."""
    clock = Clock()
    clock.tell("one SEG, ours, deflated", len(write_seg(clip, study, CONFIG, NOW)[1]))
    clock = Clock()
    clock.tell("one SEG, highdicom, as a multi-frame", len(encode(build_seg(clip, study, CONFIG, NOW))))
    seg = build_seg(clip, study, CONFIG, NOW)
    sources = single_frames(clip)
    clock = Clock()
    own = SegmentationObject(
        source_images=sources,
        pixel_array=clip.segmentation.label_maps,
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=list(seg.SegmentSequence),
        series_instance_uid=generate_uid(),
        series_number=1,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="bench",
        manufacturer_model_name="bench",
        software_versions="1",
        device_serial_number="1",
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )
    clock.tell("one SEG, highdicom, single frames", len(encode(own)))


def single_frames(clip: ClipAnalysis) -> list:
    """Return a series of single frames with positions: what highdicom is made for."""
    source = deepcopy(clip.instance.header)
    source.SOPClassUID, source.Modality = CTImageStorage, "CT"
    source.FrameOfReferenceUID = generate_uid()
    source.Rows, source.Columns = clip.clip.frames.shape[1:]
    source.PixelSpacing, source.SliceThickness = [1, 1], 1
    source.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    frames = []
    for index in range(len(clip.clip.frames)):
        frame = deepcopy(source)
        frame.SOPInstanceUID = generate_uid()
        frame.ImagePositionPatient = [0, 0, -index]
        frames.append(frame)
    return frames


if __name__ == "__main__":
    main()
