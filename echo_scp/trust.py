"""Can the outlines of a clip be believed? Judged without truth, by asking the network again.

On a few frames the network also sees a mirrored and a turned, smaller copy. How well these outlines agree, and how sure
the network is along the border, predict the Dice with an expert's outline; the constants are fitted to degraded frames
of known truth by scripts/train/trust.py and stand in the engine's manifest. Outlines that differ from those of the
frames around them cannot be better than that agreement either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, softmax

from echo_scp.inference.engine import Batch, Engine
from echo_scp.inference.framing import framing
from echo_scp.inference.manifest import TrustTable
from echo_scp.model import Clip, Curve, Flag, NotAssessed, Note, Reason, Segmentation, Structure

FRAMES = 5  # asked again, evenly spread: quality hardly differs within a clip
TURN_DEG, SHRINK = -8.0, 0.85
STRIDE = 3  # pixels between those compared over time
LOWEST, HIGHEST = 0.02, 0.995  # of an agreement, before the logit

Masks = NDArray[np.bool_]  # (N, H, W)


@dataclass(frozen=True, slots=True)
class Agreement:
    """Per frame, each 0..1: Dice expected from the probabilities alone; Dice with the mirrored, the turned copy."""

    certain: Curve
    mirrored: Curve
    turned: Curve

    def features(self) -> NDArray[np.float64]:
        """Return (N, 3) logits."""
        columns = np.column_stack([self.certain, self.mirrored, self.turned])
        return np.asarray(logit(np.clip(columns, LOWEST, HIGHEST)))


@dataclass(frozen=True, slots=True)
class Trust:
    """The Dice, 0..1, to be expected of a clip's outlines, and what follows from it."""

    score: float
    not_assessed: NotAssessed | None = None
    notes: tuple[Note, ...] = ()


def asked_again(frame_count: int) -> tuple[int, ...]:
    """Return the indices of the frames that are asked again."""
    return tuple(np.unique(np.linspace(0, frame_count - 1, min(FRAMES, frame_count)).round().astype(int)).tolist())


def judge(
    clip: Clip, segmentation: Segmentation, engine: Engine, answers: Mapping[int, Batch] | None = None
) -> Trust | None:
    """Return the trust in a clip's outlines of the LV; None where the engine's manifest has no [trust] table.

    `answers` are what the engine gave for the frames `asked_again`, (K, H, W) by frame index, where that is at hand.
    """
    manifest = engine.manifest
    if manifest.trust is None:
        return None
    chosen = asked_again(len(clip.frames))
    batch = framing(clip.region, manifest.input, clip.frames.shape).batch(clip.frames[list(chosen)])
    logits = None if answers is None else np.stack([answers[index] for index in chosen])
    agreement, _ = ask_again(engine, batch, logits)
    copies = float(expected_dice(agreement, manifest.trust).mean())
    return decide(copies, steadiness(segmentation), manifest.trust)


def decide(copies: float, steady: float, table: TrustTable) -> Trust:
    """Return the verdict on a clip: refused, flagged or believed."""
    score = min(copies, steady)
    detail = f"score {score:.2f} ({copies:.2f} by turned and mirrored copies, {steady:.2f} by neighbouring frames)"
    if score < table.refuse_below:
        refusal = f"{detail}; expected at least {table.refuse_below:.2f}"
        return Trust(score, not_assessed=NotAssessed(Reason.UNTRUSTED_SEGMENTATION, refusal))
    if score < table.doubt_below:
        return Trust(score, notes=(Note(Flag.DOUBTFUL_SEGMENTATION, f"{detail}; good is {table.doubt_below:.2f}"),))
    return Trust(score)


def expected_dice(agreement: Agreement, table: TrustTable) -> Curve:
    """Return (N,) the Dice to be expected of each frame."""
    weights = np.array([table.certain, table.mirrored, table.turned])
    return np.asarray(expit(table.bias + agreement.features() @ weights))


def ask_again(engine: Engine, batch: Batch, logits: Batch | None = None) -> tuple[Agreement, Masks]:
    """Run the engine on the copies of `batch` (N, C, H, W); return how the LVs agree, and those of `batch`.

    `logits` are what it gave for `batch` itself, if it was run on that already.
    """
    probabilities, masks = _ventricle(engine, engine.run(batch) if logits is None else logits)
    _, mirrored = _ventricle(engine, engine.run(np.ascontiguousarray(batch[..., ::-1])))
    there, back = _turns(batch.shape[-2], batch.shape[-1])
    _, turned = _ventricle(engine, engine.run(_warped(batch, there, engine.manifest.input.offsets)))
    upright = _warped(turned[:, None].astype(np.float32), back, (0.0,))[:, 0] > 0.5
    agreement = Agreement(
        certain=_share(2 * (probabilities * masks).sum((1, 2)), (probabilities + masks).sum((1, 2))),
        mirrored=_dice(masks, mirrored[..., ::-1]),
        turned=_dice(masks, upright),
    )
    return agreement, masks


def steadiness(segmentation: Segmentation) -> float:
    """Return the mean Dice of each frame's LV with the vote of that frame and its two neighbours.

    Steady motion leaves the middle one as it is, whatever the frame rate; leaps do not.
    """
    thinned = Segmentation(segmentation.label_maps[:, ::STRIDE, ::STRIDE], segmentation.structures)
    masks = thinned.masks(Structure.LV_CAVITY)
    if len(masks) < 3:
        return 1.0
    before, now, after = masks[:-2], masks[1:-1], masks[2:]
    return float(_dice(now, (before & after) | (now & (before | after))).mean())


def _ventricle(engine: Engine, logits: Batch) -> tuple[NDArray[np.float32], Masks]:
    """Return the LV's probability and its mask, each (N, H, W)."""
    channel = engine.manifest.output.labels.index(Structure.LV_CAVITY)
    probabilities = np.asarray(softmax(logits, axis=1)[:, channel], dtype=np.float32)
    return probabilities, np.equal(logits.argmax(axis=1), channel)


def _turns(rows: int, columns: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the matrices that turn and shrink about the middle, and back."""
    there = cv2.getRotationMatrix2D(((columns - 1) / 2, (rows - 1) / 2), TURN_DEG, SHRINK)
    return np.asarray(there, dtype=np.float64), np.asarray(cv2.invertAffineTransform(there), dtype=np.float64)


def _warped(batch: Batch, matrix: NDArray[np.float64], black: tuple[float, ...]) -> Batch:
    """Warp every channel of a batch (N, C, H, W); `black` fills, per channel, what comes in from outside."""
    warped = np.empty_like(batch)
    rows, columns = batch.shape[-2:]
    for target, source in zip(warped, batch, strict=True):
        for channel, border in enumerate(black):
            target[channel] = cv2.warpAffine(source[channel], matrix, (columns, rows), borderValue=border)
    return warped


def _dice(some: Masks, others: Masks) -> Curve:
    both = np.count_nonzero(some & others, axis=(1, 2))
    return _share(2.0 * both, np.count_nonzero(some, axis=(1, 2)) + np.count_nonzero(others, axis=(1, 2)))


def _share(part: NDArray[np.floating], whole: NDArray[np.floating | np.integer]) -> Curve:
    """Return part / whole, 0 where there is nothing: no outline is no agreement."""
    return np.where(whole > 0, part / np.maximum(whole, 1e-9), 0.0).astype(np.float64)
