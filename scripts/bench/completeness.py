"""Studies sent as they are acquired, on a simulated clock: how many would be analysed before their last instance came?

    python scripts/bench/completeness.py [--studies 10000] [--seed 1]

A study is 20 to 120 instances, sent one by one with pauses of seconds to 15 minutes. Machines differ in what they tell:
performed procedure steps (some lose the last message, some complete before the last instances are here, some give up,
some name nothing), storage commitment at the end or after each batch, an association that stays open or is closed
by silence, or nothing. The decision is `echo_scp.completeness`, asked when a job is due and whenever evidence comes, as
the node does. For comparison, the same studies with the quiet period alone.
"""

from __future__ import annotations

import argparse
import heapq
import random
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from echo_scp.completeness import Patience, StepEvidence, StepState, StudyEvidence, seconds_until_complete

LONGEST_PAUSE_S = 900.0
AS_YOU_GO = Patience(quiet_period_s=1200, settle_s=5, longest_wait_s=3600)
QUIET_ALONE = (30.0, 120.0, 600.0)
KINDS = {
    "MPPS": 0.30,
    "MPPS, completed before the last instances are here": 0.10,
    "MPPS, completed message lost": 0.04,
    "MPPS, discontinued": 0.04,
    "MPPS that names nothing": 0.04,
    "commitment once per study": 0.18,
    "commitment after each batch": 0.10,
    "association open throughout": 0.10,
    "nothing": 0.10,
}
ARRIVAL, STEP_BEGINS, STEP_ENDS, COMMITTED, CLOSED = range(5)


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that the node hears of, at a time in seconds."""

    at_s: float
    kind: int
    named: int = 0  # instances that a step or a commitment names
    state: StepState = StepState.COMPLETED


@dataclass(slots=True)
class Node:
    """What the node knows of one study."""

    arrived: int = 0
    last_arrival_s: float = 0.0
    step: StepState | None = None
    named: int = 0
    is_committed: bool = False
    is_association_open: bool = False
    log: list[float] = field(default_factory=list)

    def hear(self, what: Happening) -> None:
        if what.kind == ARRIVAL:
            self.arrived += 1
            self.last_arrival_s = what.at_s
            self.is_committed = False
        elif what.kind == STEP_BEGINS:
            self.step = StepState.IN_PROGRESS
        elif what.kind == STEP_ENDS:
            self.step, self.named = what.state, what.named
        elif what.kind == COMMITTED:
            self.is_committed = what.named >= self.arrived
        elif what.kind == CLOSED:
            self.is_association_open = False

    def evidence(self, now_s: float) -> StudyEvidence:
        steps = ()
        if self.step is not None:
            steps = (StepEvidence(self.step, self.named, max(self.named - self.arrived, 0)),)
        return StudyEvidence(now_s - self.last_arrival_s, steps, self.is_committed, self.is_association_open)


def arrivals(random_source: random.Random) -> list[float]:
    """Return when the instances come: pauses of a log-normal distribution, median 25 s, never over 15 minutes."""
    now, times = 0.0, []
    for _ in range(random_source.randint(20, 120)):
        now += min(random_source.lognormvariate(3.2, 1.1), LONGEST_PAUSE_S)
        times.append(now)
    return times


def story(kind: str, times: list[float], random_source: random.Random) -> Iterator[Happening]:
    """Tell what the machine does beside sending."""
    count, end_s = len(times), times[-1]
    yield from (Happening(at_s, ARRIVAL) for at_s in times)
    if kind.startswith("MPPS"):
        yield Happening(0.0, STEP_BEGINS)
    if kind == "MPPS":
        yield Happening(end_s + random_source.uniform(1, 120), STEP_ENDS, count)
    elif kind.startswith("MPPS, completed before"):
        yield Happening(times[-random_source.randint(2, 10)] + 0.001, STEP_ENDS, count)
    elif kind == "MPPS, discontinued":
        yield Happening(end_s + 30, STEP_ENDS, count, StepState.DISCONTINUED)
    elif kind == "MPPS that names nothing":
        yield Happening(times[count // 2] + 0.001, STEP_ENDS, 0)
    elif kind == "commitment once per study":
        yield Happening(end_s + random_source.uniform(1, 60), COMMITTED, count)
    elif kind == "commitment after each batch":
        yield from (Happening(times[number - 1] + 0.5, COMMITTED, number) for number in range(10, count, 10))
        yield Happening(end_s + 1, COMMITTED, count)
    elif kind == "association open throughout":
        yield Happening(end_s + random_source.uniform(5, 60), CLOSED)


def analysed_at(kind: str, happenings: list[Happening], patience: Patience) -> float:
    """Return when the node would begin to analyse for the first time."""
    node = Node(is_association_open=kind == "association open throughout")
    heard = sorted(happenings, key=lambda each: each.at_s)
    due: list[float] = []  # jobs: an instance makes one for later, other evidence has it run now
    for number, what in enumerate(heard):
        node.hear(what)
        heapq.heappush(due, what.at_s + (seconds_until_complete(node.evidence(what.at_s), patience)))
        until_s = heard[number + 1].at_s if number + 1 < len(heard) else float("inf")
        while due and node.arrived and max(due[0], what.at_s) < until_s:
            now_s = max(heapq.heappop(due), what.at_s)
            wait_s = seconds_until_complete(node.evidence(now_s), patience)
            if wait_s <= 1e-9:
                return now_s
            heapq.heappush(due, now_s + wait_s)
    raise AssertionError("every study is complete at last")


@dataclass(frozen=True, slots=True)
class Outcome:
    """One study: its kind, and how long after its last instance it was analysed; negative: too early."""

    kind: str
    delay_s: float


def simulate(studies: int, seed: int, patience: Patience | None = None) -> list[Outcome]:
    """Return what became of each study; with `patience`, by that alone and without evidence."""
    random_source = random.Random(seed)
    outcomes = []
    for _ in range(studies):
        (kind,) = random_source.choices(list(KINDS), list(KINDS.values()))
        times = arrivals(random_source)
        happenings = list(story(kind, times, random_source))
        if patience is not None:
            happenings = [each for each in happenings if each.kind == ARRIVAL]
        trusted = replace(AS_YOU_GO, trusts_commitment=kind == "commitment once per study")
        outcomes.append(
            Outcome(kind, analysed_at(kind if patience is None else "", happenings, patience or trusted) - times[-1])
        )
    return outcomes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    outcomes = simulate(arguments.studies, arguments.seed)
    print("| machine | studies | too early | delay after the last instance: median, longest (s) |\n|---|---|---|---|")
    for kind in KINDS:
        delays = [outcome.delay_s for outcome in outcomes if outcome.kind == kind]
        early = sum(delay < 0 for delay in delays)
        print(f"| {kind} | {len(delays)} | {early} | {statistics.median(delays):.0f}, {max(delays):.0f} |")
    for quiet_period_s in QUIET_ALONE:
        alone = simulate(arguments.studies, arguments.seed, Patience(quiet_period_s, 5, 3600))
        early = sum(outcome.delay_s < 0 for outcome in alone)
        print(
            f"| all, a quiet period of {quiet_period_s:.0f} s alone | {len(alone)} | {early} | {quiet_period_s:.0f} |"
        )


if __name__ == "__main__":
    main()
