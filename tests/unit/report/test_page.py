"""The page: every letter, both pictures, one sheet, the same bytes."""

from __future__ import annotations

import re
import shutil
import subprocess
import unicodedata
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest
from fpdf.fonts import TTFFont

from echo_scp.config import ReportConfig
from echo_scp.model import Flag, Note, StudyAnalysis
from echo_scp.report import build_page
from echo_scp.report.letters import blank_page
from echo_scp.report.page import page_pdf
from tests.unit.report.builders import (
    NOW,
    make_biplane_study,
    make_clip_analysis,
    make_header,
    make_refused_analysis,
    make_study_analysis,
)
from tests.unit.report.validators import dciodvfy_errors

NAMES = {
    "Latin": "Müller^Jürgen Łukasz Åse Çelik",
    "Vietnamese": "Nguyễn^Thị Hồng Ưng Đặng",
    "Greek": "Παπαδόπουλος^Γιώργος",
    "Cyrillic": "Іванов^Їжак Ђорђе",
    "Japanese": "Yamada^Tarou=山田^太郎=やまだ^たろう",
    "Korean": "Hong^Gildong=洪^吉洞=홍^길동",
    "Chinese": "Zhang^XiaoDong=张^小东=張^小東",
    "Hebrew": "שרון^דבורה",
    "Arabic": "قباني^لنزار",
    "Thai": "สมชาย^ใจดี กิ่งแก้ว น้ำผึ้ง",
}


def make_picture() -> bytes:
    return cv2.imencode(".png", np.full((96, 128, 3), 128, np.uint8))[1].tobytes()


def make_study(name: str = "Doe^Jane") -> StudyAnalysis:
    header = make_header(SpecificCharacterSet="ISO_IR 192", PatientName=name)
    return make_study_analysis(make_clip_analysis(header=header), make_refused_analysis())


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_every_letter_of_a_name_is_drawn_by_a_font_of_the_page(name: str) -> None:
    """No letter is a box or an empty place, and none is replaced."""
    with blank_page("page", NOW) as page:
        assert page.shown(name) == name
        assert all(any(is_drawn(letter, font) for font in page.fonts) for letter in name if letter not in "^= ")


def is_drawn(letter: str, font: TTFFont) -> bool:
    """Tell whether a font has a glyph of its own for a letter, with something in it."""
    glyph = font.ttfont.getBestCmap().get(ord(letter), ".notdef")
    return glyph != ".notdef" and font.ttfont["glyf"][glyph].numberOfContours != 0


def test_a_letter_that_no_font_has_is_shown_by_its_number() -> None:
    """Devanagari is in none; a gap would be taken for another name."""
    with blank_page("page", NOW) as page:
        assert page.shown("अम") == "[U+0905][U+092E]"


def test_a_font_is_opened_only_for_its_letters() -> None:
    """The large one takes as long as all else."""
    with blank_page("page", NOW) as page:
        page.shown("Müller Іванов")
        assert len(page.fonts) == 1
        page.shown("สมชาย")
        assert len(page.fonts) == 2
        page.shown("山田")
        assert len(page.fonts) == 3


@pytest.mark.parametrize("script", NAMES)
def test_another_program_reads_the_name_from_the_page(script: str, tmp_path: Path) -> None:
    """Copying and searching find it (poppler's pdftotext)."""
    text = text_of(page_pdf(make_study(NAMES[script]), [make_picture()], ReportConfig(), NOW), tmp_path)

    written = letters(NAMES[script].split("=")[-1].replace("^", " "))
    assert written in letters(text)
    assert letters(text).index(written) < letters(text).index("IDP-17")
    assert "LV ejection fraction 56.1 %" in text
    assert "colour_doppler" in text


def test_the_time_on_the_page_is_that_of_its_object(tmp_path: Path) -> None:
    """In the zone of the source, as Content Time."""
    study = make_study_analysis(make_clip_analysis(header=make_header(TimezoneOffsetFromUTC="+0530")))

    text = text_of(page_pdf(study, [], ReportConfig(), datetime(2024, 5, 6, 23, 30, tzinfo=UTC)), tmp_path)

    assert "2024-05-07 05:00" in text


def text_of(content: bytes, folder: Path) -> str:
    if shutil.which("pdftotext") is None:
        pytest.skip("poppler is not installed: apt-get install poppler-utils")
    (folder / "page.pdf").write_bytes(content)
    return subprocess.run(["pdftotext", folder / "page.pdf", "-"], capture_output=True, check=True).stdout.decode()


