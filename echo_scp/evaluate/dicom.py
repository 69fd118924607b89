"""A folder of DICOM whose truth is a CSV, or the measurement reports of another device."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator
from pydicom import Dataset

from echo_scp.config import AnalysisConfig
from echo_scp.decode import decode_clip, read_instance
from echo_scp.errors import EvaluationError
from echo_scp.evaluate.case import NOTHING_KNOWN, Case, LabelledFrame, LabelMap, LoadedClip, Phase, Reference, Refusal
from echo_scp.evaluate.frames_file import traced
from echo_scp.evaluate.rows import read_rows
from echo_scp.evaluate.structured_report import read_reference
from echo_scp.folder import Skipped, StudyFiles, find_studies
from echo_scp.model import Instance, Sex, Structure, View

REPORTS = "SR"
CLIP_COLUMNS = ("view", "ed_frame", "es_frame", "ed_mask", "es_mask")


def _as_view(text: object) -> object:
    return next((view for view in View if view.lower() == str(text).lower()), text)


def _slashed(text: str) -> str:
    """Return a path as it is written here; tables are often made under Windows."""
    return text.replace("\\", "/")


class TruthRow(BaseModel):
    """What is known of one instance or of one study."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    identifier: Annotated[str, AfterValidator(_slashed)]
    patient: str | None = None
    view: Annotated[View | None, BeforeValidator(_as_view)] = None
    ef_percent: float | None = Field(None, ge=0, le=100)
    edv_ml: float | None = Field(None, gt=0)
    esv_ml: float | None = Field(None, gt=0)
    ed_frame: int | None = Field(None, ge=1)
    es_frame: int | None = Field(None, ge=1)
    ed_mask: Annotated[Path | None, BeforeValidator(_slashed)] = None
    es_mask: Annotated[Path | None, BeforeValidator(_slashed)] = None

    @field_validator("ed_mask", "es_mask")
    @classmethod
    def _has_a_frame(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value is not None and info.data.get(f"{str(info.field_name)[:2]}_frame") is None:
            raise ValueError(f"a mask needs the number of its frame in {str(info.field_name)[:2]}_frame")
        return value

    @property
    def reference(self) -> Reference:
        return Reference(self.ef_percent, self.edv_ml, self.esv_ml)


@dataclass(frozen=True, slots=True)
class DicomClip:
    """A stored instance; `frames` are (phase, frame index, mask file or None)."""

    path: Path
    name: str
    view: View | None = None
    reference: Reference = NOTHING_KNOWN
    frames: tuple[tuple[Phase, int, Path | None], ...] = ()

    @property
    def cine(self) -> bool:
        return True

    @property
    def paths(self) -> tuple[Path, ...]:
        return (self.path, *(mask for _, _, mask in self.frames if mask is not None and mask.exists()))

    def load(self, config: AnalysisConfig) -> LoadedClip:
        clip = decode_clip(read_instance(self.path), config)
        labelled = tuple(self._labelled(*frame, clip.frames.shape) for frame in self.frames)
        return LoadedClip(clip, labelled)

    def _labelled(self, phase: Phase, index: int, mask: Path | None, shape: tuple[int, ...]) -> LabelledFrame:
        if index >= shape[0]:
            raise EvaluationError(f"{self.name}: {phase} is said to be frame {index + 1} of {shape[0]}")
        if mask is None:
            return LabelledFrame(phase, index)
        label_map, structures = _read_mask(mask, shape[1:])
        return LabelledFrame(phase, index, label_map, structures)


def cases_by_csv(folder: Path, truth: Path) -> tuple[tuple[Case, ...], tuple[str, ...]]:
    """Return one case per study that a row names, and remarks on what no row names.

    A row that names nothing is a case with a problem. Raises EvaluationError for a wrong CSV, and where two rows tell
    of the same.
    """
    rows = read_rows(truth, TruthRow)
    if not rows:
        raise EvaluationError(f"{truth}: has no row below its header")
    studies, skipped = find_studies([folder])
    by_name = _instances_by_name(folder, studies)
    study_uids = {study.study_instance_uid for study in studies}
    study_rows: dict[str, TruthRow] = {}
    clip_rows: dict[str, dict[Path, TruthRow]] = {}
    lost: list[Case] = []
    lines: dict[str | Path, int] = {}
    for line, row in rows:
        named = by_name.get(row.identifier, ())
        if row.identifier in study_uids:
            _tell_once(lines, row.identifier, truth, line)
            _refuse_clip_columns(row, truth, line)
            study_rows[row.identifier] = row
        elif len(named) == 1:
            _tell_once(lines, named[0].path, truth, line)
            clip_rows.setdefault(named[0].study_instance_uid, {})[named[0].path] = row
        else:
            lost.append(_lost(truth, line, row, len(named)))
    named_studies = [study for study in studies if study.study_instance_uid in {*study_rows, *clip_rows}]
    cases = tuple(
        _case(study, study_rows.get(study.study_instance_uid), clip_rows.get(study.study_instance_uid, {}), truth)
        for study in named_studies
    )
    remarks = (
        f"{len(studies) - len(named_studies)} of {len(studies)} studies are named by no row",
        _left_out(skipped),
    )
    return (*cases, *lost), remarks


def _tell_once(lines: dict[str | Path, int], named: str | Path, truth: Path, line: int) -> None:
    """Note the line of what it names; of two truths nobody knows which one holds."""
    if lines.setdefault(named, line) != line:
        raise EvaluationError(f"{truth}:{line}: identifier: names what line {lines[named]} names: {named}")


def _refuse_clip_columns(row: TruthRow, truth: Path, line: int) -> None:
    """Raise EvaluationError where a row of a study tells what only a clip has: it would be compared with nothing."""
    told = [column for column in CLIP_COLUMNS if getattr(row, column) is not None]
    if told:
        fault = f"is of a clip, and the identifier names a study: {row.identifier}"
        raise EvaluationError(f"{truth}:{line}: {', '.join(told)}: {fault}")


def cases_by_reports(folder: Path, reports: Path) -> tuple[tuple[Case, ...], tuple[str, ...]]:
    """Return one case per study for which a report below `reports` tells an EF or a volume."""
    documents, references = _references(find_studies([reports])[0])
    if not documents and reports.is_file():
        raise EvaluationError(
            f"{reports}: is neither a table of truth (.csv) nor a structured report of another device"
        )
    if not references:
        raise EvaluationError(f"{reports}: none of {documents} reports of other devices tells an LV EF or volume")
    studies = {study.study_instance_uid: study for study in find_studies([folder])[0]}
    cases = tuple(
        _reported_case(uid, studies.get(uid), reference, folder) for uid, reference in sorted(references.items())
    )
    return cases, (f"{len(set(studies) - set(references))} of {len(studies)} studies have no report with an LV EF",)


def tells_a_reference(folder: Path) -> bool:
    """Tell whether a structured report lies in the folder that tells an EF or a volume."""
    return bool(_references(find_studies([folder])[0])[1])


def cases_without_truth(folder: Path) -> tuple[tuple[Case, ...], tuple[str, ...]]:
    """Return one case per study: what is said of it, and how steadily, can be seen without truth."""
    studies, skipped = find_studies([folder])
    cases = tuple(
        Case(study.study_instance_uid, _patient(study), tuple(map(_plain_clip, images)), sex=_sex(study))
        for study in studies
        if (images := _images(study))
    )
    return cases, ("nothing is known to be true of them", _left_out(skipped))


def _left_out(skipped: Sequence[Skipped]) -> str:
    return f"{len(skipped)} files are left out: no DICOM, double, or results of echo-scp"


def _references(studies: Iterable[StudyFiles]) -> tuple[int, dict[str, Reference]]:
    """Return how many reports there are, and what they tell, by Study Instance UID."""
    documents = [instance for study in studies for instance in study.instances if _modality(instance) == REPORTS]
    headers: dict[str, list[Dataset]] = {}
    for document in documents:
        headers.setdefault(document.study_instance_uid, []).append(document.header)
    told = {uid: read_reference(*reports) for uid, reports in headers.items()}
    references = {uid: reference for uid, reference in told.items() if reference != NOTHING_KNOWN}
    return len(documents), references


def _reported_case(uid: str, study: StudyFiles | None, reference: Reference, folder: Path) -> Case:
    clips = () if study is None else tuple(map(_plain_clip, _images(study)))
    if study is None or not clips:
        detail = f"{folder} holds no image of the study of this report"
        return Case(uid, uid, (), reference, problem=Refusal("missing_file", detail))
    return Case(uid, _patient(study), clips, reference, _sex(study))


def _case(study: StudyFiles, study_row: TruthRow | None, rows: Mapping[Path, TruthRow], truth: Path) -> Case:
    """A truth of the study needs all its clips; truths of clips need those clips only."""
    images = [image for image in _images(study) if study_row is not None or image.path in rows]
    clips = tuple(
        _clip(image, rows[image.path], truth) if image.path in rows else _plain_clip(image) for image in images
    )
    told = [row.patient for row in (study_row, *rows.values()) if row is not None and row.patient]
    return Case(
        identifier=study.study_instance_uid,
        patient=told[0] if told else _patient(study),
        clips=clips,
        reference=NOTHING_KNOWN if study_row is None else study_row.reference,
        sex=_sex(study),
    )


def _lost(truth: Path, line: int, row: TruthRow, count: int) -> Case:
    fault = f"names {count} files of the same name" if count else "names no study and no image of the folder"
    problem = Refusal("missing_file", f"{truth}:{line}: identifier: {row.identifier!r} {fault}")
    return Case(row.identifier, row.patient or row.identifier, (), row.reference, problem=problem)


def _clip(instance: Instance, row: TruthRow, truth: Path) -> DicomClip:
    told = ((Phase.END_DIASTOLE, row.ed_frame, row.ed_mask), (Phase.END_SYSTOLE, row.es_frame, row.es_mask))
    frames = tuple(
        (phase, number - 1, None if mask is None else truth.parent / mask) for phase, number, mask in told if number
    )
    return DicomClip(instance.path, row.identifier, row.view, row.reference, frames)


def _plain_clip(instance: Instance) -> DicomClip:
    return DicomClip(instance.path, instance.sop_instance_uid)


def _instances_by_name(folder: Path, studies: Iterable[StudyFiles]) -> dict[str, tuple[Instance, ...]]:
    """Return what each name means: SOP Instance UID, path below the folder, file name; then these without suffix.

    The last part of a UID looks like a suffix: what is named whole comes before what is named in part.
    """
    whole: dict[str, tuple[Instance, ...]] = {}
    parts: dict[str, tuple[Instance, ...]] = {}
    for instance in (instance for study in studies for instance in _images(study)):
        path = instance.path.relative_to(folder) if instance.path.is_relative_to(folder) else instance.path
        for name in {instance.sop_instance_uid, path.as_posix(), path.name}:
            whole[name] = (*whole.get(name, ()), instance)
        for name in {path.with_suffix("").as_posix(), path.stem}:
            parts[name] = (*parts.get(name, ()), instance)
    return parts | whole


def _images(study: StudyFiles) -> Sequence[Instance]:
    return [instance for instance in study.instances if _modality(instance) != REPORTS]


def _modality(instance: Instance) -> str:
    return str(instance.header.get("Modality", ""))


def _patient(study: StudyFiles) -> str:
    """Return what groups the studies of one patient, without saying who that is."""
    identity = str(study.instances[0].header.get("PatientID") or study.study_instance_uid)
    return hashlib.sha256(identity.encode()).hexdigest()[:12]


def _sex(study: StudyFiles) -> Sex | None:
    told = {str(instance.header.get("PatientSex") or "").strip().upper() for instance in study.instances} - {""}
    return Sex(told.pop()) if len(told) == 1 and told <= set(Sex) else None


def _read_mask(path: Path, shape: tuple[int, ...]) -> tuple[LabelMap, tuple[Structure, ...]]:
    """Return a label map and what it outlines: 1 LV cavity, 2 myocardium, 3 left atrium; or 255 for the LV alone."""
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED) if path.exists() else None
    if image is None:
        raise EvaluationError(f"{path}: is not a readable picture")
    if image.shape != shape or image.dtype != np.uint8:
        raise EvaluationError(f"{path}: expected one channel of 8 bits, {shape} as the clip, got {image.shape}")
    values = set(np.unique(image).tolist()) - {0}
    if values <= {255}:
        return (image > 0).astype(np.uint8), (Structure.LV_CAVITY,)
    if not values <= {1, 2, 3}:
        raise EvaluationError(f"{path}: labels are 0 to 3, or 0 and 255; it has {sorted(values)}")
    return traced(image.astype(np.uint8))
