"""Engines for the terminal, with Rich, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from echo_scp.config import AnalysisConfig
from echo_scp.inference.bench import Timing
from echo_scp.inference.catalogue import EngineFolder
from echo_scp.inference.interface import BACKGROUND, IGNORE
from echo_scp.inference.listing import Listed, Listing
from echo_scp.inference.manifest import Manifest
from echo_scp.inference.pins import Decision
from echo_scp.inference.verify import Check

_CARD_LINES = 12


def engine_table(listing: Listing) -> Table:
    """Return one row per engine folder, at most 80 characters wide."""
    table = Table(title="Engines", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("engine", overflow="fold", max_width=20)
    table.add_column("what it does, its licence", overflow="fold", max_width=34)
    table.add_column("files", no_wrap=True)
    table.add_column("runs as", overflow="fold", max_width=15)
    for engine in listing.engines:
        table.add_row(*(escape(cell) for cell in _cells(engine)))
    return table


def _cells(engine: Listed) -> tuple[str, ...]:
    folder, manifest = engine.folder, engine.manifest
    what, precisions = "broken, see below", ""
    if manifest is not None:
        names = _names(manifest)
        views = f" in {' '.join(manifest.views)}" if manifest.views else ""
        what = f"{manifest.task}{views}\n{' '.join(names)}\n{manifest.licence}"
        precisions = " ".join(manifest.artefacts)
    name = f"{folder.name}\n{folder.version()}"
    pinned = ", pinned" if engine.pinned else ""
    runs = f"{_runs_as(engine)}\n({folder.source}{pinned})"
    return name, what, f"{precisions}\n{engine.size_bytes / 1e6:.1f} MB", runs


def _names(manifest: Manifest) -> tuple[str, ...]:
    """Return what the engine answers, each once and without what nobody asks for."""
    output = manifest.output
    names = output.labels or tuple(value.name for value in output.values)
    return tuple(name for name in dict.fromkeys(names) if name not in (BACKGROUND, IGNORE))


def _runs_as(engine: Listed) -> str:
    if not engine.runs:
        return "another runs"
    return " ".join(role.removesuffix("_engine") for role in engine.roles) or "not used"


def problem_lines(listing: Listing) -> Iterator[str]:
    """Yield what is wrong with an engine, and what would stop the node."""
    for engine in listing.engines:
        if engine.problem and engine.problem not in listing.problems:
            yield f"[yellow]broken[/] {escape(engine.problem)}"
    for problem in listing.problems:
        yield f"[bold red]the node will not start:[/] {escape(problem)}"


def listing_json(listing: Listing) -> str:
    """Return the listing for a program; absent values are null."""
    engines = [_engine_object(engine) for engine in listing.engines]
    return json.dumps({"engines": engines, "problems": listing.problems}, indent=2, ensure_ascii=False)


def _engine_object(engine: Listed) -> dict[str, object]:
    folder, manifest = engine.folder, engine.manifest
    stated: dict[str, object] = dict.fromkeys(("task", "views", "labels", "licence", "artefacts"))
    if manifest is not None:
        stated = {
            "task": manifest.task,
            "views": manifest.views,
            "labels": manifest.output.labels,
            "licence": manifest.licence,
            "artefacts": {name: artefact.sha256 for name, artefact in manifest.artefacts.items()},
        }
    return {
        "name": folder.name,
        "version": folder.version(),
        "manifest_sha256": folder.sha256(),
        "folder": str(folder.path),
        "source": folder.source,
        "size_bytes": engine.size_bytes,
        "runs": engine.runs,
        "roles": engine.roles,
        "pinned": engine.pinned,
        "problem": engine.problem or None,
        **stated,
    }


def engine_lines(manifest: Manifest, folder: EngineFolder, config: AnalysisConfig) -> Iterator[str]:
    """Yield what a manifest says, and what would run the engine here."""
    views = f" in {' '.join(manifest.views)}" if manifest.views else ""
    yield f"[bold]{escape(manifest.name)} {escape(manifest.version)}[/]  {manifest.task}{views}"
    facts = {
        "folder": f"{folder.path} ({folder.source})",
        "licence": manifest.licence,
        "manifest sha256": folder.sha256(),
        **{f"{name} sha256": artefact.sha256 for name, artefact in manifest.artefacts.items()},
        "input": _fields(manifest.input.model_dump()),
        "output": _fields(manifest.output.model_dump()),
        "runtime": f"{config.runtime}, {_precision(manifest, config)}",
        "training": _fields(manifest.training.model_dump()),
    }
    for name, value in facts.items():
        yield f"  {name:<17}{escape(value)}"


def _fields(values: dict[str, object]) -> str:
    return ", ".join(f"{key} {_text(value)}" for key, value in values.items() if value not in (None, ()))


def _text(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)


def _precision(manifest: Manifest, config: AnalysisConfig) -> str:
    """Say which artefact the configured runtime takes; the processor has no fast fp16."""
    wanted = "fp32" if config.runtime == "onnxruntime" and config.precision == "fp16" else config.precision
    return wanted if wanted in manifest.artefacts else "fp32"


def metric_table(manifest: Manifest) -> Table:
    """Return what was measured of the engine."""
    table = Table(title="Measured", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("metric")
    table.add_column("value", justify="right")
    for name, value in manifest.metrics.items():
        table.add_row(escape(name), f"{value:g}")
    return table


def card_lines(folder: EngineFolder) -> Iterator[str]:
    """Yield the head of the model card."""
    card = folder.path / "MODEL_CARD.md"
    if not card.is_file():
        return
    lines = card.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    yield from (escape(line) for line in lines[:_CARD_LINES])
    if len(lines) > _CARD_LINES:
        yield f"[dim]... {escape(str(card))}[/]"


def history_lines(decisions: Sequence[Decision]) -> Iterator[str]:
    """Yield the decisions on one engine, the newest last."""
    for decision in decisions:
        version = f" {decision.version} (manifest sha256 {decision.sha256[:12]})" if decision.sha256 else ""
        yield f"  {decision.at:%Y-%m-%d %H:%M} UTC  {decision.action}{escape(version)}"


def check_lines(checks: Sequence[Check]) -> Iterator[str]:
    """Yield what was tried of one engine, and for what failed what to do."""
    for check in checks:
        mark = "[green]passed[/]" if check.passed else "[bold red]failed[/]" if check.failed else "[yellow]remark[/]"
        yield f"  {mark} {check.name}: {escape(check.detail)}"
        if check.failed:
            yield f"         to do: {escape(check.fix)}"


def bench_table(title: str, timings: Sequence[Timing]) -> Table:
    """Return one row per precision and batch size."""
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for name in ("precision", "batch", "min ms", "median ms", "p95 ms", "frames/s"):
        table.add_column(name, justify="left" if name == "precision" else "right", no_wrap=True)
    for timing in timings:
        numbers = (timing.minimum_ms, timing.median_ms, timing.p95_ms)
        speed = f"{timing.frames_per_s:.1f}"
        table.add_row(timing.precision, str(timing.batch), *(f"{number:.1f}" for number in numbers), speed)
    return table
