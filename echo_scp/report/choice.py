"""Choose what a destination gets: what it is meant to get, or what takes its place where it does not accept that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from echo_scp.config import FALLBACKS, ObjectKind


@dataclass(frozen=True, slots=True)
class Offer:
    """A kind of object that there is, and in which encodings it can be sent."""

    kind: ObjectKind
    sop_class_uid: str
    transfer_syntax_uids: tuple[str, ...]


Accepted = Mapping[str, frozenset[str]]  # transfer syntax UIDs by SOP class UID, as an association negotiated them


def choose(
    wanted: Sequence[ObjectKind],
    offers: Iterable[Offer],
    accepted: Accepted,
    fallbacks: Mapping[ObjectKind, Sequence[ObjectKind]] = FALLBACKS,
) -> tuple[ObjectKind, ...]:
    """Return the kinds to send, each once, in the order of `wanted`.

    A kind that is not there, or not accepted, is replaced by its fallbacks, and those by theirs.
    """
    acceptable = {offer.kind for offer in offers if _accepts(accepted, offer)}
    chosen: dict[ObjectKind, None] = {}
    seen: set[ObjectKind] = set()
    waiting = list(wanted)
    while waiting:
        kind = waiting.pop(0)
        if kind in seen:
            continue
        seen.add(kind)
        if kind in acceptable:
            chosen[kind] = None
        else:
            waiting[:0] = fallbacks.get(kind, ())
    return tuple(chosen)


def _accepts(accepted: Accepted, offer: Offer) -> bool:
    return not accepted.get(offer.sop_class_uid, frozenset()).isdisjoint(offer.transfer_syntax_uids)
