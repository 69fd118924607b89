"""What every engine runtime must do, run over each runtime with the shipped engines."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from echo_scp.config import AnalysisConfig
from echo_scp.errors import EngineError, ManifestError
from echo_scp.inference import tensorrt
from echo_scp.inference.catalogue import shipped_folder
from echo_scp.inference.engine import Engine
from echo_scp.inference.manifest import Manifest, read_manifest
from echo_scp.inference.runtime import open_engine
from tests.unit.inference.fake_tensorrt import FakeMachine

Load = Callable[[Manifest], Engine]


@pytest.fixture(params=["onnxruntime", "tensorrt-fake-gpu", pytest.param("tensorrt", marks=pytest.mark.gpu)])
def load(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Open engines in one runtime; they are closed at the end."""
    runtime = "onnxruntime" if request.param == "onnxruntime" else "tensorrt"
    config = AnalysisConfig(runtime=runtime, fall_back_to_cpu=False, plan_folder=tmp_path / "plans")
    if request.param == "tensorrt-fake-gpu":
        FakeMachine(monkeypatch)
        monkeypatch.setattr(tensorrt, "BUCKETS", (1, 4))
    opened: list[Engine] = []

    def open_and_remember(manifest: Manifest) -> Engine:
        opened.append(open_engine(manifest, config))
        return opened[-1]

    yield open_and_remember
    for engine in opened:
        engine.close()


@pytest.fixture(params=["lv-apical", "view"])
def manifest(request: pytest.FixtureRequest) -> Manifest:
    return read_manifest(shipped_folder() / request.param)


def make_batch(manifest: Manifest, count: int) -> np.ndarray:
    return np.random.default_rng(0).random((count, *manifest.input_shape), dtype=np.float32)


@pytest.mark.parametrize("count", [1, 3, 9])
def test_any_batch_size_gives_one_answer_per_frame(load, manifest, count):
    """(N, labels, ...) float32, finite."""
    logits = load(manifest).run(make_batch(manifest, count))

    assert logits.shape == (count, *manifest.output_shape)
    assert logits.dtype == np.float32
    assert np.isfinite(logits).all()


def test_a_frame_gets_the_same_answer_alone_and_in_a_batch(load, manifest):
    """Batching is an optimisation, never a change."""
    engine = load(manifest)
    batch = make_batch(manifest, 4)

    together = engine.run(batch)
    alone = np.concatenate([engine.run(frame[None]) for frame in batch])

    assert np.allclose(together, alone, atol=1e-3)


def test_a_later_batch_does_not_change_an_earlier_answer(load, manifest):
    """Buffers that are used again are never handed out."""
    engine = load(manifest)
    batch = make_batch(manifest, 2)

    first = engine.run(batch)
    copy = first.copy()
    engine.run(1 - batch)

    assert np.array_equal(first, copy)


def test_an_engine_may_go_from_thread_to_thread(load, manifest):
    """One at a time: jobs run in a pool."""
    engine = load(manifest)
    batch = make_batch(manifest, 2)
    here = engine.run(batch)

    with ThreadPoolExecutor(1) as pool:
        there = pool.submit(engine.run, batch).result()

    assert np.allclose(here, there, atol=1e-3)


def test_as_many_threads_as_it_takes_get_the_answers_of_one(load, manifest):
    """Clips side by side change no number."""
    engine = load(manifest)
    batches = [make_batch(manifest, count) for count in (1, 2, 3, 2)]
    expected = [engine.run(batch) for batch in batches]

    with ThreadPoolExecutor(engine.at_once) as pool:
        answers = list(pool.map(engine.run, batches))

    assert all(np.array_equal(answer, one) for answer, one in zip(answers, expected, strict=True))


def test_two_engines_work_beside_each_other(load, manifest):
    """A study needs several."""
    batch = make_batch(manifest, 2)
    first, second = load(manifest), load(manifest)

    answers = [engine.run(batch) for engine in (first, second, first)]

    assert np.allclose(answers[0], answers[1], atol=1e-3)
    assert np.allclose(answers[0], answers[2], atol=1e-3)


def test_the_identity_is_that_of_the_artefact_that_runs(load, manifest):
    """Reports name it."""
    engine = load(manifest)

    assert engine.identity == manifest.identity("fp32")
    assert engine.manifest is manifest


def test_a_batch_of_another_shape_is_refused(load, manifest):
    """The message says what was expected."""
    with pytest.raises(EngineError, match=f"{manifest.input.size}"):
        load(manifest).run(np.zeros((1, 1, 8, 8), dtype=np.float32))


def test_a_canvas_that_is_no_square_is_answered_in_its_own_shape(load, manifest):
    """Where the network takes such; what it says there is finite."""
    step = manifest.input.multiple_of
    if step is None:
        with pytest.raises(EngineError, match="expected float32"):
            load(manifest).run(make_batch(manifest, 2)[:, :, 32:])
        return
    canvas = make_batch(manifest, 2)[:, :, step:]

    logits = load(manifest).run(canvas)

    assert logits.shape == (2, manifest.output.channels, *canvas.shape[2:])
    assert np.isfinite(logits).all()


def test_a_closed_engine_does_not_run(load, manifest):
    """And closing twice is harmless."""
    engine = load(manifest)

    engine.close()
    engine.close()

    with pytest.raises(EngineError, match="closed"):
        engine.run(make_batch(manifest, 1))


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
    (folder / manifest.artefacts["fp32"].file).write_bytes(b"damaged")

    with pytest.raises(EngineError, match=manifest.artefacts["fp32"].file):
        load(manifest.model_copy(update={"folder": folder}))
