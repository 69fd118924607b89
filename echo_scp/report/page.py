"""Set a result on one page with its pictures, as a PDF and as an Encapsulated PDF (PS3.3 A.45.1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import Any, cast

import cv2
import numpy as np
from fpdf import FPDF
from fpdf.enums import Align, MethodReturnValue, XPos, YPos
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import EncapsulatedPDFStorage, ExplicitVRLittleEndian

from echo_scp.config import ReportConfig
from echo_scp.model import MANUFACTURER, Instance, StudyAnalysis
from echo_scp.report.letters import MAIN_FONT, MARGIN_MM, Page, blank_page
from echo_scp.report.narrative import (
    RESEARCH_USE,
    assessment_sentences,
    clip_sentences,
    headline,
    result_sentences,
    series_description,
)
from echo_scp.report.source import (
    REQUIRED_MAY_BE_EMPTY,
    SERIES_NUMBERS,
    complete,
    engine_parameters,
    ordered_clips,
    readable_name,
    time_beside,
    value_of,
)
from echo_scp.report.uids import result_uid

WIDTH_MM, FOOT_MM = 182.0, 282.0
LAST_LINE_MM = 6.0  # above the foot: how many sentences were left out
LEADING = 0.46  # millimetres per point
PICTURES_AT_MOST, GAP_MM = 2, 3.0
PICTURE_MM = (WIDTH_MM - GAP_MM * (PICTURES_AT_MOST - 1)) / PICTURES_AT_MOST
GREY, RED, BLACK = (95, 100, 110), (176, 32, 32), (20, 22, 26)
_PATIENT = (("ID", "PatientID"), ("born", "PatientBirthDate"), ("sex", "PatientSex"))
_STUDY = (("Study of", "StudyDate"), ("", "StudyDescription"), ("accession", "AccessionNumber"))
TITLE = "Left ventricle: volumes and ejection fraction"


@dataclass(frozen=True, slots=True)
class _Picture:
    """A picture as it is put on the page, one of two side by side."""

    jpeg: bytes
    height_mm: float


def build_page(study: StudyAnalysis, pictures: Sequence[bytes], config: ReportConfig, now: datetime) -> Dataset:
    """Return the page as a DICOM object; `pictures` are PNG files, of which the first two are shown."""
    instances = [analysis.instance for analysis in ordered_clips(study)]
    content = page_pdf(study, pictures, config, now)
    ds = Dataset()
    for keyword in REQUIRED_MAY_BE_EMPTY:
        setattr(ds, keyword, "")
    ds.SOPClassUID = EncapsulatedPDFStorage
    ds.SOPInstanceUID = result_uid(study, config, "PDF")
    ds.SeriesInstanceUID = result_uid(study, config, "PDF series")
    ds.Modality = "DOC"
    ds.SeriesNumber = config.series_number_base + SERIES_NUMBERS["PDF"]
    ds.SeriesDescription = series_description("LV report", None, config)
    ds.InstanceNumber = 1
    ds.ConversionType = "WSD"
    ds.AcquisitionDateTime = ""
    ds.BurnedInAnnotation = "YES"  # name and dates are on the page
    ds.RecognizableVisualFeatures = "NO"
    ds.DocumentTitle = TITLE
    ds.ConceptNameCodeSequence = []
    ds.SourceInstanceSequence = [_reference(instance) for instance in instances]
    ds.MIMETypeOfEncapsulatedDocument = "application/pdf"
    ds.EncapsulatedDocumentLength = len(content)
    ds.EncapsulatedDocument = content + bytes(len(content) % 2)
    complete(ds, study, instances, config, now)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return ds


def page_pdf(study: StudyAnalysis, pictures: Sequence[bytes], config: ReportConfig, now: datetime) -> bytes:
    """Return one A4 page."""
    with blank_page(TITLE, now) as page:
        _write(page, study, pictures, config, now)
        return bytes(page.pdf.output())


def _write(page: Page, study: StudyAnalysis, pictures: Sequence[bytes], config: ReportConfig, now: datetime) -> None:
    pdf, shown = page.pdf, page.shown
    header = ordered_clips(study)[0].instance.header
    _line(pdf, TITLE, 15, BLACK)
    if config.research_use:
        _line(pdf, RESEARCH_USE, 10, RED)
    for line in _patient_lines(header):
        _line(pdf, shown(line), 10, BLACK)
    pdf.ln(2)
    _line(pdf, shown(headline(study)), 12, BLACK)
    prepared = [_prepare(picture) for picture in pictures[:PICTURES_AT_MOST]]
    bottom = FOOT_MM - LAST_LINE_MM
    told = [shown(sentence) for sentence in (*assessment_sentences(study), *result_sentences(study))]
    _fill(pdf, told, 8.5, "sentence", bottom - 2 * LAST_LINE_MM - _height(prepared))
    pdf.ln(1)
    _place(pdf, prepared)
    _fill(pdf, [shown(sentence) for sentence in clip_sentences(study)], 7.5, "instance", bottom)
    pdf.set_xy(MARGIN_MM, FOOT_MM)
    engines = "; ".join(f"{name} {identity[:26]}" for name, identity in engine_parameters(study).items())
    made = f"{MANUFACTURER}, {time_beside(header, now):%Y-%m-%d %H:%M}"
    _line(pdf, f"{made}; {engines}. Not verified by a physician.", 7, GREY)


def _line(pdf: FPDF, text: str, size: float, colour: tuple[int, int, int]) -> None:
    pdf.set_font(MAIN_FONT, size=size)
    pdf.set_text_color(*colour)
    pdf.multi_cell(WIDTH_MM, size * LEADING, text, align=Align.L, new_x=XPos.LMARGIN, new_y=YPos.NEXT)


def _patient_lines(header: Dataset) -> Iterator[str]:
    """Yield who and which study."""
    yield "; ".join([readable_name(value_of(header, "PatientName")) or "Name unknown", *_named(header, _PATIENT)])
    yield "; ".join(_named(header, _STUDY))


def _named(header: Dataset, told: Sequence[tuple[str, str]]) -> Iterator[str]:
    for word, keyword in told:
        value = value_of(header, keyword)
        if keyword.endswith("Date") and len(value) == 8:
            value = f"{value[:4]}-{value[4:6]}-{value[6:]}"
        if value:
            yield f"{word} {value}".strip()


def _place(pdf: FPDF, pictures: Sequence[_Picture]) -> None:
    """Put pictures side by side."""
    if not pictures:
        return
    top = pdf.get_y()
    for place, picture in enumerate(pictures):
        pdf.image(BytesIO(picture.jpeg), x=MARGIN_MM + place * (PICTURE_MM + GAP_MM), y=top, w=PICTURE_MM)
    pdf.set_y(top + _height(pictures))


def _height(pictures: Sequence[_Picture]) -> float:
    """Return the millimetres that pictures take, with the gap below them."""
    return max((picture.height_mm + GAP_MM for picture in pictures), default=0.0)


def _prepare(png: bytes) -> _Picture:
    picture: Any = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    ok, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 88])
    if not ok:
        raise ValueError("OpenCV could not encode a JPEG")
    return _Picture(jpeg.tobytes(), PICTURE_MM * picture.shape[0] / picture.shape[1])


def _fill(pdf: FPDF, sentences: Sequence[str], size: float, noun: str, bottom: float) -> None:
    """Set as many sentences as fit above `bottom`, and say how many are left out."""
    for count, sentence in enumerate(sentences):
        pdf.set_font(MAIN_FONT, size=size)
        height = pdf.multi_cell(WIDTH_MM, size * LEADING, sentence, dry_run=True, output=MethodReturnValue.HEIGHT)
        if pdf.get_y() + cast(float, height) > bottom:
            left = len(sentences) - count
            _line(pdf, f"{left} more {noun}{'' if left == 1 else 's'}: see the Structured Report.", 7.5, GREY)
            return
        _line(pdf, sentence, size, BLACK)


def _reference(instance: Instance) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = instance.sop_class_uid
    item.ReferencedSOPInstanceUID = instance.sop_instance_uid
    return item
