"""Whose study it is, from the header of a stored file."""

from __future__ import annotations

from echo_scp.web.identity import Identities, Identity
from tests.unit.test_index import write_spooled


def test_a_file_that_could_not_be_read_is_read_again(tmp_path):
    """A store that was away for a moment, or a file that came again, must not leave the patient unknown."""
    identities, path = Identities(), tmp_path / "a.dcm"

    before = identities.read(path)
    write_spooled(path, PatientName="Doe^Jane", PatientID="P-17")

    assert before == Identity()
    assert identities.read(path) == Identity(name="Doe Jane", patient_id="P-17")
