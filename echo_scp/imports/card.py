"""The model card of an imported engine: what is known, and that the rest is not."""

from __future__ import annotations

from collections.abc import Sequence

from echo_scp.imports.conversion import Kind
from echo_scp.inference.manifest import Manifest

_CARD = """\
# {name} {version}

{summary}

{facts}

| | |
|---|---|
| task | {task} |
| views | {views} |
| gives | {gives} |
| licence | {licence} |
| training data | {data} |
| imported from | {sources} |
| artefact | sha256 `{sha256}` |

## What is not known

Nothing was measured on import: metrics in `manifest.toml`, if there are any, came with the network. How good it is on
the machines and patients of a site, and where it fails, must be measured there before anyone reads its numbers. A
licence or training data given as "unknown" were not stated by the one who imported it; whether the network may be used
is for the site to clear.

On import the artefact was loaded and run once, which proves its shapes and no more.
"""


def model_card(manifest: Manifest, kind: Kind, facts: Sequence[str], sources: Sequence[str]) -> str:
    """Return the card as Markdown."""
    named = [f"{value.name} ({value.unit})" for value in manifest.output.values]
    return _CARD.format(
        name=manifest.name,
        version=manifest.version,
        summary=kind.summary,
        facts=" ".join(facts),
        task=manifest.task,
        views=", ".join(manifest.views) or "any",
        gives=", ".join(named or dict.fromkeys(manifest.output.labels)),
        licence=manifest.licence,
        data=manifest.training.data,
        sources="; ".join(sources),
        sha256=manifest.artefacts["fp32"].sha256,
    )
