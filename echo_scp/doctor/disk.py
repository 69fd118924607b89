"""The data folder: can it be written, is there room, how long does a durable write take."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from echo_scp.config import Config
from echo_scp.doctor.finding import Finding, failed, passed, remark

TOPIC = "disk"
ROUNDS = 20
BLOCK = bytes(4096)
SLOW_FSYNC_MS = 50.0  # a study of 60 small instances waits twice this for each of them
LOW_SPACE_BYTES = 10 * 1024**3
MEBIBYTE = 1024**2


def examine_disk(config: Config) -> Iterator[Finding]:
    """Yield whether the data folder takes files, how much, and how fast they are durable."""
    folder = config.data_folder
    place = _nearest_existing(folder)
    if not os.access(place, os.W_OK | os.X_OK):
        fix = f"make {folder} and give it to the user that runs the node: install -d -o USER -m 0750 {folder}"
        yield failed(TOPIC, "data folder", f"{place} cannot be written by this user", fix)
        return
    detail = str(folder) if place == folder else f"{folder} is not there yet; the node makes it"
    yield passed(TOPIC, "data folder", detail)
    yield from _owner(folder)
    yield _space(place, config.receive.reserve_disk_mb)
    yield _fsync_speed(place)


def _nearest_existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.is_dir())


def _owner(folder: Path) -> Iterator[Finding]:
    if not folder.is_dir() or folder.stat().st_uid == os.geteuid():
        return
    owner = folder.owner()
    fix = f"run the doctor as that user: runuser -u {owner} -- echo-scp doctor --config FILE"
    yield remark(TOPIC, "owner", f"{folder} belongs to {owner}: what this user may do, the node may not", fix)


def _space(place: Path, reserve_mb: int) -> Finding:
    disk = os.statvfs(place)
    free = disk.f_bavail * disk.f_frsize
    detail = f"{free / 1024**3:.1f} GiB free, reserve {reserve_mb} MiB"
    fix = "free space or move data_folder to a larger disk; below the reserve C-STORE is answered with A700"
    if free <= reserve_mb * MEBIBYTE:
        return failed(TOPIC, "free space", detail, fix)
    if free < LOW_SPACE_BYTES:
        return remark(TOPIC, "free space", detail, fix)
    return passed(TOPIC, "free space", detail)


def _fsync_speed(place: Path) -> Finding:
    """Write and sync as the receiver does for each instance: an answer to C-STORE waits for this."""
    times_ms = []
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            for _ in range(ROUNDS):
                file.write(BLOCK)
                file.flush()
                start = time.perf_counter()
                os.fsync(file.fileno())
                times_ms.append(1000 * (time.perf_counter() - start))
    except OSError as error:
        return failed(TOPIC, "fsync", f"{place}: {error.strerror}", "see the kernel's log (dmesg) for the disk")
    median_ms = statistics.median(times_ms)
    detail = f"median {median_ms:.1f} ms, longest {max(times_ms):.1f} ms"
    if median_ms > SLOW_FSYNC_MS:
        return remark(TOPIC, "fsync", detail, "put data_folder on an SSD: each instance is synced before its Success")
    return passed(TOPIC, "fsync", detail)
