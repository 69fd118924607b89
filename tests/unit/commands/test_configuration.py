"""What `config explain` reads from the documented configuration."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from echo_scp.cli import app
from echo_scp.commands.configuration import described_keys
from echo_scp.config import Config, example_text
from tests.test_docs import keys

TEXT = """\
# Of the whole file.

# Folder for data,
# all of it.
data_folder = "data"

[receive]
# Address and port.
address = "0.0.0.0"
port = 11112
# Not set by default.
# file = "/etc/x"

# [[destinations]]
# name = "pacs"   # unique
"""


def test_a_comment_means_the_keys_below_it():
    """Also when it has two lines, and when several keys share it."""
    found = described_keys(TEXT)

    assert found["data_folder"] == ("Folder for data, all of it.", '"data"')
    assert found["receive.address"][0] == found["receive.port"][0] == "Address and port."


def test_a_remark_behind_a_value_means_that_key():
    """The tables of destinations are written so."""
    assert described_keys(TEXT)["destinations.name"][0] == "unique"


def test_a_key_that_is_commented_out_is_an_example():
    """It says so, as it is not what holds."""
    assert described_keys(TEXT)["receive.file"] == ("Not set by default.", '"/etc/x" (an example; it is not set)')


@pytest.mark.parametrize("key", [key for key in keys(Config) if key not in ("destinations", "receive.peers")])
def test_every_key_of_the_configuration_is_explained(key):
    """With a meaning."""
    meaning, _ = described_keys(example_text())[key]

    assert meaning


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://user:Kanarie@host/name", "postgresql://user:***@host/name"),
        ("postgresql://user:Kan@r[ie@host:5432/name", "postgresql://user:***@host:5432/name"),
        ("postgresql:///name?password=Kanarie&user=me", "postgresql:///name?password=***&user=me"),
        ("host=h password='Kan arie' user=me", "host=h password=*** user=me"),
        ("postgresql://user@host:5432/name", "postgresql://user@host:5432/name"),
        ("", ""),
    ],
)
def test_config_show_masks_a_password_wherever_libpq_takes_one(url, shown, monkeypatch):
    """What is shown may go into a ticket."""
    monkeypatch.setenv("ECHO_SCP_DATABASE__URL", url)

    done = CliRunner().invoke(app, ["config", "show"], catch_exceptions=False)

    assert json.loads(done.output)["database"]["url"] == shown
