"""True views against the product's: a confusion matrix, and tn, fp, fn, tp per view."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from echo_scp.evaluate.outcome import ClipOutcome
from echo_scp.model import View

NOT_ASSESSED = "not assessed"

Answers = Counter[tuple[View | None, View | None]]  # (true, answered)


@dataclass(frozen=True, slots=True)
class ViewCounts:
    """One view against all others; a view that the engine does not know counts as other."""

    view: View
    tn: int
    fp: int
    fn: int
    tp: int

    @property
    def recall(self) -> float | None:
        """Of the clips of this view, the share found."""
        return self.tp / (self.tp + self.fn) if self.tp + self.fn else None

    @property
    def precision(self) -> float | None:
        """Of the clips taken for this view, the share that are."""
        return self.tp / (self.tp + self.fp) if self.tp + self.fp else None


@dataclass(frozen=True, slots=True)
class Confusion:
    """`counts[i][j]` clips of true view `rows[i]` were answered `columns[j]`; the last column is 'not assessed'."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    per_view: tuple[ViewCounts, ...]


def confusion(clips: Iterable[ClipOutcome], known: Sequence[View]) -> Confusion | None:
    """Return the matrix over clips whose true view is known; None when there are none.

    `known` are the answers that the view engine can give; where it is unsure, or the header knows better, others occur.
    """
    pairs: Answers = Counter((clip.true_view, clip.view) for clip in clips if clip.true_view is not None)
    if not pairs:
        return None
    given = {answer for _, answer in pairs}
    known = (*known, *(view for view in View if view in given and view not in known))
    rows = tuple(view for view in View if any(truth is view for truth, _ in pairs))
    return Confusion(
        rows=tuple(rows),
        columns=(*known, NOT_ASSESSED),
        counts=tuple(tuple(pairs[row, column] for column in (*known, None)) for row in rows),
        per_view=tuple(_counts(pairs, view, known) for view in known),
    )


def _counts(pairs: Answers, view: View, known: Sequence[View]) -> ViewCounts:
    """A clip that was not assessed is a miss of its view: it is not found."""
    tn = fp = fn = tp = 0
    for (truth, answer), count in pairs.items():
        is_view = (truth if truth in known else View.OTHER) is view
        if is_view and answer is view:
            tp += count
        elif is_view:
            fn += count
        elif answer is view:
            fp += count
        else:
            tn += count
    return ViewCounts(view, tn, fp, fn, tp)
