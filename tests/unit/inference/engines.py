"""Engine folders for tests: copies of the shipped view engine that say they are another version."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from echo_scp.config import AnalysisConfig
from echo_scp.inference.catalogue import shipped_folder


def make_engine(folder: Path, version: str, name: str = "view") -> Path:
    """Write an engine that runs; its name and version are as given."""
    shutil.copytree(shipped_folder() / "view", folder)
    manifest = folder / "manifest.toml"
    text = re.sub(r'^version = ".*"$', f'version = "{version}"', manifest.read_text(), flags=re.MULTILINE)
    manifest.write_text(re.sub(r'^name = ".*"$', f'name = "{name}"', text, flags=re.MULTILINE))
    return folder


def site_config(site: Path, **changes: object) -> AnalysisConfig:
    """Return a configuration whose site folder need not exist."""
    return AnalysisConfig().model_copy(update={"engines_folder": site} | changes)
