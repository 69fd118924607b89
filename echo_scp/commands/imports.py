"""`echo-scp engines import` and `download`: engines of networks that others have published."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import DownloadColumn, Progress

from echo_scp.commands.options import NEXT_START, ConfigOption, settings_of
from echo_scp.config import AnalysisConfig

if TYPE_CHECKING:
    from echo_scp.inference.catalogue import EngineFolder

# As echo_scp.imports knows them; written out, because that needs heavy libraries and --help should not.
IMPORT_KINDS = (
    "echonet-dynamic-segmentation",
    "echonet-dynamic-ef",
    "usal-view",
    "usal-segmentation",
    "echonet-phenotype",
    "onnx",
)
DOWNLOADS = ("echonet-dynamic-segmentation", "echonet-dynamic-ef")


def import_command(
    kind: Annotated[str, typer.Argument(help=f"What the files are: {', '.join(IMPORT_KINDS)}.")],
    files: Annotated[list[Path], typer.Argument(help="The published files; onnx also takes a manifest (.toml).")],
    *,
    name: Annotated[str, typer.Option(help="Name of the engine; by default the manifest's, or the kind.")] = "",
    version: Annotated[str, typer.Option(help="Version; by default the manifest's, or 1.0.0.")] = "",
    licence: Annotated[str, typer.Option(help="Licence of the weights; by default the manifest's, or unknown.")] = "",
    data: Annotated[str, typer.Option(help="What it was trained on; by default the manifest's, or unknown.")] = "",
    view: Annotated[list[str] | None, typer.Option(help="View that it is valid for; may be repeated.")] = None,
    mean: Annotated[str, typer.Option(help="Mean that was subtracted: one number, or three with commas.")] = "",
    std: Annotated[str, typer.Option(help="Standard deviation that was divided by, as --mean.")] = "",
    clips: Annotated[
        list[Path] | None,
        typer.Option(help="DICOM files or folders to estimate mean and std from; may be repeated.", exists=True),
    ] = None,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="KEY=VALUE of the manifest, input.size=128; may be repeated.")
    ] = None,
    view_map: Annotated[
        Literal["unoccluded", "merged"], typer.Option(help="usal-view: which of its views count.")
    ] = "unoccluded",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder to write it into; by default the site's engines.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what is in --out under that name.")] = False,
    config: ConfigOption = None,
) -> None:
    """Make an engine of a published network, prove that it runs, and add it; what runs now stays."""
    from echo_scp.imports.kinds import import_engine
    from echo_scp.imports.options import ImportOptions
    from echo_scp.inference.site import add, incoming

    settings = settings_of(config).analysis
    constants = [f"input.{key}={_numbers(text)}" for key, text in (("mean", mean), ("std", std)) if text]
    options = ImportOptions(
        name=name,
        version=version,
        licence=licence,
        data=data,
        views=tuple(view or ()),
        settings=(*(setting or ()), *constants),
        clips=tuple(clips or ()),
        view_map=view_map,
        force=force,
    )
    with Console(stderr=True).status("converting ..."):
        if out is not None:
            manifest = import_engine(kind, files, options, out)
            typer.echo(f"{manifest.name} {manifest.version} is in {out / manifest.name}")
            return
        with incoming(settings) as folder:
            manifest = import_engine(kind, files, options, folder)
            added = add(folder / manifest.name, settings)
    typer.echo(f"{manifest.name} {manifest.version} is in {added.path}")
    typer.echo(f"Check it: echo-scp engines verify {manifest.name}@{manifest.version}")
    typer.echo(_how_to_use(added, settings))


def download(
    what: Annotated[str, typer.Argument(help=f"{' or '.join(DOWNLOADS)}, or an http(s) address.")],
    *,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the file.")] = Path(),
    sha256: Annotated[str, typer.Option(help="Its SHA-256, as the publisher states it.")] = "",
) -> None:
    """Fetch a published file, for `engines import`. It is kept under its name only with the right SHA-256."""
    from echo_scp.imports.download import PUBLISHED
    from echo_scp.imports.download import download as fetch

    known = PUBLISHED.get(what)
    console = Console(stderr=True)
    if known is not None:
        console.print(f"licence: {escape(known.licence)}", highlight=False, soft_wrap=True)
    with Progress(*Progress.get_default_columns(), DownloadColumn(), console=console, transient=True) as progress:
        task = progress.add_task("download", total=None)
        path = fetch(
            what if known is None else known.url,
            out,
            sha256 or (known.sha256 if known is not None else ""),
            lambda done, total: progress.update(task, completed=done, total=total),
        )
    typer.echo(path)


def _numbers(text: str) -> str:
    """Return one number, or several with commas, as TOML writes them."""
    return f"[{text}]" if "," in text else text


def _how_to_use(added: EngineFolder, settings: AnalysisConfig) -> str:
    from echo_scp.inference.catalogue import roles_of

    if not added.is_default:
        return f"What runs as {added.name} stays. To run it: echo-scp engines pin {added.name} {added.version()}"
    if roles_of(added.name, settings):
        return NEXT_START
    return f"To use it, name '{added.name}' in [analysis]; see docs/engines.md"
