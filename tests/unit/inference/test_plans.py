"""Plans are kept, found, and never believed when anything is different."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import structlog

from echo_scp.errors import ConfigurationError
from echo_scp.inference.device import GpuIdentity
from echo_scp.inference.plans import PlanCache, PlanKey

GPU = GpuIdentity("NVIDIA H200", (9, 0), "580.1 CUDA 13.0")
PLAN = b"\x00plan\nwith a line\n"


def make_key(**changes: object) -> PlanKey:
    key = PlanKey.of(
        engine="lv",
        precision="fp16",
        artefact=b"onnx",
        tensorrt="tensorrt 10.13",
        gpu=GPU,
        batch=64,
        flags="strongly typed",
    )
    return replace(key, **changes)


def test_a_plan_is_found_again(tmp_path):
    """Built once."""
    PlanCache(tmp_path / "plans").renew(make_key(), lambda: PLAN)

    assert PlanCache(tmp_path / "plans").load(make_key()) == PLAN


def test_there_is_none_at_first(tmp_path):
    """None, and no error."""
    assert PlanCache(tmp_path / "plans").load(make_key()) is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("artefact_sha256", "0" * 64),
        ("tensorrt", "tensorrt 11.0"),
        ("compute_capability", "12.0"),
        ("driver", "590.1 CUDA 13.1"),
        ("flags", "other"),
    ],
)
def test_a_plan_for_anything_else_is_stale(tmp_path, field, value):
    """The log says what is different, and the new plan takes its place."""
    cache = PlanCache(tmp_path / "plans")
    cache.renew(make_key(), lambda: b"old")
    changed = make_key(**{field: value})

    with structlog.testing.capture_logs() as logs:
        found = cache.load(changed)
    cache.renew(changed, lambda: b"new")

    assert found is None
    assert field in logs[0]["reason"]
    assert cache.load(changed) == b"new"
    assert len(list((tmp_path / "plans").iterdir())) == 1


@pytest.mark.parametrize("changes", [{"precision": "int8"}, {"gpu": "NVIDIA A2"}, {"largest_batch": 16}])
def test_plans_that_may_be_used_in_turn_lie_beside_each_other(tmp_path, changes):
    """Another precision, GPU or batch size does not throw this plan out."""
    cache = PlanCache(tmp_path / "plans")

    cache.renew(make_key(), lambda: b"one")
    cache.renew(make_key(**changes), lambda: b"two")

    assert cache.load(make_key()) == b"one"


def damage_plan(content: bytes) -> bytes:
    return content[:-1] + b"!"


def truncate(content: bytes) -> bytes:
    return content[: len(content) // 2]


def empty(content: bytes) -> bytes:
    return b""


def replace_header(content: bytes) -> bytes:
    return json.dumps([1]).encode() + b"\nplan"


@pytest.mark.parametrize("damage", [damage_plan, truncate, empty, replace_header])
def test_a_damaged_plan_is_never_given_to_tensorrt(tmp_path, damage):
    """Its hash, or the header itself, tells."""
    cache = PlanCache(tmp_path / "plans")
    cache.renew(make_key(), lambda: PLAN)
    path = cache.path(make_key())
    path.write_bytes(damage(path.read_bytes()))

    assert cache.load(make_key()) is None


def test_what_was_compiled_from_a_plan_is_kept_beside_it(tmp_path):
    """With the same key."""
    cache = PlanCache(tmp_path / "plans")

    cache.save_kernels(make_key(), b"kernels")

    assert cache.load_kernels(make_key()) == b"kernels"
    assert cache.load_kernels(make_key(driver="other")) is None
    assert cache.load(make_key()) is None


def test_the_folder_is_made_for_this_user_alone(tmp_path):
    """0700: a plan is code."""
    PlanCache(tmp_path / "deep" / "plans")

    assert (tmp_path / "deep" / "plans").stat().st_mode & 0o777 == 0o700


def test_a_folder_of_another_user_is_refused_with_what_helps(tmp_path, monkeypatch):
    """Whose plans were built as root has a folder that no chmod gives to the node."""
    PlanCache(tmp_path / "plans")
    owner = (tmp_path / "plans").stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)

    with pytest.raises(ConfigurationError, match=rf"number {owner}, expected .* {owner + 1}: .*sudo -u.*chown"):
        PlanCache(tmp_path / "plans")


@pytest.mark.parametrize("mode", [0o770, 0o707])
def test_a_folder_that_others_can_write_is_refused(tmp_path, mode):
    """Whoever writes there would run code as the node."""
    folder = tmp_path / "plans"
    folder.mkdir()
    folder.chmod(mode)

    with pytest.raises(ConfigurationError, match=r"analysis\.plan_folder.*chmod 700"):
        PlanCache(folder)


def test_a_folder_that_cannot_be_made_names_the_key(tmp_path):
    """The way to it is a file."""
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigurationError, match=r"analysis\.plan_folder"):
        PlanCache(tmp_path / "file" / "plans")


def test_a_full_disk_costs_no_more_than_the_next_build(tmp_path, monkeypatch):
    """The plan is returned and the log says that it was not kept."""

    def full(self, target):
        raise OSError(28, "No space left on device")

    cache = PlanCache(tmp_path / "plans")
    monkeypatch.setattr(Path, "replace", full)

    with structlog.testing.capture_logs() as logs:
        plan = cache.renew(make_key(), lambda: PLAN)

    assert plan == PLAN
    assert [entry["event"] for entry in logs][-1] == "plan.not_kept"
    assert list((tmp_path / "plans").iterdir()) == []
