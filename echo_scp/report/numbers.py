"""Write the numbers of a study as coded measurements (PS3.16 TID 300), each with its method and UCUM unit."""

from __future__ import annotations

from collections.abc import Iterator

from highdicom.sr import CodeContentItem, CodedConcept, Measurement, MeasurementProperties, RelationshipTypeValues
from pydicom.sr.coding import Code

from echo_scp.model import BodySize, ClipMeasurement, StudyMeasurement, VolumeMethod
from echo_scp.report import codes


def headline_numbers(result: StudyMeasurement) -> Iterator[Measurement]:
    """Yield everything that is known of the study as a whole; EF first."""
    names = codes.volume_codes(result.view, result.method)
    yield percent(names.ef, result.ef_percent, result.method, ef_derivation(result), _uncertainty(result))
    yield from _volumes(result)
    yield from _flow(result)
    yield from _atrium(result)
    yield from _by_area_length(result)
    if result.regressed_ef_percent is not None and result.method is not VolumeMethod.REGRESSION:
        method = VolumeMethod.REGRESSION
        ef = codes.volume_codes(result.view, method).ef
        yield percent(ef, result.regressed_ef_percent, method, codes.ESTIMATED)
    if result.body is not None:
        yield _body_surface(result.body)


def ef_derivation(result: StudyMeasurement) -> Code | None:
    """Return what the EF is derived by (PS3.16 CID 3627)."""
    return codes.ESTIMATED if result.method is VolumeMethod.REGRESSION else volume_derivation(result)


def volume_derivation(result: StudyMeasurement) -> Code | None:
    """Return what volumes are derived by; a single beat in each plane is no mean, and usal_echo's percentiles are none.

    Beside a network's EF they are still those of the outlines.
    """
    if result.aggregation == "usal":
        return codes.CALCULATED
    planes = 2 if result.method is VolumeMethod.DISKS_BIPLANE else 1
    return codes.MEAN if result.beat_count > planes else None


def _uncertainty(result: StudyMeasurement) -> MeasurementProperties | None:
    """Return how far the interval reaches to either side (PS3.16 TID 310), in the EF's own unit."""
    if result.ef_interval is None:
        return None
    properties = MeasurementProperties(
        upper_measurement_uncertainty=round(result.ef_interval.high - result.ef_percent, 1),
        lower_measurement_uncertainty=round(result.ef_percent - result.ef_interval.low, 1),
    )
    for item in properties:  # highdicom gives them none
        item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence = [CodedConcept.from_code(codes.PERCENT)]
    return properties


def _volumes(result: StudyMeasurement) -> Iterator[Measurement]:
    method, derivation = result.volume_method, volume_derivation(result)
    names = codes.volume_codes(result.view, method)
    for name, index_name, value, index in (
        (names.edv, names.edv_index, result.edv_ml, result.edv_index_ml_m2),
        (names.esv, names.esv_index, result.esv_ml, result.esv_index_ml_m2),
    ):
        if value is not None:
            yield millilitres(name, value, method, derivation)
        if index is not None:
            yield _indexed(name, index_name, index, method)


def _flow(result: StudyMeasurement) -> Iterator[Measurement]:
    for name, value, unit, digits in (
        (codes.STROKE_VOLUME, result.stroke_volume_ml, codes.MILLILITRE, 1),
        (codes.STROKE_INDEX, result.stroke_index_ml_m2, codes.MILLILITRE_PER_SQUARE_METRE, 1),
        (codes.CARDIAC_OUTPUT, result.cardiac_output_l_min, codes.LITRE_PER_MINUTE, 2),
        (codes.CARDIAC_INDEX, result.cardiac_index_l_min_m2, codes.LITRE_PER_MINUTE_PER_SQUARE_METRE, 2),
    ):
        if value is not None:
            yield Measurement(name, round(value, digits), unit)
    if result.heart_rate_bpm is not None:
        yield heart_rate(result.heart_rate_bpm)


def _atrium(result: StudyMeasurement) -> Iterator[Measurement]:
    if result.la_volume_ml is None or result.la_method is None:
        return
    names = codes.atrial_codes(result.la_method)
    yield millilitres(names.volume, result.la_volume_ml, result.la_method)
    if result.la_index_ml_m2 is not None:
        yield _indexed(names.volume, names.index, result.la_index_ml_m2, result.la_method)


def _by_area_length(result: StudyMeasurement) -> Iterator[Measurement]:
    biplane = result.method is VolumeMethod.DISKS_BIPLANE
    method = VolumeMethod.AREA_LENGTH_BIPLANE if biplane else VolumeMethod.AREA_LENGTH_SINGLE_PLANE
    names = codes.volume_codes(result.view, method)
    if result.ef_area_length_percent is not None:
        yield percent(names.ef, result.ef_area_length_percent, method)
    if result.edv_area_length_ml is not None:
        yield millilitres(names.edv, result.edv_area_length_ml, method)
    if result.esv_area_length_ml is not None:
        yield millilitres(names.esv, result.esv_area_length_ml, method)


def _body_surface(body: BodySize) -> Measurement:
    method = codes.BODY_SURFACE_FORMULAS[body.formula]
    return Measurement(codes.BODY_SURFACE, round(body.surface_m2, 2), codes.SQUARE_METRE, method=method)


def percent(
    name: Code,
    value: float,
    method: VolumeMethod,
    derivation: Code | None = None,
    properties: MeasurementProperties | None = None,
) -> Measurement:
    """Return an EF."""
    return Measurement(
        name,
        round(value, 1),
        codes.PERCENT,
        method=codes.METHODS[method],
        derivation=derivation,
        properties=properties,
    )


def millilitres(name: Code, value: float, method: VolumeMethod, derivation: Code | None = None) -> Measurement:
    """Return a volume."""
    return Measurement(name, round(value, 1), codes.MILLILITRE, method=codes.METHODS[method], derivation=derivation)


def heart_rate(rate_bpm: float, derivation: Code | None = None) -> Measurement:
    """Return a heart rate."""
    return Measurement(codes.HEART_RATE, round(rate_bpm, 1), codes.PER_MINUTE, derivation=derivation)


def heart_rate_derivation(measurement: ClipMeasurement) -> Code | None:
    """Return what the heart rate of a clip is derived by, None where it is the machine's."""
    return None if measurement.heart_rate_is_told else codes.ESTIMATED


def _indexed(name: Code, index_name: Code | None, value: float, method: VolumeMethod) -> Measurement:
    """Return a volume per body surface: under its own name, else under the volume's with a modifier (TID 300 row 2)."""
    measurement = Measurement(
        index_name or name, round(value, 1), codes.MILLILITRE_PER_SQUARE_METRE, method=codes.METHODS[method]
    )
    if index_name is None:
        relationship = RelationshipTypeValues.HAS_CONCEPT_MOD
        modifier = CodeContentItem(codes.INDEX, codes.BODY_SURFACE, relationship_type=relationship)
        measurement[0].ContentSequence.append(modifier)
    return measurement
