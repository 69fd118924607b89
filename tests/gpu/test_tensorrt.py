"""The shipped engines on a GPU answer as they do on the CPU: logits, outlines, and ejection fractions.

Run on a machine with a GPU: python -m pytest tests/gpu tests/contract -m gpu
"""

from __future__ import annotations

import hashlib
import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from echo_scp.config import AnalysisConfig, Config
from echo_scp.errors import GpuError, GpuFault
from echo_scp.inference.batching import SLOTS
from echo_scp.inference.catalogue import Engines, list_manifests, shipped_folder
from echo_scp.inference.framing import framing
from echo_scp.inference.half import half_precision
from echo_scp.inference.manifest import Artefact, Manifest, Precision
from echo_scp.inference.onnxruntime import OnnxRuntimeEngine
from echo_scp.inference.plans import PLAN_SUFFIX
from echo_scp.inference.runtime import build_ahead, open_engine
from echo_scp.inference.tensorrt import BUCKETS
from echo_scp.model import Region, View
from echo_scp.phantom.heart import Heart
from echo_scp.phantom.scene import Rhythm, Scanner, render

pytestmark = pytest.mark.gpu

ROWS, COLUMNS, FRAMES = 480, 640, 48
# Largest difference of a logit, as a share of the largest logit. fp32 is without TF32; both int8 roads round alike but
# add up in another order; fp16 has 11 bits.
TOLERANCE: dict[Precision, float] = {"fp32": 1e-3, "fp16": 2e-2, "int8": 1e-1}
LOWEST_DICE = 0.995
SMALLEST_PX = 50  # per frame: smaller patches of a label are no structure
LARGEST_EF_DIFFERENCE = 0.5  # points

SHIPPED = [
    pytest.param(manifest, precision, id=f"{manifest.name}-{precision}")
    for manifest in list_manifests(shipped_folder())
    for precision in sorted({*manifest.artefacts, "fp16"})
]


@pytest.fixture
def config(tmp_path: Path) -> AnalysisConfig:
    return AnalysisConfig(
        runtime="tensorrt", fall_back_to_cpu=False, plan_folder=tmp_path / "plans", batch_frames=BUCKETS[-1]
    )


def with_precision(manifest: Manifest, precision: Precision, folder: Path) -> Manifest:
    """Return the engine with an fp16 artefact made from its fp32 one, when it brings none of its own."""
    if precision in manifest.artefacts:
        return manifest
    shutil.copytree(manifest.folder, folder / manifest.name)
    content = half_precision(manifest.artefact_path("fp32").read_bytes())
    (folder / manifest.name / "half.onnx").write_bytes(content)
    artefact = Artefact(file="half.onnx", sha256=hashlib.sha256(content).hexdigest())
    changes = {"folder": folder / manifest.name, "artefacts": {**manifest.artefacts, "fp16": artefact}}
    return manifest.model_copy(update=changes)


def make_frames(view: View = View.A4C) -> np.ndarray:
    """Return a phantom's cine of more than one beat (FRAMES, ROWS, COLUMNS)."""
    heart = Heart(view, 118.0, 56.0, 84.0)
    cine = render(heart, Scanner(ROWS, COLUMNS, depth_mm=158.0, seed=5), Rhythm(68.0, 40.0, FRAMES, first_phase=0.85))
    return cine.frames


def make_batch(manifest: Manifest, frames: np.ndarray) -> np.ndarray:
    box = framing(Region(0, 0, COLUMNS, ROWS, None), manifest.input, frames.shape)
    return box.batch(frames)


def dice(one: np.ndarray, other: np.ndarray) -> float:
    total = int(one.sum()) + int(other.sum())
    return 1.0 if total == 0 else 2.0 * int((one & other).sum()) / total


@pytest.mark.parametrize(("shipped", "precision"), SHIPPED)
def test_logits_are_those_of_onnxruntime(shipped, precision, config, tmp_path):
    """Of the same artefact, within the tolerance that its arithmetic explains."""
    manifest = with_precision(shipped, precision, tmp_path)
    batch = make_batch(manifest, make_frames())
    expected = OnnxRuntimeEngine(manifest, precision).run(batch)

    engine = open_engine(manifest, config.model_copy(update={"precision": precision}))
    logits = engine.run(batch)
    engine.close()

    assert engine.identity == manifest.identity(precision)
    assert np.abs(logits - expected).max() <= TOLERANCE[precision] * np.abs(expected).max()


@pytest.mark.parametrize("view", [View.A4C, View.A2C])
@pytest.mark.parametrize(("shipped", "precision"), [p for p in SHIPPED if p.values[0].task == "segmentation"])
def test_outlines_are_those_of_onnxruntime(shipped, precision, view, config, tmp_path):
    """Dice per structure over a clip; fp16 against fp32, which the CPU runs in its place."""
    manifest = with_precision(shipped, precision, tmp_path)
    batch = make_batch(manifest, make_frames(view))
    expected = OnnxRuntimeEngine(manifest, "fp32" if precision == "fp16" else precision).run(batch).argmax(1)

    engine = open_engine(manifest, config.model_copy(update={"precision": precision}))
    labels = engine.run(batch).argmax(1)
    engine.close()

    seen = [channel for channel, count in enumerate(np.bincount(expected.ravel())) if count >= SMALLEST_PX * FRAMES]
    assert len(seen) >= 2
    assert min(dice(labels == channel, expected == channel) for channel in seen) >= LOWEST_DICE


