"""Whose hearts a study shows: clips of two patients must never share one result."""

from __future__ import annotations

from collections.abc import Iterable

from echo_scp.model import Instance

_ELEMENTS = {"PatientID": "Patient ID (0010,0020)", "IssuerOfPatientID": "Issuer of Patient ID (0010,0021)"}


def several_patients(instances: Iterable[Instance]) -> str:
    """Return what tells that instances of a study are of different patients; "" when nothing does.

    An instance that leaves an element empty contradicts nobody. Identity: the values themselves are not repeated.
    """
    headers = [instance.header for instance in instances]
    for keyword, name in _ELEMENTS.items():
        told = {str(header.get(keyword) or "").strip() for header in headers} - {""}
        if len(told) > 1:
            return f"the instances of the study have {len(told)} values of {name}"
    return ""
