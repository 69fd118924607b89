"""Output UIDs derive from what the object says."""

from __future__ import annotations

import re
import uuid
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import RE_VALID_UID

from echo_scp.config import ReportConfig
from echo_scp.model import EngineIdentity
from echo_scp.report import derive_uid, input_fingerprint, result_uid
from tests.unit.report.builders import ENGINES, make_clip_analysis, make_refused_analysis, make_study_analysis

ROOTS = ("2.25", "1.2.826.0.1.3680043.8.49", "1.2.3")


@given(st.sampled_from(ROOTS), st.lists(st.text(max_size=20), max_size=4))
def test_a_derived_uid_is_valid_whatever_it_stands_for(root: str, parts: list[str]) -> None:
    """At most 64 characters, only digits and dots, no component with a leading zero."""
    uid = derive_uid(root, *parts)

    assert len(uid) <= 64
    assert re.fullmatch(RE_VALID_UID, uid)
    assert uid.startswith(f"{root}.")


def test_a_uid_under_2_25_is_a_uuid() -> None:
    """The integer after 2.25 carries the variant and version bits of RFC 9562."""
    number = int(derive_uid("2.25", "a").removeprefix("2.25."))

    assert uuid.UUID(int=number).variant == uuid.RFC_4122
    assert (number >> 76) & 0xF == 8


def test_parts_that_join_to_the_same_text_give_different_uids() -> None:
    """Where one part ends is part of what is hashed."""
    assert derive_uid("2.25", "ab", "c") != derive_uid("2.25", "a", "bc")


def test_the_derivation_is_frozen() -> None:
    """A UID that an archive holds must come out again after any refactoring."""
    assert derive_uid("2.25", "study", "SR") == "2.25.199732030150011781086865780546053204158"


def test_the_order_in_which_instances_arrived_does_not_matter() -> None:
    """A restart may read the clips and the engines in another order."""
    first, second = make_clip_analysis(1), make_clip_analysis(2)

    forwards = make_study_analysis(first, second)
    backwards = make_study_analysis(second, first, engines=ENGINES[::-1])

    assert input_fingerprint(forwards) == input_fingerprint(backwards)


@pytest.mark.parametrize(
    "changes",
    [
        {"clips": (make_clip_analysis(), make_refused_analysis())},
        {"engines": (*ENGINES[:1], replace(ENGINES[1], sha256="ef" * 32))},
        {"engines": (*ENGINES[:1], EngineIdentity("lv-apical", "1.3.0", ENGINES[1].sha256))},
        {"engines": (*ENGINES[:1], replace(ENGINES[1], usage_sha256="ef" * 32))},
        {"study_instance_uid": "1.2.3"},
        {"settings": '{"minimum_frames":12}'},
    ],
    ids=["late instance", "other artefact", "other version", "other use", "other study", "other settings"],
)
def test_other_inputs_give_other_uids(changes: dict[str, object]) -> None:
    """A late clip or a new engine makes new objects."""
    study = make_study_analysis()

    assert input_fingerprint(replace(study, **changes)) != input_fingerprint(study)


def test_another_software_version_gives_other_uids(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same inputs through other code are another result."""
    study = make_study_analysis()
    before = input_fingerprint(study)

    monkeypatch.setattr("echo_scp.report.uids.__version__", "99.0")

    assert input_fingerprint(study) != before


def test_a_revision_that_returns_to_earlier_inputs_has_objects_of_its_own() -> None:
    """Else the objects of the revision between would stay the newest that an archive has."""
    study = make_study_analysis()

    assert result_uid(replace(study, revision=3), ReportConfig(), "SR") != result_uid(study, ReportConfig(), "SR")


def test_an_object_that_says_something_else_has_another_uid() -> None:
    """Research use is said in the object, so a site that drops it sends a different one."""
    study = make_study_analysis()

    assert result_uid(study, ReportConfig(), "SR") != result_uid(study, ReportConfig(research_use=False), "SR")
