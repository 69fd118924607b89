"""Every sender, every transfer syntax, plain and with TLS, into the node; what came is compared with what was sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydicom.uid import UID
from pynetdicom import AE, evt
from pynetdicom.presentation import PresentationContext

from scripts.interop.encoded import Encoded, Likeness, likeness, read
from scripts.interop.node import Node, Target
from scripts.interop.samples import Sample, short_name
from scripts.interop.seen import Seen, good, limited, not_run, wrong
from scripts.interop.senders import Sender


@dataclass(frozen=True, slots=True)
class Received:
    """What became of one syntax, sent by one sender."""

    sender: str
    secure: bool
    syntax: UID
    seen: Seen


@dataclass(frozen=True, slots=True)
class _Attempt:
    sender: Sender
    secure: bool
    sample: Sample
    path: Path
    complaint: str

    @property
    def sop_instance_uid(self) -> str:
        return self.path.stem


def receive(node: Node, senders: Sequence[Sender], samples: tuple[Sample, ...], folder: Path) -> tuple[Received, ...]:
    """Send each sample with each sender, plain and over TLS with a certificate; judge by what the node stored."""
    folder.mkdir(parents=True, exist_ok=True)
    found, attempts = [], []
    for sender in senders:
        for secure in (False, True):
            reason = sender.tool.missing or ("" if sender.knows_tls or not secure else "no TLS")
            if reason:
                seen = not_run(reason) if sender.tool.missing else limited(reason)
                found += [Received(sender.name, secure, sample.syntax, seen) for sample in samples]
            else:
                attempts += [_attempt(node, sender, secure, sample, folder) for sample in samples]
    stored, set_aside = node.stored(), node.set_aside()
    with _witness() as witness:
        for attempt in attempts:
            uid = attempt.sop_instance_uid
            seen = (
                _judge_stored(attempt, stored[uid], witness) if uid in stored else _judge(attempt, set_aside, witness)
            )
            found.append(Received(attempt.sender.name, attempt.secure, attempt.sample.syntax, seen))
    order = [sender.name for sender in senders]
    return tuple(sorted(found, key=lambda each: (order.index(each.sender), each.secure)))


def _attempt(node: Node, sender: Sender, secure: bool, sample: Sample, folder: Path) -> _Attempt:
    path = sample.copy(folder)
    complaint = sender.send(path, node.secure() if secure else node.plain())
    return _Attempt(sender, secure, sample, path, complaint)


def _judge_stored(attempt: _Attempt, stored: Path, witness: Witness) -> Seen:
    if attempt.complaint:
        return wrong("stored, and yet the sender complains", attempt.complaint)
    sent, kept = read(attempt.path), read(stored)
    same, changed = likeness(sent, kept)
    if same is Likeness.BYTES:
        return good("bytes")
    if witness.hear(attempt) != kept:
        return wrong("not what it sends to others", ", ".join(changed))
    encoding = "" if sent.syntax == kept.syntax else f" as {short_name(kept.syntax)}"
    if same is Likeness.OTHER:
        return limited(f"sender changes elements{encoding}", _told(changed))
    return good(f"{same}{encoding}")


def _told(changed: tuple[str, ...]) -> str:
    """Name what the sender changed or left out; private elements, which have no names, are counted."""
    named = [name for name in changed if not name.startswith("(")]
    private = len(changed) - len(named)
    return ", ".join([*([f"{private} private elements"] if private else []), *named])


def _judge(attempt: _Attempt, set_aside: dict[str, Encoded], witness: Witness) -> Seen:
    """Judge what is not in the store: the sender could not send it to anybody, or nobody could read it."""
    told = witness.hear(attempt)
    if told is None:
        return limited("sender cannot", attempt.complaint)
    if set_aside.get(attempt.sop_instance_uid) == told and not told.is_readable():
        return limited("sender's encoding is wrong", "Nobody can read it; kept in quarantine as it came.")
    return wrong("not stored", attempt.complaint)


class Witness:
    """A storage SCP of pynetdicom that takes everything: what a sender says to others than us."""

    def __init__(self, port: int, heard: dict[str, Encoded]) -> None:
        self._port = port
        self._heard = heard

    def hear(self, attempt: _Attempt) -> Encoded | None:
        """Let the sender send the same file here; return what it sent, None when it could not."""
        uid = attempt.sop_instance_uid
        self._heard.pop(uid, None)
        attempt.sender.send(attempt.path, Target(self._port, "WITNESS"))
        return self._heard.get(uid)


@contextmanager
def _witness() -> Iterator[Witness]:
    heard: dict[str, Encoded] = {}

    def accept_all(event: evt.Event) -> None:
        contexts: dict[str, PresentationContext] = {}
        for proposed in event.assoc.requestor.requested_contexts:
            ours = contexts.setdefault(str(proposed.abstract_syntax), PresentationContext())
            ours.abstract_syntax = proposed.abstract_syntax
            for syntax in proposed.transfer_syntax:
                ours.add_transfer_syntax(syntax)
        event.assoc.acceptor.supported_contexts = list(contexts.values())

    def store(event: evt.Event) -> int:
        uid, syntax = str(event.request.AffectedSOPInstanceUID), str(event.context.transfer_syntax)
        heard[uid] = Encoded(syntax, event.request.DataSet.getvalue())
        return 0x0000

    ae = AE(ae_title="WITNESS")
    ae.add_supported_context("1.2.840.10008.1.1")
    handlers = [(evt.EVT_REQUESTED, accept_all), (evt.EVT_C_STORE, store)]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        yield Witness(server.server_address[1], heard)
    finally:
        ae.shutdown()
