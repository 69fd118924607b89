"""Playable cines on demand: one is made at a time, those made lately are remembered within a bound of memory."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import OrderedDict
from pathlib import Path

import structlog

from echo_scp.config import AnalysisConfig
from echo_scp.web.cine import Order, order_json

TIMEOUT_S = 60.0
DECODING = {"minimum_frames", "maximum_pixels", "stress"}  # what of the settings decides whether a clip is decoded
_WAITING = 8  # that wait for their turn; more are told to come again
log = structlog.get_logger(__name__)


class BusyError(Exception):
    """Too many cines are waited for already."""


class NoCineError(Exception):
    """The clip cannot be played; the message says why."""


class Cines:
    """Safe for threads; `close` ends what is being made."""

    def __init__(self, config: AnalysisConfig, limit_bytes: int) -> None:
        self._analysis = config.model_dump_json(include=DECODING)
        self._limit = limit_bytes
        self._made: OrderedDict[tuple[Path, Path | None], bytes] = OrderedDict()
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._places = threading.BoundedSemaphore(_WAITING)
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False

    def get(self, instance: Path, seg: Path | None) -> bytes:
        """Return the cine of a stored instance, its LV outlined where there is a SEG. Raises BusyError, NoCineError."""
        if self._limit == 0:
            raise NoCineError("playing is switched off (web.cine_mb)")
        if not self._places.acquire(blocking=False):
            raise BusyError
        try:
            with self._turn:
                made = self._recall(instance, seg)
                return made if made is not None else self._remember(instance, seg, self._make(instance, seg))
        finally:
            self._places.release()

    def close(self) -> None:
        """Make no more."""
        with self._lock:
            self._closed = True
            if self._process is not None:
                self._process.kill()

    def _recall(self, instance: Path, seg: Path | None) -> bytes | None:
        with self._lock:
            made = self._made.get((instance, seg))
            if made is not None:
                self._made.move_to_end((instance, seg))
            return made

    def _remember(self, instance: Path, seg: Path | None, content: bytes) -> bytes:
        with self._lock:
            self._made[instance, seg] = content
            while sum(map(len, self._made.values())) > self._limit:
                self._made.popitem(last=False)
        return content

    def _make(self, instance: Path, seg: Path | None) -> bytes:
        order = Order(str(instance), "" if seg is None else str(seg), self._analysis)
        process = self._start()
        try:
            content, complaint = process.communicate(order_json(order), TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            raise NoCineError("decoding took too long") from error
        finally:
            process.kill()
            process.wait()
        if process.returncode == 1:
            raise NoCineError(complaint.decode(errors="replace").strip().rpartition("\n")[2])
        if process.returncode != 0:
            log.warning("page.cine_failed", path=str(instance), exit_code=process.returncode)
            raise NoCineError("decoding ended without a result; see the log")
        return content

    def _start(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._closed:
                raise NoCineError("the node is stopping")
            self._process = subprocess.Popen(
                [sys.executable, "-m", "echo_scp.web.cine"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            return self._process
