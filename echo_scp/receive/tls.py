"""DICOM TLS: the BCP 195 (RFC 8996, RFC 9325) secure transport connection profile of PS3.15 B.12, as the server.

TLS 1.2 with the four recommended suites, or TLS 1.3. Certificates are read again when their files change: associations
that are open go on, new ones see the new certificate.
"""

from __future__ import annotations

import hashlib
import os
import socket
import ssl
import time
from pathlib import Path

import structlog

from echo_scp.config import TlsConfig
from echo_scp.errors import ConfigurationError
from echo_scp.receive.access import Certificate

# RFC 9325 4.2; TLS 1.3 has its own suites, all of which will do.
_SUITES = (
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
)
_CHECK_S = 1.0

log = structlog.get_logger(__name__)

_Stamp = tuple[tuple[int, int, int], ...]


class TlsServer:
    """Wraps accepted connections. Used by one thread."""

    def __init__(self, config: TlsConfig) -> None:
        """Read certificate, key and authorities. Raises ConfigurationError naming the key that is wrong."""
        self._config = config
        self._stamp = self._files_stamp()
        self._context = _context(config)
        self._complained_of: _Stamp | None = None
        self._next_check = 0.0

    def wrap(self, connection: socket.socket) -> ssl.SSLSocket:
        """Return the connection with a handshake that has not begun. Raises OSError when the peer has gone."""
        if time.monotonic() >= self._next_check:
            self._next_check = time.monotonic() + _CHECK_S
            self._renew()
        return self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)

    def _renew(self) -> None:
        try:
            stamp = self._files_stamp()
        except ConfigurationError:  # between the removal of the old file and the arrival of the new one
            return
        if stamp == self._stamp:
            return
        try:
            self._context = _context(self._config)
        except ConfigurationError as error:  # half written, or the key of another certificate: the old one serves on
            if stamp != self._complained_of:
                self._complained_of = stamp
                log.error("tls.certificate_refused", detail=str(error))
        else:
            self._stamp = stamp
            log.info("tls.certificate_loaded", certificate=str(self._config.certificate))

    def _files_stamp(self) -> _Stamp:
        config = self._config
        found = []
        for key, path in (
            ("certificate", config.certificate),
            ("key", config.key),
            ("authorities", config.authorities),
        ):
            if path is not None:
                status = _status(key, path)
                found.append((status.st_ino, status.st_size, status.st_mtime_ns))
        return tuple(found)


def certificate_of(connection: socket.socket) -> Certificate | None:
    """Return what the verified client certificate of a connection says; None when there is none."""
    if not isinstance(connection, ssl.SSLSocket) or (der := connection.getpeercert(binary_form=True)) is None:
        return None
    # typeshed leaves the shape of the decoded certificate open
    told: dict[str, tuple[tuple[object, ...], ...]] = connection.getpeercert() or {}  # type: ignore[assignment]
    names = {str(value).lower() for kind, value in told.get("subjectAltName", ()) if kind == "DNS"}
    for attribute in told.get("subject", ()):
        names |= {str(pair[1]).lower() for pair in attribute if isinstance(pair, tuple) and pair[0] == "commonName"}
    return Certificate(hashlib.sha256(der).hexdigest(), frozenset(names))


def _context(config: TlsConfig) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(":".join(_SUITES))
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_NO_TICKET
    context.num_tickets = 0  # an association is long, and what is resumed would not be checked against a new list
    assert config.certificate is not None  # or there would be no TLS
    try:
        context.load_cert_chain(config.certificate, config.key, password="")  # never ask on the terminal
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"receive.tls.certificate, key: {config.certificate}, {config.key}: {error}"
        ) from error
    if config.authorities is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            context.load_verify_locations(config.authorities)
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"receive.tls.authorities: {config.authorities}: {error}") from error
    return context


def _status(key: str, path: Path) -> os.stat_result:
    try:
        return path.stat()
    except OSError as error:
        raise ConfigurationError(f"receive.tls.{key}: {path}: {error.strerror}") from error
