"""Find the engines of a site and load those that the pipeline needs.

An engine is a folder. A site's own lie in `analysis.engines_folder`, `<data_folder>/engines` by default; the shipped
ones inside the package. `NAME/` is what runs, the site's before the shipped one. `NAME@ANYTHING/` beside it is another
version of it, which runs when it is pinned (`pins.py`). A pin decides over everything: that exact engine, or none.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import structlog

from echo_scp.config import AnalysisConfig
from echo_scp.errors import ConfigurationError, ManifestError
from echo_scp.inference.engine import Engine
from echo_scp.inference.manifest import MANIFEST_NAME, Manifest, Task, read_manifest
from echo_scp.inference.pins import PINS_NAME, Decision, in_force, read_history
from echo_scp.inference.runtime import open_engine
from echo_scp.model import MEASURED_VIEWS, EngineIdentity, View

ROLES: Mapping[str, tuple[Task, ...]] = {  # key of analysis -> what an engine named there may do
    "view_engine": ("view",),
    "segmentation_engine": ("segmentation",),
    "additional_engines": ("segmentation", "ejection_fraction", "phenotype"),
}
VERSION_MARK = "@"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Engines:
    """The engines of one analysis; `additional` are asked of what the others leave open."""

    view: Engine
    segmentation: Engine
    additional: tuple[Engine, ...] = ()

    @property
    def identities(self) -> tuple[EngineIdentity, ...]:
        return tuple(engine.identity for engine in (self.view, self.segmentation, *self.additional))

    def close(self) -> None:
        """Close every engine."""
        for engine in (self.view, self.segmentation, *self.additional):
            engine.close()

    @property
    def segmentations(self) -> tuple[Engine, ...]:
        """Return the segmentation engines, the first one first asked."""
        others = (engine for engine in self.additional if engine.manifest.task == "segmentation")
        return self.segmentation, *others

    def segmentation_of(self, view: View) -> Engine | None:
        """Return the engine that outlines the LV in a view; None where there is none or the view is not measured."""
        fitting = (engine for engine in self.segmentations if view in engine.manifest.views)
        return next(fitting, None) if view in MEASURED_VIEWS else None

    def estimators_of(self, view: View) -> tuple[Engine, ...]:
        """Return the engines that give numbers for a view directly."""
        return tuple(
            engine
            for engine in self.additional
            if engine.manifest.task != "segmentation" and view in engine.manifest.views
        )


@dataclass(frozen=True, slots=True)
class EngineFolder:
    """A folder with a manifest that nobody has read yet."""

    path: Path
    source: Literal["site", "shipped"]

    @property
    def name(self) -> str:
        """The engine's name, as the folder tells it."""
        return self.path.name.partition(VERSION_MARK)[0]

    @property
    def is_default(self) -> bool:
        """Tell whether this folder runs when nothing is pinned (and no folder before it has the name)."""
        return VERSION_MARK not in self.path.name

    def sha256(self) -> str:
        """Return the hash of the manifest, which holds the hashes of the artefacts; "" when it cannot be read."""
        try:
            return hashlib.sha256((self.path / MANIFEST_NAME).read_bytes()).hexdigest()
        except OSError:
            return ""

    def version(self) -> str:
        """Return the version that the manifest states, "?" when it states none. Nothing is checked."""
        return str(self._stated().get("version", "?"))

    def artefact_hashes(self) -> tuple[str, ...]:
        """Return the hashes that the manifest states. Nothing is checked."""
        artefacts = self._stated().get("artefacts")
        tables = artefacts.values() if isinstance(artefacts, dict) else ()
        return tuple(str(table["sha256"]) for table in tables if isinstance(table, dict) and "sha256" in table)

    def read(self) -> Manifest:
        """Return the checked manifest; raises ManifestError."""
        manifest = read_manifest(self.path)
        if manifest.name != self.name:
            raise ManifestError(self.path / MANIFEST_NAME, "name", f"'{self.name}', as the folder is called")
        return manifest

    def _stated(self) -> dict[str, Any]:
        try:
            return tomllib.loads((self.path / MANIFEST_NAME).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}


def shipped_folder() -> Path:
    """Return the engines that came with the package: inside the wheel, or beside the source tree."""
    package = Path(str(files("echo_scp")))
    installed = package / "_shipped" / "engines"
    return installed if installed.is_dir() else package.parent / "engines"


def engine_folders(config: AnalysisConfig) -> tuple[EngineFolder, ...]:
    """Return every engine folder, those of the site first, each layer sorted by name."""
    site = () if config.engines_folder is None else _below(config.engines_folder, "site")
    return (*site, *_below(shipped_folder(), "shipped"))


def find_engine(name: str, config: AnalysisConfig) -> EngineFolder:
    """Return the folder of the engine that runs under a name.

    Raises ConfigurationError when there is none, ManifestError when what is pinned is not there.
    """
    folders = [folder for folder in engine_folders(config) if folder.name == name]
    pin = pin_of(name, config)
    if pin is not None:
        return _pinned(pin, folders, config)
    for folder in folders:
        if folder.is_default:
            return folder
    raise _unknown(name, config)


