"""What one clip gave, remembered under everything that it depends on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import structlog

from echo_scp import __version__
from echo_scp.kept.store import KeptResults
from echo_scp.kept.values import UnreadableValueError, read_value, write_value
from echo_scp.model import ClipAnalysis, EngineIdentity, Instance, OverlayCine

_FORMAT = 1  # of the files

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one clip gave: everything but its frames; its picture (PNG) and its overlay, when it was measured."""

    analysis: ClipAnalysis
    picture: bytes = b""
    cine: OverlayCine | None = None


class Findings:
    """Findings by instance, engines, software version and `settings`; without a store nothing is remembered."""

    def __init__(self, store: KeptResults | None, *settings: str) -> None:
        self._store = store
        self._settings = settings

    def recall(self, instance: Instance, engines: tuple[EngineIdentity, ...]) -> Finding | None:
        """Return what was found earlier, None when that is not known; what cannot be read is forgotten."""
        if self._store is None:
            return None
        key = self._key(instance, engines)
        content = self._store.get(key)
        if content is None:
            return None
        try:
            return read_value(Finding, content, instance)
        except UnreadableValueError as error:
            log.warning("kept.unreadable", sop_instance_uid=instance.sop_instance_uid, detail=str(error))
            self._store.forget(key)
            return None

    def remember(self, instance: Instance, engines: tuple[EngineIdentity, ...], finding: Finding) -> None:
        """Keep a finding for the next revision."""
        if self._store is not None:
            self._store.put(self._key(instance, engines), write_value(finding, Instance))

    def trim(self) -> None:
        """Bound the space that findings take."""
        if self._store is not None:
            self._store.trim()

    def _key(self, instance: Instance, engines: tuple[EngineIdentity, ...]) -> str:
        parts = [
            f"{_FORMAT} {__version__}",
            instance.sop_instance_uid,
            _file_sha256(instance.path),
            *(engine.fingerprint for engine in engines),
            *self._settings,
        ]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _file_sha256(path: Path) -> str:
    """Return what stands for the instance's content: one UID does not mean one content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
