"""Write a complete engine folder: artefact, manifest and card, all of it or nothing."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from echo_scp.errors import EngineError, ManifestError, StorageError
from echo_scp.imports.card import model_card
from echo_scp.imports.conversion import Conversion, Kind
from echo_scp.imports.manifest_text import to_toml
from echo_scp.imports.options import ImportOptions
from echo_scp.inference.manifest import MANIFEST_NAME, Manifest, read_manifest
from echo_scp.inference.onnxruntime import OnnxRuntimeEngine
from echo_scp.inference.verify import make_batch

ARTEFACT_NAME = "model.onnx"
CARD_NAME = "MODEL_CARD.md"
FIRST_VERSION, UNKNOWN = "1.0.0", "unknown"  # where nobody says it
_CHUNK_BYTES = 1 << 20


def write_folder(kind: Kind, conversion: Conversion, options: ImportOptions, folder: Path) -> Manifest:
    """Make `folder`, whose name is the engine's; it appears at once, after the engine has run in it.

    Raises EngineError or ManifestError for an engine that cannot run, StorageError for a full disk. What was there
    before is replaced only when `force` is set, and stays as it was when anything fails.
    """
    if folder.exists() and not options.force:
        raise EngineError(f"{folder}: is there already; import under another --name, or replace it with --force")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as scratch:
            # A folder in it, because TemporaryDirectory removes what it made: the rename must leave that behind.
            made = Path(scratch) / folder.name
            made.mkdir(mode=0o755)
            _fill(made, kind, conversion, options)
            _prove(made)
            _put(made, folder)
    except ManifestError as error:  # of a file that is gone by now; what it says came from the one who imports
        raise ManifestError(Path(folder.name, MANIFEST_NAME), error.field, error.expected) from error
    except OSError as error:
        raise StorageError(f"{folder}: cannot be written: {error.strerror}") from error
    return read_manifest(folder)


def _fill(folder: Path, kind: Kind, conversion: Conversion, options: ImportOptions) -> None:
    conversion.write(folder / ARTEFACT_NAME)
    sources = [f"{path.name} (sha256 {sha256_of(path)})" for path in conversion.sources]
    origin = f"imported as {kind.name} from {', '.join(sources)}"
    manifest = _manifest(folder, conversion.values, origin, options)
    (folder / MANIFEST_NAME).write_text(to_toml(manifest), encoding="utf-8")
    card = model_card(read_manifest(folder), kind, conversion.facts, sources)
    (folder / CARD_NAME).write_text(card, encoding="utf-8")


def _manifest(folder: Path, values: Mapping[str, Any], origin: str, options: ImportOptions) -> dict[str, Any]:
    """Return the whole manifest: what the options say, else the values, else that it is not known."""
    stated = {
        "schema": 1,
        "name": folder.name,
        "version": options.version or values.get("version", FIRST_VERSION),
        "licence": options.licence or values.get("licence", UNKNOWN),
    }
    if options.views:
        stated["views"] = options.views
    tables = {
        "artefacts": {"fp32": {"file": ARTEFACT_NAME, "sha256": sha256_of(folder / ARTEFACT_NAME)}},
        "training": _training(values.get("training", {}), origin, options),
    }
    kept = {key: value for key, value in values.items() if key not in stated and key not in tables}
    return {**stated, **kept, **tables}


def _training(told: object, origin: str, options: ImportOptions) -> object:
    """Return the table [training] with where the engine was imported from; what is no table is left to be refused."""
    if not isinstance(told, Mapping):
        return told
    script = "; ".join(str(part) for part in (told.get("script"), origin) if part)
    return {**told, "data": options.data or told.get("data", UNKNOWN), "script": script}


def sha256_of(path: Path) -> str:
    """Return the hash of a file of any size."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _prove(folder: Path) -> None:
    """Load the engine as a node would, and run it once."""
    manifest = read_manifest(folder)
    engine = OnnxRuntimeEngine(manifest)
    engine.run(make_batch(manifest, 1))
    engine.close()


def _put(made: Path, folder: Path) -> None:
    before = made.with_name(".before")
    if folder.exists():
        folder.replace(before)
    try:
        made.replace(folder)
    except OSError:
        if before.exists():
            before.replace(folder)
        raise
