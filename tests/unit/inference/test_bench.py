"""Timings are taken side by side and stated by minimum, median and 95th percentile."""

from __future__ import annotations

import numpy as np
import pytest

from echo_scp.inference import bench as benching
from echo_scp.inference.bench import Timing, bench, runnable
from tests.unit.fakes import FakeEngine, make_manifest
from tests.unit.inference.engines import site_config
from tests.unit.inference.manifests import INPUT, VALID

ARTEFACTS = {name: {"file": f"{name}.onnx", "sha256": "0" * 64} for name in ("fp32", "fp16", "int8")}


def test_a_timing_states_what_its_rounds_say():
    """Frames per second follow from the median."""
    timing = Timing("fp32", 4, (10.0, 20.0, 30.0, 40.0, 50.0))

    assert (timing.minimum_ms, timing.median_ms) == (10, 30)
    assert timing.p95_ms == pytest.approx(48)
    assert timing.frames_per_s == pytest.approx(4 * 1000 / 30)


def test_every_round_goes_through_all_cases(monkeypatch, tmp_path):
    """One warm-up each, then the rounds in turn; one timing per precision and batch size comes out."""
    ran = []

    def opened(manifest, config):
        def answer(batch):
            ran.append((config.precision, len(batch)))
            return np.zeros((len(batch), 4), dtype=np.float32)

        return FakeEngine(manifest, answer)

    monkeypatch.setattr(benching, "open_engine", opened)
    manifest = make_manifest("view", artefacts=ARTEFACTS)
    cases = [("fp32", 1), ("fp32", 2), ("int8", 1), ("int8", 2)]

    timings = bench(manifest, site_config(tmp_path), precisions=("fp32", "int8"), batches=(1, 2), rounds=3)

    assert ran == cases * 4
    assert [(timing.precision, timing.batch, len(timing.rounds_ms)) for timing in timings] == [
        (*case, 3) for case in cases
    ]


def test_frames_are_counted_not_inputs(monkeypatch, tmp_path):
    """A network of clips takes many at once."""
    monkeypatch.setattr(benching, "open_engine", lambda manifest, config: FakeEngine(manifest, lambda batch: batch))
    manifest = make_manifest(
        "ejection_fraction", **{**VALID["ejection_fraction"], "input": {**INPUT, "layout": "NCTHW"}}
    )

    (timing,) = bench(manifest, site_config(tmp_path), precisions=("fp32",), batches=(2,), rounds=2)

    assert timing.frames_per_s == pytest.approx(1000 * 2 * manifest.sampling.frames / timing.median_ms)


def test_nothing_falls_back_while_it_is_measured(monkeypatch, tmp_path):
    """Else the figures would be those of another runtime."""
    configs = []

    def opened(manifest, config):
        configs.append(config)
        return FakeEngine(manifest, lambda batch: batch)

    monkeypatch.setattr(benching, "open_engine", opened)

    bench(make_manifest("view"), site_config(tmp_path), precisions=("fp32",), batches=(1,), rounds=2)

    assert [config.fall_back_to_cpu for config in configs] == [False]


@pytest.mark.parametrize(
    ("runtime", "expected"), [("onnxruntime", ("fp32", "int8")), ("tensorrt", ("fp32", "fp16", "int8"))]
)
def test_the_processor_has_no_half_precision(runtime, expected, tmp_path):
    """It would run, and say nothing of use."""
    manifest = make_manifest("view", artefacts=ARTEFACTS)

    assert runnable(manifest, site_config(tmp_path, runtime=runtime)) == expected
