"""An empty page, and the fonts in which its letters are set.

DejaVu Sans has Latin, Greek, Cyrillic, Armenian, Georgian, Hebrew, Arabic and Lao; Noto Sans Thai Thai; WenQuanYi Micro
Hei Chinese, Japanese and Korean. A font is opened when a letter needs it, and only the glyphs on the page are embedded.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

from fpdf import FPDF
from fpdf.fonts import TTFFont

from echo_scp.model import MANUFACTURER

MAIN_FONT = "DejaVuSans"
FONTS = ("DejaVuSans.ttf", "NotoSansThai.ttf", "wqy-microhei.ttc")  # the largest last
MARGIN_MM = 14.0


class Page:
    """A page in the making."""

    def __init__(self, pdf: FPDF) -> None:
        self.pdf = pdf
        self._unopened = list(FONTS)
        self._open_font()

    def shown(self, text: str) -> str:
        """Return a text with the number of each letter that no font has: a missing one must not go unseen."""
        return "".join(letter if self._has(letter) else f"[U+{ord(letter):04X}]" for letter in text)

    @property
    def fonts(self) -> tuple[TTFFont, ...]:
        """The fonts that are open."""
        return tuple(font for font in self.pdf.fonts.values() if isinstance(font, TTFFont))

    def _has(self, letter: str) -> bool:
        if letter.isspace() or any(ord(letter) in font.cmap for font in self.fonts):
            return True
        if not self._unopened:
            return False
        self._open_font()
        return self._has(letter)

    def _open_font(self) -> None:
        name = Path(self._unopened.pop(0))
        self.pdf.add_font(name.stem, fname=Path(str(files("echo_scp.report"))) / "fonts" / name)
        self.pdf.set_fallback_fonts([font.fontkey for font in self.fonts[1:]])


@contextmanager
def blank_page(title: str, now: datetime) -> Iterator[Page]:
    """Yield an empty A4 page; close the files of its fonts, which fpdf2 leaves open."""
    pdf = FPDF(format="A4")
    pdf.set_creation_date(now if now.tzinfo is not None else now.replace(tzinfo=UTC))
    pdf.set_producer(MANUFACTURER)
    pdf.set_title(title)
    # Arabic letters join and Hebrew runs from right to left, in lines that run from left to right.
    pdf.set_text_shaping(use_shaping_engine=True, direction="ltr")
    pdf.set_margin(MARGIN_MM)
    pdf.set_auto_page_break(auto=False)
    page = Page(pdf)
    pdf.add_page()
    try:
        yield page
    finally:
        for font in page.fonts:
            font.ttfont.close()
