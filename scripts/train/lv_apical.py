"""Train the `lv-apical` engine: LV cavity, myocardium and left atrium in A4C and A2C.

    pip install '.[train]'
    python scripts/train/lv_apical.py --data FOLDER --out engines/lv-apical

FOLDER holds camus-a4c.npz and camus-a2c.npz (CAMUS frames as arrays `images`, `labels`, `meta`). About two hours on two
cores. The weights with the best mean Dice on the valid patients are kept; the A2C patients are only tested on.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import augment
import camus
import numpy as np
import torch
from engine_folder import EngineFolder, write_engine
from learning import Batch, ahead, follow
from network import STRIDE, UNet
from numpy.typing import NDArray
from phantom_frames import random_frame
from restore import normalise_again, restore
from segmentation_scores import Scores, score
from torch.nn import functional

from echo_scp.model import View

SIZE = 192  # of the shipped network
LEARN_SIZE = 160  # the first phase sees coarser frames: a third faster
SOURCE_SIZE = 256
BATCH = 16
RESTORING_BATCHES = 20  # that give a restored network its statistics back
ENCODER_SHARE = 0.5  # of the learning rate: its features are not new


@dataclass(frozen=True)
class Phase:
    """One run through a learning-rate schedule.

    `strength` is the augmentation's, `decay` that of the averaged weights, `phantoms` their number per real frame.
    With `trims` most batches are cut to the canvases that letterboxed pictures leave.
    """

    name: str
    size: int
    epochs: int
    learning_rate: float
    strength: float
    decay: float
    phantoms: float
    trims: bool = False


@dataclass(frozen=True)
class Canvas:
    """What is left of the square, centred, and how much smaller the picture in it is; `share` of the batches."""

    rows: int
    columns: int
    zoom: float
    share: float


CANVASES = (
    Canvas(SIZE, SIZE, 1.0, 0.3),
    Canvas(160, SIZE, 1.0, 0.5),  # 4:3, and most of CAMUS
    Canvas(128, SIZE, 0.8, 0.1),  # 16:9
    Canvas(SIZE, 160, 1.0, 0.1),
)
PHASES = (
    Phase("learn", LEARN_SIZE, 26, 2e-3, 1.0, 0.99, 0.12),
    Phase("settle", SIZE, 12, 1e-3, 0.4, 0.99, 0.12),
    Phase("polish", SIZE, 8, 5e-4, 0.15, 0.99, 0.12),
    Phase("balance", SIZE, 4, 5e-4, 0.15, 0.98, 0.4),
    Phase("trim", SIZE, 18, 1e-3, 0.6, 0.995, 0.15, trims=True),
    Phase("finish", SIZE, 14, 6e-4, 0.3, 0.99, 0.2, trims=True),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with camus-a4c.npz and camus-a2c.npz")
    parser.add_argument("--out", type=Path, required=True, help="engine folder to write")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--phantoms", type=int, default=400, help="phantom frames in the pool")
    parser.add_argument("--checkpoint", type=Path, default=Path("build/lv-apical.pt"))
    skips = range(len(PHASES))
    parser.add_argument("--skip-phases", type=int, choices=skips, default=0, help="go on from an earlier checkpoint")
    parser.add_argument("--artefact", type=Path, help="with --skip-phases: go on from this model.onnx instead")
    parser.add_argument("--export-only", action="store_true", help="write the engine folder from the checkpoint")
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    arguments.checkpoint.parent.mkdir(parents=True, exist_ok=True)
    if not arguments.export_only:
        train(arguments)
    valid = camus.read(arguments.data / "camus-a4c.npz", "valid", SIZE)
    model = UNet(len(camus.LABELS))
    model.load_state_dict(torch.load(arguments.checkpoint, weights_only=True))
    test = camus.read(arguments.data / "camus-a2c.npz", None, SIZE)
    write(arguments, model.eval(), score(model, valid), score(model, test))


def train(arguments: argparse.Namespace) -> None:
    """Run the phases; keep the averaged weights with the best mean Dice on valid patients.

    The first phase learns under the full augmentation, on coarser frames. The others settle at full size and under less
    of it: outlines get as sharp as ordinary pictures allow without forgetting the others. "balance" sees more phantoms:
    they are all the A2C there is, and the only hearts of known EF. The last two learn on the canvases that pictures of
    every shape leave, where what lies at the border, often the atrium, has no black beyond it.
    """
    rng = np.random.default_rng(arguments.seed)
    real = camus.read(arguments.data / "camus-a4c.npz", "train", SOURCE_SIZE)
    pool = Pool(*add_phantoms(real, arguments.phantoms, rng), len(real.images))
    model = UNet(len(camus.LABELS)).to(memory_format=torch.channels_last)
    model.encoder.load_imagenet()
    if arguments.artefact is not None:
        take_back(model, arguments.artefact, PHASES[arguments.skip_phases], pool, rng)
        torch.save(model.state_dict(), arguments.checkpoint)
    for phase in PHASES[arguments.skip_phases :]:
        if phase is not PHASES[0]:
            model.load_state_dict(torch.load(arguments.checkpoint, weights_only=True))
        run_phase(phase, model, pool, arguments, rng)


def take_back(model: UNet, artefact: Path, phase: Phase, pool: Pool, rng: np.random.Generator) -> None:
    """Make `model` what `artefact` was exported from, ready to learn on in `phase`."""
    restore(model, artefact)
    normalise_again(model, (x for x, _ in batches(pool, phase, RESTORING_BATCHES, rng)))


@dataclass(frozen=True)
class Pool:
    """Frames and labels (N, S, S): `real` real ones first, phantoms after them."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    real: int

    def epoch_order(self, share: float, rng: np.random.Generator) -> NDArray[np.intp]:
        """Return every real frame once, and a draw of phantoms."""
        count = round(share * self.real)
        phantoms = rng.choice(np.arange(self.real, len(self.images)), count, replace=False)
        return rng.permutation(np.concatenate([np.arange(self.real), phantoms]))


