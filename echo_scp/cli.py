"""The command `echo-scp`. Heavy libraries are imported by the command that needs them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, TaskID

from echo_scp import __version__
from echo_scp.commands.configuration import explain
from echo_scp.commands.conflicts import conflicts_app
from echo_scp.commands.conformance import conformance
from echo_scp.commands.deliveries import deliveries_app
from echo_scp.commands.doctor import doctor
from echo_scp.commands.engines import engines_app
from echo_scp.commands.options import ConfigOption
from echo_scp.commands.studies import reanalyse, retry, status, studies, study
from echo_scp.commands.users import users_app
from echo_scp.config import Config, load
from echo_scp.errors import EchoScpError
from echo_scp.model import ClipAnalysis
from echo_scp.progress import progress_bar

# postgresql://user:password@host/name?password=..., and libpq's other form: host=... password='...'
_PASSWORD = re.compile(r"(?P<before>://[^:@/]*:).*(?=@)|(?P<key>password\s*=\s*)('([^'\\]|\\.)*'|[^&\s]+)")

app = typer.Typer(
    help="Receive echocardiography, measure the left ventricle, return DICOM SR and SEG. For research use.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)
config_app = typer.Typer(help="Show and check the configuration.", no_args_is_help=True)
app.add_typer(config_app, name="config")
app.add_typer(engines_app, name="engines")
config_app.command("explain")(explain)
for _command in (doctor, conformance, status, studies, study, retry, reanalyse):
    app.command()(_command)
app.add_typer(deliveries_app, name="deliveries")
app.add_typer(conflicts_app, name="conflicts")
app.add_typer(users_app, name="users")


def main() -> None:
    """Run the command; an error that we foresaw is one clear message and exit status 1, not a traceback."""
    try:
        app()
    except EchoScpError as error:
        Console(stderr=True).print(f"[bold red]error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        raise SystemExit(1) from None


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"echo-scp {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def serve(
    role: Annotated[
        Literal["receive", "work", "web"] | None,
        typer.Option(help="Run only this part of the node; the parts share data_folder and a server in database.url."),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Run the node: receive, analyse, deliver. Ends in order on SIGTERM or Ctrl-C."""
    settings = load(config)
    from echo_scp import node

    node.serve(settings, None if role is None else node.Role(role))


@app.command()
def analyse(
    paths: Annotated[
        list[Path], typer.Argument(help="DICOM files, or folders that are searched for them.", exists=True)
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for results; a folder per study when there are several.")
    ],
    config: ConfigOption = None,
) -> None:
    """Analyse files and folders without a network; write results.json, SR, SEG and pictures."""
    settings = load(config)
    from echo_scp import logs
    from echo_scp.folder import analyse_study, find_studies
    from echo_scp.inference.catalogue import load_engines
    from echo_scp.pipeline import Pipeline
    from echo_scp.tables import clip_table, estimate_lines, read_results, remark_lines, study_lines

    logs.configure("warning", "console")
    console = Console()
    found, skipped = find_studies(paths)
    for file in skipped:
        console.print(f"[yellow]skipped[/] {escape(f'{file.path}: {file.detail}')}", highlight=False, soft_wrap=True)
    if not found:
        raise EchoScpError(f"no DICOM study below {', '.join(str(path) for path in paths)}")
    pipeline = Pipeline(settings, load_engines(settings.analysis))
    for each in found:
        folder = out if len(found) == 1 else out / each.study_instance_uid
        with progress_bar(console) as progress:
            task = progress.add_task("analysing", total=len(each.instances))
            analyse_study(pipeline, each, folder, datetime.now(UTC), partial(_advance, progress, task))
        results = read_results(folder / "results.json")
        console.print(clip_table(results, f"Study {each.study_instance_uid}"))
        for line in (*remark_lines(results), *estimate_lines(results), *study_lines(results)):
            console.print(line, highlight=False)
        console.print(f"results in {escape(str(folder))}", highlight=False, soft_wrap=True)


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for what comes back.")] = Path("demo-output"),
    keep: Annotated[bool, typer.Option("--keep", help="Keep the node and its page up until Ctrl-C.")] = False,
) -> None:
    """Start a node and a stand-in PACS, send a real and a synthetic study, show what comes back."""
    from echo_scp.demo import run_demo

    raise SystemExit(0 if run_demo(out, Console(), keep=keep) else 1)


