"""Put engines into a site's folder: written beside, made durable, then named at once. Nothing there is overwritten."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from echo_scp.config import AnalysisConfig
from echo_scp.errors import EngineError, StorageError
from echo_scp.inference.catalogue import VERSION_MARK, EngineFolder, engine_folders
from echo_scp.inference.manifest import read_manifest
from echo_scp.inference.pins import sync_folder


def site_folder(config: AnalysisConfig) -> Path:
    """Return where the site's engines lie; it may not be there yet."""
    if config.engines_folder is None:
        raise EngineError("no engines folder of the site is configured: set analysis.engines_folder")
    return config.engines_folder


def versions_of(name: str, config: AnalysisConfig) -> tuple[EngineFolder, ...]:
    """Return the folders of every version of an engine that is at hand, each content once."""
    folders: dict[str, EngineFolder] = {}
    for folder in engine_folders(config):
        if folder.name == name:
            folders.setdefault(folder.sha256(), folder)
    return tuple(folders.values())


@contextmanager
def incoming(config: AnalysisConfig) -> Iterator[Path]:
    """Yield a path on the site's disk at which to make an engine; what is not added is removed at the end."""
    site = site_folder(config)
    path = site / f".incoming-{uuid4().hex}"
    try:
        site.mkdir(parents=True, exist_ok=True)
        yield path
    except OSError as error:
        raise StorageError(f"{site}: cannot take an engine: {error}") from error
    finally:
        shutil.rmtree(path, ignore_errors=True)


def add(path: Path, config: AnalysisConfig) -> EngineFolder:
    """Give a complete engine its place: NAME when the name is new, else NAME@VERSION, so that what runs stays.

    Raises ManifestError when it is not complete, EngineError when that version is there with another content.
    """
    manifest = read_manifest(path)
    sha256 = EngineFolder(path, "site").sha256()
    known = versions_of(manifest.name, config)
    for folder in known:
        if folder.sha256() == sha256:
            return folder
        if folder.version() == manifest.version:
            raise EngineError(
                f"{manifest.name} {manifest.version} is there with another content, in {folder.path}: "
                "give the new one another version"
            )
    name = version_name(manifest.name, manifest.version) if known else manifest.name
    return _place(path, site_folder(config) / name)


def keep(folder: EngineFolder, config: AnalysisConfig) -> EngineFolder:
    """Return the site's own folder of this content; it is copied there when an upgrade of the package would take it."""
    for known in versions_of(folder.name, config):  # the site's come first
        if known.source == "site" and known.sha256() == folder.sha256():
            return known
    with incoming(config) as path:
        shutil.copytree(folder.path, path)
        return _place(path, site_folder(config) / version_name(folder.name, folder.version()))


def version_name(name: str, version: str) -> str:
    """Return what the folder of a version is called."""
    return f"{name}{VERSION_MARK}{version}"


def _place(path: Path, target: Path) -> EngineFolder:
    """Move a folder to its name, durably; to a longer name when that one is taken."""
    if target.exists():
        target = target.with_name(f"{target.name}-{EngineFolder(path, 'site').sha256()[:12]}")
    for file in path.iterdir():
        with file.open("rb") as opened:
            os.fsync(opened.fileno())
    sync_folder(path)
    path.rename(target)
    sync_folder(target.parent)
    return EngineFolder(target, "site")
