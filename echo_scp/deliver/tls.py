"""What TLS towards a destination checks and shows, by the BCP 195 profile of DICOM (PS3.15 B.12)."""

from __future__ import annotations

import ssl

from echo_scp.config import Destination
from echo_scp.errors import DestinationUnreachableError


def tls_context(destination: Destination) -> ssl.SSLContext:
    """Return a context that trusts `tls_ca` (else whom the system trusts) and shows our certificate, if there is one.

    Read anew for every association: a renewed certificate is used from the next one on. Raises
    DestinationUnreachableError when a file is no certificate or key.
    """
    try:
        context = ssl.create_default_context(cafile=destination.tls_ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if destination.tls_certificate is not None:
            context.load_cert_chain(destination.tls_certificate, destination.tls_key)
    except OSError as error:  # ssl.SSLError is one
        raise DestinationUnreachableError(destination.name, f"TLS certificate or key: {error}") from error
    return context
