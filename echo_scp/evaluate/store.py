"""Results of finished cases on disk: a run that was stopped, or killed, goes on with what is missing."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from echo_scp import __version__
from echo_scp.evaluate.case import Case
from echo_scp.evaluate.changes import Change
from echo_scp.evaluate.evaluator import Settings
from echo_scp.evaluate.outcome import CaseResult
from echo_scp.model import EngineIdentity

SCHEMA_VERSION = 4  # of a stored result; another number, and older ones are computed again
NAME_LENGTH = 80

# Every other section of the configuration may change a number; of [analysis], what it says of itself.
_NOT_OF_THE_RESULT = frozenset(
    {
        *("data_folder", "receive", "study", "database", "report", "deliver", "destinations", "work", "web", "log"),
        "analysis",
    }
)

_ADAPTER: TypeAdapter[CaseResult] = TypeAdapter(CaseResult)


class ResultStore:
    """A folder with one JSON file per case and change; its name holds a key of all that the result depends on."""

    def __init__(self, folder: Path, settings: Settings, engines: Sequence[EngineIdentity]) -> None:
        self._folder = folder
        config = settings.config.model_dump(mode="json", exclude=set(_NOT_OF_THE_RESULT))
        analysis = settings.config.analysis.settings()
        self._basis = repr((SCHEMA_VERSION, __version__, settings.true_views, config, analysis, tuple(engines)))

    def path(self, case: Case, change: Change) -> Path:
        """Return where the result of a case under a change is kept; another file, truth, engine or setting: another."""
        files = [(str(path), *_stamp(path)) for clip in case.clips for path in clip.paths]
        key = hashlib.sha256(repr((self._basis, case, change, files)).encode()).hexdigest()[:16]
        name = re.sub(r"[^A-Za-z0-9._-]+", "_", case.identifier)[:NAME_LENGTH]
        return self._folder / f"{name}-{key}.json"


def read_result(path: Path) -> CaseResult | None:
    """Return a stored result; None when it is not there or not whole."""
    try:
        return _ADAPTER.validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def write_result(path: Path, result: CaseResult) -> None:
    """Store a result so that it is there whole or not at all, whatever happens meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    with temporary.open("wb") as file:
        file.write(_ADAPTER.dump_json(result))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns
