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


def test_a_name_of_several_scripts_is_read_as_on_the_page_of_results(tmp_path):
    """Groups of components are told apart, without the signs between them."""
    write_spooled(tmp_path / "a.dcm", SpecificCharacterSet="ISO_IR 192", PatientName="Yamada^Tarou^^Dr=山田^太郎=")

    assert Identities().read(tmp_path / "a.dcm").name == "Yamada Tarou Dr, 山田 太郎"
