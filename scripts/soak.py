"""Store many small instances in a running node, over and over, and watch its memory and descriptors.

    python scripts/soak.py --stores 200000

Starts a node of its own on a temporary folder; DCMTK's storescu sends. A thousand different instances are sent again
and again, so that the disk stays as it is: every one is received, made durable, acknowledged and indexed. The first
fifth warms up; over the rest straight lines are fitted through the memory and the open descriptors of the node with its
children. Prints one JSON object; the exit status is 1 when a line rises by more than the noise around it and more than
is worth a word.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, UltrasoundImageStorage, generate_uid

sys.path.insert(0, str(Path(__file__).parents[1]))
from scripts.campaign.kill import Node, stop, wait_until_ready

DIFFERENT = 1000
PER_ASSOCIATION = 200
SAMPLE_S = 2.0
TIMEOUT_S = 120
WORTH_A_WORD_MB, WORTH_A_WORD_DESCRIPTORS = 16.0, 4.0  # over the whole run


@dataclass(frozen=True)
class Sample:
    """What the node and its children hold at a moment."""

    stored: int
    resident_mb: float
    descriptors: int


def make_instance(study: str) -> Dataset:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = UltrasoundImageStorage
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = generate_uid(prefix=None)
    ds.StudyInstanceUID, ds.SeriesInstanceUID = study, f"{study}.1"
    ds.Modality = "US"
    ds.ImageComments = "x" * 4000
    return ds


def store(port: int, paths: Sequence[Path]) -> None:
    """Send instances by DCMTK on one association; every answer must be Success."""
    command = ["storescu", "-aet", "SOAK", "-aec", "ECHO_SCP", "-to", str(TIMEOUT_S), "-ta", str(TIMEOUT_S)]
    command += ["-td", str(TIMEOUT_S), "127.0.0.1", str(port), *map(str, paths)]
    sent = subprocess.run(command, check=False, capture_output=True, text=True)
    assert sent.returncode == 0, f"storescu: {sent.stdout[-2000:]}{sent.stderr[-2000:]}"


def sample(process: psutil.Process, stored: int) -> Sample:
    resident = descriptors = 0
    for member in (process, *process.children(recursive=True)):
        with suppress(psutil.Error):
            resident += member.memory_info().rss
            descriptors += member.num_fds()
    return Sample(stored, resident / 1048576, descriptors)


def rise(samples: Sequence[Sample], values: Sequence[float]) -> tuple[float, float]:
    """Return how much the fitted line rises over the samples, and the noise around it (standard deviation)."""
    x, y = np.array([one.stored for one in samples], float), np.array(values, float)
    slope, offset = np.polyfit(x, y, 1)
    return float(slope * (x[-1] - x[0])), float(np.std(y - slope * x - offset))


def soak(folder: Path, stores: int) -> tuple[list[Sample], float]:
    node = Node(folder, pacs_port=9)
    node.start()
    wait_until_ready(node)
    assert node.process is not None
    process = psutil.Process(node.process.pid)
    study = generate_uid(prefix=None)
    paths = [folder / "instances" / f"{number}.dcm" for number in range(DIFFERENT)]
    paths[0].parent.mkdir()
    for path in paths:
        make_instance(study).save_as(path, enforce_file_format=True)
    samples: list[Sample] = []
    stored, done = 0, threading.Event()

    def watch() -> None:
        while not done.wait(SAMPLE_S):
            samples.append(sample(process, stored))

    watcher = threading.Thread(target=watch)
    watcher.start()
    started = time.monotonic()
    try:
        while stored < stores:
            first = stored % DIFFERENT
            batch = paths[first : first + min(PER_ASSOCIATION, stores - stored)]
            store(node.port, batch)
            stored += len(batch)
            while len(list((node.data / "spool" / "ready").iterdir())) > 2000:
                time.sleep(0.1)  # the indexer keeps pace, or the spool would be what grows
    finally:
        done.set()
        watcher.join()
        stop(node)
    return samples, time.monotonic() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stores", type=int, default=200_000)
    parser.add_argument("--folder", type=Path, help="kept for a look; without it a temporary one")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as temporary:
        Path(temporary).chmod(0o755)  # PostgreSQL runs as another user when we are root
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        samples, seconds = soak(folder, arguments.stores)
    steady = [one for one in samples if one.stored >= arguments.stores / 5]
    memory, memory_noise = rise(steady, [one.resident_mb for one in steady])
    descriptors, descriptor_noise = rise(steady, [float(one.descriptors) for one in steady])
    found = {
        "stores": arguments.stores,
        "seconds": round(seconds),
        "stores_per_second": round(arguments.stores / seconds),
        "resident_mb_last": round(steady[-1].resident_mb, 1),
        "resident_mb_rise": round(memory, 2),
        "resident_mb_noise": round(memory_noise, 2),
        "descriptors_last": steady[-1].descriptors,
        "descriptors_rise": round(descriptors, 2),
        "descriptors_noise": round(descriptor_noise, 2),
    }
    print(json.dumps(found, indent=2))
    grows = memory > max(WORTH_A_WORD_MB, 3 * memory_noise)
    leaks = descriptors > max(WORTH_A_WORD_DESCRIPTORS, 3 * descriptor_noise)
    raise SystemExit(1 if grows or leaks else 0)


if __name__ == "__main__":
    main()
