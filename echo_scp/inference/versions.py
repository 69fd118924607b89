"""Pin an engine to one exact version, and roll back to the one that ran before. Nothing is overwritten or deleted.

What a decision brings back must be there after an upgrade of the package too: a shipped engine that is pinned, or that
a pin replaces, is copied into the site's folder.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from echo_scp.config import AnalysisConfig
from echo_scp.errors import EngineError, ManifestError
from echo_scp.inference.catalogue import (
    VERSION_MARK,
    EngineFolder,
    check_role,
    engine_folders,
    find_engine,
    pin_of,
    roles_of,
)
from echo_scp.inference.manifest import MANIFEST_NAME
from echo_scp.inference.pins import Decision, History, deciding, in_force, read_history, stack, write_history
from echo_scp.inference.runtime import open_on_cpu
from echo_scp.inference.site import keep, site_folder, version_name, versions_of

SHORTEST_SHA256 = 8


def find_version(asked: str, config: AnalysisConfig) -> EngineFolder:
    """Return the folder that NAME stands for at the next start, or that of NAME@VERSION (a version or a sha256).

    Raises ConfigurationError for an unknown name, EngineError for an unknown version, ManifestError for a broken pin.
    """
    name, _, wanted = asked.partition(VERSION_MARK)
    return _choose(name, wanted, config) if wanted else find_engine(name, config)


def pin(name: str, wanted: str, config: AnalysisConfig, now: datetime) -> Decision:
    """Decide that a version, or the engine of a sha256, must run from the next start on.

    It is loaded first: what cannot run here is not pinned. Raises EngineError, ManifestError or StorageError.
    """
    folder = _choose(name, wanted, config)
    _prove(folder, config)
    with deciding(site_folder(config)) as history:
        current = in_force(history, name)
        if current is not None and current.sha256 == folder.sha256():
            return current
        decisions = [_decide("pin", keep(folder, config), now)]
        before = _default(name, config) if current is None else None
        if before is not None and before.sha256() != folder.sha256():
            decisions.insert(0, _decide("before", keep(before, config), now))
        write_history(site_folder(config), (*history, *decisions))
    return decisions[-1]


def rollback(name: str, config: AnalysisConfig, now: datetime) -> Decision:
    """Return to what ran before the decision in force; done again, to what ran before that.

    Raises EngineError when nothing did, ManifestError when its folder is gone, StorageError.
    """
    _previous(read_history(site_folder(config)), name)  # before `deciding` makes the folder
    with deciding(site_folder(config)) as history:
        target = _previous(history, name)
        _prove(_unpinned(name, config) if target.action == "release" else _folder_of(target, config), config)
        decision = target.model_copy(update={"action": "rollback", "at": now.replace(microsecond=0)})
        write_history(site_folder(config), (*history, decision))
    return decision


def release(name: str, config: AnalysisConfig, now: datetime) -> Decision:
    """Take the pin off, so that the folder NAME runs, whatever it will hold.

    Raises EngineError when there is no pin or no such folder, that or ManifestError when it cannot run.
    """
    if pin_of(name, config) is None:
        raise EngineError(f"{name}: is not pinned")
    _prove(_unpinned(name, config), config)
    with deciding(site_folder(config)) as history:
        decision = Decision(engine=name, action="release", at=now.replace(microsecond=0))
        write_history(site_folder(config), (*history, decision))
    return decision


def _choose(name: str, wanted: str, config: AnalysisConfig) -> EngineFolder:
    versions = versions_of(name, config)
    if not versions:
        find_engine(name, config)  # says which names there are
    matching = [folder for folder in versions if folder.version() == wanted]
    if not matching and len(wanted) >= SHORTEST_SHA256:
        matching = [folder for folder in versions if _has_hash(folder, wanted.lower())]
    if len(matching) == 1:
        return matching[0]
    known = "; ".join(f"{folder.version()} (sha256 {folder.sha256()[:12]}) in {folder.path}" for folder in versions)
    trouble = "several are" if matching else "no version is"
    raise EngineError(f"{name}: {trouble} '{wanted}'; give a version or the first characters of a sha256 of {known}")


def _has_hash(folder: EngineFolder, start: str) -> bool:
    return any(sha256.startswith(start) for sha256 in (folder.sha256(), *folder.artefact_hashes()))


def _prove(folder: EngineFolder, config: AnalysisConfig) -> None:
    """Raise unless the engine is whole, does what the configuration uses it for, and loads."""
    manifest = folder.read()
    for role in roles_of(folder.name, config):
        check_role(manifest, role)
    open_on_cpu(manifest, config).close()


def _default(name: str, config: AnalysisConfig) -> EngineFolder | None:
    return next((folder for folder in engine_folders(config) if folder.name == name and folder.is_default), None)


def _unpinned(name: str, config: AnalysisConfig) -> EngineFolder:
    folder = _default(name, config)
    if folder is None:
        raise EngineError(f"{name}: no folder is called plainly '{name}', so that nothing would run without the pin")
    return folder


def _previous(history: History, name: str) -> Decision:
    counting = stack(history, name)
    if len(counting) < 2:
        raise EngineError(f"{name}: nothing is known to have run before; see: echo-scp engines show {name}")
    return counting[-2]


def _folder_of(decision: Decision, config: AnalysisConfig) -> EngineFolder:
    for folder in versions_of(decision.engine, config):
        if folder.sha256() == decision.sha256:
            return folder
    path = site_folder(config) / version_name(decision.engine, decision.version) / MANIFEST_NAME
    raise ManifestError(path, "file", f"{decision.version} (sha256 {decision.sha256}), which ran before: put it back")


def _decide(action: Literal["before", "pin"], folder: EngineFolder, now: datetime) -> Decision:
    at = now.replace(microsecond=0)
    return Decision(engine=folder.name, action=action, version=folder.version(), sha256=folder.sha256(), at=at)
