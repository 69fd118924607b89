"""Body surface from what headers tell, and refusals of what they cannot mean."""

from __future__ import annotations

import pytest
from pydicom.multival import MultiValue

from echo_scp.measure.body import find_body, surface_m2
from echo_scp.model import Flag, Note
from tests.unit.measure.headers import make_instance


def of_size(height=None, weight=None):
    return make_instance(PatientSize=height, PatientWeight=weight)


def test_surface_by_both_formulas():
    """170 cm and 70 kg: 1.8097 m2 by DuBois, 1.8181 m2 by Mosteller."""
    assert surface_m2(1.70, 70, "dubois") == pytest.approx(1.8097, abs=0.0001)
    assert surface_m2(1.70, 70, "mosteller") == pytest.approx(1.8181, abs=0.0001)


def test_body_names_its_formula():
    """What a reader compares with must be known."""
    body = find_body([of_size("1.70", "70")], "dubois")

    assert (body.height_m, body.weight_kg, body.formula) == (1.7, 70.0, "DuBois")
    assert body.surface_m2 == pytest.approx(1.8097, abs=0.0001)


@pytest.mark.parametrize("pair", [(None, None), ("1.7", None), (None, "70"), ("", "70"), ("0", "70"), ("1.7", "0")])
def test_no_body_without_both(pair):
    """One of the two is not enough, 0 is what carts send for none, and neither is an error."""
    assert find_body([of_size(*pair)], "dubois") is None


@pytest.mark.parametrize(
    ("height", "weight", "word"),
    [
        ("170", "70", "Size"),
        ("1.7", "70000", "Weight"),
        ("1.7", "8", "mass index"),
        ("1.0", "150", "mass index"),
        ("-1.7", "70", "Size"),
    ],
)
def test_implausible_size_is_refused_and_not_mended(height, weight, word):
    """A height of 170 may be centimetres, but nobody said so."""
    refused = find_body([of_size(height, weight)], "dubois")

    assert isinstance(refused, Note)
    assert refused.flag is Flag.BODY_SIZE_REFUSED
    assert word in refused.detail


def test_several_values_in_one_element_are_refused():
    """Size is one number."""
    instance = of_size("1.7", "70")
    instance.header.PatientSize = MultiValue(str, ["1.7", "1.8"])

    assert isinstance(find_body([instance], "dubois"), Note)


def test_instances_that_agree_or_keep_silent_are_one_body():
    """1.7 and 1.70 are the same, and a missing value contradicts nothing."""
    instances = [of_size("1.70", "70"), of_size("1.7", "70.0"), of_size(), of_size("1.7")]

    assert find_body(instances, "dubois").height_m == 1.7


def test_instances_that_disagree_are_refused():
    """Two weights in one study: neither is used."""
    refused = find_body([of_size("1.7", "70"), of_size("1.7", "90")], "dubois")

    assert isinstance(refused, Note)
    assert "70" in refused.detail
    assert "90" in refused.detail
