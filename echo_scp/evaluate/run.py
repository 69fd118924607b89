"""Evaluate many cases over the cores of a machine; each result is stored as soon as it is there."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import cv2

from echo_scp import logs
from echo_scp.errors import EvaluationError
from echo_scp.evaluate.case import Case
from echo_scp.evaluate.changes import Change
from echo_scp.evaluate.evaluator import Evaluator, Settings, evaluator_for
from echo_scp.evaluate.outcome import CaseResult
from echo_scp.evaluate.store import ResultStore, read_result, write_result

IN_FLIGHT = 4  # per process: enough to keep it busy, few enough to stop soon

Progress = Callable[[CaseResult], None]


@dataclass(frozen=True, slots=True)
class Task:
    """A case under a change, and where its result is kept."""

    case: Case
    change: Change
    path: Path


def plan(cases: Sequence[Case], changes: Sequence[Change], store: ResultStore) -> tuple[Task, ...]:
    """Return every case under every change, case by case."""
    return tuple(Task(case, change, store.path(case, change)) for case in cases for change in changes)


def run(
    tasks: Sequence[Task],
    settings: Settings,
    jobs: int,
    *,
    fresh: bool = False,
    progress: Progress = lambda result: None,
) -> tuple[CaseResult, ...]:
    """Return the results in the order of `tasks`; those already stored are taken up unless `fresh`, or they failed.

    With one job the cases run in this process. `progress` is called after each.
    """
    results: dict[Path, CaseResult] = {}
    pending = []
    for task in tasks:
        known = None if fresh else read_result(task.path)
        if known is None or known.failed:
            pending.append(task)
        else:
            results[task.path] = known
            progress(known)
    finished = _alone(pending, settings) if jobs == 1 else _in_processes(pending, settings, jobs)
    for task, result in finished:
        results[task.path] = result
        progress(result)
    return tuple(results[task.path] for task in tasks)


def evaluate_task(task: Task, evaluator: Evaluator) -> CaseResult:
    """Evaluate and store."""
    result = evaluator.evaluate(task.case, task.change)
    write_result(task.path, result)
    return result


def _alone(tasks: Sequence[Task], settings: Settings) -> Iterator[tuple[Task, CaseResult]]:
    for task in tasks:
        yield task, evaluate_task(task, evaluator_for(settings))


def _in_processes(tasks: Sequence[Task], settings: Settings, jobs: int) -> Iterator[tuple[Task, CaseResult]]:
    """Yield results as they come; raises EvaluationError naming the cases at work when a process dies."""
    context = multiprocessing.get_context("spawn")  # a fork would take over the threads of an engine half alive
    waiting = iter(tasks)
    running: dict[Future[CaseResult], Task] = {}
    with ProcessPoolExecutor(jobs, context, initializer=_start_worker) as pool:
        try:
            while True:
                for task in waiting:
                    running[pool.submit(_work, task, settings)] = task
                    if len(running) >= IN_FLIGHT * jobs:
                        break
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    result = future.result()
                    yield running.pop(future), result
        except BrokenProcessPool as error:
            named = ", ".join(task.case.identifier for task in running.values())
            raise EvaluationError(f"a process ended while it worked on one of: {named}; run again to go on") from error
        finally:
            pool.shutdown(cancel_futures=True)


def _work(task: Task, settings: Settings) -> CaseResult:
    return evaluate_task(task, evaluator_for(settings))


def _start_worker() -> None:
    """End with the parent, however it ends; and leave the other cores to the other processes."""
    cv2.setNumThreads(1)
    logs.configure("error", "console")
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_end_with, args=(parent,), name="parent-watch", daemon=True).start()


def _end_with(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)  # the main thread may be inside native code; what it has stored is whole
