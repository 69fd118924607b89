"""Coverage-guided fuzzing with atheris: `python -m tests.fuzz.fuzz --seconds 60 [TARGET ...] [-libFuzzer=options]`.

Each target runs in a process of its own, beginning with its seeds; the seconds are divided among them. A crash, a hang
of 10 s, or 1 GB of memory ends it with a status other than 0, and the input that did it is printed and kept in the
folder for temporary files.
New inputs that reach new code go to `--corpus DIR/TARGET`, for those who want to keep them.
"""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

SEEDS = Path(__file__).parent / "seeds"
# Where new code is looked for. Not all of pydicom: what guides a fuzzer slows it three times.
INSTRUMENTED = ["echo_scp.receive", "echo_scp.decode", "pynetdicom.pdu", "pynetdicom.pdu_items", "pydicom.filereader"]
LONGEST_INPUT = {"header": 1024}
FUZZED_BUFFER_BYTES = 2048  # of the upper layer, so that short inputs reach its end


def run_one(name: str, options: list[str]) -> None:
    """Fuzz one target in this process; does not return."""
    import atheris
    import structlog

    logging.disable(logging.CRITICAL)  # pynetdicom and pydicom tell of each wrong byte
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    warnings.simplefilter("ignore")
    with atheris.instrument_imports(include=INSTRUMENTED, enable_loader_override=False):
        from echo_scp.receive import upper_layer
        from tests.fuzz.targets import TARGETS
    upper_layer.BUFFER_BYTES = FUZZED_BUFFER_BYTES
    atheris.Setup([sys.argv[0], *options], TARGETS[name], enable_python_coverage=True)
    atheris.Fuzz()


def run_all(names: list[str], seconds: float, corpus: Path, options: list[str]) -> int:
    """Fuzz each target for its share of the time; return how many failed."""
    failed = 0
    for name in names:
        found = corpus / name
        found.mkdir(parents=True, exist_ok=True)
        limits = [f"-max_total_time={seconds / len(names):.0f}", "-timeout=10", "-rss_limit_mb=1024"]
        limits.append(f"-max_len={LONGEST_INPUT.get(name, 4096)}")
        limits.append(f"-artifact_prefix={tempfile.gettempdir()}/echo-scp-fuzz-{name}-")
        command = [sys.executable, "-m", "tests.fuzz.fuzz", "--one", name, *limits, *options]
        print(f"--- {name}", flush=True)
        failed += subprocess.run([*command, str(found), str(SEEDS / name)], check=False).returncode != 0
    return failed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", default=sorted(path.name for path in SEEDS.iterdir()))
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--corpus", type=Path)
    arguments, options = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as temporary:
        failed = run_all(arguments.targets, arguments.seconds, arguments.corpus or Path(temporary), options)
    raise SystemExit(f"{failed} targets failed" if failed else 0)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        os.chdir(Path(__file__).parents[2])
        run_one(sys.argv[2], sys.argv[3:])
    else:
        main()
