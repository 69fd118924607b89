"""Analyse files and folders without a network: find the studies, run the pipeline, write what it gives."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from echo_scp.decode import read_instance
from echo_scp.errors import InstanceError, StorageError, UnindexableFileError
from echo_scp.model import Instance, is_own_result
from echo_scp.pipeline import Pipeline, Progress, Request
from echo_scp.report import ResultFile
from echo_scp.report.results import RESULTS_NAME, results_json


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that belongs to no study."""

    path: Path
    detail: str


@dataclass(frozen=True, slots=True)
class StudyFiles:
    """The instances of one study."""

    study_instance_uid: str
    instances: tuple[Instance, ...]


def find_studies(paths: Iterable[Path]) -> tuple[tuple[StudyFiles, ...], tuple[Skipped, ...]]:
    """Read the headers of all files below `paths`; what is not DICOM, or our own result, is returned with a reason."""
    found: dict[str, dict[str, Instance]] = {}
    skipped: list[Skipped] = []
    for path in _files(paths):
        try:
            instance = read_instance(path)
        except (InstanceError, UnindexableFileError) as error:
            skipped.append(Skipped(path, error.detail))
            continue
        if is_own_result(instance.header):
            skipped.append(Skipped(path, "a result of echo-scp, not an acquisition"))
            continue
        known = found.setdefault(instance.study_instance_uid, {})
        if instance.sop_instance_uid in known:
            skipped.append(Skipped(path, f"the same instance as {known[instance.sop_instance_uid].path}"))
            continue
        known[instance.sop_instance_uid] = instance
    studies = tuple(StudyFiles(uid, tuple(instances.values())) for uid, instances in sorted(found.items()))
    return studies, tuple(skipped)


def analyse_study(pipeline: Pipeline, study: StudyFiles, out: Path, now: datetime, progress: Progress) -> None:
    """Analyse one study and write results.json, SR, SEG and pictures into `out`, which is made when absent.

    Raises StorageError naming what cannot be written.
    """

    def publish(file: ResultFile, content: bytes) -> None:
        (out / file.name).write_bytes(content)

    try:
        out.mkdir(parents=True, exist_ok=True)
        analysed = pipeline.analyse(Request(study.study_instance_uid, 1, study.instances, now), publish, progress)
        (out / RESULTS_NAME).write_text(results_json(analysed.analysis), encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{error.filename or out}: cannot be written: {error.strerror}") from error


def _files(paths: Iterable[Path]) -> Iterable[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(_below(path))
        else:
            yield path


def _below(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder, also of folders that are linked into it: cohorts are put together so."""
    seen: set[Path] = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        real = Path(place).resolve()
        if real in seen:  # a link to a folder above, or a second one to the same
            folders.clear()
            continue
        seen.add(real)
        yield from (file for name in names if (file := Path(place) / name).is_file())
