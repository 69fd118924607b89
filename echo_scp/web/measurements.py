"""The numbers of a results.json (docs/results.md) as rows of a table; what the file does not have makes no row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Values = Mapping[str, Any]  # a part of the parsed file
_METHODS = {
    "disks_single_plane": "method of disks, single plane",
    "disks_biplane": "method of disks, biplane",
    "area_length_single_plane": "area-length, single plane",
    "area_length_biplane": "area-length, biplane",
    "regression": "regression by a network",
}
_AREA_LENGTH = "area-length"
_REGRESSION = "regression"


@dataclass(frozen=True, slots=True)
class Row:
    """A number with its unit, how it was measured, and the 95 % interval where one is known."""

    name: str
    value: str
    unit: str
    method: str = ""
    interval: str = ""


@dataclass(frozen=True, slots=True)
class _Quantity:
    """Where a number stands in the file; without `method` it has the method of its table."""

    key: str
    name: str
    unit: str
    digits: int = 0
    method: str | None = None
    interval_key: str = ""


_EF = (_Quantity("ef_percent", "Ejection fraction", "%", 1, interval_key="ef_interval_percent"),)
_OF_STUDY = (
    _Quantity("ef_sd_percent", "SD of the EF between beats", "points", 1, ""),
    _Quantity("edv_ml", "End-diastolic volume", "mL", 1),
    _Quantity("esv_ml", "End-systolic volume", "mL", 1),
    _Quantity("stroke_volume_ml", "Stroke volume", "mL", 1),
    _Quantity("ef_area_length_percent", "Ejection fraction", "%", 1, _AREA_LENGTH),
    _Quantity("edv_area_length_ml", "End-diastolic volume", "mL", 1, _AREA_LENGTH),
    _Quantity("esv_area_length_ml", "End-systolic volume", "mL", 1, _AREA_LENGTH),
    _Quantity("ef_regression_percent", "Ejection fraction", "%", 1, _METHODS[_REGRESSION]),
    _Quantity("length_mm", "LV length at end-diastole", "mm", 0, ""),
    _Quantity("area_mm2", "LV area at end-diastole", "mm²", 0, ""),
    _Quantity("heart_rate_bpm", "Heart rate", "/min", 0, ""),
    _Quantity("cardiac_output_l_min", "Cardiac output", "L/min", 1),
    _Quantity("edv_index_ml_m2", "End-diastolic volume index", "mL/m²", 1),
    _Quantity("esv_index_ml_m2", "End-systolic volume index", "mL/m²", 1),
    _Quantity("stroke_index_ml_m2", "Stroke volume index", "mL/m²", 1),
    _Quantity("cardiac_index_l_min_m2", "Cardiac index", "L/min/m²", 1),
)
_LEFT_ATRIUM = (
    _Quantity("la_volume_ml", "Left atrial volume", "mL", 1),
    _Quantity("la_index_ml_m2", "Left atrial volume index", "mL/m²", 1),
)
_OF_CLIP = (
    *_EF,
    _Quantity("ef_sd_percent", "SD of the EF between beats", "points", 1, ""),
    _Quantity("edv_ml", "End-diastolic volume", "mL", 1),
    _Quantity("esv_ml", "End-systolic volume", "mL", 1),
    _Quantity("ef_area_length_percent", "Ejection fraction", "%", 1, _AREA_LENGTH),
    _Quantity("la_volume_ml", "Left atrial volume", "mL", 1, _AREA_LENGTH),
    _Quantity("heart_rate_bpm", "Heart rate", "/min", 0, ""),
    _Quantity("segmentation_sd_percent", "SD of the EF over varied outlines", "points", 1, ""),
)


def study_rows(result: Values) -> tuple[Row, ...]:
    """Return the numbers of `result`; none when the study was not assessed."""
    code = result.get("method", "")
    rows = _rows(result, _EF, method_text(code))
    if code == _REGRESSION:  # a network's EF; the volumes beside it are those of the outlines
        code, result = "disks_single_plane", {**result, "ef_regression_percent": None}
    atrium = method_text(result.get("la_method") or _AREA_LENGTH)
    return (*rows, *_rows(result, _OF_STUDY, method_text(code)), *_rows(result, _LEFT_ATRIUM, atrium))


def clip_rows(measurement: Values) -> tuple[Row, ...]:
    """Return the numbers of one clip's `measurement`."""
    return tuple(_rows(measurement, _OF_CLIP, method_text(measurement.get("method", ""))))


def estimate_rows(estimates: list[Values]) -> tuple[Row, ...]:
    """Return what networks said of the clip directly."""
    return tuple(
        Row(
            name=found["name"].replace("_", " "),
            value="not given" if found["value"] is None else f"{found['value']:.3g}",
            unit="" if found["unit"] == "1" else found["unit"],
            method=f"{found['engine']}{', research' if found['research'] else ''}",
        )
        for found in estimates
    )


def method_text(code: str) -> str:
    """Return a method's code in words."""
    return _METHODS.get(code, code.replace("_", " "))


def _rows(values: Values, quantities: tuple[_Quantity, ...], method: str) -> Iterator[Row]:
    for quantity in quantities:
        value = values.get(quantity.key)
        if value is not None:
            yield Row(
                name=quantity.name,
                value=f"{value:.{quantity.digits}f}",
                unit=quantity.unit,
                method=method if quantity.method is None else quantity.method,
                interval=_interval(values.get(quantity.interval_key), quantity.digits),
            )


def _interval(bounds: list[float | None] | None, digits: int) -> str:
    if bounds is None or None in bounds:
        return ""
    low, high = bounds
    return f"{low:.{digits}f} to {high:.{digits}f}"
