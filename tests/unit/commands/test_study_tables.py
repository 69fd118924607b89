"""Studies as a terminal shows them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from rich.console import Console

from echo_scp.commands.options import table_console
from echo_scp.commands.study_tables import age, clip_rows, delivery_rows, file_lines, study_table, summary_lines
from echo_scp.inquiry import ClipRow, DeliveryRow, StudyFile, StudyRow, Summary

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def make_study(**changes: object) -> StudyRow:
    values = {
        "study_instance_uid": "1.2.3",
        "state": "reported",
        "revision": 1,
        "last_received_at": NOW,
        "instance_count": 2,
        "calling_ae_titles": ("VIVID[1]",),
        "ef_percent": 58.4,
        "view": "A4C",
        "method": "disks_single_plane",
        "reason": None,
        "deliveries": {"delivered": 2, "given_up": 1},
        "failure": "",
    }
    return StudyRow(**(values | changes))


def shown(*renderables: object) -> str:
    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    with console.file:
        for renderable in renderables:
            console.print(renderable)
    return console.export_text()


def test_a_study_is_one_row_with_its_ef_sender_and_deliveries():
    """What a sender calls itself is text, not markup."""
    text = shown(study_table([make_study()]))

    assert all(word in text for word in ("1.2.3", "reported", "VIVID[1]", "58.4", "2 delivered, 1 given_up"))


def test_a_uid_is_whole_where_there_is_no_terminal(capsys):
    """As for grep."""
    uid = "1.2." + "3" * 60

    table_console().print(study_table([make_study(study_instance_uid=uid)]))

    assert uid in capsys.readouterr().out


def test_a_study_without_a_number_shows_its_reason():
    """The stable code, as in the metrics."""
    assert "no_apical_clip" in shown(study_table([make_study(ef_percent=None, reason="no_apical_clip")]))


def test_a_time_is_utc_whatever_zone_the_server_answers_in():
    """As it says."""
    there = NOW.astimezone(timezone(timedelta(hours=9)))

    text = shown(*file_lines(StudyFile(make_study(last_received_at=there), None, (), (), (), ())))

    assert "2026-03-01 12:00:00 UTC" in text


def test_a_failed_study_says_why():
    """The log that says it too may be long gone."""
    failed = make_study(state="failed", revision=0, failure="3 attempts; the last: ValueError")

    text = shown(*file_lines(StudyFile(failed, None, (), (), (), ())))

    assert "failed, revision 0: 3 attempts; the last: ValueError" in text


def test_a_study_in_full_names_clips_engines_and_the_last_answer_of_a_destination():
    """A reason with its detail; a status as the standard writes it."""
    clip = ClipRow("1.2.3.4", "A4C", 58.4, 120.0, 50.0, None, None, ("few_beats",))
    refused = ClipRow("1.2.3.5", None, None, None, None, "m_mode", "one region", ())
    sent = DeliveryRow("SR", "1.2.3.9", 1, "pacs", "waiting", 3, NOW, 0xA700, "out of resources")
    found = StudyFile(make_study(), "0.1.0", ("view 2.0.0 abc",), ("ASE: normal",), (clip, refused), (sent,))

    text = shown(*file_lines(found), clip_rows(found.clips), delivery_rows(found.deliveries))

    for word in ("58.4 % (A4C)", "view 2.0.0 abc", "ASE: normal", "120.0/50.0", "few_beats", "m_mode: one region"):
        assert word in text
    assert "0xA700 out of resources" in text


def test_a_biplane_ef_is_told_with_both_planes():
    """It is not that of A4C alone."""
    found = StudyFile(make_study(method="disks_biplane"), "0.1.0", (), (), (), ())

    assert "58.4 % (A4C and A2C, biplane)" in shown(*file_lines(found))


def test_a_summary_says_none_where_there_is_nothing():
    """An empty node is not an empty answer."""
    text = shown(*summary_lines(Summary({"reported": 3}, {}, {}, 0, 0)))

    assert "3 reported" in text
    assert "none" in text


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0, "0 s"), (59, "59 s"), (60, "1 min"), (7200, "2 h"), (200000, "2 d"), (-5, "0 s")]
)
def test_an_age_is_told_in_its_largest_unit(seconds, expected):
    """A clock that went back does not make a negative age."""
    assert age(NOW, NOW - timedelta(seconds=seconds)) == expected
