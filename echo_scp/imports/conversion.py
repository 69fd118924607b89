"""What a kind of import makes of the files that it is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from echo_scp.imports.options import ImportOptions

COMPARED = "ONNX Runtime answered as torch did on random input, within 1e-4."


@dataclass(frozen=True, slots=True)
class Conversion:
    """`values` are the manifest's tables input, output, sampling and so on; `write` makes the fp32 artefact.

    `sources` are the files that it was made from; `facts` are sentences for the model card.
    """

    values: Mapping[str, Any]
    write: Callable[[Path], None]
    sources: tuple[Path, ...]
    facts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of published file, and how it becomes an engine."""

    name: str
    summary: str
    takes: str
    convert: Callable[[Sequence[Path], ImportOptions], Conversion]
