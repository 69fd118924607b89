"""What every engine runtime must do, run over each runtime with the shipped engines."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import numpy as np
import pytest

from echo_scp.errors import EngineError, ManifestError
from echo_scp.inference.catalogue import shipped_folder
from echo_scp.inference.engine import Engine
from echo_scp.inference.manifest import Manifest, read_manifest
from echo_scp.inference.onnxruntime import OnnxRuntimeEngine

Load = Callable[[Manifest], Engine]
RUNTIMES: dict[str, Load] = {"onnxruntime": OnnxRuntimeEngine}


@pytest.fixture(params=RUNTIMES)
def load(request: pytest.FixtureRequest) -> Load:
    return RUNTIMES[request.param]


@pytest.fixture(params=["lv-apical", "view"])
def manifest(request: pytest.FixtureRequest) -> Manifest:
    return read_manifest(shipped_folder() / request.param)


def make_batch(manifest: Manifest, count: int) -> np.ndarray:
    size = manifest.input.size
    return np.random.default_rng(0).random((count, 1, size, size), dtype=np.float32)


@pytest.mark.parametrize("count", [1, 3])
def test_any_batch_size_gives_one_answer_per_frame(load, manifest, count):
    """(N, labels, ...) float32, finite."""
    logits = load(manifest).run(make_batch(manifest, count))

    assert logits.shape[:2] == (count, len(manifest.output.labels))
    assert logits.dtype == np.float32
    assert np.isfinite(logits).all()


def test_a_frame_gets_the_same_answer_alone_and_in_a_batch(load, manifest):
    """Batching is an optimisation, never a change."""
    engine = load(manifest)
    batch = make_batch(manifest, 4)

    together = engine.run(batch)
    alone = np.concatenate([engine.run(frame[None]) for frame in batch])

    assert np.allclose(together, alone, atol=1e-3)


def test_a_batch_of_another_shape_is_refused(load, manifest):
    """The message says what was expected."""
    with pytest.raises(EngineError, match=f"{manifest.input.size}"):
        load(manifest).run(np.zeros((1, 1, 8, 8), dtype=np.float32))


def test_labels_that_do_not_fit_the_artefact_are_refused_at_load(load, manifest):
    """A manifest that promises another number of channels never runs."""
    output = manifest.output.model_copy(update={"labels": manifest.output.labels[:-1]})

    with pytest.raises(ManifestError, match=r"output\.labels"):
        load(manifest.model_copy(update={"output": output}))


@pytest.mark.parametrize("table", ["input", "output"])
def test_a_tensor_that_the_artefact_does_not_have_is_refused_at_load(load, manifest, table):
    """The manifest and the file must speak of the same tensors."""
    wrong = getattr(manifest, table).model_copy(update={"tensor": "absent"})

    with pytest.raises(ManifestError, match=rf"{table}\.tensor"):
        load(manifest.model_copy(update={table: wrong}))


def test_a_damaged_artefact_is_a_typed_error_that_names_the_file(load, manifest, tmp_path):
    """Whatever the runtime raised, the operator reads which file."""
    folder = tmp_path / manifest.name
    shutil.copytree(manifest.folder, folder)
    (folder / manifest.artefact).write_bytes(b"damaged")

    with pytest.raises(EngineError, match=manifest.artefact):
        load(manifest.model_copy(update={"folder": folder}))
