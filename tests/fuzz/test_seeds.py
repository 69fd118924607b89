"""The kept inputs of the fuzzer, replayed: what broke once, and what reaches far."""

from __future__ import annotations

import logging

import pytest

from echo_scp.receive import upper_layer
from tests.fuzz.fuzz import FUZZED_BUFFER_BYTES, SEEDS
from tests.fuzz.targets import TARGETS


@pytest.mark.filterwarnings("ignore")  # pydicom's, of values that are strange on purpose
@pytest.mark.parametrize("seed", sorted(SEEDS.glob("*/*")), ids=lambda path: f"{path.parent.name}-{path.name}")
def test_a_kept_input_breaks_nothing(seed, monkeypatch):
    """Whatever it is, it is answered, refused or read."""
    monkeypatch.setattr(logging.root.manager, "disable", logging.CRITICAL)
    monkeypatch.setattr(upper_layer, "BUFFER_BYTES", FUZZED_BUFFER_BYTES)

    TARGETS[seed.parent.name](seed.read_bytes())


def test_every_target_has_seeds():
    """A fuzzer that begins with nothing stays at the first byte."""
    assert {path.name for path in SEEDS.iterdir()} == set(TARGETS)
