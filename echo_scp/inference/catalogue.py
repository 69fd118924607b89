"""Find the engines of a site and load the two that the pipeline needs."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from echo_scp.config import AnalysisConfig
from echo_scp.errors import ManifestError
from echo_scp.inference.engine import Engine
from echo_scp.inference.manifest import MANIFEST_NAME, Manifest, read_manifest
from echo_scp.inference.onnxruntime import OnnxRuntimeEngine
from echo_scp.model import EngineIdentity


@dataclass(frozen=True, slots=True)
class Engines:
    """The engines of one analysis."""

    view: Engine
    segmentation: Engine

    @property
    def identities(self) -> tuple[EngineIdentity, ...]:
        return self.view.manifest.identity, self.segmentation.manifest.identity


def shipped_folder() -> Path:
    """Return the engines that came with the package: inside the wheel, or beside the source tree."""
    package = Path(str(files("echo_scp")))
    installed = package / "_shipped" / "engines"
    return installed if installed.is_dir() else package.parent / "engines"


def engines_folder(config: AnalysisConfig) -> Path:
    """Return the folder that the configuration names, else the shipped one."""
    return config.engines_folder or shipped_folder()


def list_manifests(folder: Path) -> tuple[Manifest, ...]:
    """Return every manifest below `folder`, sorted by name; raises ManifestError for the first that is wrong."""
    return tuple(read_manifest(path.parent) for path in sorted(folder.glob(f"*/{MANIFEST_NAME}")))


def load_engines(config: AnalysisConfig) -> Engines:
    """Load the configured engines; raises ManifestError or EngineError naming what to mend."""
    folder = engines_folder(config)
    return Engines(
        view=_load(folder / config.view_engine, "view", config),
        segmentation=_load(folder / config.segmentation_engine, "segmentation", config),
    )


def _load(folder: Path, task: str, config: AnalysisConfig) -> Engine:
    manifest = read_manifest(folder)
    if manifest.task != task:
        raise ManifestError(folder / MANIFEST_NAME, "task", f"'{task}', got '{manifest.task}'")
    return OnnxRuntimeEngine(manifest, config.threads)
