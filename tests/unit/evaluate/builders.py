"""Synthetic truth: a heart drawn as labels, pictures whose grey level is the label, and an engine that reads it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from echo_scp.config import Config
from echo_scp.evaluate.case import Phase
from echo_scp.evaluate.evaluator import Evaluator, Settings
from echo_scp.evaluate.outcome import Against, CaseResult, ClipOutcome, Comparison, FrameScore, Quantity
from echo_scp.inference.catalogue import Engines
from echo_scp.model import Structure, View
from echo_scp.pipeline import Pipeline
from tests.unit.fakes import FakeEngine, make_manifest
from tests.unit.inference.manifests import VALID

GREY_PER_LABEL = 60
SIDE = 128


def heart_labels(length: float = 70.0, width: float = 44.0, side: int = SIDE) -> np.ndarray:
    """Return labels (side, side): half an ellipse of a ventricle, base down, a wall around it, an atrium below."""
    rows, columns = np.mgrid[0:side, 0:side] + 0.5
    base, middle = 96.0, side / 2
    above = rows <= base

    def inside(along: float, across: float) -> np.ndarray:
        return ((rows - base) / along) ** 2 + ((columns - middle) / (across / 2)) ** 2 <= 1

    labels = np.zeros((side, side), dtype=np.uint8)
    labels[inside(24, width + 4) & ~above] = 3
    labels[inside(length + 7, width + 14) & above] = 2
    labels[inside(length, width) & above] = 1
    return labels


def picture_of(labels: np.ndarray) -> np.ndarray:
    return (labels * GREY_PER_LABEL).astype(np.uint8)


def reading_engine() -> FakeEngine:
    """Segment by grey level: exact on pictures made with `picture_of`, but for the resampling."""

    def answer(batch):
        distance = np.stack([np.abs(batch[:, 0] * 255 - GREY_PER_LABEL * k) for k in range(4)], axis=1)
        return (-distance).astype(np.float32)

    return FakeEngine(make_manifest("segmentation", SIDE), answer)


def blind_engine() -> FakeEngine:
    """See nothing anywhere."""

    def answer(batch):
        logits = np.zeros((len(batch), 4, *batch.shape[2:]), dtype=np.float32)
        logits[:, 0] = 5
        return logits

    return FakeEngine(make_manifest("segmentation", SIDE), answer)


def failing_engine() -> FakeEngine:
    def answer(batch):
        raise RuntimeError("boom")

    return FakeEngine(make_manifest("segmentation", SIDE), answer)


def view_engine(view: int = 0) -> FakeEngine:
    row = np.full((1, 4), -4, dtype=np.float32)
    row[0, view] = 4
    return FakeEngine(make_manifest("view"), lambda batch: np.repeat(row, len(batch), axis=0))


def regressing_engine(ef_percent: float) -> FakeEngine:
    """Give one EF for any frame of an A4C clip."""
    manifest = make_manifest("ejection_fraction", **VALID["ejection_fraction"])
    return FakeEngine(manifest, lambda batch: np.full((len(batch), 1), ef_percent, dtype=np.float32))


def make_settings(**changes) -> Settings:
    return Settings(Config(), **changes)


def make_evaluator(
    segmentation: FakeEngine | None = None, view: int = 0, additional: tuple[FakeEngine, ...] = (), **settings
) -> Evaluator:
    engines = Engines(view_engine(view), segmentation or reading_engine(), additional)
    chosen = make_settings(**settings)
    return Evaluator(Pipeline(chosen.config, engines), chosen)


def write_archive(path: Path, patients: int = 3, split: bool = True, **numbers: float) -> Path:
    """Write ED and ES of so many patients, each with a larger heart; every second patient is 'valid'."""
    images, labels, meta = [], [], []
    for number in range(patients):
        for phase, shrink in (("ED", 1.0), ("ES", 0.75)):
            drawn = heart_labels(length=60 + 3 * number, width=(40 + 2 * number) * shrink)
            images.append(picture_of(drawn))
            labels.append(drawn)
            row = (f"patient{number:04d}", phase, "valid" if number % 2 else "train", 0.9, 0.9)
            meta.append((*row, *numbers.values()))
    fields = [("patient", "U11"), ("phase", "U2"), ("split", "U5"), ("mm_per_px_y", "f4"), ("mm_per_px_x", "f4")]
    table = np.array(meta, dtype=[*fields, *((name, "f4") for name in numbers)])
    if not split:
        kept = [name for name in table.dtype.names if name != "split"]
        table = np.array(table[kept].tolist(), dtype=[(name, table.dtype[name]) for name in kept])
    np.savez(path, images=np.stack(images), labels=np.stack(labels), meta=table)
    return path


def make_comparison(measured: float | None, truth: float, **changes) -> Comparison:
    values = {
        "quantity": Quantity.EF,
        "measured_by": "A4C cine",
        "against": Against.REFERENCE,
        "clip": "clip",
        "truth": truth,
        "measured": measured,
    }
    return Comparison(**(values | changes))


def make_score(dice: float | None, **changes) -> FrameScore:
    values = {
        "clip": "clip",
        "view": View.A4C,
        "phase": Phase.END_DIASTOLE,
        "structure": Structure.LV_CAVITY,
        "dice": dice,
        "intersection_over_union": dice,
        "hausdorff95": None if not dice else 2.0,
        "calibrated": True,
    }
    return FrameScore(**(values | changes))


def make_result(identifier: str = "a", **changes) -> CaseResult:
    values = {
        "identifier": identifier,
        "patient": identifier,
        "change": "unchanged",
        "sex": None,
        "clips": (ClipOutcome("clip"),),
        "frames": (),
        "comparisons": (),
    }
    return CaseResult(**(values | changes))
