"""Do other views pass the two checks behind the view network? Stills of an atlas, made into clips that hold still.

    python scripts/train/other_views.py --data FOLDER --engine engines/lv-apical

FOLDER holds views.npz. Each frame becomes a clip of copies that tremble a little; it goes through the segmentation, the
check of anatomy and the check of trust, as if the view network had called it apical. What needs motion is left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from echo_scp.inference.engine import Engine
from echo_scp.inference.manifest import read_manifest
from echo_scp.inference.onnxruntime import OnnxRuntimeEngine
from echo_scp.measure import refuse_other_views
from echo_scp.model import Clip, Instance, Region, Structure
from echo_scp.segment import segment
from echo_scp.trust import judge

FRAMES = 5
BATCH_FRAMES = 16
BRIGHT = 12  # grey level that a sector is above
MEASURED = ("A4C", "A2C")


@dataclass(frozen=True)
class Answer:
    """What became of one still."""

    view: str
    source: str
    veto: str
    score: float | None
    refused: str

    @property
    def passed(self) -> bool:
        return not (self.veto or self.refused)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with views.npz")
    parser.add_argument("--engine", type=Path, required=True, help="engine folder")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    engine = OnnxRuntimeEngine(read_manifest(arguments.engine), threads=arguments.threads)
    answers = []
    for view, source, clip in stills(arguments.data / "views.npz"):
        answers.append(ask(view, source, clip, engine))
        answer = answers[-1]
        score = "-" if answer.score is None else f"{answer.score:.2f}"
        print(f"{view:12s} {source:22s} score {score:5s} {answer.veto or answer.refused or 'passes'}", flush=True)
    print("\nview         stills  no anatomy  no trust  pass")
    for view in dict.fromkeys((*MEASURED, *sorted(answer.view for answer in answers))):
        of_view = [answer for answer in answers if answer.view == view]
        vetoed = sum(bool(answer.veto) for answer in of_view)
        passed = sum(answer.passed for answer in of_view)
        print(f"{view:12s} {len(of_view):6d}  {vetoed:10d}  {len(of_view) - vetoed - passed:8d}  {passed:4d}")


def ask(view: str, source: str, clip: Clip, engine: Engine) -> Answer:
    """Return which check, if any, refuses the clip; trust is judged either way, to be shown."""
    segmentation = segment(clip, engine, BATCH_FRAMES)
    veto = refuse_other_views(clip, segmentation)
    trust = judge(clip, segmentation, engine)
    refused = trust.not_assessed.detail if trust is not None and trust.not_assessed is not None else ""
    nothing = "" if segmentation.masks(Structure.LV_CAVITY).any() else "no LV"
    return Answer(view, source, veto.detail if veto else nothing, trust.score if trust is not None else None, refused)


def stills(path: Path) -> Iterator[tuple[str, str, Clip]]:
    """Yield view, source and clip of every frame of the atlas."""
    rng = np.random.default_rng(1)
    with np.load(path) as file:
        images, meta = file["images"], file["meta"]
    for image, row in zip(images, meta, strict=True):
        grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
        frames = np.stack([_trembling(grey, rng) for _ in range(FRAMES)])
        yield (
            str(row["view"]),
            str(row["source"]),
            Clip(Instance(Dataset(), Path()), frames, 25.0 * np.arange(FRAMES), _sector(grey)),
        )


def _trembling(grey: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Shift by a pixel, turn by a degree, change the gain by 3 %, add a little noise."""
    height, width = grey.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), float(rng.normal(0, 1)), 1.0)
    matrix[:, 2] += rng.normal(0, 1, 2)
    moved = cv2.warpAffine(grey, matrix, (width, height)) * rng.normal(1, 0.03)
    return np.clip(moved + rng.normal(0, 2, grey.shape) * (moved > 0), 0, 255).astype(np.uint8)


def _sector(grey: NDArray[np.uint8]) -> Region:
    """Return the largest connected bright area: the sector, without rulers, text and colour bars."""
    mask = cv2.morphologyEx((grey > BRIGHT).astype(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    count, _, statistics, _ = cv2.connectedComponentsWithStats(mask)
    if count < 2:
        return Region(0, 0, grey.shape[1], grey.shape[0], None)
    x, y, width, height, _ = (int(value) for value in statistics[1 + int(statistics[1:, cv2.CC_STAT_AREA].argmax())])
    return Region(x, y, x + width, y + height, None)


if __name__ == "__main__":
    main()
