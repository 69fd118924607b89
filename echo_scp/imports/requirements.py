"""Load the part that needs torch only when an import needs it."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from echo_scp.errors import EngineError


def torch_part(name: str) -> ModuleType:
    """Return `echo_scp.imports.<name>`; raises EngineError when torch is not installed."""
    try:
        return import_module(f"echo_scp.imports.{name}")
    except ModuleNotFoundError as error:
        missing = f"importing this network needs {error.name}"
        raise EngineError(f"{missing}: pip install 'echo-scp[train]' (the node itself never does)") from error
