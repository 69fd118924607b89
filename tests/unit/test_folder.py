"""Studies of a folder, without a node."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from echo_scp.errors import StorageError
from echo_scp.folder import StudyFiles, analyse_study, find_studies
from echo_scp.phantom.study import write_study


def test_studies_that_are_linked_into_a_folder_are_found(tmp_path):
    """Once each, and a link that leads round in a circle ends nowhere."""
    write_study(tmp_path / "elsewhere" / "one", seed=1, frame_count=4)
    cohort = tmp_path / "cohort"
    cohort.mkdir()
    for name, target in (("one", tmp_path / "elsewhere" / "one"), ("again", tmp_path / "elsewhere"), ("round", cohort)):
        (cohort / name).symlink_to(target)

    (study,), skipped = find_studies([cohort])

    assert (len(study.instances), skipped) == (8, ())


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    """In one line; the command prints it in place of a traceback."""
    (tmp_path / "taken").write_text("a file")

    with pytest.raises(StorageError, match=r"taken: cannot be written: File exists"):
        analyse_study(None, StudyFiles("1.2.3", ()), tmp_path / "taken", datetime.now(UTC), print)
