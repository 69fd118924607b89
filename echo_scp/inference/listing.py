"""Every engine at hand with what is to be known of it: which would run, in which role, what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from echo_scp.config import AnalysisConfig
from echo_scp.errors import EchoScpError
from echo_scp.inference.catalogue import (
    EngineFolder,
    check_role,
    engine_folders,
    find_engine,
    names_in_use,
    pin_of,
    roles_of,
)
from echo_scp.inference.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Listed:
    """One engine folder; `problem` is "" and `manifest` there when it is sound.

    `runs` says that this folder is what its name stands for at the next start, `roles` in which keys of `analysis`.
    """

    folder: EngineFolder
    manifest: Manifest | None
    problem: str
    runs: bool
    pinned: bool
    roles: tuple[str, ...]

    @property
    def size_bytes(self) -> int:
        """What the folder takes on disk."""
        return sum(file.stat().st_size for file in self.folder.path.rglob("*") if file.is_file())


@dataclass(frozen=True, slots=True)
class Listing:
    """All engine folders, and what would stop the node at its start."""

    engines: tuple[Listed, ...]
    problems: tuple[str, ...]


def list_engines(config: AnalysisConfig) -> Listing:
    """Return every engine of the site and of the package; a broken one is listed with what is wrong."""
    folders = engine_folders(config)
    running, problems = {}, []
    for name in sorted({*names_in_use(config), *(folder.name for folder in folders)}):
        try:
            running[name] = find_engine(name, config)
        except EchoScpError as error:
            if name in names_in_use(config):
                problems.append(str(error))
    engines = tuple(_listed(folder, running.get(folder.name), config) for folder in folders)
    problems.extend(problem for engine in engines if engine.roles for problem in _stops(engine))
    return Listing(engines, tuple(dict.fromkeys(problems)))


def _stops(engine: Listed) -> Iterator[str]:
    """Yield what keeps an engine that is in use from doing what it is used for."""
    if engine.manifest is None:
        yield engine.problem
        return
    for role in engine.roles:
        try:
            check_role(engine.manifest, role)
        except EchoScpError as error:
            yield str(error)


def _listed(folder: EngineFolder, running: EngineFolder | None, config: AnalysisConfig) -> Listed:
    manifest, problem = None, ""
    try:
        manifest = folder.read()
    except EchoScpError as error:
        problem = str(error)
    runs = folder == running
    pinned = runs and pin_of(folder.name, config) is not None
    return Listed(folder, manifest, problem, runs, pinned, roles_of(folder.name, config) if runs else ())
