"""What the URL of the list asks for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echo_scp.web.listing import Filter, age_text, read_filter


def test_every_field_is_read():
    """As a reader's form sends them."""
    query = {"text": " CART ", "state": "reported", "result": "measured", "delivery": "failed", "period": "week"}

    assert read_filter(query | {"ef_below": "40.5", "page": "3"}) == Filter(
        "CART", "reported", "measured", "failed", "week", 40.5, 3
    )


@pytest.mark.parametrize(
    "query",
    [
        {"state": "'; DROP TABLE study"},
        {"ef_below": "much"},
        {"ef_below": "nan"},
        {"ef_below": "inf"},
        {"page": "-1"},
        {"page": "²"},
        {"period": "100"},
        {"unknown": "1"},
    ],
)
def test_what_makes_no_sense_is_not_asked_for(query):
    """The list is shown without it."""
    assert read_filter(query) == Filter()


@given(st.dictionaries(st.sampled_from(["text", "state", "result", "ef_below", "page", "period"]), st.text()))
def test_any_query_is_a_filter_that_survives_its_own_url(query):
    """Its next page asks the same question."""
    wanted = read_filter(query)

    assert "\0" not in wanted.text
    assert len(wanted.text) <= 64
    assert wanted.page >= 1


def test_the_address_of_another_page_keeps_the_question():
    """The first page needs no number."""
    wanted = Filter(text="a b&c", ef_below=40)

    assert wanted.query(2) == "text=a+b%26c&ef_below=40&page=2"
    assert wanted.query(1) == "text=a+b%26c&ef_below=40"
    assert Filter().query(1) == ""


@pytest.mark.parametrize(
    ("seconds", "text"), [(-3, "0 s"), (59, "59 s"), (60, "1 min"), (7300, "2 h"), (86400 * 3.5, "3 d")]
)
def test_an_age_is_told_in_its_largest_unit(seconds, text):
    """Whole units."""
    assert age_text(seconds) == text
