"""Try an engine as a start of the node would, and further: whole, loadable, finite, the same alone and in a batch.

The shipped engines must also know the answer to synthetic frames, so that a runtime, a processor or a driver that
computes something else is found before a patient's study is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from echo_scp.config import AnalysisConfig
from echo_scp.errors import EchoScpError
from echo_scp.inference.answers import label_logits
from echo_scp.inference.catalogue import EngineFolder, check_role, roles_of
from echo_scp.inference.engine import Batch, Engine
from echo_scp.inference.framing import Framing, framing
from echo_scp.inference.manifest import Manifest
from echo_scp.inference.runtime import open_engine
from echo_scp.model import Region, Structure, View

LEAST_LV_DICE = 0.85  # on synthetic frames; the shipped engines reach 0.95 and more
LARGEST_DIFFERENCE = {"fp32": 1e-3, "fp16": 5e-2, "int8": 1e-1}  # of logits, alone against in a batch

_REPLACE = "put the folder back as it was delivered, or: echo-scp engines rollback"
_RUNTIME = "see the message; the processor runs every shipped engine: analysis.runtime = 'onnxruntime'"
_EXPORT = "export the network again: evaluation mode, first axis free, mean and std as in its manifest"
_KNOWN = "do not use it here; compare with analysis.runtime = 'onnxruntime' and precision = 'fp32', install again"


@dataclass(frozen=True, slots=True)
class Probe:
    """A frame (H, W) of which the truth is known; `label_map` (H, W) counts as `structures` does, from 1."""

    view: View
    frame: NDArray[np.uint8]
    region: Region
    label_map: NDArray[np.uint8]
    structures: tuple[Structure, ...]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was tried; `fix` says what to do when it did not pass. `required` is False for a remark."""

    name: str
    passed: bool
    detail: str
    fix: str = ""
    required: bool = True

    @property
    def failed(self) -> bool:
        """Tell whether the engine must not be used."""
        return self.required and not self.passed


def verify(folder: EngineFolder, config: AnalysisConfig, probes: Sequence[Probe]) -> Iterator[Check]:
    """Yield one check after another; ends early where the next would have nothing to stand on. Raises nothing."""
    try:
        manifest = folder.read()
        for role in roles_of(folder.name, config):
            check_role(manifest, role)
    except EchoScpError as error:
        yield Check("manifest and hashes", False, str(error), f"{_REPLACE} {folder.name}")
        return
    hashes = ", ".join(f"{name} {artefact.sha256[:12]}" for name, artefact in manifest.artefacts.items())
    yield Check("manifest and hashes", True, hashes)
    try:
        # Falling back would verify another runtime than the one that was asked for.
        engine = open_engine(manifest, config.model_copy(update={"fall_back_to_cpu": False}))
    except EchoScpError as error:
        yield Check(f"loads in {config.runtime}", False, str(error), _RUNTIME)
        return
    yield Check(f"loads in {config.runtime}", True, f"tensors {manifest.input.tensor}, {manifest.output.tensor}")
    try:
        yield from _try(engine, config, folder.source == "shipped", probes)
    except EchoScpError as error:
        yield Check("runs", False, str(error), _RUNTIME)
    finally:
        engine.close()


def _try(engine: Engine, config: AnalysisConfig, shipped: bool, probes: Sequence[Probe]) -> Iterator[Check]:
    batch = make_batch(engine.manifest, 3)
    together = engine.run(batch)
    finite = bool(np.isfinite(together).all())
    yield Check("finite answers", finite, f"{together.shape} for {batch.shape}", _EXPORT)
    if not finite:
        return
    alone = np.concatenate([engine.run(one[None]) for one in batch])
    difference = float(np.abs(together - alone).max())
    allowed = LARGEST_DIFFERENCE[config.precision]
    detail = f"largest difference {difference:.1e}, allowed {allowed:.0e}"
    yield Check("alone as in a batch", difference <= allowed, detail, _EXPORT)
    yield from _known_answers(engine, shipped, probes)


def make_batch(manifest: Manifest, count: int) -> Batch:
    """Return noise in the shape that the engine takes, the same for the same `count`."""
    return np.random.default_rng(0).random((count, *manifest.input_shape), dtype=np.float32)


def _known_answers(engine: Engine, shipped: bool, probes: Sequence[Probe]) -> Iterator[Check]:
    """Compare with the truth of the probes; an engine of the site need not know synthetic frames."""
    manifest = engine.manifest
    if manifest.task == "view" and (known := [probe for probe in probes if probe.view in manifest.output.labels]):
        yield _known_views(engine, known, required=shipped)
    outlines_lv = manifest.task == "segmentation" and Structure.LV_CAVITY in manifest.output.labels
    if outlines_lv and (known := [probe for probe in probes if probe.view in manifest.views]):
        yield _known_outlines(engine, known, required=shipped)


def _known_views(engine: Engine, probes: Sequence[Probe], *, required: bool) -> Check:
    labels = engine.manifest.output.labels
    logits = (label_logits(engine.manifest, _answer(engine, probe)) for probe in probes)
    answers = [labels[int(values.argmax())] for values in logits]
    detail = ", ".join(f"{probe.view} taken for {answer}" for probe, answer in zip(probes, answers, strict=True))
    return Check("synthetic views", answers == [probe.view for probe in probes], detail, _KNOWN, required)


def _known_outlines(engine: Engine, probes: Sequence[Probe], *, required: bool) -> Check:
    dice = [_lv_dice(engine, probe) for probe in probes]
    found = ", ".join(f"{probe.view} {value:.3f}" for probe, value in zip(probes, dice, strict=True))
    passed = all(value >= LEAST_LV_DICE for value in dice)
    return Check("synthetic outlines", passed, f"LV Dice {found}; at least {LEAST_LV_DICE}", _KNOWN, required)


def _lv_dice(engine: Engine, probe: Probe) -> float:
    label_map = _framing(engine, probe).labels(_answer(engine, probe)[0], (probe.frame.shape[0], probe.frame.shape[1]))
    lv = engine.manifest.output.labels.index(Structure.LV_CAVITY)
    found, true = label_map == lv, probe.label_map == probe.structures.index(Structure.LV_CAVITY) + 1
    return float(2 * (found & true).sum() / max(1, found.sum() + true.sum()))


def _answer(engine: Engine, probe: Probe) -> Batch:
    return engine.run(_framing(engine, probe).batch(probe.frame[None]))


def _framing(engine: Engine, probe: Probe) -> Framing:
    return framing(probe.region, engine.manifest.input, probe.frame.shape)
