"""The CAMUS data set as it is published: one folder per patient, NIfTI (or the older MetaImage) files and a .cfg."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np

from echo_scp.config import AnalysisConfig
from echo_scp.errors import EvaluationError, InstanceError
from echo_scp.evaluate.case import NOTHING_KNOWN, Case, LabelledFrame, LabelMap, LoadedClip, Phase, Reference, Refusal
from echo_scp.evaluate.frames_file import NO_TIME_MS, STRUCTURES
from echo_scp.evaluate.still import clip_of
from echo_scp.model import PixelSpacing, Reason, Sex, View

CHAMBERS = {"4CH": View.A4C, "2CH": View.A2C}
SUFFIXES = (".nii.gz", ".nii", ".mhd")
SPLITS_FOLDER = "database_split"  # beside the patients' folder, or in it
# The keys of Info_*CH.cfg: today's, and those of the first edition.
NUMBERS = {"EF": "ef_percent", "LVef": "ef_percent", "LVedv": "edv_ml", "LVesv": "esv_ml"}


@dataclass(frozen=True, slots=True)
class CamusFrames:
    """The end-diastolic and end-systolic frame of one view."""

    folder: Path
    chamber: str
    suffix: str

    @property
    def name(self) -> str:
        return f"{self.folder.name} {self.view}"

    @property
    def view(self) -> View:
        return CHAMBERS[self.chamber]

    @property
    def cine(self) -> bool:
        return False

    @property
    def reference(self) -> Reference:
        return NOTHING_KNOWN  # the .cfg tells the patient's numbers

    @property
    def paths(self) -> tuple[Path, ...]:
        return tuple(path for phase in Phase for path in self._files(phase) if path.exists())

    def load(self, config: AnalysisConfig) -> LoadedClip:
        frames, labelled, spacing = [], [], PixelSpacing(1, 1)
        for index, phase in enumerate(Phase):
            image_path, label_path = self._files(phase)
            image, spacing = _read_image(image_path)
            label_map = _read_image(label_path)[0] if label_path.exists() else None
            if label_map is not None and label_map.shape != image.shape:
                raise EvaluationError(f"{label_path}: {label_map.shape} labels for an image of {image.shape}")
            frames.append(image)
            labelled.append(LabelledFrame(phase, index, label_map, () if label_map is None else STRUCTURES))
        if frames[0].shape != frames[1].shape:
            raise EvaluationError(f"{self.folder}: the two {self.chamber} images differ in size")
        clip = clip_of(np.stack(frames), self.name, self.folder, spacing, NO_TIME_MS)
        return LoadedClip(clip, tuple(labelled))

    def _files(self, phase: Phase) -> tuple[Path, Path]:
        stem = f"{self.folder.name}_{self.chamber}_{phase}"
        return self.folder / f"{stem}{self.suffix}", self.folder / f"{stem}_gt{self.suffix}"


def is_camus(folder: Path) -> bool:
    """Tell whether `folder` holds patients' folders with an Info_4CH.cfg or Info_2CH.cfg."""
    return next(folder.glob("*/Info_[24]CH.cfg"), None) is not None


def find_cases(folder: Path, split: str | None) -> tuple[Case, ...]:
    """Return one case per patient; `split` names a list in database_split/subgroup_<split>.txt.

    Raises EvaluationError where the library that reads the images is missing: every case would fail by it.
    """
    _simple_itk()
    wanted = None if split is None else _split_members(folder, split)
    found = sorted({path.parent for path in folder.glob("*/Info_[24]CH.cfg")})
    cases = tuple(_case(patient) for patient in found if wanted is None or patient.name in wanted)
    missing = sorted((wanted or set()) - {case.patient for case in cases})
    return cases + tuple(_absent(folder, name) for name in missing)


def _case(folder: Path) -> Case:
    suffixes = {chamber: _suffix(folder, chamber) for chamber in CHAMBERS}
    clips = tuple(CamusFrames(folder, chamber, suffix) for chamber, suffix in suffixes.items() if suffix)
    values: dict[str, str] = {}
    for chamber in reversed(CHAMBERS):  # both files tell the biplane numbers; the 4CH one has the last word
        values |= dict(_read_info(folder / f"Info_{chamber}.cfg"))
    problem = None if clips else Refusal("missing_file", f"{folder} holds no image at end-diastole")
    sex = values.get("Sex", "")
    return Case(
        identifier=folder.name,
        patient=folder.name,
        clips=clips,
        reference=_reference(folder, values),
        sex=Sex(sex) if sex in set(Sex) else None,
        problem=problem,
    )


def _suffix(folder: Path, chamber: str) -> str | None:
    """Return the suffix of a view's images, the first of several: unpacked beside the packed they are no other view."""
    return next((suffix for suffix in SUFFIXES if (folder / f"{folder.name}_{chamber}_ED{suffix}").exists()), None)


def _absent(folder: Path, name: str) -> Case:
    return Case(name, name, (), problem=Refusal("missing_file", f"{folder / name} is not there"))


def _read_info(path: Path) -> Iterator[tuple[str, str]]:
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            key, separator, value = line.partition(":")
            if separator:
                yield key.strip(), value.strip()


def _reference(folder: Path, values: dict[str, str]) -> Reference:
    numbers = {}
    for key, field in NUMBERS.items():
        if key in values:
            try:
                numbers[field] = float(values[key])
            except ValueError as error:
                raise EvaluationError(f"{folder}: Info_*CH.cfg: {key}: {error}") from error
    return Reference(**numbers)


def _split_members(folder: Path, split: str) -> set[str]:
    for parent in (folder, folder.parent):
        path = parent / SPLITS_FOLDER / f"subgroup_{split}.txt"
        if path.exists():
            return set(path.read_text(encoding="utf-8").split())
    raise EvaluationError(f"{folder}: no {SPLITS_FOLDER}/subgroup_{split}.txt in it or beside it")


def _read_image(path: Path) -> tuple[LabelMap, PixelSpacing]:
    """Return grey levels or labels (H, W) and the spacing.

    SimpleITK is what CAMUS's authors read it with: it knows both formats, and rows come out as rows.
    """
    sitk = _simple_itk()
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise InstanceError(Reason.UNDECODABLE, f"{path}: {str(error).strip().splitlines()[-1]}") from error
    pixels = np.squeeze(sitk.GetArrayFromImage(image))
    if pixels.ndim != 2:
        raise InstanceError(Reason.BAD_DIMENSIONS, f"{path}: expected one frame, got {pixels.shape}")
    column_mm, row_mm = image.GetSpacing()[:2]
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8), PixelSpacing(float(row_mm), float(column_mm))


def _simple_itk() -> ModuleType:
    try:
        return import_module("SimpleITK")
    except ImportError as error:
        raise EvaluationError("reading CAMUS's files needs SimpleITK: pip install 'echo-scp[camus]'") from error
