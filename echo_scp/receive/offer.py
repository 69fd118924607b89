"""What an association may agree on with the listener, told by the policy itself."""

from __future__ import annotations

from dataclasses import dataclass

from pydicom._uid_dict import UID_dictionary
from pydicom.uid import UID
from pynetdicom import DEFAULT_TRANSFER_SYNTAXES
from pynetdicom.presentation import build_context

from echo_scp.receive.policy import supported_contexts


@dataclass(frozen=True, slots=True)
class Offer:
    """One SOP class with the transfer syntaxes in which it is accepted, both as UIDs."""

    sop_class_uid: str
    transfer_syntax_uids: tuple[str, ...]


def known_transfer_syntaxes() -> tuple[str, ...]:
    """Return every transfer syntax of the standard, retired ones too, whether it is accepted or not."""
    return tuple(sorted(uid for uid, (_, kind, *_) in UID_dictionary.items() if kind == "Transfer Syntax"))


def known_sop_classes() -> tuple[str, ...]:
    """Return every SOP class of the standard, retired ones too, whether it is accepted or not."""
    return tuple(sorted(uid for uid, (_, kind, *_) in UID_dictionary.items() if kind == "SOP Class"))


def standard_offers() -> tuple[Offer, ...]:
    """Return what is accepted of every known SOP class proposed in every known transfer syntax."""
    syntaxes: list[str | UID] = [*known_transfer_syntaxes()]
    return tuple(
        Offer(str(context.abstract_syntax), tuple(sorted(map(str, context.transfer_syntax))))
        for uid in known_sop_classes()
        for context in supported_contexts([build_context(uid, syntaxes)])
    )


def service_transfer_syntaxes() -> tuple[str, ...]:
    """Return what is proposed for a service that is not storage, in this order."""
    return tuple(map(str, DEFAULT_TRANSFER_SYNTAXES))


def name_of(uid: str) -> str:
    """Return the standard's name of a UID, and whether it is retired; the UID where it has no name."""
    name = UID(uid).name or uid
    return f"{name} (retired)" if uid in UID_dictionary and UID(uid).is_retired else name
