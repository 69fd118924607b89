"""What was seen, as docs/interoperability.md."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from scripts.interop.destinations import KINDS
from scripts.interop.samples import SHORT_NAMES, short_name
from scripts.interop.seen import Seen, Verdict
from scripts.interop.tools import Tool
from scripts.interop.trial import Results

HEAD = """\
# Interoperability

```sh
apt-get install dcmtk orthanc orthanc-dicomweb
make viewer-tools          # dcmjs-dimse, from npm
python -m scripts.interop
```

starts a real node on its embedded database, tries everything below with programs of other makes, and writes this page.
It ends with status 1 when something is wrong: a cell then begins with WRONG. A program that is not installed is named,
and its cells say "not run". Written on {day} with:

| program | version |
|---|---|
{tools}

An empty cell: the program has no such service. Certificates are made anew, and both sides show one over TLS (TLS 1.2 or
1.3, PS3.15 B.12). pynetdicom is no independent witness: the node negotiates and delivers with it.

## Into the node

A synthetic clip of four frames, 600 x 800, in each transfer syntax (JPEG Lossless SV1: a frame of a real machine, from
pydicom-data), sent by each program as its users would start it. What the node stored is compared with the file:

- **bytes**: the stored data set is the file's, bit for bit;
- **elements**: every value is equal; the sender encoded them anew (lengths of sequences, for example);
- **pixels**: the same, and the sender packed Pixel Data anew; it decodes to the same pixels.

Where it is not "bytes", the program sends the same file to another receiver too, and the node must have stored exactly
what that one heard: what differs from the file is the sender's doing.

{received}

## Beside storing

{served}

## From the node

A synthetic study of eight instances is analysed, and every kind of object sent to each archive. What an archive has is
compared with the file that the node wrote: "bytes" and "elements" as above, then the transfer syntax in which it came,
then "committed" where the archive gave Storage Commitment.

{delivered}

## Limits

{limits}
"""

LIMITS = """\
- **dcmsend knows no TLS** (DCMTK 3.6.7); `storescu` does. It sends Implicit VR and Big Endian as Explicit VR Little
  Endian.
- **dcmjs-dimse has no deflated transfer syntax.** It sends such a file under that name without deflating it. The
  node answers Success, because the bytes are safe, and keeps them in quarantine, because they belong to no study that
  can be read.
- **dcmjs-dimse encodes anew whatever it sends**: private elements are gone, and so are empty items of sequences.
- **storescp without `+xa`** takes uncompressed objects only: the SEG goes to it in Explicit VR Little Endian, and the
  overlay cine (JPEG) is not accepted. The node does not decode pixels to deliver them. `storescp +xa` takes everything.
- **A SEG that is deflated is deflated anew** when it goes by C-STORE, so its bytes differ and its elements do not. By
  STOW-RS the file goes as it is. To dcmjs-dimse, which is asked for what it can read, it goes uncompressed.
- **Orthanc 1.10.1 of Debian 12 crashes in its own https** (segmentation fault at the first request), so STOW-RS over
  https is tried through a proxy in front of it, as archives are usually published.
- **Orthanc always shows its certificate**, so it cannot be the client without one.
- **Orthanc reports Storage Commitment on an association of its own** and needs the node among its `DicomModalities`. So
  does the node when Orthanc asks and has hung up: a `[[destinations]]` or `[[receive.peers]]` table must say where
  Orthanc listens.
- Not tried: lossy JPEG-LS and JPEG 2000, HTJ2K, video."""


def write(results: Results, tools: Iterable[Tool], day: date) -> str:
    """Return the page."""
    return HEAD.format(
        day=day.isoformat(),
        tools="\n".join(f"| {tool.name} | {tool.version or f'not run: {tool.missing}'} |" for tool in tools),
        received=_received(results),
        served=_served(results),
        delivered=_delivered(results),
        limits=LIMITS,
    )


def _received(results: Results) -> str:
    rows: dict[str, dict[str, Seen]] = {}
    for each in results.received:
        row = rows.setdefault(f"{each.sender}, {'TLS' if each.secure else 'plain'}", {})
        row[short_name(each.syntax)] = each.seen
    return _matrix("sender", rows, list(SHORT_NAMES.values()))


def _delivered(results: Results) -> str:
    rows: dict[str, dict[str, Seen]] = {}
    for each in results.delivered:
        rows.setdefault(each.destination, {})[each.kind] = each.seen
    return _matrix("archive", rows, list(KINDS))


def _served(results: Results) -> str:
    rows: dict[str, dict[str, Seen]] = {}
    for each in results.served:
        rows.setdefault(each.service, {})[each.program] = each.seen
    programs = list(dict.fromkeys(each.program for each in results.served))
    return _matrix("service", rows, programs)


def _matrix(corner: str, rows: dict[str, dict[str, Seen]], columns: list[str]) -> str:
    """Return a table, and below it what is told of single cells; what is told twice has one number."""
    notes: list[str] = []
    lines = [f"| {corner} | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for name, row in rows.items():
        lines.append(f"| {name} | {' | '.join(_cell(row.get(column), notes) for column in columns)} |")
    lines += ["", *(f"{number}. {note}" for number, note in enumerate(notes, start=1))] if notes else []
    return "\n".join(lines)


def _cell(seen: Seen | None, notes: list[str]) -> str:
    if seen is None:
        return ""
    if not seen.note:
        return seen.text
    if seen.note not in notes:
        notes.append(seen.note)
    return f"{seen.text} ({notes.index(seen.note) + 1})"


def faults(results: Results) -> list[str]:
    """Name what is wrong."""
    everything = (
        *((f"{each.sender} {short_name(each.syntax)}", each.seen) for each in results.received),
        *((f"{each.service} {each.program}", each.seen) for each in results.served),
        *((f"{each.destination} {each.kind}", each.seen) for each in results.delivered),
    )
    return [f"{name}: {seen.text} {seen.note}".rstrip() for name, seen in everything if seen.verdict is Verdict.WRONG]
