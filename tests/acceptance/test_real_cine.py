"""A real cine without truth: its EF is credible, and what must not matter moves it by less than its interval."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from pydicom.data import get_testdata_file

from echo_scp.model import ClipMeasurement, NotAssessed, Reason

BENCH = Path(__file__).parents[2] / "scripts" / "bench"


@pytest.fixture(scope="module")
def outcomes():
    """What the cine and its changed versions give, by the name of the change."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCH))
        real_cine = importlib.import_module("real_cine")
    path = get_testdata_file(real_cine.REAL_CINE, download=False)
    if path is None:
        pytest.skip(f"{real_cine.REAL_CINE} is not here (pip install pydicom-data): no real cine is tested")
    return {outcome.change: outcome for outcome in real_cine.outcomes(Path(path))}


def test_real_cine_has_a_credible_ef(outcomes):
    """Four beats of a heart that looks healthy: more than 45, less than 80 %, inside its own interval."""
    found = outcomes["as it came"].result

    assert isinstance(found, ClipMeasurement)
    assert 45 < found.ef_percent < 80
    assert found.ef_interval.low < found.ef_percent < found.ef_interval.high
    assert len(found.beats) >= 3


@pytest.mark.parametrize("change", ["mirrored", "gain -3 dB", "gain +3 dB", "played backwards", "begun later"])
def test_what_must_not_matter_moves_the_ef_by_less_than_its_interval(outcomes, change):
    """It is measured, and within half of the interval."""
    first = outcomes["as it came"].result

    assert isinstance(outcomes[change].result, ClipMeasurement), outcomes[change].result
    assert outcomes[change].is_stable(first.ef_percent, first.ef_interval)


def test_frames_in_no_order_are_refused(outcomes):
    """They have a largest and a smallest LV too."""
    refused = outcomes["frames shuffled"].result

    assert isinstance(refused, NotAssessed)
    assert refused.reason is Reason.UNSTABLE_SEGMENTATION
