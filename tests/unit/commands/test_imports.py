"""What --help names is what there is."""

from __future__ import annotations

from echo_scp.commands.imports import DOWNLOADS, IMPORT_KINDS
from echo_scp.imports.download import PUBLISHED
from echo_scp.imports.kinds import KINDS


def test_help_names_every_kind_of_import():
    """In the order in which they are known."""
    assert tuple(KINDS) == IMPORT_KINDS


def test_help_names_every_file_that_can_be_fetched_by_name():
    """Others are given by their address."""
    assert tuple(PUBLISHED) == DOWNLOADS
