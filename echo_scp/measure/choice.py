"""Choose the clips that a study's headline rests on, and say in one sentence why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from echo_scp.config import MeasureConfig
from echo_scp.model import ClipAnalysis, ClipMeasurement, Flag, View

PREFERRED_VIEWS = (View.A4C, View.A2C)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A measured clip of a view that volumes are measured in."""

    analysis: ClipAnalysis
    view: View
    measurement: ClipMeasurement

    @property
    def sop_instance_uid(self) -> str:
        return self.analysis.instance.sop_instance_uid

    @property
    def trust(self) -> float:
        """How credible the clip is, 0..1: its outlines, the network's trust in them, and its view."""
        confidence = 1.0 if self.analysis.view is None else self.analysis.view.confidence
        outlined = 1.0 if self.analysis.trust is None else self.analysis.trust
        return self.measurement.quality.score * outlined * confidence

    @property
    def length_mm(self) -> float | None:
        """The LV's length at end-diastole, the mean over beats."""
        lengths = [beat.end_diastole.length_mm for beat in self.measurement.beats]
        known = [length for length in lengths if length is not None]
        return float(np.mean(known)) if known else None

    @property
    def stage(self) -> str:
        """What tells the stage of a stress protocol; "" at rest."""
        return "" if self.analysis.clip is None else self.analysis.clip.stage

    @property
    def label(self) -> str:
        """How a reader finds it: 'series 2, instance 3'; some machines begin every clip's series with instance 1."""
        header = self.analysis.instance.header
        series, number = (str(header.get(keyword) or "").strip() for keyword in ("SeriesNumber", "InstanceNumber"))
        if not number.isdigit():
            return f"instance ...{self.sop_instance_uid[-8:]}"
        return f"series {series}, instance {number}" if series.isdigit() else f"instance {number}"

    @property
    def described(self) -> str:
        return f"{self.label} ({self.view}, quality {self.trust:.2f})"


@dataclass(frozen=True, slots=True)
class Pair:
    """A four and a two chamber clip that may be of the same heart at the same rate."""

    four: Candidate
    two: Candidate

    @property
    def length_difference_percent(self) -> float:
        """Of the longer one; infinite without calibration."""
        one, other = self.four.length_mm, self.two.length_mm
        return float("inf") if one is None or other is None else 100 * abs(one - other) / max(one, other)

    @property
    def heart_rate_difference_percent(self) -> float:
        """Of the faster one."""
        rates = self.four.measurement.heart_rate_bpm, self.two.measurement.heart_rate_bpm
        return 100 * (max(rates) - min(rates)) / max(rates)

    @property
    def rank(self) -> float:
        """The better the clips and the closer they are, the higher."""
        closeness = (1 - self.length_difference_percent / 100) * (1 - self.heart_rate_difference_percent / 100)
        return self.four.trust * self.two.trust * closeness

    def objection(self, config: MeasureConfig) -> str:
        """Return why it must not be combined; empty when it may."""
        if self.length_difference_percent == float("inf"):
            return "both views are there, but not both calibrated"
        if self.length_difference_percent > config.length_agreement_percent:
            return (
                f"A4C and A2C differ in length by {self.length_difference_percent:.0f} % "
                f"({self.four.length_mm:.0f} and {self.two.length_mm:.0f} mm)"
            )
        if self.heart_rate_difference_percent > config.heart_rate_agreement_percent:
            rates = (f"{clip.measurement.heart_rate_bpm:.0f}" for clip in (self.four, self.two))
            return f"A4C and A2C differ in heart rate ({' and '.join(rates)}/min)"
        return ""


@dataclass(frozen=True, slots=True)
class Choice:
    """A pair, or the clips of one view, and the sentence that says why.

    `more` are clips that fit the pair and add their beats where an irregular rhythm asks for them.
    """

    pair: Pair | None
    single: tuple[Candidate, ...]
    because: str
    closest: Pair | None = None
    more: tuple[Candidate, ...] = ()

    @property
    def clips(self) -> tuple[Candidate, ...]:
        return (self.pair.four, self.pair.two, *self.more) if self.pair is not None else self.single


def candidates(clips: Iterable[ClipAnalysis]) -> tuple[Candidate, ...]:
    """Return the measured A4C and A2C clips."""
    return tuple(
        Candidate(clip, clip.view.view, clip.measurement)
        for clip in clips
        if clip.measurement is not None and clip.view is not None and clip.view.view in PREFERRED_VIEWS
    )


