"""Keep what TensorRT built, one file per engine, precision, GPU and largest batch; rebuilt when anything differs.

A plan is machine code that TensorRT runs without question. So plans are read from one folder that only this user can
write, never from an engine's folder, and every file carries the hash of its plan.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import uuid4

import structlog

from echo_scp.errors import ConfigurationError
from echo_scp.inference.device import GpuIdentity

PLAN_SUFFIX = ".plan"
KERNELS_SUFFIX = ".kernels"  # what TensorRT-RTX compiled from the plan beside it
_WRITABLE_BY_OTHERS = 0o022

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PlanKey:
    """All that a plan depends on; a plan of another key is stale."""

    engine: str
    precision: str
    artefact_sha256: str
    tensorrt: str
    gpu: str
    compute_capability: str
    driver: str
    largest_batch: int
    flags: str

    @classmethod
    def of(
        cls, *, engine: str, precision: str, artefact: bytes, tensorrt: str, gpu: GpuIdentity, batch: int, flags: str
    ) -> PlanKey:
        """Describe the plan of `artefact` for `gpu` and at most `batch` frames at once."""
        capability = "{}.{}".format(*gpu.compute_capability)
        digest = hashlib.sha256(artefact).hexdigest()
        return cls(engine, precision, digest, tensorrt, gpu.name, capability, gpu.driver, batch, flags)

    @property
    def file_name(self) -> str:
        """One name per engine, precision, GPU and batch, so that a new plan takes the place of a stale one."""
        gpu = re.sub(r"[^a-z0-9]+", "-", self.gpu.lower()).strip("-")
        return f"{self.engine}-{self.precision}-{gpu}-b{self.largest_batch}{PLAN_SUFFIX}"


class PlanCache:
    """A folder of plans; a file is a line of JSON (the key and the plan's hash), then the plan."""

    def __init__(self, folder: Path) -> None:
        """Make the folder when it is missing; raises ConfigurationError when it is not ours alone to write."""
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            status = folder.stat()
        except OSError as error:
            raise ConfigurationError(f"analysis.plan_folder: {folder}: cannot be made: {error.strerror}") from error
        if status.st_uid != os.geteuid():
            raise ConfigurationError(
                f"analysis.plan_folder: {folder}: belongs to the user with number {status.st_uid}, expected the "
                f"one who runs this, {os.geteuid()}: run it as the node's user (sudo -u), or chown -R it"
            )
        if status.st_mode & _WRITABLE_BY_OTHERS:
            raise ConfigurationError(
                f"analysis.plan_folder: {folder}: expected a folder that only the node's user can write (chmod 700)"
            )
        self._folder = folder

    def path(self, key: PlanKey) -> Path:
        """Return where the plan of `key` lies, or would."""
        return self._folder / key.file_name

    def load(self, key: PlanKey) -> bytes | None:
        """Return the plan of `key`; None when there is none, or it is stale or damaged."""
        return _read(self.path(key), key)

    def renew(self, key: PlanKey, build: Callable[[], bytes]) -> bytes:
        """Build the plan of `key` and keep it in the place of what was there."""
        start = time.monotonic()
        log.info("plan.build_started", engine=key.engine, precision=key.precision, gpu=key.gpu)
        plan = build()
        log.info("plan.built", engine=key.engine, size_bytes=len(plan), seconds=round(time.monotonic() - start, 1))
        _write(self.path(key), key, plan)
        return plan

    def load_kernels(self, key: PlanKey) -> bytes | None:
        """Return what was compiled from the plan of `key` at an earlier start."""
        return _read(self.path(key).with_suffix(KERNELS_SUFFIX), key)

    def save_kernels(self, key: PlanKey, kernels: bytes) -> None:
        """Keep what was compiled from the plan of `key`."""
        _write(self.path(key).with_suffix(KERNELS_SUFFIX), key, kernels)


def _read(path: Path, key: PlanKey) -> bytes | None:
    try:
        header, _, content = path.read_bytes().partition(b"\n")
    except FileNotFoundError:
        return None
    except OSError as error:
        log.warning("plan.unreadable", path=str(path), detail=error.strerror)
        return None
    reason = _why_not(header, content, key)
    if reason:
        log.info("plan.discarded", path=str(path), reason=reason)
        return None
    return content


def _write(path: Path, key: PlanKey, content: bytes) -> None:
    """Write beside the place and move it there; a full disk costs the next start a build, no more."""
    temporary = path.with_name(f".{uuid4().hex}")
    try:
        with temporary.open("xb") as file:
            file.write(_header(key, content) + b"\n" + content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        log.warning("plan.not_kept", path=str(path), detail=error.strerror)
    finally:
        temporary.unlink(missing_ok=True)


def _header(key: PlanKey, content: bytes) -> bytes:
    return json.dumps({**asdict(key), "sha256": hashlib.sha256(content).hexdigest()}).encode()


def _why_not(header: bytes, content: bytes, key: PlanKey) -> str:
    """Return why a kept plan cannot be used, "" when it can."""
    try:
        stated = json.loads(header)
    except ValueError:
        return "damaged header"
    if not isinstance(stated, dict):
        return "damaged header"
    different = [name for name, value in asdict(key).items() if stated.get(name) != value]
    if different:
        return f"stale: other {', '.join(different)}"
    return "" if stated.get("sha256") == hashlib.sha256(content).hexdigest() else "damaged"
