"""Measure the shipped engines and write the tables into docs/evaluation.md: `make evaluation DATA=FOLDER`.

FOLDER holds camus-a4c.npz and camus-a2c.npz (their fields: docs/evaluation.md). A stopped run goes on where it was.
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

DOCUMENT = Path("docs/evaluation.md")
OUT = Path("build/evaluation")
FOUR, TWO = "camus-a4c.npz", "camus-a2c.npz"


@dataclass(frozen=True)
class Measured:
    """A run of the command, and which of its tables go between the marks of its name."""

    name: str
    data: tuple[str, ...]
    options: tuple[str, ...]
    titles: tuple[str, ...]


RUNS = (
    Measured(
        "valid",
        (FOUR,),
        ("--split", "valid"),
        (
            *("Agreement of numbers", "Calibration of the stated uncertainty", "Agreement of outlines"),
            *("Views, one against all", "Reduced EF found", "Assessment"),
        ),
    ),
    Measured(
        "biplane",
        (FOUR, TWO),
        ("--both-views",),
        ("Agreement of numbers", "Calibration of the stated uncertainty", "Coverage"),
    ),
    Measured(
        "robustness",
        (FOUR,),
        ("--split", "valid", "--limit", "10", "--robustness"),
        ("Robustness: LV Dice", "Robustness: EF"),
    ),
)


def main(data: Path) -> None:
    for measured in RUNS:
        out = OUT / measured.name
        paths = [str(data / name) for name in measured.data]
        command = [sys.executable, "-m", "echo_scp.cli", "evaluate", *paths, *measured.options, "--out", str(out)]
        subprocess.run(command, check=True)
        first, *sections = (out / "tables.md").read_text(encoding="utf-8").split("\n#### ")
        chosen = [section for title in measured.titles for section in sections if section.startswith(f"{title}\n")]
        write(measured.name, "\n\n".join([first.strip(), *(f"#### {section.strip()}" for section in chosen)]))


def write(name: str, text: str) -> None:
    """Replace what stands between the marks of `name`."""
    document = DOCUMENT.read_text(encoding="utf-8")
    pattern = re.compile(rf"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)", re.DOTALL)
    if not pattern.search(document):
        raise SystemExit(f"{DOCUMENT} has no marks for {name}")
    DOCUMENT.write_text(pattern.sub(lambda marks: f"{marks[1]}\n{text}\n\n{marks[2]}", document), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
