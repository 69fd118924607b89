"""How far TensorRT is with a plan: its nested phases as one share that never goes back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Progress = Callable[[str, float], None]  # what TensorRT does now, share of the whole that is done (0 to 1)


@dataclass(slots=True)
class _Phase:
    name: str
    parent: str | None
    steps: int
    done: int = 0


@dataclass(slots=True)
class BuildProgress:
    """Turn TensorRT's nested phases into one share that never goes back. Called from several of its threads."""

    report: Progress
    _phases: dict[str, _Phase] = field(default_factory=dict)
    _share: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self, name: str, parent: str | None, steps: int) -> None:
        """A phase of `steps` steps began inside `parent`."""
        with self._lock:
            self._phases[name] = _Phase(name, parent, max(1, steps))
            self._tell(name)

    def step(self, name: str, step: int) -> None:
        """Step number `step`, counted from 0, of a phase is done."""
        with self._lock:
            phase = self._phases.get(name)
            if phase is not None:
                phase.done = step + 1
                self._tell(name)

    def finish(self, name: str) -> None:
        """A phase is over."""
        with self._lock:
            phase = self._phases.pop(name, None)
            if phase is not None and phase.parent not in self._phases:
                self._share = 1.0
                self.report(name, self._share)

    def _tell(self, name: str) -> None:
        share, phase = 0.0, self._phases.get(name)
        while phase is not None:
            share = min(1.0, (phase.done + share) / phase.steps)
            phase = self._phases.get(phase.parent) if phase.parent is not None else None
        self._share = max(self._share, share)
        self.report(name, self._share)


def monitor(trt: Any, progress: Progress) -> Any:  # noqa: ANN401 - a class of TensorRT's module
    """Return the object that TensorRT tells its phases to."""
    build = BuildProgress(progress)

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            build.start(phase_name, parent_phase, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            build.step(phase_name, step)
            return True

        def phase_finish(self, phase_name: str) -> None:
            build.finish(phase_name)

    return Monitor()
