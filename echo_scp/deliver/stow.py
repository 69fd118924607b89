"""STOW-RS (PS3.18 10.5): Part-10 files to one destination by HTTP, each in a request of its own."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from echo_scp.config import Destination
from echo_scp.deliver.outcome import DUPLICATE, SUCCESS, DeliveryOutcome, had_it, judge, refusal
from echo_scp.deliver.tls import tls_context
from echo_scp.errors import (
    DestinationRefusedError,
    DestinationUnreachableError,
    NoAnswerError,
    ObjectNotSupportedError,
)

_CHUNK_BYTES = 65536
_REFERENCED, _FAILED, _OTHER_FAILURES = "00081199", "00081198", "0008119A"
_WARNING_REASON, _FAILURE_REASON = "00081196", "00081197"
_AWAY = frozenset({408, 425, 429, 502, 503, 504})  # the service as a whole cannot, for now
_HAD_IT = frozenset({DUPLICATE, 0xB00E})  # the latter is Azure's
_SYNTAX_NOT_SUPPORTED = 0xC122  # PS3.18 Table I.2-2
_UNSUPPORTED = 415  # the service takes no such media type, which includes the transfer syntax


class StowSender:
    """An HTTP client of one service. The connection is kept between objects."""

    def __init__(self, destination: Destination, client: httpx.Client) -> None:
        self._destination = destination
        self._client = client

    def takes(self, path: Path) -> bool:
        """Tell that any object can go this way: nothing is negotiated beforehand."""
        return True

    def send(self, path: Path) -> DeliveryOutcome:
        """Store one object. Raises as Sender says."""
        boundary = secrets.token_hex(16)
        head, tail = _frame(boundary)
        headers = {
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
            "Content-Length": str(len(head) + path.stat().st_size + len(tail)),
            "Accept": "application/dicom+json",
        }
        try:
            answer = self._client.post(self._destination.url, headers=headers, content=_body(head, path, tail))
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise DestinationUnreachableError(self._destination.name, f"{type(error).__name__}: {error}") from error
        except httpx.HTTPError as error:
            raise NoAnswerError(self._destination.name, f"{type(error).__name__}: {error}") from error
        return _judge_answer(self._destination, answer)


@contextmanager
def stow_sender(destination: Destination, timeout_s: float) -> Iterator[StowSender]:
    """Open a client with the destination's credentials; raises DestinationUnreachableError when they cannot be read."""
    verify = tls_context(destination) if destination.url.startswith("https:") else True
    headers, auth = _credentials(destination)
    with httpx.Client(verify=verify, headers=headers, auth=auth, timeout=timeout_s, trust_env=False) as client:
        yield StowSender(destination, client)


def _credentials(destination: Destination) -> tuple[dict[str, str], httpx.BasicAuth | None]:
    try:
        if destination.token_file is not None:
            return {"Authorization": f"Bearer {destination.token_file.read_text().strip()}"}, None
        if destination.password_file is not None:
            return {}, httpx.BasicAuth(destination.user, destination.password_file.read_text().strip())
    except OSError as error:
        raise DestinationUnreachableError(destination.name, f"credentials: {error}") from error
    return {}, None


def _frame(boundary: str) -> tuple[bytes, bytes]:
    """Return what stands before and after the file in a body of one part (PS3.18 8.6.1.2)."""
    head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n"
    return head.encode(), f"\r\n--{boundary}--\r\n".encode()


def _body(head: bytes, path: Path, tail: bytes) -> Iterator[bytes]:
    yield head
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk
    yield tail


def _judge_answer(destination: Destination, answer: httpx.Response) -> DeliveryOutcome:
    """Judge by the Store Instances Response Module (PS3.18 Annex I) first, then by the HTTP status (Table 10.5.3-1)."""
    module = _module(answer)
    failures = _reasons(module, _FAILED, _FAILURE_REASON) + _reasons(module, _OTHER_FAILURES, _FAILURE_REASON)
    if failures:
        return _judge_failure(destination, failures[0], f"HTTP {answer.status_code}")
    if answer.status_code in {200, 202} and (stored := _stored(module)) is not None:
        return judge(destination, stored, "")
    detail = f"HTTP {answer.status_code} {answer.reason_phrase}".strip()
    if answer.is_success:
        # Some services answer with an empty body, or in XML: the status then says that all was stored. A page is not of
        # the service, but of what stands before it: to log in, mostly.
        is_page = answer.headers.get("Content-Type", "").lower().startswith("text/html")
        if answer.status_code == 200 and module is None and not (is_page and answer.content):
            return DeliveryOutcome(SUCCESS, "")
        raise DestinationRefusedError(destination.name, f"{detail}: does not say that the object is stored")
    if answer.status_code == _UNSUPPORTED:
        raise ObjectNotSupportedError(destination.name, detail)
    if answer.status_code in _AWAY:
        raise DestinationUnreachableError(destination.name, detail)
    raise DestinationRefusedError(destination.name, detail)


def _judge_failure(destination: Destination, reason: int, comment: str) -> DeliveryOutcome:
    """Judge a Failure Reason: whatever its category in PS3.7, the object was not stored, unless it was there before."""
    if reason in _HAD_IT:
        return had_it(reason)
    if reason == _SYNTAX_NOT_SUPPORTED:
        detail = f"status 0x{reason:04X}: transfer syntax not supported ({comment})"
        raise ObjectNotSupportedError(destination.name, detail, reason)
    raise refusal(destination, reason, comment)


def _module(answer: httpx.Response) -> Mapping[str, object] | None:
    """Return the answer's data set, None when it has none in JSON."""
    try:
        content = answer.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        return None
    if isinstance(content, list) and content:
        content = content[0]
    return content if isinstance(content, dict) else None


def _stored(module: Mapping[str, object] | None) -> int | None:
    """Return the status of the stored object: its warning, else success; None when nothing is said to be stored."""
    if module is None or not _items(module, _REFERENCED):
        return None
    warnings = _reasons(module, _REFERENCED, _WARNING_REASON)
    return warnings[0] if warnings else SUCCESS


def _reasons(module: Mapping[str, object] | None, sequence: str, reason: str) -> tuple[int, ...]:
    found = []
    for item in _items(module, sequence):
        element = item.get(reason)
        values = element.get("Value") if isinstance(element, dict) else None
        if isinstance(values, list) and values and isinstance(values[0], int):
            found.append(values[0])
        elif reason == _FAILURE_REASON:
            found.append(0xC000)  # failed, and nothing said why (PS3.7 C.5.7: cannot understand)
    return tuple(found)


def _items(module: Mapping[str, object] | None, sequence: str) -> list[Mapping[str, object]]:
    element = (module or {}).get(sequence)
    values = element.get("Value") if isinstance(element, dict) else None
    return [item for item in values if isinstance(item, dict)] if isinstance(values, list) else []
