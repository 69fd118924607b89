"""The confusion matrix and its counts per view."""

from __future__ import annotations

from echo_scp.evaluate.outcome import ClipOutcome
from echo_scp.evaluate.views import NOT_ASSESSED, confusion
from echo_scp.model import View

KNOWN = (View.A4C, View.A2C, View.PLAX, View.OTHER)


def clips(*pairs):
    return [ClipOutcome(f"{number}", true_view=truth, view=answer) for number, (truth, answer) in enumerate(pairs)]


def test_counts_of_a_known_matrix():
    """Two A4C found, one taken for A2C, one A2C found, one not assessed, a PSAX rightly called other."""
    found = confusion(
        clips(
            (View.A4C, View.A4C),
            (View.A4C, View.A4C),
            (View.A4C, View.A2C),
            (View.A2C, View.A2C),
            (View.A2C, None),
            (View.PSAX, View.OTHER),
        ),
        KNOWN,
    )

    assert found is not None
    assert found.rows == ("A4C", "A2C", "PSAX")
    assert found.counts == ((2, 1, 0, 0, 0), (0, 1, 0, 0, 1), (0, 0, 0, 1, 0))
    counted = {row.view: (row.tn, row.fp, row.fn, row.tp) for row in found.per_view}
    assert counted == {
        View.A4C: (3, 0, 1, 2),
        View.A2C: (3, 1, 1, 1),
        View.PLAX: (6, 0, 0, 0),
        View.OTHER: (5, 0, 0, 1),
    }
    assert [row.recall for row in found.per_view][:3] == [2 / 3, 1 / 2, None]
    assert [row.precision for row in found.per_view][:3] == [1, 1 / 2, None]


def test_every_clip_is_counted_once_for_every_view():
    """tn + fp + fn + tp is the number of clips whose view is known."""
    found = confusion(clips((View.A4C, View.PLAX), (View.OTHER, View.A4C), (None, View.A4C)), KNOWN)

    assert found is not None
    assert {row.tn + row.fp + row.fn + row.tp for row in found.per_view} == {2}


def test_no_known_view_gives_no_matrix():
    """Nothing is made up."""
    assert confusion(clips((None, View.A4C)), KNOWN) is None


def test_an_answer_that_the_engine_has_no_label_for_is_counted():
    """An engine of two views that is unsure says other; the clip is in the table, not beside it."""
    found = confusion(clips((View.A4C, View.OTHER), (View.PLAX, View.OTHER)), (View.A4C, View.A2C))

    assert found is not None
    assert found.columns == ("A4C", "A2C", "other", NOT_ASSESSED)
    assert found.counts == ((0, 0, 1, 0), (0, 0, 1, 0))
    assert [(row.view, row.fn, row.fp, row.tp) for row in found.per_view if row.view is View.OTHER] == [
        (View.OTHER, 0, 1, 1)
    ]
