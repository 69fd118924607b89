"""Imports point downwards, and each heavy library lives where the design says."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "echo_scp"

# Lowest first; a part may import parts of lower layers and, in the same layer, only itself.
LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"reasons"}),
    frozenset({"model"}),
    frozenset({"errors"}),
    frozenset({"config", "metrics", "logs", "notify", "occupancy"}),
    frozenset({"spool", "database", "inference", "audit"}),
    frozenset({"commitment"}),
    frozenset(
        {
            "decode",
            "classify",
            "evidence",
            "segment",
            "trust",
            "estimate",
            "measure",
            "assess",
            "report",
            "deliver",
            "phantom",
        }
    ),
    frozenset({"kept", "schedule", "completeness"}),
    frozenset({"procedure_step"}),
    frozenset({"pipeline", "imports", "outbox", "inquiry", "conflicts"}),
    frozenset({"receive", "jobs", "index", "clerk", "folder", "web", "retention"}),
    frozenset({"worker", "evaluate"}),
    frozenset({"node"}),
    frozenset({"tables", "progress", "doctor", "conformance"}),
    frozenset({"demo", "commands"}),
    frozenset({"cli"}),
)
HOMES = {
    "pynetdicom": {"receive", "deliver"},
    "psycopg": {"database", "jobs"},
    "psycopg_pool": {"database"},
    "procrastinate": {"jobs", "worker"},
    "highdicom": {"report"},
    "onnxruntime": {"inference"},
    "onnx": {"inference"},
    "cuda": {"inference"},
    "pycuda": {"inference"},
    "prometheus_client": {"metrics"},
    "httpx": {"deliver"},
    "starlette": {"web"},
    "uvicorn": {"web"},
    "typer": {"cli", "commands"},
    "rich": {"cli", "commands", "demo", "tables", "progress"},
    "jinja2": {"evaluate", "web"},
    "SimpleITK": {"evaluate"},
    "torch": {"imports"},
    "tensorflow": set(),
}


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports() -> Iterator[tuple[Path, str]]:
    for path in PACKAGE.rglob("*.py"):
        for statement in ast.walk(ast.parse(path.read_text())):
            if isinstance(statement, ast.Import):
                yield from ((path, alias.name) for alias in statement.names)
            elif isinstance(statement, ast.ImportFrom) and statement.module:
                if statement.module == "echo_scp":
                    yield from ((path, f"echo_scp.{alias.name}") for alias in statement.names)
                else:
                    yield path, statement.module


def layer_of(part: str) -> int:
    return next(number for number, layer in enumerate(LAYERS) if part in layer)


def test_every_module_has_a_layer():
    """A new file must say where it belongs."""
    parts = {part_of(path) for path in PACKAGE.rglob("*.py")} - {"__init__"}

    assert parts <= frozenset().union(*LAYERS)


def test_imports_point_downwards_only():
    """No part imports a sibling or a layer above it."""
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {name}"
        for path, name in imports()
        if name.startswith("echo_scp.")
        and (target := name.split(".")[1]) not in {"__version__", "__init__", part_of(path)}
        and layer_of(target) >= layer_of(part_of(path))
    ]

    assert wrong == []


@pytest.mark.parametrize("library", HOMES)
def test_each_library_lives_in_its_home(library):
    """Another library can replace it by touching these parts alone."""
    users = {part_of(path) for path, name in imports() if name.split(".")[0] == library}

    assert users <= HOMES[library]


def test_no_module_has_a_name_that_says_nothing():
    """If a thing has no home, its name is missing."""
    names = {path.stem for path in PACKAGE.rglob("*.py")}

    assert not names & {"utils", "util", "helpers", "common", "base", "manager", "misc"}