@app.command()
def evaluate(  # noqa: PLR0917 - options are given by name
    data: Annotated[
        list[Path],
        typer.Argument(help="A folder (EchoNet-Dynamic, CAMUS, DICOM), or .npz archives of frames.", exists=True),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the report; a stopped run goes on in it.")],
    truth: Annotated[
        Path | None, typer.Option(exists=True, help="Truth for DICOM: a CSV, or the SR objects of another device.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Only this part of a data set that has parts.")] = None,
    both_views: Annotated[bool, typer.Option(help="Only patients with A4C and A2C.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many cases.")] = None,
    true_views: Annotated[bool, typer.Option(help="Measure cines under their true view, not the engine's.")] = False,
    robustness: Annotated[bool, typer.Option(help="Also with pixels dropped, gain, rotation and crop.")] = False,
    jobs: Annotated[int, typer.Option(min=0, help="Processes; 0 is one per core.")] = 0,
    fresh: Annotated[bool, typer.Option(help="Compute everything again.")] = False,
    config: ConfigOption = None,
) -> None:
    """Compare with truth: views, outlines, EF and volumes; write a report (docs/evaluation.md)."""
    settings = load(config)
    from echo_scp import evaluate as evaluation
    from echo_scp import logs
    from echo_scp.tables import evaluation_tables

    logs.configure("error", "console")
    console = Console()
    selection = evaluation.Selection(split, both_views, limit)
    plan = evaluation.plan_of(tuple(data), truth, selection, out, robustness=robustness, jobs=jobs, fresh=fresh)
    for line in (f"{plan.data.layout}: {len(plan.data.cases)} cases", *plan.data.remarks):
        console.print(escape(line), highlight=False, soft_wrap=True)
    with progress_bar(console) as progress:
        task = progress.add_task("evaluating", total=plan.steps)
        tables = evaluation.report(
            plan, evaluation.Settings(settings, true_views), datetime.now(UTC), lambda _: progress.advance(task)
        )
    for shown in (part for table in tables if table.brief for part in evaluation_tables(table)):
        console.print(shown, highlight=False)
    console.print(f"report in {escape(str(out / 'report.html'))}", highlight=False, soft_wrap=True)


@config_app.command("check")
def config_check(config: ConfigOption = None) -> None:
    """Check a configuration file, its environment overrides and the engines it names."""
    settings = load(config)
    from echo_scp.inference.catalogue import find_engine, load_engines, pin_of

    for identity in load_engines(settings.analysis).identities:
        folder = find_engine(identity.name, settings.analysis)
        source = folder.source if pin_of(identity.name, settings.analysis) is None else f"{folder.source}, pinned"
        typer.echo(f"engine {identity.name} {identity.version} sha256 {identity.sha256} in {folder.path} ({source})")
    typer.echo("the configuration is valid")


@config_app.command("show")
def config_show(config: ConfigOption = None) -> None:
    """Print the values in force, as JSON; a password in database.url is masked."""
    settings = load(config)
    typer.echo(_masked(settings).model_dump_json(indent=2))


@config_app.command("example")
def config_example() -> None:
    """Print the documented configuration file with every key and its default."""
    from echo_scp.config import example_text

    typer.echo(example_text(), nl=False)


def _masked(settings: Config) -> Config:
    url = _PASSWORD.sub(lambda found: f"{found['before'] or found['key']}***", settings.database.url)
    database = settings.database.model_copy(update={"url": url})
    return settings.model_copy(update={"database": database})


def _advance(progress: Progress, task: TaskID, _: ClipAnalysis) -> None:
    progress.advance(task)


if __name__ == "__main__":
    main()
