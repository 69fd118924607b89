"""Frames in a NumPy archive (.npz): `images`, `labels` and a row of `meta` per frame (docs/evaluation.md)."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import inf, isfinite
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from echo_scp.config import AnalysisConfig
from echo_scp.errors import EvaluationError
from echo_scp.evaluate.case import NOTHING_KNOWN, Case, LabelledFrame, LoadedClip, Phase, Reference
from echo_scp.evaluate.still import clip_of
from echo_scp.model import Frames, LabelMaps, PixelSpacing, Structure, View, renumbered

STRUCTURES = (Structure.LV_CAVITY, Structure.LV_MYOCARDIUM, Structure.LEFT_ATRIUM)
REFERENCE_FIELDS = {"lvef": "ef_percent", "ef_percent": "ef_percent", "edv_ml": "edv_ml", "esv_ml": "esv_ml"}
NO_TIME_MS = 40.0  # stills have no frame times; nothing that needs one is done with them


@dataclass(frozen=True, slots=True)
class ArchivedFrames:
    """The frames of one patient and view at `rows` of an archive, with their phases; () where none is known."""

    path: Path
    patient: str
    view: View | None
    rows: tuple[int, ...]
    phases: tuple[Phase, ...]
    spacing: PixelSpacing | None

    @property
    def name(self) -> str:
        return f"{self.patient} {self.view or 'view unknown'}"

    @property
    def cine(self) -> bool:
        return False

    @property
    def reference(self) -> Reference:
        return NOTHING_KNOWN  # what the archive tells holds for the patient

    @property
    def paths(self) -> tuple[Path, ...]:
        return (self.path,)

    def load(self, config: AnalysisConfig) -> LoadedClip:
        images, labels, structures = _arrays(self.path)
        rows = list(self.rows)
        labelled = tuple(
            LabelledFrame(phase, index, None if labels is None else labels[rows[index]], structures)
            for index, phase in enumerate(self.phases)
        )
        clip = clip_of(_grey(images[rows]), self.name, self.path, self.spacing, NO_TIME_MS)
        return LoadedClip(clip, labelled)


def find_cases(paths: Iterable[Path], split: str | None) -> tuple[Case, ...]:
    """Return one case per patient over all archives; frames of another `split` are left out.

    Raises EvaluationError naming the archive and the field.
    """
    clips: dict[str, list[ArchivedFrames]] = {}
    references: dict[str, Reference] = {}
    for path in paths:
        for clip, reference in _read(path, split):
            clips.setdefault(clip.patient, []).append(clip)
            if reference != NOTHING_KNOWN:
                references[clip.patient] = reference
    return tuple(
        Case(patient, patient, tuple(found), references.get(patient, NOTHING_KNOWN)) for patient, found in clips.items()
    )


def _read(path: Path, split: str | None) -> Iterator[tuple[ArchivedFrames, Reference]]:
    meta = _meta(path)
    fields = meta.dtype.names or ()
    rows = np.arange(len(meta))
    if split is not None:
        _require(path, fields, "split")
        rows = rows[meta["split"] == split]
    groups: dict[tuple[str, View | None], list[int]] = {}
    for row in rows.tolist():
        groups.setdefault((_patient(path, meta[row]), _view(path, meta[row])), []).append(row)
    for (patient, view), members in groups.items():
        first = meta[members[0]]
        phases = tuple(_phase(path, meta[row]) for row in members) if "phase" in fields else ()
        yield ArchivedFrames(path, patient, view, tuple(members), phases, _spacing(first)), _reference(first)


def _meta(path: Path) -> NDArray[np.void]:
    try:
        with np.load(path) as archive:
            missing = {"images", "meta"} - set(archive.files)
            if missing:
                raise EvaluationError(f"{path}: has no array {', '.join(sorted(missing))}")
            meta = _as_text(np.asarray(archive["meta"]))
            _check_arrays(path, archive, len(meta))
            return meta
    except (OSError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise EvaluationError(f"{path}: is not a readable NumPy archive: {error}") from error


def _as_text(meta: NDArray[np.void]) -> NDArray[np.void]:
    """Return the table with text where it holds ASCII bytes, as HDF5 and older scripts write them."""
    fields = [(name, meta.dtype[name]) for name in meta.dtype.names or ()]
    texts = [(name, f"U{kind.itemsize}" if kind.kind == "S" else kind) for name, kind in fields]
    return meta.astype(texts) if texts else meta


def _check_arrays(path: Path, archive: NpzFile, count: int) -> None:
    """Raise EvaluationError for images or labels that do not fit `count` rows, without reading a pixel."""
    shape, kind = _described(archive, "images")
    if kind != np.uint8 or shape[0:1] != (count,) or not (len(shape) == 3 or (len(shape) == 4 and shape[3] == 3)):
        expected = f"images: expected uint8 ({count}, H, W) or ({count}, H, W, 3), as many as meta has rows"
        raise EvaluationError(f"{path}: {expected}; got {kind} {shape}")
    if "labels" not in archive.files:
        return
    labels, kind = _described(archive, "labels")
    if kind.kind not in "bui" or labels != shape[:3]:
        raise EvaluationError(f"{path}: labels: expected whole numbers {shape[:3]}, as images; got {kind} {labels}")


def _described(archive: NpzFile, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return shape and type of an array, from its first bytes."""
    assert archive.zip is not None  # it is not closed yet
    with archive.zip.open(f"{name}.npy") as file:
        old = np.lib.format.read_magic(file) == (1, 0)
        read = np.lib.format.read_array_header_1_0 if old else np.lib.format.read_array_header_2_0
        shape, _, kind = read(file)
    return shape, kind


