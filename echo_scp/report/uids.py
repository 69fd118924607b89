"""Derive every output UID from what the object says, so that a retry or a restart builds the same object again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from echo_scp import __version__
from echo_scp.config import ReportConfig
from echo_scp.model import StudyAnalysis


def derive_uid(root: str, *parts: str) -> str:
    """Return the UID that `parts` always give under `root` (at most 24 characters).

    The last component is a UUID of version 8 (RFC 9562) as an integer, which makes root 2.25 valid too (PS3.5 B.2).
    """
    number = int.from_bytes(_digest(parts)[:16], "big")
    number = number & ~(0xF << 76) | 0x8 << 76
    number = number & ~(0x3 << 62) | 0x2 << 62
    return f"{root}.{number}"


def input_fingerprint(study: StudyAnalysis) -> str:
    """Return what stands for the inputs of a result, in any order.

    Study, instances, engines, software version, and the settings that can change a number.
    """
    instances = sorted(analysis.instance.sop_instance_uid for analysis in study.clips)
    engines = sorted(engine.fingerprint for engine in study.engines)
    groups = ([study.study_instance_uid], instances, engines, [__version__, study.settings])
    return _digest(_digest(group).hex() for group in groups).hex()


def result_uid(study: StudyAnalysis, config: ReportConfig, *kind: str) -> str:
    """Return the UID of one object or series of a result; `kind` says which.

    The configuration is part of it: an object that says something else, such as no research use, is another object. So
    is the revision: one that returns to earlier inputs must be the newest word, not an object that was sent before.
    """
    said = (f"revision {study.revision}", config.model_dump_json(exclude={"objects"}))
    return derive_uid(config.uid_root, input_fingerprint(study), *said, *kind)


def _digest(parts: Iterable[str]) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(8, "big"))
        digest.update(encoded)
    return digest.digest()
