"""Find out which kind of data set lies at a path."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from echo_scp.errors import EvaluationError
from echo_scp.evaluate import camus, dicom, echonet, frames_file
from echo_scp.evaluate.case import Case, DataSet
from echo_scp.model import View


@dataclass(frozen=True, slots=True)
class Selection:
    """Which cases are wanted; the first `limit` of them."""

    split: str | None = None
    both_views: bool = False
    limit: int | None = None


def open_data(paths: tuple[Path, ...], truth: Path | None, selection: Selection = Selection()) -> DataSet:
    """Return the cases at `paths`. Raises EvaluationError when no layout fits or nothing is selected.

    `truth` is a CSV, or structured reports (a file or folder); EchoNet-Dynamic, CAMUS and archives bring their own.
    """
    data = _open(paths, truth, selection.split)
    cases = tuple(case for case in data.cases if not selection.both_views or _has_both_views(case))[: selection.limit]
    if not cases:
        raise EvaluationError(f"{_listed(paths)}: {_why_none(data, selection)}")
    return replace(data, cases=cases)


def _why_none(data: DataSet, selection: Selection) -> str:
    if data.cases:
        return f"none of {len(data.cases)} cases of layout {data.layout} has both views"
    if selection.split is not None:
        return f"no case of split '{selection.split}' in layout {data.layout}"
    known = f"{echonet.FILE_LIST} (EchoNet-Dynamic), patients' folders with Info_4CH.cfg (CAMUS)"
    return f"no case of layout {data.layout} in it; expected DICOM, {known} or .npz archives"


def _open(paths: tuple[Path, ...], truth: Path | None, split: str | None) -> DataSet:
    if truth is None and all(path.suffix == ".npz" for path in paths):
        return DataSet("NumPy archives of frames", frames_file.find_cases(paths, split))
    if len(paths) != 1 or not paths[0].is_dir():
        raise EvaluationError(f"{_listed(paths)}: expected one folder, or .npz archives only")
    folder = paths[0]
    if truth is None and (folder / echonet.FILE_LIST).exists():
        return DataSet("EchoNet-Dynamic", echonet.find_cases(folder, split))
    if truth is None and camus.is_camus(folder):
        return DataSet("CAMUS", camus.find_cases(folder, split))
    if split is not None:
        raise EvaluationError(f"{folder}: a folder of DICOM has no splits; leave out --split")
    if truth is not None and truth.suffix.lower() == ".csv":
        return DataSet("DICOM with a CSV", *dicom.cases_by_csv(folder, truth))
    if truth is None and not dicom.tells_a_reference(folder):
        return DataSet("DICOM without truth", *dicom.cases_without_truth(folder))
    return DataSet("DICOM with measurement reports", *dicom.cases_by_reports(folder, truth or folder))


def _has_both_views(case: Case) -> bool:
    return {View.A4C, View.A2C} <= {clip.view for clip in case.clips}


def _listed(paths: tuple[Path, ...]) -> str:
    return ", ".join(str(path) for path in paths)
