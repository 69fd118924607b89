"""Ask an engine what its answer to a frame rests on; what is asked depends on its task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, softmax

from echo_scp.errors import EngineError
from echo_scp.inference.answers import label_logits
from echo_scp.inference.engine import Batch, Engine
from echo_scp.inference.framing import framing
from echo_scp.inference.manifest import Manifest
from echo_scp.inference.saliency import Heat, Progress, Variants, occlude, smooth_gradient
from echo_scp.model import EngineIdentity, Frames, Region

Method = Literal["occlusion", "smoothgrad"]
Values = NDArray[np.float64]  # (N,)


@dataclass(frozen=True, slots=True)
class Question:
    """What is explained of an answer, for the answers (N, ...) to changed frames.

    `change` tells how far each is from the answer to the frames as they are, `score` how strongly it says the same.
    """

    answer: str
    change_means: str
    change: Callable[[Batch], Values]
    score_means: str
    score: Callable[[Batch], Values]


@dataclass(frozen=True, slots=True)
class Explanation:
    """What an answer rests on; `heat` covers `picture`, which is the 2D region alone."""

    engine: EngineIdentity
    answer: str
    measure: str
    picture: NDArray[np.uint8]
    heat: Heat


def explain(
    engine: Engine,
    frames: Frames,
    region: Region,
    label: str,
    *,
    method: Method,
    batch: int,
    progress: Progress = lambda share: None,
) -> Explanation:
    """Explain the answer to the frames (T, H, W) that the engine sees together; one for engines of single frames.

    `label` "" takes the likeliest view, the first structure or the first value. Raises EngineError for a label that the
    engine does not know, or a structure that it does not see here.
    """
    frame = framing(region, engine.manifest.input, frames.shape)

    def answer(variants: Variants) -> Batch:
        together = frame.batch(variants.reshape(-1, *variants.shape[2:]))
        if engine.manifest.input.layout == "NCTHW":
            together = together.reshape(*variants.shape[:2], *together.shape[1:]).swapaxes(1, 2)
        return engine.run(np.ascontiguousarray(together))

    question = ask(engine.manifest, answer(frames[None]), label)
    if method == "occlusion":
        means = question.change_means
        heat = occlude(frames, region, lambda variants: question.change(answer(variants)), batch, progress)
    else:
        means = question.score_means
        gradient = smooth_gradient(frames, region, lambda variants: question.score(answer(variants)), batch, progress)
        heat = np.abs(gradient)
    picture = frames[len(frames) // 2, region.y0 : region.y1, region.x0 : region.x1]
    return Explanation(engine.identity, question.answer, means, picture, heat)


def ask(manifest: Manifest, answer: Batch, label: str) -> Question:
    """Return what to explain of the `answer` (1, ...) to the frames as they are; raises EngineError."""
    names = manifest.output.labels or tuple(value.name for value in manifest.output.values)
    if label and label not in names:
        raise EngineError(f"{manifest.name}: no label '{label}'; it has {', '.join(dict.fromkeys(names))}")
    if manifest.task == "view":
        likeliest = names[int(label_logits(manifest, answer)[0].argmax())]
        return _view(manifest, label or likeliest, answer)
    if manifest.task == "segmentation":
        return _outline(manifest, label or manifest.output.structures[0].value, answer)
    return _value(manifest, names.index(label) if label else 0, answer)


def _view(manifest: Manifest, label: str, answer: Batch) -> Question:
    """Explain a view by its log-odds: they move where the probability of a sure answer no longer does."""
    chosen = np.array([name == label for name in manifest.output.labels])

    def log_odds(answers: Batch) -> Values:
        logits = label_logits(manifest, answers).astype(np.float64)
        return np.asarray(logsumexp(logits[:, chosen], axis=1) - logsumexp(logits[:, ~chosen], axis=1))

    whole = log_odds(answer)[0]
    return Question(
        f"view {label}, {1 / (1 + np.exp(-whole)):.2f}",
        f"fall of the log-odds of {label} when a spot is hidden",
        lambda hidden: whole - log_odds(hidden),
        f"change of the log-odds of {label} with the local brightness (SmoothGrad x input)",
        log_odds,
    )


def _outline(manifest: Manifest, label: str, answer: Batch) -> Question:
    chosen = np.array([name == label for name in manifest.output.labels])

    def mask(answers: Batch) -> NDArray[np.bool_]:
        return np.asarray(chosen[label_logits(manifest, answers).argmax(axis=1)])

    whole = mask(answer)[0]
    if not whole.any():
        raise EngineError(f"{manifest.name}: sees no {label} in this frame; choose another with --frame")

    def change(hidden: Batch) -> Values:
        masks = mask(hidden)
        dice = 2 * (masks & whole).sum(axis=(1, 2)) / (masks.sum(axis=(1, 2)) + whole.sum())
        return np.asarray(1 - dice, dtype=np.float64)

    def score(noisy: Batch) -> Values:
        shares = softmax(label_logits(manifest, noisy), axis=1)[:, chosen].sum(axis=1)
        return np.asarray(shares[:, whole].mean(axis=1), dtype=np.float64)

    return Question(
        f"outline of {label}",
        f"change of the outline of {label} when a spot is hidden (1 - Dice)",
        change,
        f"change of the mean probability of {label} with the local brightness (SmoothGrad x input)",
        score,
    )


def _value(manifest: Manifest, index: int, answer: Batch) -> Question:
    value = manifest.output.values[index]
    unit = value.unit if manifest.output.activation == "regression" else "log-odds"
    whole = float(answer[0, index])
    return Question(
        f"{value.name} {whole:.1f} {unit}",
        f"change of {value.name} when a spot is hidden ({unit})",
        lambda hidden: np.abs(hidden[:, index].astype(np.float64) - whole),
        f"change of {value.name} with the local brightness ({unit}, SmoothGrad x input)",
        lambda noisy: noisy[:, index].astype(np.float64),
    )
