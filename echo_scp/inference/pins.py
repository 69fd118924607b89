"""What a site has decided to run: `pins.toml` in its engines folder, one entry per decision, the newest last.

The file is replaced as a whole and nothing is ever removed from it, so it is also the history.
"""

from __future__ import annotations

import fcntl
import json
import os
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from echo_scp.errors import ManifestError, StorageError

PINS_NAME = "pins.toml"
_HEAD = """\
# Which engines must run, the newest decision last. Written by `echo-scp engines pin` and `echo-scp engines rollback`.
# sha256 is that of the engine's manifest.toml, which holds the hashes of its artefacts.
"""


class Decision(BaseModel):
    """One line of the history. `before` is what ran, not pinned, until the pin that follows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    engine: str
    action: Literal["before", "pin", "rollback", "release"]
    version: str = ""
    sha256: str = ""
    at: AwareDatetime


History = tuple[Decision, ...]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    decision: History = ()


def read_history(folder: Path) -> History:
    """Return the decisions of a site, () when it has made none; raises ManifestError naming file and entry."""
    path = folder / PINS_NAME
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise ManifestError(path, "file", f"a readable file ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ManifestError(path, "file", f"valid TOML ({error})") from error
    try:
        return _File.model_validate(values).decision
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise ManifestError(path, field, f"{first['msg']}, got {first['input']!r:.120}") from None


def stack(history: Iterable[Decision], engine: str) -> History:
    """Return the decisions on an engine that still count, the one in force last; a rollback takes one off."""
    counting: list[Decision] = []
    for decision in history:
        if decision.engine != engine:
            continue
        if decision.action != "rollback":
            counting.append(decision)
        elif counting:
            counting.pop()
    return tuple(counting)


def in_force(history: Iterable[Decision], engine: str) -> Decision | None:
    """Return what an engine is pinned to; None when its folder decides."""
    last = stack(history, engine)[-1:]
    return last[0] if last and last[0].action != "release" else None


@contextmanager
def deciding(folder: Path) -> Iterator[History]:
    """Yield the history while no other command can change it; makes the folder. Raises StorageError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise StorageError(f"{folder}: cannot be made or opened: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield read_history(folder)
    finally:
        os.close(descriptor)


def write_history(folder: Path, history: History) -> None:
    """Replace `pins.toml` at once and durably; raises StorageError."""
    path = folder / PINS_NAME
    waiting = folder / f".{PINS_NAME}.new"
    text = "\n".join((_HEAD, *(_toml(decision) for decision in history)))
    try:
        with waiting.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        waiting.replace(path)
        sync_folder(folder)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written: {error.strerror}") from error


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _toml(decision: Decision) -> str:
    # json.dumps writes what TOML calls a basic string.
    strings = {"engine": decision.engine, "action": decision.action}
    if decision.sha256:
        strings |= {"version": decision.version, "sha256": decision.sha256}
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in strings.items()]
    return "\n".join(("[[decision]]", *lines, f"at = {decision.at.isoformat()}", ""))
