"""The documents are complete: every key, metric, reason, flag and command is in them."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel
from typer.main import get_command

from echo_scp import metrics
from echo_scp.cli import app
from echo_scp.config import Config, Destination, Peer, load
from echo_scp.model import Flag, Reason
from scripts import metrics_doc

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


def test_the_page_of_metrics_is_written_from_the_code():
    """docs/metrics.md is what the table of metrics says today."""
    assert metrics_doc.DOCUMENT.read_text() == metrics_doc.page(), "run: python -m scripts.metrics_doc"


@pytest.mark.parametrize("metric", metrics.ALL, ids=lambda metric: metric.name)
def test_every_metric_has_a_row_with_its_labels(metric):
    """The generator leaves none out."""
    row = re.search(rf"^\| `{metric.name}` \|(.*)$", metrics_doc.page(), re.MULTILINE)

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


@pytest.mark.parametrize("name", get_command(app).commands["conflicts"].commands)
def test_every_conflicts_command_is_explained(name):
    """docs/operations.md says what each does."""
    assert f"echo-scp conflicts {name}" in (ROOT / "docs" / "operations.md").read_text()


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


def shell_commands() -> Iterator[tuple[str, str]]:
    """Each `echo-scp ...` line of a shell block in the README and docs/, with its file."""
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for block in re.findall(r"^```(?:sh|bash|console)\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                if re.match(r"(\$ )?echo-scp\b", line):
                    yield path.name, line.removeprefix("$ ")


def parse(line: str) -> None:
    """Read a line as the command would, without running it; raises what the command's parser raises."""
    words = shlex.split(re.split(r"\s[>|]", line)[0], comments=True)[1:]
    command, context = get_command(app), None
    while True:
        try:
            context = command.make_context(command.name or "", list(words), parent=context)
        except Exception as error:
            # By name: the parser is click, or the copy of it that Typer brings.
            if type(error).__name__ == "Exit" or "does not exist" in str(error):  # --version; a file of the reader's
                return
            raise
        if not hasattr(command, "resolve_command"):
            return
        _, command, words = command.resolve_command(context, [*context._protected_args, *context.args])


@pytest.mark.parametrize(("file", "line"), sorted(set(shell_commands())))
def test_every_command_in_the_documents_is_understood(file, line):
    """Each `echo-scp` line of the README and of docs/ has commands, options and arguments that the program knows."""
    parse(line)


def test_a_wrong_command_would_be_noticed():
    """The check itself can fail."""
    with pytest.raises(Exception, match="No such option"):
        parse("echo-scp studies --sate failed")


@pytest.mark.parametrize("name", ["administrator", "cardiologist", "researcher"])
def test_each_reader_has_a_document_that_the_readme_names(name):
    """Three readers, three documents."""
    assert f"docs/{name}.md" in (ROOT / "README.md").read_text()


def test_scripts_that_documents_name_are_there():
    """A path that is read is typed."""
    for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for script in re.findall(r"\bscripts/[a-z_/]+\.(?:sh|py)\b", path.read_text()):
            assert (ROOT / script).is_file(), f"{path.name}: {script}"
