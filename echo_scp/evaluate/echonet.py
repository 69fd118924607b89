"""EchoNet-Dynamic's layout: FileList.csv, VolumeTracings.csv and Videos/*.avi, all apical four chamber."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from echo_scp.config import AnalysisConfig
from echo_scp.errors import EvaluationError, InstanceError
from echo_scp.evaluate.case import Case, LabelledFrame, LabelMap, LoadedClip, Phase, Reference, Refusal
from echo_scp.evaluate.rows import read_rows
from echo_scp.evaluate.still import clip_of
from echo_scp.model import Frames, Reason, Structure, View

FILE_LIST, TRACINGS, VIDEOS = "FileList.csv", "VolumeTracings.csv", "Videos"

Chord = tuple[float, float, float, float]  # X1, Y1, X2, Y2: the long axis first, then the disks from apex to base


class FileRow(BaseModel):
    """A row of FileList.csv: one video."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    file_name: str = Field(alias="FileName")
    ef_percent: float = Field(alias="EF", ge=0, le=100)
    esv_ml: float = Field(alias="ESV", ge=0)
    edv_ml: float = Field(alias="EDV", gt=0)
    frame_rate_hz: float = Field(alias="FPS", gt=0)
    frame_count: int = Field(alias="NumberOfFrames", ge=1)
    split: str = Field("", alias="Split")


class TracingRow(BaseModel):
    """A row of VolumeTracings.csv: one chord of one traced frame."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    file_name: str = Field(alias="FileName")
    x1: float = Field(alias="X1")
    y1: float = Field(alias="Y1")
    x2: float = Field(alias="X2")
    y2: float = Field(alias="Y2")
    frame_index: int = Field(alias="Frame", ge=0)


@dataclass(frozen=True, slots=True)
class Tracing:
    """The chords that a person drew on one frame."""

    frame_index: int
    chords: tuple[Chord, ...]


@dataclass(frozen=True, slots=True)
class EchoNetVideo:
    """One video and its two traced frames."""

    path: Path
    frame_rate_hz: float
    reference: Reference
    tracings: tuple[Tracing, ...]

    @property
    def name(self) -> str:
        return self.path.name  # with its suffix, as the files that EchoNet-Dynamic writes have it

    @property
    def view(self) -> View:
        return View.A4C

    @property
    def cine(self) -> bool:
        return True

    @property
    def paths(self) -> tuple[Path, ...]:
        return (self.path,)

    def load(self, config: AnalysisConfig) -> LoadedClip:
        frames = read_video(self.path)
        clip = clip_of(frames, self.name, self.path, None, 1000 / self.frame_rate_hz)
        return LoadedClip(clip, self._labelled(frames.shape))

    def _labelled(self, shape: tuple[int, ...]) -> tuple[LabelledFrame, ...]:
        """Return ED and ES, told apart by the traced area; () without two tracings."""
        for tracing in self.tracings:
            if tracing.frame_index >= shape[0]:
                detail = f"{self.name}: frame {tracing.frame_index} is traced, the video has {shape[0]} frames"
                raise EvaluationError(detail)
        traced = [(traced_mask(tracing.chords, shape[1:]), tracing.frame_index) for tracing in self.tracings]
        if len(traced) < 2:
            return ()
        traced.sort(key=lambda item: -int(item[0].sum()))
        ends = ((Phase.END_DIASTOLE, traced[0]), (Phase.END_SYSTOLE, traced[-1]))
        return tuple(LabelledFrame(phase, index, mask, (Structure.LV_CAVITY,)) for phase, (mask, index) in ends)


def find_cases(folder: Path, split: str | None) -> tuple[Case, ...]:
    """Return a case per row of FileList.csv; a row whose video is missing keeps its place and says so.

    `split` is compared without regard to case. Raises EvaluationError naming file, line and column.
    """
    listed = read_rows(folder / FILE_LIST, FileRow)
    _refuse_doubles(folder / FILE_LIST, listed)
    rows = [row for _, row in listed if split is None or _same(row.split, split)]
    tracings = _read_tracings(folder / TRACINGS)
    return tuple(_case(folder, row, tracings) for row in rows)


def read_video(path: Path) -> Frames:
    """Return the grey frames (T, H, W) of a video. Raises InstanceError when it cannot be decoded."""
    capture = cv2.VideoCapture(str(path))
    frames = []
    while (read := capture.read())[0]:
        frames.append(cv2.cvtColor(read[1], cv2.COLOR_BGR2GRAY))
    capture.release()
    if not frames:
        raise InstanceError(Reason.UNDECODABLE, f"{path}: OpenCV reads no frame from it")
    return np.stack(frames).astype(np.uint8)


def traced_mask(chords: tuple[Chord, ...], shape: tuple[int, ...]) -> LabelMap:
    """Return 1 where a pixel's centre lies on or inside the polygon through the ends of the disks' chords.

    As in EchoNet-Dynamic the long axis (the first chord) is left out and the ends are rounded to pixels.
    """
    ends = np.array(chords[1:])
    polygon = np.rint(np.concatenate([ends[:, :2], ends[::-1, 2:]])).astype(np.int32)
    mask = np.zeros(shape, dtype=np.uint8)
    (x0, y0), (x1, y1) = (
        np.maximum(polygon.min(axis=0), 0),
        np.minimum(polygon.max(axis=0), (shape[1] - 1, shape[0] - 1)),
    )
    for y in range(y0, y1 + 1):
        for x in range(x0, x1 + 1):
            mask[y, x] = cv2.pointPolygonTest(polygon, (float(x), float(y)), measureDist=False) >= 0
    return mask


def _case(folder: Path, row: FileRow, tracings: dict[str, dict[int, list[Chord]]]) -> Case:
    name = _video_name(row.file_name)
    path = folder / VIDEOS / name
    reference = Reference(row.ef_percent, row.edv_ml, row.esv_ml)
    drawn = tuple(Tracing(frame, tuple(chords)) for frame, chords in tracings.get(name, {}).items())
    problem = None if path.exists() else Refusal("missing_file", f"{path} is not there")
    clips = (EchoNetVideo(path, row.frame_rate_hz, reference, drawn),)
    return Case(path.stem, path.stem, clips, problem=problem)


def _read_tracings(path: Path) -> dict[str, dict[int, list[Chord]]]:
    """Return the chords by video and frame; {} when the data set has no tracings."""
    found: dict[str, dict[int, list[Chord]]] = {}
    if path.exists():
        for _, row in read_rows(path, TracingRow):
            chords = found.setdefault(_video_name(row.file_name), {}).setdefault(row.frame_index, [])
            chords.append((row.x1, row.y1, row.x2, row.y2))
    return found


def _refuse_doubles(path: Path, listed: Sequence[tuple[int, FileRow]]) -> None:
    """Raise EvaluationError for two rows of one video: it would count twice, and of two truths nobody knows which."""
    lines: dict[str, int] = {}
    for line, row in listed:
        name = _video_name(row.file_name)
        if lines.setdefault(name, line) != line:
            raise EvaluationError(f"{path}:{line}: FileName: names what line {lines[name]} names: {name}")


def _video_name(told: str) -> str:
    return told if Path(told).suffix else f"{told}.avi"


def _same(first: str, second: str) -> bool:
    return first.casefold() == second.casefold()