@lru_cache(maxsize=2)  # patients of one archive follow one another; decompressing it for each would take longer
def _arrays(path: Path) -> tuple[NDArray[np.uint8], LabelMaps | None, tuple[Structure, ...]]:
    """Return images, labels, and what is traced anywhere in the archive; nobody is blamed for what was not."""
    with np.load(path) as archive:
        images, labels = archive["images"], archive["labels"] if "labels" in archive.files else None
    if labels is None:
        return images, None, ()
    if labels.size and not 0 <= labels.min() <= labels.max() <= len(STRUCTURES):
        raise EvaluationError(f"{path}: labels are 0 to {len(STRUCTURES)}; it has {labels.min()} to {labels.max()}")
    return images, *traced(labels.astype(np.uint8, copy=False))


def traced(labels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], tuple[Structure, ...]]:
    """Return the labels of the structures that occur, numbered without a gap, and these: the LV cavity in any case."""
    occurring = tuple(
        structure for value, structure in enumerate(STRUCTURES, start=1) if value == 1 or (labels == value).any()
    )
    if occurring == STRUCTURES[: len(occurring)]:
        return labels, occurring
    return renumbered(labels, STRUCTURES, occurring), occurring


def _grey(images: NDArray[np.uint8]) -> Frames:
    if images.ndim == 3:
        return images
    return np.stack([cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in images]).astype(np.uint8)


def _require(path: Path, fields: tuple[str, ...], name: str) -> None:
    if name not in fields:
        raise EvaluationError(f"{path}: meta has no field '{name}'; it has {', '.join(fields) or 'none'}")


def _patient(path: Path, row: np.void) -> str:
    fields = row.dtype.names or ()
    if "patient" not in fields:
        _require(path, fields, "name")
        return str(row["name"])
    return str(row["patient"])


def _view(path: Path, row: np.void) -> View | None:
    """Return the field `view`, else a view that the file's name contains; a view that we have no word for is other."""
    if "view" in (row.dtype.names or ()):
        return next((view for view in View if view.lower() == str(row["view"]).lower()), View.OTHER)
    words = set(re.split(r"[^A-Z0-9]+", path.stem.upper()))
    return next((view for view in View if view.upper() in words), None)


def _phase(path: Path, row: np.void) -> Phase:
    try:
        return Phase(str(row["phase"]))
    except ValueError as error:
        raise EvaluationError(f"{path}: meta: phase of {_patient(path, row)} must be ED or ES: {error}") from error


def _spacing(row: np.void) -> PixelSpacing | None:
    """Return what a pixel measures; None without it, and where it is no length, as tables mark what is not known."""
    if not {"mm_per_px_y", "mm_per_px_x"} <= set(row.dtype.names or ()):
        return None
    sides_mm = float(row["mm_per_px_y"]), float(row["mm_per_px_x"])
    return PixelSpacing(*sides_mm) if all(0 < side_mm < inf for side_mm in sides_mm) else None


def _reference(row: np.void) -> Reference:
    told = {
        field: float(row[name])
        for name, field in REFERENCE_FIELDS.items()
        if name in (row.dtype.names or ()) and isfinite(float(row[name]))
    }
    return Reference(**told)
