"""Read and check an engine folder: `manifest.toml` describes the artefact beside it."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from echo_scp.errors import ManifestError
from echo_scp.model import EngineIdentity, Structure, View

MANIFEST_NAME = "manifest.toml"
BACKGROUND = "background"


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class InputTensor(_Table):
    """Grey frames, float32 (N, 1, size, size), each value (grey / 255 - mean) / std."""

    tensor: str
    size: int = Field(ge=16, le=2048)
    mean: float
    std: float = Field(gt=0)


class OutputTensor(_Table):
    """Logits; channel k means `labels[k]`."""

    tensor: str
    labels: tuple[str, ...] = Field(min_length=2)


class Decision(_Table):
    """How a view engine's frame probabilities become one answer per clip."""

    threshold: float = Field(ge=0, le=1)
    frames_per_clip: int = Field(ge=1, le=1000)


class Training(_Table):
    """Where the weights came from."""

    data: str
    script: str
    seed: int


class Manifest(_Table):
    """The content of `manifest.toml`, plus the folder that it was read from."""

    schema_version: Literal[1] = Field(alias="schema")
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    version: str
    task: Literal["segmentation", "view"]
    artefact: str = Field(pattern=r"^[A-Za-z0-9._-]+$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    licence: str
    views: tuple[View, ...] = ()
    input: InputTensor
    output: OutputTensor
    decision: Decision | None = None
    training: Training
    metrics: dict[str, Annotated[float, Field(allow_inf_nan=False)]] = {}
    folder: Path

    @property
    def artefact_path(self) -> Path:
        return self.folder / self.artefact

    @property
    def identity(self) -> EngineIdentity:
        return EngineIdentity(self.name, self.version, self.sha256)

    @model_validator(mode="after")
    def _labels_fit_the_task(self) -> Manifest:
        labels = self.output.labels
        if self.task == "view":
            unknown = set(labels) - {view.value for view in View}
            if self.decision is None:
                raise ValueError("a view engine needs a [decision] table")
        else:
            unknown = set(labels[1:]) - {structure.value for structure in Structure}
            if labels[0] != BACKGROUND:
                raise ValueError(f"output.labels[0] must be '{BACKGROUND}', not '{labels[0]}'")
            if not self.views:
                raise ValueError("a segmentation engine needs the list of views that it is valid for")
        if unknown:
            raise ValueError(f"output.labels has unknown names: {', '.join(sorted(unknown))}")
        return self


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of an engine folder after comparing the artefact's hash with it.

    Raises ManifestError naming the file, the field and what was expected.
    """
    path = folder / MANIFEST_NAME
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ManifestError(path, "file", f"a readable manifest ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ManifestError(path, "file", f"valid TOML ({error})") from error
    try:
        manifest = Manifest.model_validate({**values, "folder": folder})
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "manifest"
        raise ManifestError(path, field, f"{first['msg']}, got {first['input']!r:.120}") from None
    _check_hash(path, manifest)
    return manifest


def _check_hash(path: Path, manifest: Manifest) -> None:
    try:
        actual = hashlib.sha256(manifest.artefact_path.read_bytes()).hexdigest()
    except OSError as error:
        raise ManifestError(path, "artefact", f"a readable file {manifest.artefact} ({error.strerror})") from error
    if actual != manifest.sha256:
        raise ManifestError(path, "sha256", f"{actual}, the hash of {manifest.artefact}")