def of_one_stage(found: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """Return the clips at rest, else those of the stage that comes first: two stages are two hearts to a number."""
    stages = [clip.stage for clip in found]
    chosen = "" if "" in stages else next(iter(stages), "")
    return tuple(clip for clip in found if clip.stage == chosen)


def choose(found: Sequence[Candidate], config: MeasureConfig) -> Choice:
    """Return the best pair of clips, else the good clips of one view; `found` holds at least one."""
    pairs = [Pair(four, two) for four, two in product(of_view(found, View.A4C), of_view(found, View.A2C))]
    fitting = [pair for pair in pairs if not pair.objection(config) and _is_good(pair, config)]
    if fitting:
        best = max(fitting, key=lambda pair: pair.rank)
        more = _for_more_beats(best, fitting, config)
        return Choice(best, (), _pair_sentence(best, more, len(found) - 2 - len(more)), best, more)
    closest = min(pairs, key=lambda pair: pair.length_difference_percent, default=None)
    single = best_single(found, config)
    return Choice(None, single, _single_sentence(single, found, closest, config), closest)


def of_view(found: Iterable[Candidate], view: View) -> tuple[Candidate, ...]:
    """Return the clips of one view."""
    return tuple(clip for clip in found if clip.view is view)


def best_single(found: Sequence[Candidate], config: MeasureConfig) -> tuple[Candidate, ...]:
    """Return the clips of the preferred view that are nearly as good as its best.

    A4C comes first, unless all of its clips are poor and one of A2C is not.
    """
    views = [clips for clips in (of_view(found, view) for view in PREFERRED_VIEWS) if clips]
    good = [clips for clips in views if max(clip.trust for clip in clips) >= config.lowest_quality]
    clips = (good or views)[0]
    best = max(clip.trust for clip in clips)
    return tuple(clip for clip in clips if clip.trust >= config.quality_share * best)


def _is_good(pair: Pair, config: MeasureConfig) -> bool:
    return min(pair.four.trust, pair.two.trust) >= config.lowest_quality


def _for_more_beats(best: Pair, fitting: Sequence[Pair], config: MeasureConfig) -> tuple[Candidate, ...]:
    """Return the clips that fit one of the pair's, best first, where the rhythm is irregular and beats are few."""
    clips = (best.four, best.two)
    irregular = any(note.flag is Flag.IRREGULAR_RHYTHM for clip in clips for note in clip.measurement.notes)
    if not irregular or sum(len(clip.measurement.beats) for clip in clips) >= config.irregular_beats:
        return ()
    ranked = sorted(fitting, key=lambda pair: pair.rank, reverse=True)
    fours = [pair.four for pair in ranked if pair.two is best.two and pair.four is not best.four]
    twos = [pair.two for pair in ranked if pair.four is best.four and pair.two is not best.two]
    return (*fours, *twos)


def _pair_sentence(pair: Pair, more: Sequence[Candidate], others: int) -> str:
    lengths = " and ".join(f"{clip.length_mm:.0f}" for clip in (pair.four, pair.two))
    rates = " and ".join(f"{clip.measurement.heart_rate_bpm:.0f}" for clip in (pair.four, pair.two))
    return (
        f"Biplane from {pair.four.described} and {pair.two.described}, the best pair: LV lengths {lengths} mm, "
        f"heart rates {rates}/min{_added(more)}{_unused(others)}."
    )


def _single_sentence(
    single: Sequence[Candidate], found: Sequence[Candidate], closest: Pair | None, config: MeasureConfig
) -> str:
    listed = ", ".join(clip.described for clip in single)
    reason = _why_single(single[0].view, closest, config)
    return f"Single plane from {listed}, because {reason}{_unused(len(found) - len(single))}."


def _why_single(view: View, closest: Pair | None, config: MeasureConfig) -> str:
    if closest is None:
        missing = View.A2C if view is View.A4C else View.A4C
        return f"no {missing} clip was measured"
    return closest.objection(config) or f"no pair of clips reaches a quality of {config.lowest_quality:g} in both views"


def _added(more: Sequence[Candidate]) -> str:
    listed = ", ".join(clip.described for clip in more)
    return f"; with the beats of {listed}, because the rhythm is irregular" if more else ""


def _unused(count: int) -> str:
    return f"; {count} other measured clip{'s' if count > 1 else ''} not used" if count else ""
