"""Train the `view` engine from few labelled frames: the apical views, PLAX, PSAX, subcostal, or other.

    pip install '.[train]'
    python scripts/train/view.py --data FOLDER --out engines/view

FOLDER holds views.npz, camus-a4c.npz and camus-a2c.npz. The encoder starts from that of the segmentation engine, whose
first blocks and batch normalisations stay as they are. Each real source is left out once; the pooled answers on its
frames set the temperature and the threshold, and are the accuracy that the manifest states. The threshold is the lowest
at which what would be measured, after the product's own checks of anatomy and trust, shows the view that it is measured
as. Doppler and M-mode frames are trained on but not scored: the gate refuses them before.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import augment
import numpy as np
import torch
from engine_folder import EngineFolder, write_engine
from guards import pass_guards
from learning import Batch, ahead, follow
from network import UNet, ViewNet
from numpy.typing import NDArray
from restore import restore
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from torch.nn import functional
from view_frames import LABELS, LabelledView, read_all, read_valid

SIZE = 160
BATCH = 16
OTHER = LABELS.index("other")
APICAL = (LABELS.index("A4C"), LABELS.index("A2C"))  # the views that are measured
HELD_OUT = ("TTE47 gallery", "cardioML", "echo-plax-segmentation", "CAMUS")
WANTED_PRECISION = 0.9  # of what is taken for A4C or A2C and passes the guards
LOWEST_THRESHOLD = 0.5
LABEL_SHARE = dict(zip(LABELS, (0.2, 0.2, 0.09, 0.05, 0.14, 0.14, 0.05, 0.13), strict=True))  # of a batch
SOURCE_SHARE = {"CAMUS": 1.0, "phantom": 0.5}  # against 2.0 of every atlas source, within a label
LEARNING_RATES = (2.5e-4, 2e-3)  # encoder, head
HELD_BLOCKS = 5  # of the encoder, from the first: what a labelled frame or two per view cannot teach
AVERAGE_DECAY = 0.99


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--fold-steps", type=int, default=500)
    parser.add_argument(
        "--segmentation", type=Path, default=Path("engines/lv-apical"), help="engine folder to start from"
    )
    parser.add_argument("--build", type=Path, default=Path("build"), help="folder for answers and checkpoints")
    parser.add_argument("--skip-folds", action="store_true", help="take the left-out answers of an earlier run")
    parser.add_argument("--folds-only", action="store_true", help="measure without training the shipped network")
    parser.add_argument("--export-only", action="store_true", help="write the engine folder from an earlier run")
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    rng = np.random.default_rng(arguments.seed)
    frames = read_all(arguments.data, 120, rng)
    arguments.build.mkdir(parents=True, exist_ok=True)
    left_out, checkpoint = arguments.build / "view-left-out.npz", arguments.build / "view.pt"
    if not (arguments.skip_folds or arguments.export_only):
        logits, held = leave_sources_out(arguments, frames, rng)
        passed = pass_guards([frame.variants[0] for frame in held], arguments.segmentation)
        np.savez(left_out, logits=logits, truth=labels_of(held), passed=passed)
    with np.load(left_out) as file:
        logits, truth, passed = file["logits"], file["truth"], file["passed"]
    temperature = calibrate(logits, truth)
    probabilities = softmax(logits / temperature, axis=1)
    threshold = choose_threshold(probabilities, truth, passed)
    metrics = describe(probabilities, truth, passed, threshold, "left_out_source")
    print(f"temperature {temperature:.3f} threshold {threshold:.2f} {metrics}", flush=True)
    if arguments.folds_only:
        return
    if not arguments.export_only:
        torch.save(train(arguments, frames, arguments.steps, rng).state_dict(), checkpoint)
    model = ViewNet(len(LABELS)).eval()
    model.load_state_dict(torch.load(checkpoint, weights_only=True))
    model.temperature.fill_(temperature)
    valid = read_valid(arguments.data)
    passed = pass_guards([frame.variants[0] for frame in valid], arguments.segmentation)
    metrics |= describe(softmax(predict(model, valid), axis=1), labels_of(valid), passed, threshold, "camus_a4c_valid")
    write(arguments, model, threshold, metrics)


def write(arguments: argparse.Namespace, model: ViewNet, threshold: float, metrics: dict[str, float]) -> None:
    """Export the network and write its manifest and metrics."""
    folder = EngineFolder(
        path=arguments.out,
        name="view",
        version="3.0.0",
        task="view",
        licence="CC-BY-NC-SA-4.0",
        size=SIZE,
        labels=LABELS,
        data="85 atlas frames of three sources (terms of some not verified), CAMUS A4C and A2C, synthetic frames",
        script="scripts/train/view.py",
        seed=arguments.seed,
        decision={"threshold": threshold, "frames_per_clip": 10},
    )
    write_engine(folder, model, metrics)


def leave_sources_out(
    arguments: argparse.Namespace, frames: Sequence[LabelledView], rng: np.random.Generator
) -> tuple[NDArray[np.float64], list[LabelledView]]:
    """Return the logits of every frame of a source that its network never saw, and those frames."""
    logits, shown = [], []
    for source in HELD_OUT:
        model = train(arguments, [frame for frame in frames if frame.source != source], arguments.fold_steps, rng)
        held = [frame for frame in frames if frame.source == source and not frame.gated]
        if source == "CAMUS":
            held = thin(held)
        found, truth = predict(model, held), labels_of(held)
        confusion = np.zeros((len(LABELS), len(LABELS)), dtype=int)
        np.add.at(confusion, (truth, found.argmax(1)), 1)
        print(f"without {source}: accuracy {(found.argmax(1) == truth).mean():.3f}\n{confusion}", flush=True)
        logits.append(found)
        shown += held
    return np.concatenate(logits), shown


def thin(held: Sequence[LabelledView]) -> list[LabelledView]:
    """Keep as many frames of each label as the rarest has: one data set must not be the whole of the score."""
    labels = labels_of(held)
    fewest = min(np.bincount(labels)[np.unique(labels)])
    chosen = [np.flatnonzero(labels == k) for k in np.unique(labels)]
    return [held[k] for some in chosen for k in some[np.linspace(0, len(some) - 1, fewest).astype(int)]]


def train(
    arguments: argparse.Namespace, frames: Sequence[LabelledView], steps: int, rng: np.random.Generator
) -> ViewNet:
    """Return the averaged weights of a run through the learning-rate schedule."""
    model = ViewNet(len(LABELS)).to(memory_format=torch.channels_last)
    segmenter = UNet(4)
    restore(segmenter, arguments.segmentation / "model.onnx")
    model.encoder.load_state_dict(segmenter.encoder.state_dict())
    average = copy.deepcopy(model)
    model.eval()  # also the batch normalisations: their statistics are folded away
    model.head.train()
    for part in (model.encoder.stem, *model.encoder.blocks[:HELD_BLOCKS]):
        part.requires_grad_(False)
    learning = [parameter for parameter in model.encoder.parameters() if parameter.requires_grad]
    groups = [{"params": learning}, {"params": model.head.parameters()}]
    optimiser = torch.optim.AdamW(groups, weight_decay=2e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=list(LEARNING_RATES), total_steps=steps + 1, pct_start=0.2
    )
    weights = sampling_weights(frames)
    started = time.monotonic()
    for step, (x, y) in enumerate(ahead(batches(frames, weights, steps, rng)), 1):
        loss = functional.cross_entropy(model(x), y, label_smoothing=0.05)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        follow(average, model, min(AVERAGE_DECAY, step / (step + 10)))
        if step % 100 == 0:
            print(f"step {step} loss {float(loss.detach()):.3f} {time.monotonic() - started:.0f} s", flush=True)
    return average.eval()


def batches(
    frames: Sequence[LabelledView], weights: NDArray[np.float64], steps: int, rng: np.random.Generator
) -> Iterator[Batch]:
    for _ in range(steps):
        yield make_batch([frames[k] for k in rng.choice(len(frames), BATCH, p=weights)], rng)


def sampling_weights(frames: Sequence[LabelledView]) -> NDArray[np.float64]:
    """Labels by their share; within a label the real machines before the one data set and the phantom."""
    keys = [(frame.label, frame.source) for frame in frames]
    sizes = {key: keys.count(key) for key in set(keys)}
    raw = np.array([SOURCE_SHARE.get(source, 2.0) / sizes[label, source] for label, source in keys])
    labels = labels_of(frames)
    for label in np.unique(labels):
        raw[labels == label] *= LABEL_SHARE[LABELS[label]] / raw[labels == label].sum()
    return raw / raw.sum()


def make_batch(frames: Sequence[LabelledView], rng: np.random.Generator) -> Batch:
    pictures = []
    for frame in frames:
        variant = frame.variants[0 if rng.random() < 0.75 else -1]
        pictures.append(augment.augment(variant, np.zeros_like(variant), SIZE, rng)[0])
    x = torch.from_numpy(np.stack(pictures)[:, None]).contiguous(memory_format=torch.channels_last)
    return x, torch.from_numpy(labels_of(frames))


@torch.no_grad()
def predict(model: ViewNet, frames: Sequence[LabelledView]) -> NDArray[np.float64]:
    """Return logits (N, labels) of the frames as the product would crop them."""
    import cv2

    pictures = [cv2.resize(frame.variants[0], (SIZE, SIZE), interpolation=cv2.INTER_AREA) for frame in frames]
    x = torch.from_numpy(np.stack(pictures)[:, None].astype(np.float32) / 255)
    return torch.cat([model(part) for part in x.split(32)]).double().numpy()


def labels_of(frames: Sequence[LabelledView]) -> NDArray[np.intp]:
    return np.array([frame.label for frame in frames], dtype=np.intp)


def calibrate(logits: NDArray[np.float64], truth: NDArray[np.intp]) -> float:
    """Return the temperature with the smallest negative log-likelihood on left-out sources."""

    def loss(temperature: float) -> float:
        return float(-log_softmax(logits / temperature, axis=1)[np.arange(len(truth)), truth].mean())

    return float(minimize_scalar(loss, bounds=(0.3, 5.0), method="bounded").x)


def choose_threshold(probabilities: NDArray[np.float64], truth: NDArray[np.intp], passed: NDArray[np.bool_]) -> float:
    """Return the smallest threshold at which A4C and A2C answers that pass the guards are right often enough."""
    for threshold in np.arange(LOWEST_THRESHOLD, 0.95, 0.01):
        answers = decide(probabilities, threshold)
        measured = np.isin(answers, APICAL) & passed
        if measured.any() and (answers == truth)[measured].mean() >= WANTED_PRECISION:
            return round(float(threshold), 2)
    return 0.9


def decide(probabilities: NDArray[np.float64], threshold: float) -> NDArray[np.intp]:
    return np.where(probabilities.max(1) >= threshold, probabilities.argmax(1), OTHER)


def describe(
    probabilities: NDArray[np.float64],
    truth: NDArray[np.intp],
    passed: NDArray[np.bool_],
    threshold: float,
    prefix: str,
) -> dict[str, float]:
    """Return what the manifest states; `measured` is what is taken for A4C or A2C and passes the guards."""
    answers = decide(probabilities, threshold)
    apical = np.isin(answers, APICAL)
    measured, right = apical & passed, answers == truth
    found = {
        f"{prefix}_frames": len(truth),
        f"{prefix}_accuracy": round(float((probabilities.argmax(1) == truth).mean()), 3),
        f"{prefix}_accuracy_with_abstention": round(float(right.mean()), 3),
        f"{prefix}_apical_precision": round(float(right[apical].mean()) if apical.any() else 0.0, 3),
        f"{prefix}_measured_precision": round(float(right[measured].mean()) if measured.any() else 0.0, 3),
    }
    for label in APICAL:
        if (truth == label).any():
            recall = float((right & measured)[truth == label].mean())
            found[f"{prefix}_measured_{LABELS[label].lower()}_recall"] = round(recall, 3)
    for label, name in enumerate(LABELS):
        if (truth == label).any():
            found[f"{prefix}_{name.lower()}_recall"] = round(float((answers == label)[truth == label].mean()), 3)
    return found


if __name__ == "__main__":
    main()
