"""Clips of two patients must never share one result."""

from __future__ import annotations

import pytest

from echo_scp.measure.patient import several_patients
from echo_scp.model import Instance
from tests.unit.measure.headers import make_instance


def of_patient(patient_id: str | None = None, issuer: str | None = None) -> Instance:
    return make_instance(PatientID=patient_id, IssuerOfPatientID=issuer)


@pytest.mark.parametrize(
    "patients",
    [
        [("1",), ("1",)],
        [("1",), ("",)],
        [("1",), (None,)],
        [("1",), ("1 ",)],
        [("1", "A"), ("1", None)],
        [("",), (None,)],
        [],
    ],
    ids=str,
)
def test_nobody_is_contradicted_by_silence(patients):
    """A machine that left the element out, or padded it, names no other patient."""
    assert several_patients(of_patient(*patient) for patient in patients) == ""


@pytest.mark.parametrize(
    ("patients", "element"),
    [
        ([("1",), ("2",)], "Patient ID"),
        ([("1",), ("",), ("1",), ("2",)], "Patient ID"),
        ([("1", "A"), ("1", "B")], "Issuer of Patient ID"),
    ],
    ids=str,
)
def test_two_patients_are_told_without_their_names(patients, element):
    """The same number of two hospitals is not the same patient; the log may be read by anybody."""
    told = several_patients(of_patient(*patient) for patient in patients)

    assert told.startswith("the instances of the study have 2 values of " + element)
