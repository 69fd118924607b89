"""Try the node with DCMTK, Orthanc, dcmjs-dimse and pynetdicom, both ways; write docs/interoperability.md.

    python -m scripts.interop

Ends with status 1 when something is wrong. What is not installed is named, and is in the page as not run.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from scripts.interop import document, tools
from scripts.interop.trial import try_everything


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=tools.ROOT / "docs" / "interoperability.md")
    parser.add_argument("--folder", type=Path, help="new folder, kept for a look; without it a temporary one")
    arguments = parser.parse_args()
    there = tools.all_tools()
    for tool in there:
        print(tool.missing.upper() if tool.missing else f"{tool.name} {tool.version}", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="echo-scp-interop-") as temporary:
        Path(temporary).chmod(0o755)  # PostgreSQL runs as another user when we are root
        results = try_everything(arguments.folder or Path(temporary))
    arguments.out.write_text(document.write(results, there, datetime.now(UTC).date()))
    faults = document.faults(results)
    print("\n".join(faults) or f"nothing wrong; see {arguments.out}", file=sys.stderr)
    raise SystemExit(1 if faults else 0)


if __name__ == "__main__":
    main()
