"""Who may associate: calling AE title, network address and TLS client certificate, bound together.

Without `[[receive.peers]]` everybody may, within the limits per address. With them everybody else is refused: a title
is easily said, an address easily taken, and only a certificate is hard to forge.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv6Address, ip_address

from echo_scp.config import Peer, ReceiveConfig


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a verified client certificate says: SHA-256 of its DER form in hex, DNS names and common names."""

    sha256: str
    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class Guest:
    """Somebody who may associate: whose seats are counted together, and how many there are."""

    key: str
    maximum_associations: int


class Denied(Enum):
    """Why somebody may not; the value is the reason of the A-ASSOCIATE-RJ (PS3.8 Table 9-21, ACSE service user)."""

    CALLING_AE_TITLE = 3
    CALLED_AE_TITLE = 7


class Access:
    """The list of peers."""

    def __init__(self, config: ReceiveConfig) -> None:
        self._config = config

    def may_connect(self, address: str) -> bool:
        """Say whether anybody at this address may associate, before anything is read."""
        peers = self._config.peers
        return not peers or any(_is_at(peer, address) for peer in peers)

    def admit(self, address: str, calling: str, called: str, certificate: Certificate | None) -> Guest | Denied:
        """Decide on an A-ASSOCIATE-RQ."""
        config = self._config
        if not _is_title(called) or (config.called_ae_titles and called not in config.called_ae_titles):
            return Denied.CALLED_AE_TITLE
        if not _is_title(calling):
            return Denied.CALLING_AE_TITLE
        if not config.peers:
            return Guest(address, config.maximum_associations_per_peer)
        for peer in config.peers:
            if peer.ae_title == calling and _is_at(peer, address) and _has(peer, certificate):
                return Guest(f"peer {peer.name}", peer.maximum_associations or config.maximum_associations_per_peer)
        return Denied.CALLING_AE_TITLE


def _is_title(text: str) -> bool:
    """Say whether this may be an AE title (PS3.5 6.2, AE): no spaces alone, no control character, no backslash."""
    return bool(text) and text.isascii() and text.isprintable() and "\\" not in text


def _is_at(peer: Peer, address: str) -> bool:
    found = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    return not peer.addresses or any(found in network for network in peer.addresses)


def _has(peer: Peer, certificate: Certificate | None) -> bool:
    if not peer.certificates:
        return True
    if certificate is None:
        return False
    wanted = {text.lower() for text in peer.certificates}
    return f"sha256:{certificate.sha256}" in wanted or not wanted.isdisjoint(certificate.names)