def pin_of(name: str, config: AnalysisConfig) -> Decision | None:
    """Return what the site has pinned an engine to, None when it has not."""
    return None if config.engines_folder is None else in_force(read_history(config.engines_folder), name)


def roles_of(name: str, config: AnalysisConfig) -> tuple[str, ...]:
    """Return the keys of `analysis` that name this engine."""
    return tuple(key for key in ROLES if name in _named_by(key, config))


def names_in_use(config: AnalysisConfig) -> tuple[str, ...]:
    """Return the names of the configured engines."""
    return tuple(name for key in ROLES for name in _named_by(key, config))


def _named_by(key: str, config: AnalysisConfig) -> tuple[str, ...]:
    value = getattr(config, key)
    return tuple(name for name in ((value,) if isinstance(value, str) else value) if name)


def list_manifests(folder: Path) -> tuple[Manifest, ...]:
    """Return every manifest below `folder`, sorted by name; raises ManifestError for the first that is wrong."""
    return tuple(read_manifest(path.parent) for path in sorted(folder.glob(f"*/{MANIFEST_NAME}")))


def load_engines(config: AnalysisConfig) -> Engines:
    """Load the configured engines; raises ManifestError or EngineError naming what to mend."""
    segmentation = _read(config.segmentation_engine, "segmentation_engine", config)
    return Engines(
        view=open_engine(_read(config.view_engine, "view_engine", config), config),
        segmentation=open_engine(segmentation, config),
        additional=tuple(open_engine(manifest, config) for manifest in _read_additional(segmentation.views, config)),
    )


def _read_additional(outlined: Iterable[View], config: AnalysisConfig) -> Iterator[Manifest]:
    """Yield what is to be loaded: a report must not name an engine that nobody asks."""
    known = set(outlined)
    for name in dict.fromkeys(config.additional_engines):
        manifest = _read(name, "additional_engines", config)
        if manifest.task == "phenotype" and not config.research_phenotypes:
            log.warning("engine.not_enabled", engine=name, key="analysis.research_phenotypes")
        elif manifest.task == "segmentation" and known.issuperset(manifest.views):
            log.warning("engine.never_asked", engine=name, views=manifest.views, key="analysis.segmentation_engine")
        else:
            known.update(manifest.views if manifest.task == "segmentation" else ())
            yield manifest


def _read(name: str, role: str, config: AnalysisConfig) -> Manifest:
    manifest = find_engine(name, config).read()
    check_role(manifest, role)
    return manifest


def check_role(manifest: Manifest, role: str) -> None:
    """Raise ManifestError unless the engine does what a key of `analysis` asks of it."""
    path, tasks = manifest.folder / MANIFEST_NAME, ROLES[role]
    if manifest.task not in tasks:
        raise ManifestError(path, "task", f"{' or '.join(repr(task) for task in tasks)}, got '{manifest.task}'")
    if role == "segmentation_engine" and not set(manifest.views) & set(MEASURED_VIEWS):
        raise ManifestError(path, "views", f"{' or '.join(MEASURED_VIEWS)}, got {', '.join(manifest.views)}")


def _below(folder: Path, source: Literal["site", "shipped"]) -> tuple[EngineFolder, ...]:
    # A name with a dot in front is a folder that a command is still writing.
    paths = sorted(path.parent for path in folder.glob(f"*/{MANIFEST_NAME}"))
    return tuple(EngineFolder(path, source) for path in paths if not path.name.startswith("."))


def _pinned(pin: Decision, folders: list[EngineFolder], config: AnalysisConfig) -> EngineFolder:
    for folder in folders:
        if folder.sha256() == pin.sha256:
            return folder
    assert config.engines_folder is not None  # a pin was read from there
    found = "; ".join(f"{folder.version()} (sha256 {folder.sha256()}) in {folder.path}" for folder in folders)
    raise ManifestError(
        config.engines_folder / PINS_NAME,
        pin.engine,
        f"version {pin.version} (sha256 {pin.sha256} of its manifest.toml), found {found or 'none of that name'}. "
        f"Put the pinned folder back, or accept another: echo-scp engines pin {pin.engine} VERSION",
    )


def _unknown(name: str, config: AnalysisConfig) -> ConfigurationError:
    keys = " and ".join(f"analysis.{key}" for key in roles_of(name, config))
    text = f"{keys}: no engine '{name}'" if keys else f"no engine '{name}'"
    versions = [str(folder.path) for folder in engine_folders(config) if folder.name == name]
    if versions:
        return ConfigurationError(f"{text}, only versions of it: {', '.join(versions)}; pin one of them")
    known = ", ".join(sorted({folder.name for folder in engine_folders(config) if folder.is_default}))
    places = ", ".join(str(folder) for folder in (config.engines_folder, shipped_folder()) if folder is not None)
    return ConfigurationError(f"{text} in {places}; known are {known}")
