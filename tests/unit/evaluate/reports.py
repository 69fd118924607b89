"""Measurement reports as carts write them (TID 5200), reduced to what a reader of EF needs."""

from __future__ import annotations

from pathlib import Path

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ComprehensiveSRStorage, ExplicitVRLittleEndian, generate_uid


def code(value: str, scheme: str) -> Dataset:
    ds = Dataset()
    ds.CodeValue, ds.CodingSchemeDesignator, ds.CodeMeaning = value, scheme, "meaning"
    return ds


def item(
    kind: str, name: tuple[str, str], relationship: str = "CONTAINS", children: tuple[Dataset, ...] = ()
) -> Dataset:
    ds = Dataset()
    ds.ValueType, ds.RelationshipType = kind, relationship
    ds.ConceptNameCodeSequence = [code(*name)]
    if children:
        ds.ContentSequence = list(children)
    return ds


def modifier(name: tuple[str, str], value: tuple[str, str], relationship: str = "HAS CONCEPT MOD") -> Dataset:
    ds = item("CODE", name, relationship)
    ds.ConceptCodeSequence = [code(*value)]
    return ds


def number(name: tuple[str, str], value: str, unit: str, *children: Dataset) -> Dataset:
    ds = item("NUM", name, children=children)
    measured = Dataset()
    measured.NumericValue = value
    measured.MeasurementUnitsCodeSequence = [code(unit, "UCUM")]
    ds.MeasuredValueSequence = [measured]
    return ds


def group(*children: Dataset) -> Dataset:
    return item("CONTAINER", ("125007", "DCM"), children=children)


def report(*groups: Dataset, study_instance_uid: str = "1.2.3") -> Dataset:
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = ComprehensiveSRStorage, generate_uid()
    ds.StudyInstanceUID, ds.SeriesInstanceUID = study_instance_uid, generate_uid()
    ds.Modality = "SR"
    ds.ValueType = "CONTAINER"
    ds.ConceptNameCodeSequence = [code("125200", "DCM")]
    ds.ContentSequence = [item("CONTAINER", ("121070", "DCM"), children=groups)]
    return ds


def save(ds: Dataset, path: Path) -> Path:
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path, enforce_file_format=True)
    return path
