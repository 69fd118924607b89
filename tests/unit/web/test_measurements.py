"""Numbers as rows, of this and of richer results."""

from __future__ import annotations

from echo_scp.web.measurements import Row, clip_rows, estimate_rows, study_rows


def test_a_number_has_its_unit_method_and_interval():
    """Rounded to what it can mean."""
    rows = study_rows(
        {"ef_percent": 52.34, "edv_ml": 104.6, "method": "disks_biplane", "ef_interval_percent": [44.06, 60.0]}
    )

    assert rows == (
        Row("Ejection fraction", "52.3", "%", "method of disks, biplane", "44.1 to 60.0"),
        Row("End-diastolic volume", "104.6", "mL", "method of disks, biplane", ""),
    )


def test_what_is_absent_or_null_makes_no_row():
    """An uncalibrated clip has no volumes."""
    rows = clip_rows({"ef_percent": 50.0, "edv_ml": None, "method": "disks_single_plane", "heart_rate_bpm": 68})

    assert [row.name for row in rows] == ["Ejection fraction", "Heart rate"]
    assert rows[1].method == ""


def test_a_method_of_its_own_is_named():
    """The same quantity by another method is another row."""
    rows = study_rows(
        {"ef_percent": 50.0, "ef_area_length_percent": 51.0, "la_volume_ml": 40.0, "la_method": "new_one"}
    )

    assert [(row.value, row.method) for row in rows] == [("50.0", ""), ("51.0", "area-length"), ("40.0", "new one")]


def test_volumes_beside_the_ef_of_a_network_are_those_of_the_outlines():
    """And its EF is told once."""
    result = {"ef_percent": 42.0, "edv_ml": 118.0, "ef_regression_percent": 42.0, "method": "regression"}

    assert [(row.name, row.method) for row in study_rows(result)] == [
        ("Ejection fraction", "regression by a network"),
        ("End-diastolic volume", "method of disks, single plane"),
    ]


def test_an_estimate_names_its_engine():
    """And that it is research, if it is."""
    (row,) = estimate_rows(
        [{"name": "ejection_fraction", "value": 55.123, "unit": "%", "engine": "r2 1.0.0", "research": True}]
    )

    assert row == Row("ejection fraction", "55.1", "%", "r2 1.0.0, research")
