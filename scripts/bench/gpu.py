"""Measure the engines on an NVIDIA GPU: torch against ours, alone and in a whole study.

python scripts/bench/gpu.py [--engines FOLDER] [--study FOLDER] [--out FILE]

Each engine runs in torch (eager, and as one CUDA graph, each in the faster of both memory layouts) and in our runtime
(TensorRT or TensorRT-RTX), in fp32 without TF32 and in fp16. `device` roads keep their data on the card; `host` roads
bring frames from host memory and answers back, as the node does. What refuses is a row with its reason. Torch runs the
very artefact, node by node (torch_network.py). The limit is a measured matrix product in the same precision.
"""

from __future__ import annotations

import argparse
import hashlib
import platform
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from echo_scp.errors import EchoScpError, GpuError
from echo_scp.inference.building import flavour, load_tensorrt
from echo_scp.inference.catalogue import list_manifests, shipped_folder
from echo_scp.inference.device import GpuIdentity, probe_gpu
from echo_scp.inference.half import half_precision
from echo_scp.inference.manifest import Artefact, Manifest, Precision
from echo_scp.inference.onnxruntime import OnnxRuntimeEngine

BATCHES = (1, 16, 64)
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engines", type=Path, default=shipped_folder())
    parser.add_argument("--study", type=Path, help="folder for the study of 80 instances; without it no study is run")
    parser.add_argument("--out", type=Path, help="file for the report, beside standard output")
    arguments = parser.parse_args()
    gpu = _need_gpu()
    with tempfile.TemporaryDirectory() as folder:
        report = "\n\n".join(_report(arguments.engines, arguments.study, Path(folder), gpu))
    print(report)
    if arguments.out is not None:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(report + "\n", encoding="utf-8")


def _need_gpu() -> GpuIdentity:
    """Return the GPU; end the program with a sentence when there is none, or no torch that sees it."""
    try:
        gpu = probe_gpu()
    except GpuError as error:
        raise SystemExit(f"gpu.py measures on an NVIDIA GPU, and there is none: {error}") from None
    try:
        import torch
    except ImportError:
        raise SystemExit("gpu.py compares with torch: install the extra 'train' with torch's CUDA build") from None
    if not torch.cuda.is_available():
        raise SystemExit(f"gpu.py compares with torch, and torch {torch.__version__} does not see the {gpu.name}")
    return gpu


def _report(engines: Path, study: Path | None, folder: Path, gpu: GpuIdentity) -> Iterator[str]:
    from gpu_table import markdown

    yield _heading(gpu)
    halved = [_with_half(manifest, folder / "engines") for manifest in list_manifests(engines)]
    rows = [row for manifest in halved for row in _engine_rows(manifest, folder)]
    yield markdown(rows)
    if study is not None:
        from gpu_study import study_table

        yield study_table(study, folder / "engines", folder / "plans")


def _heading(gpu: GpuIdentity) -> str:
    import torch

    try:
        ours = flavour(load_tensorrt())
    except GpuError as error:
        ours = error.detail
    capability = "{}.{}".format(*gpu.compute_capability)
    return (
        f"# Engines on {gpu.name}\n\n{datetime.now(UTC):%Y-%m-%d}, compute capability {capability}, "
        f"driver {gpu.driver}, {platform.processor() or platform.machine()}, torch {torch.__version__}, {ours}."
    )


def _with_half(manifest: Manifest, folder: Path) -> Manifest:
    """Return a copy of the engine below `folder` that has an fp16 artefact; its own when it brings one."""
    target = folder / manifest.name
    shutil.copytree(manifest.folder, target)
    copy = manifest.model_copy(update={"folder": target})
    if "fp16" in manifest.artefacts:
        return copy
    content = half_precision(manifest.artefact_path("fp32").read_bytes())
    artefact = Artefact(file="half.onnx", sha256=hashlib.sha256(content).hexdigest())
    (target / artefact.file).write_bytes(content)
    table = f'[artefacts.fp16]\nfile = "{artefact.file}"\nsha256 = "{artefact.sha256}"\n\n'
    text = (target / "manifest.toml").read_text(encoding="utf-8")
    (target / "manifest.toml").write_text(text.replace("[input]\n", f"{table}[input]\n", 1), encoding="utf-8")
    return copy.model_copy(update={"artefacts": {**copy.artefacts, "fp16": artefact}})


def _engine_rows(manifest: Manifest, folder: Path) -> Iterator[object]:
    from gpu_roads import ROADS, Case, measure_limit, prepare_torch
    from gpu_table import time_runs
    from network_cost import flops

    prepare_torch()
    cost = flops(manifest.artefact_path("fp32"), manifest.input_shape)
    frames = np.random.default_rng(0).random((max(BATCHES), *manifest.input_shape), dtype=np.float32)
    labels = OnnxRuntimeEngine(manifest).run(frames).argmax(1)
    for precision in PRECISIONS:
        limit = measure_limit(precision, lambda run, wait: time_runs(run, wait).period_ms / 1000)
        for batch in BATCHES:
            case = Case(manifest, precision, frames[:batch], folder)
            for road in ROADS:
                yield _row(case, road, cost / limit, labels[:batch])


def _row(case, road, item_s_at_limit, labels):
    from gpu_roads import opened
    from gpu_table import Row, time_runs

    best, note = None, ""
    for variant in road.variants:
        try:
            with opened(variant, case) as (run, wait):
                note = _agreement(run(), labels)
                timing = time_runs(run, wait)
        except (EchoScpError, RuntimeError) as error:
            note = f"refused: {error}".replace("\n", " ")[:160]
            continue
        if best is None or timing.period_ms < best.period_ms:
            best = timing
    batch = len(case.frames)
    share = None if best is None else 1000 * batch * item_s_at_limit / best.period_ms
    return Row(case.manifest.name, case.precision, batch, road.name, best, share, note)


def _agreement(answer: object, labels: np.ndarray) -> str:
    """Tell how often a host road's label is that of ONNX Runtime in fp32."""
    if not isinstance(answer, np.ndarray):
        return ""
    return f"labels agree {(answer.argmax(1) == labels).mean():.4f}"


if __name__ == "__main__":
    main()
