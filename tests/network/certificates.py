"""Certificates for the tests, made anew for each run."""

from __future__ import annotations

import hashlib
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Issued:
    """A certificate and its key, each a PEM file."""

    certificate: Path
    key: Path
    sha256: str


class Authority:
    """Signs certificates; its own is the file `path`."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self._authority = trustme.CA()
        self.path = folder / f"{name}.pem"
        self._authority.cert_pem.write_to_path(self.path)

    def issue(self, dns_name: str, *, days: int = 1, file_name: str = "") -> Issued:
        """Write certificate and key of `dns_name`; with negative `days` it is over."""
        until = datetime.now(UTC) + timedelta(days=days)
        leaf = self._authority.issue_cert(dns_name, common_name=f"cn.{dns_name}", not_after=until)
        pem = leaf.cert_chain_pems[0].bytes()
        stem = file_name or dns_name
        der = ssl.PEM_cert_to_DER_cert(pem.decode())
        issued = Issued(self._folder / f"{stem}.pem", self._folder / f"{stem}.key", hashlib.sha256(der).hexdigest())
        issued.certificate.write_bytes(pem)
        leaf.private_key_pem.write_to_path(issued.key)
        return issued

    def client(self, issued: Issued | None = None) -> ssl.SSLContext:
        """Return the settings of a client that trusts this authority and shows `issued`."""
        context = ssl.create_default_context(cafile=str(self.path))
        context.check_hostname = False
        if issued is not None:
            context.load_cert_chain(issued.certificate, issued.key)
        return context
