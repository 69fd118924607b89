"""Fit the check of trust: how agreement between copies of a frame becomes the Dice to be expected.

    python scripts/train/trust.py --data FOLDER --engine engines/lv-apical --write

Train patients' frames, degraded in many ways, give the constants; valid patients' frames say what they are worth. What
is no apical heart at all (frames on their side, phantoms in another view, traces, speckle) is among both. About two
minutes on one core. With --write the [trust] table of the engine's manifest is replaced.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import augment
import camus
import cv2
import numpy as np
from numpy.typing import NDArray
from phantom_frames import random_frame
from scipy.optimize import nnls
from scipy.special import expit, logit
from scipy.stats import rankdata, spearmanr

from echo_scp.inference.engine import Engine
from echo_scp.inference.interface import InputTensor
from echo_scp.inference.manifest import MANIFEST_NAME, TrustTable, read_manifest
from echo_scp.inference.onnxruntime import OnnxRuntimeEngine
from echo_scp.model import View
from echo_scp.trust import HIGHEST, LOWEST, Agreement, ask_again, expected_dice

SOURCE_SIZE = 256
BATCH = 16
ROWS_PER_COLUMN = 3 / 4  # of most pictures
FOREIGN_SHARE = 0.3  # of samples that show no apical heart, per sample that does
GOOD, BAD = 0.90, 0.80  # Dice
REFUSED_SHARE, DOUBTED_SHARE = 0.03, 0.10  # of good frames, most of them degraded, at the two thresholds


@dataclass(frozen=True)
class Sample:
    """One picture (S, S) in 0..1, the true LV, and how it was made."""

    picture: NDArray[np.float32]
    ventricle: NDArray[np.bool_]
    kind: str


@dataclass(frozen=True)
class Scored:
    """What the network did on samples: agreement, and Dice of the LV with the truth."""

    agreement: Agreement
    dice: NDArray[np.float64]
    kinds: NDArray[np.str_]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with camus-a4c.npz")
    parser.add_argument("--engine", type=Path, required=True, help="engine folder")
    parser.add_argument("--frames", type=int, default=320, help="frames of train patients")
    parser.add_argument("--valid-frames", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="put the table into the engine's manifest")
    arguments = parser.parse_args()
    started = time.monotonic()
    engine = OnnxRuntimeEngine(read_manifest(arguments.engine), threads=arguments.threads)
    table = fit(look(engine, arguments.data, "train", arguments.frames, arguments.seed))
    report(look(engine, arguments.data, "valid", arguments.valid_frames, arguments.seed + 1), table)
    print(f"\n{as_toml(table)}\n{time.monotonic() - started:.0f} s")
    if arguments.write:
        write(arguments.engine / MANIFEST_NAME, table)


def look(engine: Engine, data: Path, split: str, count: int, seed: int) -> Scored:
    """Return how the network fares on `count` degraded frames of a split, and on what is no apical heart."""
    size, rng = engine.manifest.input.size, np.random.default_rng(seed)
    frames = camus.read(data / "camus-a4c.npz", split, SOURCE_SIZE)
    samples = [*hearts(frames, count, size, rng), *foreign(frames, round(FOREIGN_SHARE * count), size, rng)]
    chunks = [samples[start : start + BATCH] for start in range(0, len(samples), BATCH)]
    agreements, dices = zip(*(_look_at(engine, chunk) for chunk in chunks), strict=True)
    return Scored(
        Agreement(*(np.concatenate([getattr(a, name) for a in agreements]) for name in Agreement.__slots__)),
        np.concatenate(dices),
        np.array([sample.kind for sample in samples]),
    )


def hearts(frames: camus.LabelledFrames, count: int, size: int, rng: np.random.Generator) -> Iterator[Sample]:
    """Yield frames as acquired, changed as in training, and changed twice or three times over."""
    kinds = {"as acquired": (0.0,), "changed": (1.0,), "changed twice": (1.0, 1.0), "thrice": (1.0, 1.0, 1.0)}
    for _ in range(count):
        index = int(rng.integers(len(frames.images)))
        kind = str(rng.choice(list(kinds)))
        yield _changed(frames, index, kinds[kind], size, rng, kind)


def foreign(frames: camus.LabelledFrames, count: int, size: int, rng: np.random.Generator) -> Iterator[Sample]:
    """Yield what shows no apical heart as a probe sees it."""
    nothing = np.zeros((size, size), dtype=bool)
    for index in range(count):
        match index % 4:
            case 0 | 1:
                sample = _changed(frames, int(rng.integers(len(frames.images))), (0.3,), size, rng, "on its side")
                turns = int(rng.integers(1, 4))
                yield Sample(np.rot90(sample.picture, turns).copy(), np.rot90(sample.ventricle, turns), sample.kind)
            case 2:
                phantom, _ = random_frame(View.PLAX, size, rng)
                yield Sample(phantom.astype(np.float32) / 255, nothing, "phantom PLAX")
            case _:
                yield Sample(_speckle(size, rng), nothing, "speckle")


def _changed(
    frames: camus.LabelledFrames,
    index: int,
    strengths: tuple[float, ...],
    size: int,
    rng: np.random.Generator,
    kind: str,
) -> Sample:
    image, labels = frames.images[index], frames.labels[index]
    for strength in strengths:
        picture, labels = augment.augment(image, labels, size, rng, strength)
        image = (picture * 255).astype(np.uint8)
    return Sample(image.astype(np.float32) / 255, labels == camus.LABELS.index("lv_cavity"), kind)


def _speckle(size: int, rng: np.random.Generator) -> NDArray[np.float32]:
    grain = np.abs(rng.standard_normal((size, size))).astype(np.float32)
    coarse = cv2.GaussianBlur(grain, (0, 0), float(rng.uniform(0.6, 20)))
    return np.asarray((coarse - coarse.min()) / np.ptp(coarse), dtype=np.float32)


def _look_at(engine: Engine, samples: list[Sample]) -> tuple[Agreement, NDArray[np.float64]]:
    tensor = engine.manifest.input
    needed = round(ROWS_PER_COLUMN * tensor.size), tensor.size
    shown = camus.middle((tensor.size, tensor.size), needed, tensor.shortest)
    batch = _normalised(np.stack([sample.picture[shown] for sample in samples]), tensor)
    agreement, found = ask_again(engine, batch)
    dice = [_dice(mask, sample.ventricle[shown]) for mask, sample in zip(found, samples, strict=True)]
    return agreement, np.array(dice)


def _normalised(pictures: NDArray[np.float32], tensor: InputTensor) -> NDArray[np.float32]:
    """Return (N, C, H, W) as the network takes pictures (N, H, W) in 0..1."""
    constants = zip(tensor.factors, tensor.offsets, strict=True)
    return np.stack([255 * pictures * factor + offset for factor, offset in constants], axis=1).astype(np.float32)


def _dice(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Return 0 where there is nothing to find: an answer, or none, cannot be right."""
    return 2 * int((a & b).sum()) / max(int(a.sum() + b.sum()), 1)


