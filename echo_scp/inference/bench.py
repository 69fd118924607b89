"""Measure how fast an engine is here: per precision and batch size, in rounds that go through all of them in turn.

A machine has other work; what runs side by side shares its noise, and the minimum is what the engine itself takes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np

from echo_scp.config import AnalysisConfig
from echo_scp.inference.engine import Engine
from echo_scp.inference.manifest import Manifest, Precision
from echo_scp.inference.runtime import open_engine
from echo_scp.inference.verify import make_batch


@dataclass(frozen=True, slots=True)
class Timing:
    """The rounds of one precision and batch size; an input of a network that sees time has several `frames`."""

    precision: Precision
    batch: int
    rounds_ms: tuple[float, ...]
    frames: int = 1

    @property
    def minimum_ms(self) -> float:
        """The fastest round."""
        return min(self.rounds_ms)

    @property
    def median_ms(self) -> float:
        """The round in the middle."""
        return float(np.median(self.rounds_ms))

    @property
    def p95_ms(self) -> float:
        """What 95 of 100 rounds stay below."""
        return float(np.percentile(self.rounds_ms, 95))

    @property
    def frames_per_s(self) -> float:
        """Frames per second at the median."""
        return 1000 * self.batch * self.frames / self.median_ms


def bench(
    manifest: Manifest,
    config: AnalysisConfig,
    *,
    precisions: Sequence[Precision],
    batches: Sequence[int],
    rounds: int,
    progress: Callable[[], None] = lambda: None,
) -> tuple[Timing, ...]:
    """Return one timing per precision and batch size, in that order; `progress` is called after each round.

    Raises EngineError when the configured runtime cannot run one of them; nothing falls back to another.
    """
    with _opened(manifest, config, precisions) as engines:
        cases = [(engine, make_batch(manifest, batch)) for engine in engines for batch in batches]
        for engine, batch in cases:
            engine.run(batch)  # the first run allocates, and captures graphs on a GPU
        taken: list[list[float]] = [[] for _ in cases]
        for _ in range(rounds):
            for (engine, batch), times in zip(cases, taken, strict=True):
                times.append(_time_ms(engine, batch))
            progress()
    names = [(precision, batch) for precision in precisions for batch in batches]
    frames = manifest.input_shape[1] if manifest.input.layout == "NCTHW" else 1
    return tuple(Timing(*name, tuple(times), frames) for name, times in zip(names, taken, strict=True))


def runnable(manifest: Manifest, config: AnalysisConfig) -> tuple[Precision, ...]:
    """Return the precisions of an engine that the configured runtime runs as such."""
    on_gpu = config.runtime == "tensorrt"
    return tuple(precision for precision in manifest.artefacts if precision != "fp16" or on_gpu)


@contextmanager
def _opened(manifest: Manifest, config: AnalysisConfig, precisions: Sequence[Precision]) -> Iterator[list[Engine]]:
    with ExitStack() as stack:
        engines = []
        for precision in precisions:
            changes = {"precision": precision, "fall_back_to_cpu": False}
            engine = open_engine(manifest, config.model_copy(update=changes))
            stack.callback(engine.close)
            engines.append(engine)
        yield engines


def _time_ms(engine: Engine, batch: np.ndarray) -> float:
    start = time.perf_counter()
    engine.run(batch)
    return 1000 * (time.perf_counter() - start)