def run_phase(
    phase: Phase,
    model: UNet,
    pool: Pool,
    arguments: argparse.Namespace,
    rng: np.random.Generator,
) -> None:
    """Train for a phase; the best averaged weights of it go to the checkpoint."""
    valid = camus.read(arguments.data / "camus-a4c.npz", "valid", phase.size)
    steps = len(pool.epoch_order(phase.phantoms, np.random.default_rng(0))) // BATCH
    average = copy.deepcopy(model)
    groups = [{"params": model.encoder.parameters()}, {"params": model.decoder.parameters()}]
    optimiser = torch.optim.AdamW(groups, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser,
        max_lr=[ENCODER_SHARE * phase.learning_rate, phase.learning_rate],
        total_steps=phase.epochs * steps + 1,
        pct_start=0.2,
    )
    best, started = 0.0, time.monotonic()
    for epoch in range(1, phase.epochs + 1):
        losses = []
        for x, y in ahead(batches(pool, phase, steps, rng)):
            losses.append(learn(model, optimiser, x, y))
            schedule.step()
            follow(average, model, phase.decay)
        if epoch % 2 == 0 or epoch == phase.epochs:
            scores = score(average, valid)
            kept = scores.mean_dice > best
            if kept:
                best = scores.mean_dice
                torch.save(average.state_dict(), arguments.checkpoint)
            elapsed = time.monotonic() - started
            line = f"{phase.name} {epoch} loss {np.mean(losses):.4f} {scores.line} kept {kept} {elapsed:.0f} s"
            print(line, flush=True)


def batches(pool: Pool, phase: Phase, steps: int, rng: np.random.Generator) -> Iterator[Batch]:
    for chosen in np.array_split(pool.epoch_order(phase.phantoms, rng)[: steps * BATCH], steps):
        yield make_batch(pool.images[chosen], pool.labels[chosen], phase, rng)


def add_phantoms(
    real: camus.LabelledFrames, count: int, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the real frames followed by `count` phantom frames, half A4C and half A2C."""
    drawn = [random_frame((View.A4C, View.A2C)[k % 2], SOURCE_SIZE, rng) for k in range(count)]
    images = np.concatenate([real.images, np.stack([image for image, _ in drawn])])
    return images, np.concatenate([real.labels, np.stack([labels for _, labels in drawn])])


def make_batch(images: NDArray[np.uint8], labels: NDArray[np.uint8], phase: Phase, rng: np.random.Generator) -> Batch:
    canvas = Canvas(phase.size, phase.size, 1.0, 1.0)
    if phase.trims:
        canvas = CANVASES[rng.choice(len(CANVASES), p=[one.share for one in CANVASES])]
    pairs = [
        augment.augment(image, label, phase.size, rng, phase.strength, canvas.zoom)
        for image, label in zip(images, labels, strict=True)
    ]
    kept = camus.middle((phase.size, phase.size), (canvas.rows, canvas.columns))
    pairs = [(image[kept], label[kept]) for image, label in pairs]
    x = torch.from_numpy(np.stack([image for image, _ in pairs])[:, None])
    y = torch.from_numpy(np.stack([label for _, label in pairs]).astype(np.int64))
    return x.contiguous(memory_format=torch.channels_last), y


def learn(model: UNet, optimiser: torch.optim.Optimizer, x: torch.Tensor, y: torch.Tensor) -> float:
    model.train()
    logits = model(x)
    loss = functional.cross_entropy(logits, y) + dice_loss(logits, y)
    optimiser.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()
    return float(loss.detach())


def dice_loss(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    probabilities = logits.softmax(1)
    truth = functional.one_hot(y, logits.shape[1]).permute(0, 3, 1, 2).float()
    overlap = (probabilities * truth).sum((0, 2, 3))
    total = (probabilities + truth).sum((0, 2, 3))
    return 1 - (2 * overlap[1:] / (total[1:] + 1)).mean()


def write(arguments: argparse.Namespace, model: UNet, valid: Scores, test: Scores) -> None:
    """Export the network and write its manifest and metrics."""
    folder = EngineFolder(
        path=arguments.out,
        name="lv-apical",
        version="2.1.0",
        task="segmentation",
        licence="CC-BY-NC-SA-4.0",
        views=("A4C", "A2C"),
        size=SIZE,
        multiple_of=STRIDE,
        labels=camus.LABELS,
        data="CAMUS A4C, 399 patients at ED and ES (Leclerc et al., IEEE TMI 38(9) 2019), and synthetic phantom frames",
        script="scripts/train/lv_apical.py",
        seed=arguments.seed,
    )
    metrics = valid.metrics("camus_a4c_valid") | test.metrics("camus_a2c_test")
    write_engine(folder, model, metrics)


if __name__ == "__main__":
    main()
