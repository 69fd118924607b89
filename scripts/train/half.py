"""Add the fp16 artefact to an engine, for GPUs: half weights and arithmetic, float32 input and output.

python scripts/train/half.py --engine engines/lv-apical

No data is needed. ONNX Runtime on the CPU runs both artefacts on synthetic cines; how often they name another label
is printed, and more than 1 in 1000 places is an error.
"""

from __future__ import annotations

import argparse
import hashlib
import re
from pathlib import Path

import numpy as np

from echo_scp.inference.framing import framing
from echo_scp.inference.half import half_precision
from echo_scp.inference.manifest import Manifest, read_manifest
from echo_scp.inference.onnxruntime import OnnxRuntimeEngine
from echo_scp.model import Region, View
from echo_scp.phantom.heart import Heart
from echo_scp.phantom.scene import Rhythm, Scanner, render

FILE = "model-fp16.onnx"
LARGEST_CHANGE = 0.001
ROWS, COLUMNS, FRAMES = 480, 640, 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", type=Path, required=True)
    folder = parser.parse_args().engine
    manifest = read_manifest(folder)
    content = half_precision(manifest.artefact_path("fp32").read_bytes())
    (folder / FILE).write_bytes(content)
    write_artefact(folder / "manifest.toml", hashlib.sha256(content).hexdigest())
    change = changed_labels(read_manifest(folder))
    print(f"{folder / FILE}: {len(content) / 1e6:.1f} MB, {change:.5f} of the labels change")
    if change > LARGEST_CHANGE:
        raise SystemExit(f"{folder}: fp16 changes {change:.4f} of the labels, allowed are {LARGEST_CHANGE}")


def write_artefact(path: Path, sha256: str) -> None:
    """Name the artefact in the manifest, in place of an earlier one."""
    text = re.sub(r"\n\[artefacts\.fp16\]\n[^\[]*", "\n", path.read_text(encoding="utf-8"))
    table = f'[artefacts.fp16]\nfile = "{FILE}"\nsha256 = "{sha256}"\n\n'
    path.write_text(text.replace("[input]\n", f"{table}[input]\n", 1), encoding="utf-8")


def changed_labels(manifest: Manifest) -> float:
    """Return the share of places, or of frames, whose most likely label is another one in fp16."""
    batch = np.concatenate([cine_batch(manifest, view) for view in (View.A4C, View.A2C, View.PLAX)])
    whole, half = (OnnxRuntimeEngine(manifest, precision).run(batch) for precision in ("fp32", "fp16"))
    return float((whole.argmax(1) != half.argmax(1)).mean())


def cine_batch(manifest: Manifest, view: View) -> np.ndarray:
    rhythm = Rhythm(68.0, 8.0, FRAMES, first_phase=0.85)
    frames = render(Heart(view, 118.0, 56.0, 84.0), Scanner(ROWS, COLUMNS, depth_mm=158.0, seed=5), rhythm).frames
    return framing(Region(0, 0, COLUMNS, ROWS, None), manifest.input, frames.shape).batch(frames)


if __name__ == "__main__":
    main()
