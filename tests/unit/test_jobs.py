"""What a study's results depend on, in one value: another value is another revision."""

from __future__ import annotations

from dataclasses import replace

import pytest

from echo_scp.jobs import inputs_sha256
from echo_scp.model import EngineIdentity

ENGINES = (EngineIdentity("view", "1.0.0", "aa" * 32), EngineIdentity("lv-apical", "1.0.0", "bb" * 32))


@pytest.mark.parametrize(
    ("digests", "engines", "settings"),
    [
        (("a", "b", "c"), ENGINES, "{}"),
        (("a", "c"), ENGINES, "{}"),
        (("a", "b"), (ENGINES[0], replace(ENGINES[1], sha256="cc" * 32)), "{}"),
        (("a", "b"), (ENGINES[0], replace(ENGINES[1], usage_sha256="cc" * 32)), "{}"),
        (("a", "b"), ENGINES, '{"stress":true}'),
    ],
    ids=["late instance", "other bytes", "other engine", "other use", "other settings"],
)
def test_whatever_can_change_a_number_makes_a_new_revision(digests, engines, settings):
    """The study is not "unchanged" then."""
    assert inputs_sha256(digests, engines, settings) != inputs_sha256(("a", "b"), ENGINES, "{}")


def test_the_order_of_arrival_makes_no_new_revision():
    """Neither that of instances nor that of engines."""
    assert inputs_sha256(("b", "a"), ENGINES[::-1], "{}") == inputs_sha256(("a", "b"), ENGINES, "{}")
