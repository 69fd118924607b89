"""Read and check an engine folder: `manifest.toml` describes the artefacts beside it."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from echo_scp.errors import ManifestError
from echo_scp.inference.interface import BACKGROUND, IGNORE, InputTensor, OutputTensor, Sampling, Table, WrongFieldError
from echo_scp.model import EngineIdentity, Structure, View

MANIFEST_NAME = "manifest.toml"
Precision = Literal["fp32", "fp16", "int8"]
Task = Literal["segmentation", "view", "ejection_fraction", "phenotype"]
EJECTION_FRACTION = ("ejection_fraction", "%")  # the one value of that task, and its unit


class Artefact(Table):
    """One file with the network's weights, and its hash."""

    file: str = Field(pattern=r"^[A-Za-z0-9._-]+$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Decision(Table):
    """How a view engine's frame probabilities become one answer per clip."""

    threshold: float = Field(ge=0, le=1)
    frames_per_clip: int = Field(ge=1, le=1000)


class TrustTable(Table):
    """How agreement between copies of a frame becomes the Dice to be expected; fitted by scripts/train/trust.py."""

    bias: float
    certain: float = Field(ge=0)
    mirrored: float = Field(ge=0)
    turned: float = Field(ge=0)
    refuse_below: float = Field(ge=0, le=1)
    doubt_below: float = Field(ge=0, le=1)


class Training(Table):
    """Where the weights came from."""

    data: str
    script: str
    seed: int | None = None


class Manifest(Table):
    """The content of `manifest.toml`, plus the folder that it was read from."""

    schema_version: Literal[1] = Field(alias="schema")
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    version: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")  # part of a folder's name
    task: Task
    artefacts: dict[Precision, Artefact]
    licence: str
    views: tuple[View, ...] = ()
    input: InputTensor
    output: OutputTensor
    sampling: Sampling | None = None
    decision: Decision | None = None
    trust: TrustTable | None = None
    training: Training
    metrics: dict[str, Annotated[float, Field(allow_inf_nan=False)]] = Field(default_factory=dict)
    folder: Path

    def artefact_path(self, precision: Precision) -> Path:
        """Return the file of a precision; KeyError when the engine has none of it."""
        return self.folder / self.artefacts[precision].file

    def identity(self, precision: Precision) -> EngineIdentity:
        """Return what a report says of the artefact of a precision; KeyError when the engine has none of it."""
        usage = self.model_dump_json(exclude={"folder", "artefacts", "licence", "training", "metrics"})
        digest = hashlib.sha256(usage.encode()).hexdigest()
        return EngineIdentity(self.name, self.version, self.artefacts[precision].sha256, digest)

    @field_validator("artefacts")
    @classmethod
    def _fp32_is_there(cls, value: dict[Precision, Artefact]) -> dict[Precision, Artefact]:
        if "fp32" not in value:
            raise ValueError("an engine needs [artefacts.fp32], which every machine can run")
        return value

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Return the shape of one item of a batch."""
        size, channels = self.input.size, self.input.channels
        if self.input.layout == "NHWC":
            return size, size, channels
        if self.input.layout == "NCHW":
            return channels, size, size
        return channels, 0 if self.sampling is None else self.sampling.frames, size, size

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Return the shape of the answer to one item."""
        size, channels = self.input.size, self.output.channels
        if self.task != "segmentation":
            return (channels,)
        return (size, size, channels) if self.input.layout == "NHWC" else (channels, size, size)

    @model_validator(mode="after")
    def _tables_fit_the_task(self) -> Manifest:
        if self.task == "segmentation":
            _check_segmentation(self)
        elif self.task == "view":
            _check_view(self)
        else:
            _check_values(self)
        return self


def _check_segmentation(manifest: Manifest) -> None:
    labels = manifest.output.labels
    if not labels:
        raise WrongFieldError("output.labels", "the structures that a segmentation engine outlines")
    if labels[0] != BACKGROUND:
        raise WrongFieldError("output.labels", f"'{BACKGROUND}' first, not '{labels[0]}'")
    _check_names(labels, {BACKGROUND, IGNORE, *Structure})
    if not manifest.output.structures:
        raise WrongFieldError("output.labels", "at least one structure")
    if not manifest.views:
        raise WrongFieldError("views", "the views that a segmentation engine is valid for")
    _check_frame_by_frame(manifest)
    forms = manifest.input.layout, manifest.output.activation
    if manifest.trust is not None and (Structure.LV_CAVITY not in labels or forms != ("NCHW", "logits")):
        raise WrongFieldError("trust", f"logits of '{Structure.LV_CAVITY}', layout NCHW, or no such table")


def _check_view(manifest: Manifest) -> None:
    if not manifest.output.labels or manifest.output.activation == "sigmoid":
        raise WrongFieldError("output.labels", 'one view per channel, activation "logits" or "probabilities"')
    _check_names(manifest.output.labels, set(View))
    if manifest.decision is None:
        raise WrongFieldError("decision", "a table with threshold and frames_per_clip for a view engine")
    _check_frame_by_frame(manifest)


def _check_values(manifest: Manifest) -> None:
    values = manifest.output.values
    if not values:
        raise WrongFieldError("output.values", f"a name and a unit per channel; the task is '{manifest.task}'")
    if manifest.task == "ejection_fraction" and [(value.name, value.unit) for value in values] != [EJECTION_FRACTION]:
        raise WrongFieldError("output.values", "one value named ejection_fraction, its unit %")
    if not manifest.views:
        raise WrongFieldError("views", f"the views that the engine is valid for; the task is '{manifest.task}'")
    if manifest.sampling is None:
        raise WrongFieldError("sampling", "a table with frames, and period or interval_ms")


def _check_frame_by_frame(manifest: Manifest) -> None:
    if manifest.input.layout == "NCTHW" or manifest.sampling is not None:
        raise WrongFieldError("input.layout", f"single frames, without [sampling]; the task is '{manifest.task}'")


def _check_names(labels: tuple[str, ...], known: set[str]) -> None:
    unknown = [label for label in labels if label not in known]
    if unknown:
        raise WrongFieldError("output.labels", f"names among {', '.join(sorted(known))}, not {', '.join(unknown)}")


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
        cause = first.get("ctx", {}).get("error")
        if isinstance(cause, WrongFieldError):
            raise ManifestError(path, cause.field, cause.expected) from None
        field = ".".join(str(part) for part in first["loc"]) or "manifest"
        if first["type"] == "missing":
            raise ManifestError(path, field, "a value; there is none") from None
        raise ManifestError(path, field, f"{first['msg']}, got {first['input']!r:.120}") from None
    for precision in manifest.artefacts:
        _check_hash(path, manifest, precision)
    return manifest


def _check_hash(path: Path, manifest: Manifest, precision: Precision) -> None:
    artefact = manifest.artefacts[precision]
    field = f"artefacts.{precision}"
    try:
        actual = hashlib.sha256(manifest.artefact_path(precision).read_bytes()).hexdigest()
    except OSError as error:
        raise ManifestError(path, f"{field}.file", f"a readable file {artefact.file} ({error.strerror})") from error
    if actual != artefact.sha256:
        raise ManifestError(path, f"{field}.sha256", f"{actual}, the hash of {artefact.file}")
