"""Time a whole study on the CPU: 80 instances end to end, beside the seed's road over the same clips.

python scripts/bench/analyse.py [--rounds 3] [--precision int8] [--openvino] [--objects SR SEG] [--again]

The study is synthetic, made once from its seed under build/bench. Both roads are measured in the same run, in turn,
each in a process of its own; the best round counts.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TypeVar

from deeplab import write_network
from our_road import Road, StudyTime, measure
from pydicom import dcmread
from seed_road import SeedTime, run_seed_road
from study import write_study

CACHE = Path("build/bench")
THREADS = (1, 2)
OPENVINO_ARITHMETIC = ("fp32", "bf16", "int8")
Result = TypeVar("Result")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=1, help="rounds of which the best counts")
    parser.add_argument("--precision", choices=("fp32", "int8"), nargs="+", default=["fp32"])
    parser.add_argument("--threads", type=int, nargs="+", default=[0], help="of an engine; 0: as configured by default")
    parser.add_argument("--seed-clips", type=int, default=4, help="clips of the seed's road; scaled by frames")
    parser.add_argument("--openvino", action="store_true", help="the same engines in OpenVINO, if it is installed")
    parser.add_argument("--objects", nargs="+", default=[], help="also with these kinds of objects alone")
    parser.add_argument("--again", action="store_true", help="also a revision in which every clip is known")
    arguments = parser.parse_args()
    paths = write_study(CACHE, arguments.seed)
    for line in _report(arguments, paths):
        print(line, flush=True)


def _report(arguments: argparse.Namespace, paths: tuple[Path, ...]) -> Iterator[str]:
    frames = {path: int(dcmread(path, stop_before_pixels=True).get("NumberOfFrames", 1)) for path in paths}
    cines = [path for path in paths if frames[path] > 1]
    size_mb = sum(path.stat().st_size for path in paths) / 1e6
    yield f"{len(paths)} instances, {size_mb:.0f} MB, {len(cines)} cines with {sum(frames[p] for p in cines)} frames;"
    yield f"{os.cpu_count()} cores; best of {arguments.rounds}"
    network = write_network(CACHE / "deeplabv3-resnet50.onnx")
    sample = cines[:: max(1, len(cines) // arguments.seed_clips)][: arguments.seed_clips]
    roads = _roads(arguments)
    ours: dict[Road, StudyTime] = {}
    seed: SeedTime | None = None
    for _ in range(arguments.rounds):
        again = _apart(run_seed_road, sample, network)
        seed = again if seed is None else min(seed, again, key=lambda time: time.s_per_frame)
        for road in roads:
            took = _apart(measure, paths, road)
            ours[road] = min(ours.get(road, took), took, key=lambda time: time.seconds)
    assert seed is not None
    yield from _seed_lines(seed, sample)
    for road, took in ours.items():
        yield ""
        yield from _our_lines(road, took, seed, len(paths), sum(frames[path] for path in cines))


def _roads(arguments: argparse.Namespace) -> list[Road]:
    roads = [Road(arithmetic=name, threads=threads) for name in arguments.precision for threads in arguments.threads]
    if arguments.objects:
        roads.append(Road(arithmetic=arguments.precision[0], objects=tuple(arguments.objects)))
    if arguments.again:
        roads.append(Road(arithmetic=arguments.precision[0], again=True))
    if arguments.openvino:
        roads += [Road("openvino", name, threads) for name in OPENVINO_ARITHMETIC for threads in arguments.threads]
    return roads


def _apart(function: Callable[..., Result], *arguments: object) -> Result:
    """Run in a fresh process: its memory and its threads are its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def _seed_lines(seed: SeedTime, sample: Sequence[Path]) -> Iterator[str]:
    decode_ms, network_ms = (1000 * seconds / seed.frames for seconds in (seed.decode_s, seed.network_s))
    yield f"the seed's road, {len(sample)} cines with {seed.frames} frames: {1000 * seed.s_per_frame:.1f} ms a frame"
    yield f"  RGB by pydicom {decode_ms:.1f}, network {network_ms:.1f}; {1000 * seed.cpu_s_per_frame:.1f} ms of CPU"


def _our_lines(road: Road, took: StudyTime, seed: SeedTime, instances: int, cine_frames: int) -> Iterator[str]:
    yield (
        f"{road.name} ({', '.join(took.engines)}): {took.seconds:.1f} s, {took.cpu_s:.1f} s of CPU, "
        f"{instances / took.seconds:.1f} instances/s, {cine_frames / took.seconds:.0f} frames/s, "
        f"peak {took.peak_mb:.0f} MB"
    )
    outcomes = ", ".join(f"{count} {reason}" for reason, count in took.outcomes)
    ef = "not assessed" if took.ef_percent is None else f"EF {took.ef_percent:.2f} %"
    yield f"  {outcomes}; {ef}; {took.segmented_frames} frames segmented"
    for stage, seconds in took.stages:
        yield f"  {stage:<45} {seconds:6.2f} s of CPU {100 * seconds / took.cpu_s:5.1f} %"
    for what, frames in (("every cine", cine_frames), ("the segmented frames alone", took.segmented_frames)):
        wall, cpu = frames * seed.s_per_frame / took.seconds, frames * seed.cpu_s_per_frame / took.cpu_s
        yield f"  the seed's road over {what}: {wall:.1f} x our time for the whole study ({cpu:.1f} x by CPU)"


if __name__ == "__main__":
    main()
