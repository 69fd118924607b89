"""The commands `echo-scp engines ...`: everything an administrator does with networks, without touching code."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from echo_scp.commands.explain import explain
from echo_scp.commands.imports import download, import_command
from echo_scp.commands.options import NEXT_START, ConfigOption, Json, Name, follow, settings_of
from echo_scp.errors import EngineError
from echo_scp.progress import progress_bar

engines_app = typer.Typer(
    help="List, check, measure, add, pin and roll back the networks that analyse.", no_args_is_help=True
)

Names = Annotated[list[str] | None, typer.Argument(help="NAME or NAME@VERSION; all when none is given.")]


@engines_app.command("list")
def list_command(json: Json = False, config: ConfigOption = None) -> None:
    """List every engine at hand: what it does, which would run, what is broken."""
    from echo_scp.commands.engine_tables import engine_table, listing_json, problem_lines
    from echo_scp.inference.listing import list_engines

    listing = list_engines(settings_of(config).analysis)
    if json:
        typer.echo(listing_json(listing))
        return
    console = Console()
    console.print(engine_table(listing))
    for line in problem_lines(listing):
        console.print(line, highlight=False, soft_wrap=True)


@engines_app.command()
def show(name: Name, config: ConfigOption = None) -> None:
    """Show an engine: manifest, hashes, what was measured, the head of its model card, its history here."""
    from echo_scp.commands.engine_tables import card_lines, engine_lines, history_lines, metric_table
    from echo_scp.inference.pins import read_history
    from echo_scp.inference.site import site_folder, versions_of
    from echo_scp.inference.versions import find_version

    settings = settings_of(config).analysis
    folder = find_version(name, settings)
    manifest = folder.read()
    console = Console()
    for line in engine_lines(manifest, folder, settings):
        console.print(line, highlight=False, soft_wrap=True)
    console.print(metric_table(manifest))
    for line in card_lines(folder):
        console.print(line, highlight=False, soft_wrap=True)
    console.print("\nVersions at hand")
    for version in versions_of(folder.name, settings):
        console.print(escape(f"  {version.version()}  {version.path}"), highlight=False, soft_wrap=True)
    decisions = [entry for entry in read_history(site_folder(settings)) if entry.engine == folder.name]
    console.print("\nDecisions" if decisions else "\nNot pinned")
    for line in history_lines(decisions):
        console.print(line, highlight=False, soft_wrap=True)


@engines_app.command()
def verify(names: Names = None, config: ConfigOption = None) -> None:
    """Try engines: hashes, manifest, loading, finite and equal answers, known answers. Exit status 1 on a failure."""
    from echo_scp.commands.engine_tables import check_lines
    from echo_scp.inference.listing import list_engines
    from echo_scp.inference.verify import verify as verify_engine
    from echo_scp.inference.versions import find_version
    from echo_scp.phantom.probe import probes

    settings = settings_of(config).analysis
    console, failures = Console(), list[str]()
    listing = list_engines(settings)
    folders = [find_version(name, settings) for name in names] if names else [item.folder for item in listing.engines]
    truth = probes()
    for folder in folders:
        console.print(
            f"[bold]{escape(folder.path.name)}[/] {escape(str(folder.path))}", highlight=False, soft_wrap=True
        )
        with console.status("trying ..."):
            checks = tuple(verify_engine(folder, settings, truth))
        for line in check_lines(checks):
            console.print(line, highlight=False, soft_wrap=True)
        failures.extend(check.detail for check in checks if check.failed)
    untold = [] if names else [problem for problem in listing.problems if problem not in failures]
    for problem in untold:
        console.print(f"[bold red]failed[/] {escape(problem)}", highlight=False, soft_wrap=True)
    if failures or untold:
        raise typer.Exit(1)


@engines_app.command()
def bench(
    name: Name,
    batch: Annotated[list[int], typer.Option(min=1, max=1024, help="Batch size; may be repeated.")] = [1, 4, 16],  # noqa: B006 - typer copies it
    rounds: Annotated[int, typer.Option(min=2, max=10000, help="Rounds per precision and batch size.")] = 20,
    config: ConfigOption = None,
) -> None:
    """Measure latency and frames per second, per precision and batch size, in the configured runtime."""
    from echo_scp.commands.engine_tables import bench_table
    from echo_scp.inference.bench import bench as bench_engine
    from echo_scp.inference.bench import runnable
    from echo_scp.inference.versions import find_version

    settings = settings_of(config).analysis
    manifest = find_version(name, settings).read()
    console = Console()
    with progress_bar(Console(stderr=True)) as progress:
        task = progress.add_task("rounds", total=rounds)
        timings = bench_engine(
            manifest,
            settings,
            precisions=runnable(manifest, settings),
            batches=batch,
            rounds=rounds,
            progress=lambda: progress.advance(task),
        )
    title = f"{manifest.name} {manifest.version} in {settings.runtime}, {rounds} rounds side by side"
    console.print(bench_table(title, timings))


@engines_app.command()
def build(names: Names = None, config: ConfigOption = None) -> None:
    """Build the TensorRT plans ahead, so that the node starts at once."""
    from echo_scp.inference.catalogue import find_engine, names_in_use
    from echo_scp.inference.runtime import build_ahead
    from echo_scp.inference.versions import find_version

    settings = settings_of(config).analysis
    folders = [find_version(name, settings) for name in names or ()]
    folders = folders or [find_engine(name, settings) for name in names_in_use(settings)]
    console = Console()
    for folder in folders:
        with progress_bar(Console(stderr=True)) as progress:
            identity = build_ahead(folder.read(), settings, follow(progress, f"building {folder.name}"))
        console.print(f"built {escape(identity.name)} {escape(identity.version)}", highlight=False)


@engines_app.command()
def pin(
    name: Annotated[str, typer.Argument(help="Name of the engine.")],
    version: Annotated[str, typer.Argument(help="Version, or the first characters of a sha256.")] = "",
    release: Annotated[bool, typer.Option("--release", help="Take the pin off: the folder NAME runs again.")] = False,
    config: ConfigOption = None,
) -> None:
    """Decide which exact version of an engine must run; the node refuses to start with another."""
    from echo_scp.inference import versions

    settings = settings_of(config).analysis
    if release == bool(version):
        raise EngineError("give either a VERSION to pin, or --release")
    if release:
        versions.release(name, settings, datetime.now(UTC))
        typer.echo(f"{name} is no longer pinned. {NEXT_START}")
        return
    decision = versions.pin(name, version, settings, datetime.now(UTC))
    typer.echo(f"{name} is pinned to {decision.version} (manifest sha256 {decision.sha256}). {NEXT_START}")


@engines_app.command()
def rollback(name: Annotated[str, typer.Argument(help="Name of the engine.")], config: ConfigOption = None) -> None:
    """Return to the version that ran before; done again, to the one before that. Nothing is deleted."""
    from echo_scp.inference import versions

    decision = versions.rollback(name, settings_of(config).analysis, datetime.now(UTC))
    state = (
        f"is pinned to {decision.version} (manifest sha256 {decision.sha256})" if decision.sha256 else "is not pinned"
    )
    typer.echo(f"{name} {state}. {NEXT_START}")


engines_app.command("import")(import_command)
engines_app.command()(download)
engines_app.command()(explain)
