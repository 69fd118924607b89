"""`echo-scp engines explain`: a picture of what an engine's answer rests on."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from echo_scp.commands.options import ConfigOption, Name, follow, settings_of
from echo_scp.errors import EngineError, StorageError
from echo_scp.progress import progress_bar

if TYPE_CHECKING:
    from echo_scp.inference.manifest import Manifest
    from echo_scp.model import Clip, Frames


def explain(
    name: Name,
    clip: Annotated[Path, typer.Argument(help="A DICOM cine.", exists=True, dir_okay=False, metavar="INPUT")],
    *,
    out: Annotated[Path, typer.Option("--out", "-o", help="The picture to write (PNG).")],
    label: Annotated[
        str, typer.Option(help="View, structure or value to explain; by default what the engine answers first.")
    ] = "",
    frame: Annotated[int, typer.Option(min=0, help="Frame number, from 1; 0 takes the middle of the clip.")] = 0,
    method: Annotated[Literal["occlusion", "smoothgrad"], typer.Option(help="How.")] = "occlusion",
    config: ConfigOption = None,
) -> None:
    """Draw what an engine's answer rests on: a frame, and how the answer changes with each spot of it."""
    from echo_scp.decode import decode_clip, read_instance
    from echo_scp.inference.explain import explain as explain_answer
    from echo_scp.inference.runtime import open_engine
    from echo_scp.inference.versions import find_version
    from echo_scp.measure import upright
    from echo_scp.report.saliency import explanation_png

    settings = settings_of(config)
    manifest = find_version(name, settings.analysis).read()
    decoded = upright(decode_clip(read_instance(clip), settings.analysis))
    frames, number = frames_seen(decoded, manifest, frame)
    with progress_bar(Console(stderr=True)) as progress, closing(open_engine(manifest, settings.analysis)) as engine:
        told = follow(progress, method)
        explanation = explain_answer(
            engine,
            frames,
            decoded.region,
            label,
            method=method,
            batch=max(1, settings.analysis.batch_frames // len(frames)),
            progress=lambda share: told(method, share),
        )
    source = f"frame {number} of {decoded.instance.sop_instance_uid}"
    picture = explanation_png(explanation, source, research_use=settings.report.research_use)
    try:
        out.write_bytes(picture)
    except OSError as error:
        raise StorageError(f"{out}: cannot be written: {error.strerror}") from error
    typer.echo(f"{explanation.answer}: {out}")


def frames_seen(clip: Clip, manifest: Manifest, number: int) -> tuple[Frames, int]:
    """Return the frames that the engine sees together around a frame number (0: the middle), and that of their middle.

    Raises EngineError for a frame number that is not there, and for a clip that is too short.
    """
    from echo_scp.estimate import ABSENT, choose_runs

    count = len(clip.frames)
    number = number or count // 2 + 1
    if number > count:
        raise EngineError(f"{clip.instance.path}: has {count} frames, no frame {number}")
    if manifest.sampling is None or manifest.input.layout != "NCTHW":
        return clip.frames[number - 1 : number], number
    around = manifest.sampling.model_copy(update={"mode": "beat"})
    run = choose_runs(clip.frame_times_ms, around, (number - 1,))[0]
    if ABSENT in run:
        raise EngineError(f"{clip.instance.path}: {manifest.name} sees {len(run)} frames together; the clip is shorter")
    return clip.frames[run], int(run[len(run) // 2]) + 1
