"""Text names one view, none, or several."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echo_scp.evidence.words import AMBIGUOUS, NOTHING, is_off_plane, views_in_text
from echo_scp.model import View

SPELLINGS = {
    View.A4C: (
        "A4C", "a4c", "A4CH", "AP4", "AP 4", "apical 4", "Apical 4 Chamber", "apical four-chamber view", "4CH", "4 CH",
        "4-chamber", "4C", "TTE_A4C_2D", "2D A4C", "Rest A4C", "A4C (biplane ED)", "4-Kammerblick", "4KB",
        "Vierkammerblick apikal", "4 cavités", "quatre cavités apicale", "apical 4 cámaras", "cuatro cámaras",
        "apicale 4 camere", "4 câmaras", "апикальная четырехкамерная", "心尖四腔心", "心尖部四腔断面",
    ),
    View.A2C: (
        "A2C", "AP2", "2CH", "apical two chamber", "2-Kammerblick", "Zweikammerblick", "2 cavités", "心尖两腔心",
    ),
    View.A3C: (
        "A3C", "AP3", "3CH", "APLAX", "ALAX", "apical long axis", "Apical LAX", "A3C (long axis)", "3-Kammerblick",
    ),
    View.A5C: ("A5C", "AP5", "5CH", "apical 5 chamber", "Fünfkammerblick"),
    View.PLAX: (
        "PLAX", "PSLAX", "LAX", "LAX parasternal", "parasternal long axis", "parasternale lange Achse",
        "paraesternal eje largo", "parasternale grand axe", "胸骨旁左室长轴",
    ),
    View.PSAX: (
        "PSAX", "SAX", "SAX PM", "SAX AP", "PSAX apical", "parasternal short axis AV", "kurze Achse", "petit axe",
        "短轴",
    ),
    View.SUBCOSTAL: (
        "subcostal", "Subcostal 4 chamber", "SC4C", "SUBC IVC", "subxiphoid", "subkostal 4KB", "剑突下四腔",
    ),
    View.OTHER: (
        "suprasternal notch", "ME 4C", "TEE mid-esophageal 4 chamber", "fetal four chamber view", "parasternal 4 ch",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("view", "text"), [(view, text) for view, texts in SPELLINGS.items() for text in texts])
def test_each_spelling_names_its_view(view, text):
    """Machines and people write the same view in many ways."""
    assert views_in_text(text) == {view}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Adult Echo TTE",
        "2D",
        "apical",
        "apical 2D",
        "Apical 2 D",
        "TTE / TEE",
        "probe 4C-RS",
        "HEART",
        "phase 2",
        "C5-1",
    ],
)
def test_text_without_a_view_says_nothing(text):
    """Neither the window alone nor a probe's name is a view."""
    assert views_in_text(text) == NOTHING


@pytest.mark.parametrize(
    "text",
    [
        "A4C A2C",
        "A4C/A2C biplane",
        "4CH + 2CH",
        "PLAX, PSAX",
        "A4C RV focused",
        "A4C zoom MV",
        "apical 4CH parasternal",
    ],
)
def test_text_with_several_views_is_ambiguous(text):
    """Two planes, two windows, or a plane that is not the LV's."""
    assert views_in_text(text) == AMBIGUOUS


def test_a_modifier_can_say_that_the_plane_is_off():
    """A right-ventricle focused view foreshortens the LV."""
    assert is_off_plane("RV focused")
    assert not is_off_plane("Apical")


@given(st.text())
def test_any_text_is_read(text):
    """Whatever bytes a machine sends, the answer is one view, none, or all of them."""
    assert len(views_in_text(text)) in {0, 1, len(View)}
