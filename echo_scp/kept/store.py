"""Files by key in one folder, bounded in size. Nothing here is precious: what is missing is computed again."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import structlog

from echo_scp.errors import StorageError

_SUFFIX = ".kept"

log = structlog.get_logger(__name__)


class KeptResults:
    """Safe for threads, and for several processes on one folder."""

    def __init__(self, folder: Path, limit_bytes: int, require_space: Callable[[int], object]) -> None:
        """Keep at most `limit_bytes` in `folder`; `require_space` raises StorageError when the disk is too full."""
        self._folder = folder
        self._limit = limit_bytes
        self._require_space = require_space

    def get(self, key: str) -> bytes | None:
        """Return what was put under a key, None when it is not there (any more)."""
        path = self._path(key)
        try:
            content = path.read_bytes()
            os.utime(path)  # the time of its last use
        except OSError:
            return None
        return content

    def put(self, key: str, content: bytes) -> None:
        """Keep `content`, whole or not at all; where the disk refuses, the next revision computes it again."""
        temporary = self._folder / f".{secrets.token_hex(8)}.tmp"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._require_space(len(content))
            temporary.write_bytes(content)
            temporary.replace(self._path(key))
        except (OSError, StorageError) as error:
            log.warning("kept.refused", detail=str(error))
            with suppress(OSError):
                temporary.unlink(missing_ok=True)

    def forget(self, key: str) -> None:
        """Remove what cannot be read."""
        with suppress(OSError):
            self._path(key).unlink(missing_ok=True)

    def trim(self) -> None:
        """Remove the longest unused until the rest is within the limit; also what a dead process left half written."""
        kept = sorted(self._files(), key=lambda file: file[0], reverse=True)
        total = 0
        for _, size, path in kept:
            total += size
            if total > self._limit:
                with suppress(OSError):
                    path.unlink(missing_ok=True)

    def _files(self) -> list[tuple[float, int, Path]]:
        """Return when each file was last used, its size and its path."""
        found = []
        with suppress(OSError), os.scandir(self._folder) as entries:
            for entry in entries:
                with suppress(OSError):  # another process trims too
                    status = entry.stat()
                    found.append((status.st_mtime, status.st_size, Path(entry.path)))
        return found

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}{_SUFFIX}"