@pytest.mark.parametrize("count", [1, 2, 5, 16, 63, 64, 65, 200])
def test_every_number_of_frames_is_answered(count, config):
    """Through every bucket, both slots, and more chunks than slots."""
    manifest = next(manifest for manifest in list_manifests(shipped_folder()) if manifest.task == "view")
    batch = np.random.default_rng(count).random((count, *manifest.input_shape), dtype=np.float32)
    expected = OnnxRuntimeEngine(manifest).run(batch)

    engine = open_engine(manifest, config)
    answers = [engine.run(batch) for _ in range(1 + SLOTS)]
    engine.close()

    for logits in answers:
        assert np.abs(logits - expected).max() <= TOLERANCE["fp32"] * max(1.0, np.abs(expected).max())


def test_a_plan_built_ahead_is_what_the_node_finds(config):
    """`engines build` tells its progress; the start after it builds nothing."""
    manifest = next(iter(list_manifests(shipped_folder())))
    shares: list[float] = []
    identity = build_ahead(manifest, config, lambda phase, share: shares.append(share))
    (plan,) = config.plan_folder.glob(f"*{PLAN_SUFFIX}")
    written = plan.stat().st_mtime_ns

    open_engine(manifest, config).close()

    assert identity == manifest.identity("fp32")
    assert shares[-1] == 1.0
    assert plan.stat().st_mtime_ns == written


def test_a_damaged_plan_is_built_anew(config):
    """Half a file, as after a full disk."""
    manifest = next(iter(list_manifests(shipped_folder())))
    open_engine(manifest, config).close()
    (plan,) = config.plan_folder.glob(f"*{PLAN_SUFFIX}")
    whole = plan.read_bytes()
    plan.write_bytes(whole[: len(whole) // 2])

    open_engine(manifest, config).close()

    assert plan.stat().st_size > len(whole) // 2


def test_memory_that_is_not_allowed_is_a_typed_error(config):
    """Not even one frame fits."""
    manifest = next(iter(list_manifests(shipped_folder())))

    with pytest.raises(GpuError) as caught:
        open_engine(manifest, config.model_copy(update={"gpu_memory_mb": 1}))

    assert caught.value.fault is GpuFault.OUT_OF_MEMORY


def test_engines_give_all_their_memory_back(config):
    """Opened and closed many times, the card has as much free as after the first time."""
    manifest = next(iter(list_manifests(shipped_folder())))
    open_engine(manifest, config).close()
    free_before = free_bytes(config, manifest)

    for _ in range(10):
        open_engine(manifest, config).close()

    assert free_bytes(config, manifest) >= free_before - (64 << 20)


def free_bytes(config: AnalysisConfig, manifest: Manifest) -> int:
    """Return the card's free memory, asked while an engine holds the context."""
    cuda = pytest.importorskip("cuda.bindings.driver", reason="cuda-bindings is not installed")
    engine = open_engine(manifest, config)
    with engine._device.current():
        status, free, _ = cuda.cuMemGetInfo()
    engine.close()
    assert status == cuda.CUresult.CUDA_SUCCESS
    return int(free)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Write a synthetic study with A4C and A2C cines."""
    from echo_scp.phantom.study import write_study

    write_study(tmp_path / "study", seed=3)
    return tmp_path / "study"


def open_engines(config: AnalysisConfig, folder: Path) -> Engines:
    """Open the two default engines; where they lack an fp16 artefact, with one made for the test."""
    manifests = {manifest.name: manifest for manifest in list_manifests(shipped_folder())}
    if config.precision == "fp16":
        manifests = {name: with_precision(manifest, "fp16", folder) for name, manifest in manifests.items()}
    return Engines(*(open_engine(manifests[name], config) for name in (config.view_engine, config.segmentation_engine)))


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_ejection_fractions_are_those_of_the_cpu(precision, config, study, tmp_path):
    """Through the whole pipeline: the same clips measured, their EF within half a point."""
    from echo_scp.folder import find_studies
    from echo_scp.pipeline import Pipeline, Request

    ((files,), _) = find_studies([study])
    found = {}
    for runtime in ("onnxruntime", "tensorrt"):
        analysis = config.model_copy(update={"runtime": runtime, "precision": precision})
        engines = open_engines(analysis, tmp_path / runtime)
        pipeline = Pipeline(Config(analysis=analysis), engines)
        request = Request(files.study_instance_uid, 1, files.instances, datetime(2026, 1, 1, tzinfo=UTC))
        clips = pipeline.analyse(request, lambda file, content: None).analysis.clips
        engines.view.close()
        engines.segmentation.close()
        measured = [clip for clip in clips if clip.measurement is not None]
        found[runtime] = {clip.instance.sop_instance_uid: clip.measurement.ef_percent for clip in measured}

    assert found["tensorrt"].keys() == found["onnxruntime"].keys() != set()
    for uid, ef in found["tensorrt"].items():
        assert abs(ef - found["onnxruntime"][uid]) <= LARGEST_EF_DIFFERENCE
