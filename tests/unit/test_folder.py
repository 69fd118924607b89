"""Studies of a folder, without a node."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from echo_scp.errors import StorageError
from echo_scp.folder import StudyFiles, analyse_study


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    """In one line; the command prints it in place of a traceback."""
    (tmp_path / "taken").write_text("a file")

    with pytest.raises(StorageError, match=r"taken: cannot be written: File exists"):
        analyse_study(None, StudyFiles("1.2.3", ()), tmp_path / "taken", datetime.now(UTC), print)