def letters(text: str) -> str:
    """Return a text without spaces, which poppler guesses, and marks of direction, which it adds."""
    return "".join(letter for letter in text if not letter.isspace() and unicodedata.category(letter) != "Cf")


def test_dciodvfy_finds_no_error(tmp_path: Path) -> None:
    """Encapsulated PDF with the patient and the study of the source."""
    page = build_page(make_study(), [make_picture()] * 3, ReportConfig(), NOW)

    assert dciodvfy_errors(page, tmp_path) == []
    assert page.MIMETypeOfEncapsulatedDocument == "application/pdf"
    assert page.EncapsulatedDocument[: page.EncapsulatedDocumentLength].rstrip().endswith(b"%%EOF")
    assert len(page.EncapsulatedDocument) % 2 == 0


def test_a_long_study_stays_on_one_page() -> None:
    """What does not fit is counted, not cut."""
    study = make_study_analysis(make_clip_analysis(1), *(make_refused_analysis(number) for number in range(2, 90)))

    content = page_pdf(study, [make_picture()], ReportConfig(), NOW)

    assert content.count(b"/Type /Page\n") == 1


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    """One instance is no plural."""

    def left_out(count: int) -> str:
        refused = (make_refused_analysis(number) for number in range(2, count + 1))
        content = page_pdf(make_study_analysis(make_clip_analysis(1), *refused), [make_picture()], ReportConfig(), NOW)
        return "".join(re.findall(r"(\d+ more \w+):", text_of(content, tmp_path)))

    fitting = 99 - int(left_out(99).split()[0])

    assert [left_out(fitting + more) for more in (0, 1, 2)] == ["", "1 more instance", "2 more instances"]


def test_nothing_runs_off_the_page(tmp_path: Path) -> None:
    """However much there is to say of the result, pictures and foot have their place and no sentence is cut."""
    flags = tuple(Note(flag, f"{flag} " + "as was seen in the outlines of this clip " * 3) for flag in Flag)
    study = make_biplane_study(notes=flags, choice="Single plane from instance 1 (A4C, quality 0.81). " * 30)
    study = replace(study, clips=(replace(study.clips[0], notes=flags[:6]), *study.clips[1:]))

    content = page_pdf(study, [make_picture()] * 2, ReportConfig(), NOW)

    lowest, height = lowest_and_height(content, tmp_path)
    assert lowest < height - 14
    text = " ".join(text_of(content, tmp_path).split())
    assert "more sentences: see the Structured Report." in text
    assert text.count("Not verified by a physician.") == 1
    study = replace(study, result=replace(study.result, notes=(), choice=""))
    text = " ".join(text_of(page_pdf(study, [make_picture()] * 2, ReportConfig(), NOW), tmp_path).split())
    for flag in flags[:6]:
        assert f"{flag.flag}: {flag.detail.strip()}" in text


def lowest_and_height(content: bytes, folder: Path) -> tuple[float, float]:
    """Return where the lowest word ends and how high the page is, in points."""
    if shutil.which("pdftotext") is None:
        pytest.skip("poppler is not installed: apt-get install poppler-utils")
    (folder / "page.pdf").write_bytes(content)
    boxes = subprocess.run(["pdftotext", "-bbox", folder / "page.pdf", "-"], capture_output=True, check=True).stdout
    lowest = max(float(value) for value in re.findall(rb'yMax="([\d.]+)"', boxes))
    return lowest, float(re.findall(rb'<page width="[\d.]+" height="([\d.]+)"', boxes)[0])


def test_the_same_result_gives_the_same_bytes() -> None:
    """No clock and no random identifier."""
    first, again = (page_pdf(make_study(), [make_picture()], ReportConfig(), NOW) for _ in range(2))

    assert first == again


def test_research_use_is_said_until_configured_otherwise() -> None:
    """The page is longer by the line."""
    said = build_page(make_study(), [], ReportConfig(), NOW)
    not_said = build_page(make_study(), [], ReportConfig(research_use=False), NOW)

    assert "research use" in said.SeriesDescription
    assert "research use" not in not_said.SeriesDescription
    assert said.EncapsulatedDocumentLength != not_said.EncapsulatedDocumentLength