def fit(scored: Scored) -> TrustTable:
    """Return the constants: least squares between logits, no weight below 0, thresholds by the good frames."""
    ones = np.ones(len(scored.dice))
    columns = np.column_stack([scored.agreement.features(), ones, -ones])
    weights, _ = nnls(columns, logit(np.clip(scored.dice, LOWEST, HIGHEST)))
    score = expit(columns @ weights)[scored.dice >= GOOD]
    return TrustTable(
        bias=round(weights[3] - weights[4], 3),
        certain=round(weights[0], 3),
        mirrored=round(weights[1], 3),
        turned=round(weights[2], 3),
        refuse_below=round(float(np.quantile(score, REFUSED_SHARE)), 2),
        doubt_below=round(float(np.quantile(score, DOUBTED_SHARE)), 2),
    )


def report(scored: Scored, table: TrustTable) -> None:
    """Print what the score is worth on frames that it was not fitted to."""
    score = expected_dice(scored.agreement, table)
    heart = np.isin(scored.kinds, ("as acquired", "changed", "changed twice", "thrice"))
    for name, chosen in (("hearts of valid patients", heart), ("with what is none", np.full(len(score), True))):
        s, dice = score[chosen], scored.dice[chosen]
        print(
            f"\n{name}: {len(s)} pictures; score and Dice: r {np.corrcoef(s, dice)[0, 1]:.3f}, "
            f"rho {spearmanr(s, dice)[0]:.3f}, mean |difference| {np.abs(s - dice).mean():.3f}; "
            f"Dice < {BAD}: {(dice < BAD).sum()}, area under the ROC curve {_auc(s, dice < BAD):.3f}"
        )
        for threshold in (table.refuse_below, table.doubt_below):
            print(_at_threshold(s, dice, threshold))
    print("\nkind             pictures  Dice  score  refused")
    for kind in dict.fromkeys(scored.kinds):
        of_kind = scored.kinds == kind
        means = scored.dice[of_kind].mean(), score[of_kind].mean(), (score[of_kind] < table.refuse_below).mean()
        print(f"{kind:16s} {of_kind.sum():8d}  {means[0]:.2f}  {means[1]:.2f}   {means[2]:.2f}")
    print("\nscore        pictures  mean score  mean Dice")
    edges = (0, 0.3, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1.01)
    for low, high in pairwise(edges):
        inside = (score >= low) & (score < high)
        if inside.any():
            means = score[inside].mean(), scored.dice[inside].mean()
            print(f"{low:.2f} to {min(high, 1):.2f} {inside.sum():8d}  {means[0]:10.2f}  {means[1]:9.2f}")


def _at_threshold(score: NDArray[np.float64], dice: NDArray[np.float64], threshold: float) -> str:
    refused, good, bad = score < threshold, dice >= GOOD, dice < BAD
    return (
        f"  below {threshold:.2f}: {refused.sum()}; of the bad {(refused & bad).sum()} of {bad.sum()}, "
        f"of the good (Dice >= {GOOD}) {(refused & good).sum()} of {good.sum()}"
    )


def _auc(score: NDArray[np.float64], bad: NDArray[np.bool_]) -> float:
    """Return how often a bad picture scores lower than another."""
    ranks, n = rankdata(score), int(bad.sum())
    rest = len(score) - n
    return float(1 - (ranks[bad].sum() - n * (n + 1) / 2) / (n * rest)) if n and rest else float("nan")


def as_toml(table: TrustTable) -> str:
    return "\n".join(["[trust]", *(f"{key} = {value}" for key, value in table.model_dump().items())])


def write(path: Path, table: TrustTable) -> None:
    """Replace the manifest's [trust] table, or add one."""
    text = re.sub(r"(?ms)^\[trust\]\n.*?(?=^\[|\Z)", "", path.read_text(encoding="utf-8"))
    path.write_text(f"{text.rstrip()}\n\n{as_toml(table)}\n", encoding="utf-8")
    read_manifest(path.parent)


if __name__ == "__main__":
    main()
