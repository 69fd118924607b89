"""The documents are complete: every key, metric, reason, flag and command is in them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel
from typer.main import get_command

from echo_scp import metrics
from echo_scp.cli import app
from echo_scp.config import Config, Destination, Peer, load
from echo_scp.model import Flag, Reason

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "config" / "echo-scp.toml"


def keys(model: type[BaseModel], prefix: str = "") -> list[str]:
    found = []
    for name, field in model.model_fields.items():
        nested = field.annotation
        if isinstance(nested, type) and issubclass(nested, BaseModel):
            found += keys(nested, f"{prefix}{name}.")
        else:
            found.append(f"{prefix}{name}")
    return found


def test_the_example_configuration_equals_the_defaults():
    """A site that copies the example changes nothing."""
    assert load(EXAMPLE, {}) == Config()


@pytest.mark.parametrize("key", [key for key in keys(Config) if key not in ("destinations", "receive.peers")])
def test_every_key_is_in_the_example(key):
    """As a value, or commented out when its default cannot be written."""
    *sections, name = key.split(".")
    table = tomllib.loads(EXAMPLE.read_text())
    for section in sections:
        table = table[section]

    assert name in table or re.search(rf"^# {name} = ", EXAMPLE.read_text(), re.MULTILINE)


@pytest.mark.parametrize("key", [*keys(Destination), *keys(Peer)])
def test_every_key_of_a_destination_and_a_peer_is_in_the_example(key):
    """Their tables are given as comments."""
    assert re.search(rf"^# {key} = ", EXAMPLE.read_text(), re.MULTILINE)


@pytest.mark.parametrize("code", [*Reason, *Flag])
def test_every_reason_and_flag_is_explained(code):
    """docs/reasons.md has a row per code."""
    assert re.search(rf"^\| `{code}` \|", (ROOT / "docs" / "reasons.md").read_text(), re.MULTILINE)


@pytest.mark.parametrize("metric", metrics.ALL, ids=lambda metric: metric.name)
def test_every_metric_is_explained(metric):
    """docs/metrics.md has a row per metric, with its labels."""
    row = re.search(rf"^\| `{metric.name}` \|(.*)$", (ROOT / "docs" / "metrics.md").read_text(), re.MULTILINE)

    assert row is not None
    assert all(f"`{label}`" in row[1] for label in metric.labels)


def test_every_command_is_in_the_readme():
    """A reader of the README has seen what the command can do."""
    readme = (ROOT / "README.md").read_text()

    assert all(f"echo-scp {name}" in readme or f"make {name}" in readme for name in get_command(app).commands)


@pytest.mark.parametrize("name", get_command(app).commands["engines"].commands)
def test_every_engines_command_is_explained(name):
    """docs/engines.md has a row per command."""
    assert f"| `echo-scp engines {name}" in (ROOT / "docs" / "engines.md").read_text()


@pytest.mark.parametrize("name", get_command(app).commands["deliveries"].commands)
def test_every_deliveries_command_is_explained(name):
    """docs/operations.md has a row per command."""
    assert f"| `echo-scp deliveries {name}" in (ROOT / "docs" / "operations.md").read_text()


def test_links_between_documents_lead_somewhere():
    """Every relative link of the README and of docs/ names a file."""
    for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\((?!http|#)([^)#]+)", path.read_text()):
            assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_ci_runs_the_command_of_the_readme():
    """`make test` is the one way to run the tests."""
    assert "make test" in (ROOT / ".ci" / "run").read_text()
    assert "make test" in (ROOT / "README.md").read_text()
