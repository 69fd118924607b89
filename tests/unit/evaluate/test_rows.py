"""A CSV of truth: what is wrong is named with file, line and column."""

from __future__ import annotations

import pytest

from echo_scp.errors import EvaluationError
from echo_scp.evaluate.dicom import TruthRow
from echo_scp.evaluate.rows import read_rows
from echo_scp.model import View


def written(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "truth.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_values_are_typed_and_empty_fields_absent(tmp_path):
    """A spreadsheet's byte order mark and spaces do not matter."""
    path = written(tmp_path, "identifier,view,ef_percent,edv_ml\n clip1 , a4c ,55.5,\n", "utf-8-sig")

    ((line, row),) = read_rows(path, TruthRow)

    assert line == 2
    assert (row.identifier, row.view, row.ef_percent, row.edv_ml) == ("clip1", View.A4C, 55.5, None)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("identifier,ef_percent\na,fifty\n", ":2: ef_percent: "),
        ("identifier,ef_percent\na,50\nb,150\n", ":3: ef_percent: "),
        ("identifier,view\na,apical\n", ":2: view: "),
        ("identifier,edv_ml\n,100\n", ":2: identifier: expected a value"),
        ("ef_percent\n50\n", ":1: missing column 'identifier'"),
        ("identifier,EF\na,50\n", ":1: unknown column 'EF'"),
        ("identifier,ef_percent,ef_percent\na,50,60\n", ":1: doubled column 'ef_percent'"),
        ("identifier,edv_ml\na,inf\n", ":2: edv_ml: "),
        ("identifier,ef_percent\na,50,60\n", ":2: more fields"),
        ("identifier,ed_mask\na,m.png\n", ":2: ed_mask: "),
        ("identifier,ed_frame\na,0\n", ":2: ed_frame: "),
    ],
)
def test_what_is_wrong_is_named(text, named, tmp_path):
    """File, line, column, and what was expected."""
    path = written(tmp_path, text)

    with pytest.raises(EvaluationError) as caught:
        read_rows(path, TruthRow)

    assert f"{path}{named}" in str(caught.value)


def test_another_separator_shows_in_what_the_file_has(tmp_path):
    """As spreadsheets write it where the comma is the decimal sign."""
    path = written(tmp_path, "identifier;ef_percent\na;55,5\n")

    with pytest.raises(EvaluationError, match=r"it has identifier;ef_percent$"):
        read_rows(path, TruthRow)


def test_several_errors_are_told_at_once(tmp_path):
    """The first ten, and how many more there are."""
    path = written(tmp_path, "identifier,ef_percent\n" + "a,x\n" * 13)

    with pytest.raises(EvaluationError) as caught:
        read_rows(path, TruthRow)

    assert str(caught.value).count("ef_percent") == 10
    assert "and 3 more" in str(caught.value)


def test_a_file_that_is_no_text_says_so(tmp_path):
    """Neither a traceback nor a guess at the encoding."""
    path = written(tmp_path, "identifier\nKölner\n", "latin-1")

    with pytest.raises(EvaluationError, match="UTF-8"):
        read_rows(path, TruthRow)
