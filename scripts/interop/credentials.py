"""Certificates of both sides, made anew for each run."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who is trusted, and what is shown to the other side: PEM files. `certificate` None: nothing is shown."""

    authority: Path
    certificate: Path | None
    key: Path | None

    def anonymous(self) -> Credentials:
        """Return the same trust without a certificate of one's own."""
        return Credentials(self.authority, None, None)

    def as_order(self) -> dict[str, str | None]:
        """Return what dimse.mjs is told."""
        paths = {"authority": self.authority, "certificate": self.certificate, "key": self.key}
        return {name: None if path is None else str(path) for name, path in paths.items()}

    def client(self) -> ssl.SSLContext:
        """Return the settings of a client."""
        context = ssl.create_default_context(cafile=self.authority)
        if self.certificate is not None:
            context.load_cert_chain(self.certificate, self.key)
        return context


def server(tls: Credentials) -> ssl.SSLContext:
    """Return the settings of a server that asks each client for a certificate of the same authority."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=tls.authority)
    context.verify_mode = ssl.CERT_REQUIRED
    assert tls.certificate is not None
    context.load_cert_chain(tls.certificate, tls.key)
    return context


def issue(folder: Path, *names: str) -> tuple[Credentials, ...]:
    """Let one authority sign a certificate of this machine for each of `names`."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "authority.pem")
    issued = []
    for name in names:
        leaf = authority.issue_cert("127.0.0.1", "localhost", common_name=name)
        certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
        leaf.cert_chain_pems[0].write_to_path(certificate)
        leaf.private_key_pem.write_to_path(key)
        issued.append(Credentials(folder / "authority.pem", certificate, key))
    return tuple(issued)
