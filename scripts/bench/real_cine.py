"""Is the EF of a real cine without truth credible and stable? The same cine backwards, mirrored, brighter, darker.

python scripts/bench/real_cine.py              # the SonoSite cine of the package pydicom-data
python scripts/bench/real_cine.py clip.dcm     # any apical cine

Each change must be refused, or move the EF by less than half of the interval that is stated for the cine as it came.
Ends with status 1 when one does not.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pydicom.data import get_testdata_file

from echo_scp.config import AnalysisConfig, MeasureConfig
from echo_scp.decode import decode_clip, read_instance
from echo_scp.inference.catalogue import load_engines
from echo_scp.inference.engine import Engine
from echo_scp.measure import doubted, measure_clip, refuse_other_views
from echo_scp.model import Clip, ClipMeasurement, Interval, NotAssessed
from echo_scp.segment import segment
from echo_scp.trust import judge

REAL_CINE = "color3d_jpeg_baseline.dcm"
BATCH_FRAMES = 16
AS_IT_CAME = "as it came"


@dataclass(frozen=True)
class Outcome:
    """What one version of the cine gave."""

    change: str
    result: ClipMeasurement | NotAssessed

    def is_stable(self, ef_percent: float, interval: Interval) -> bool:
        """Tell whether it was refused or its EF is within half of the stated interval of the cine as it came."""
        reach = (interval.high - interval.low) / 2
        return isinstance(self.result, NotAssessed) or abs(self.result.ef_percent - ef_percent) < reach

    @property
    def line(self) -> str:
        """A row of the table."""
        if isinstance(self.result, NotAssessed):
            return f"| {self.change} | {self.result.reason}: {self.result.detail} | | | |"
        found, interval = self.result, self.result.ef_interval
        reach = "-" if interval is None else f"{interval.low:.0f} to {interval.high:.0f}"
        volume = "-" if found.edv_ml is None else f"{found.edv_ml:.0f}"
        return f"| {self.change} | {found.ef_percent:.1f} | {reach} | {len(found.beats)} | {volume} |"


def versions(clip: Clip) -> Iterator[tuple[str, Clip]]:
    """Yield the cine as it came and changed in what must not matter, or must be refused."""
    yield AS_IT_CAME, clip
    region, width = clip.region, clip.frames.shape[2]
    turned = replace(region, x0=width - region.x1, x1=width - region.x0)
    yield "mirrored", replace(clip, frames=np.ascontiguousarray(clip.frames[:, :, ::-1]), region=turned)
    for decibel in (-3, 3):
        gained = np.clip(clip.frames * 10 ** (decibel / 20), 0, 255).astype(np.uint8)
        yield f"gain {decibel:+d} dB", replace(clip, frames=gained)
    yield "played backwards", replace(clip, frames=np.ascontiguousarray(clip.frames[::-1]))
    later = len(clip.frames) // 8
    times_ms = clip.frame_times_ms[later:] - clip.frame_times_ms[later]
    yield "begun later", replace(clip, frames=clip.frames[later:], frame_times_ms=times_ms, r_wave_times_ms=())
    order = np.random.default_rng(0).permutation(len(clip.frames))
    yield "frames shuffled", replace(clip, frames=clip.frames[order])


def measure(clip: Clip, engine: Engine) -> ClipMeasurement | NotAssessed:
    """Return what the product's stages make of a clip of the engine's view."""
    config = MeasureConfig()
    segmentation = segment(clip, engine, BATCH_FRAMES)
    found = refuse_other_views(clip, segmentation) or measure_clip(clip, segmentation, config)
    if isinstance(found, NotAssessed):
        return found
    trust = judge(clip, segmentation, engine)
    if trust is None:
        return found
    return trust.not_assessed or doubted(found, trust.score, config)


def outcomes(path: Path, progress: Callable[[Outcome], None] = lambda outcome: None) -> tuple[Outcome, ...]:
    """Return what every version gave; the first is the cine as it came."""
    config = AnalysisConfig()
    clip = decode_clip(read_instance(path), config)
    found = []
    with closing(load_engines(config)) as engines:
        for change, version in versions(clip):
            found.append(Outcome(change, measure(version, engines.segmentation)))
            progress(found[-1])
    return tuple(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cine", nargs="?", type=Path, help="default: the SonoSite cine of pydicom-data")
    path = parser.parse_args().cine or get_testdata_file(REAL_CINE, download=False)
    if path is None:
        raise SystemExit(f"{REAL_CINE} is not here: pip install pydicom-data, or name a cine")
    print("| change | EF % | 95 % interval | beats | EDV mL |\n|---|---|---|---|---|")
    first, *changed = outcomes(Path(path), lambda outcome: print(outcome.line, flush=True))
    if isinstance(first.result, NotAssessed) or first.result.ef_interval is None:
        raise SystemExit("the cine itself is not assessed")
    unstable = [one for one in changed if not one.is_stable(first.result.ef_percent, first.result.ef_interval)]
    print(f"\n{len(unstable)} of {len(changed)} changes move the EF by more than half of its interval")
    sys.exit(1 if unstable else 0)


if __name__ == "__main__":
    main()
