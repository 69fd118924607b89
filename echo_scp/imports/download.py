"""Fetch a published file where the machine has internet; it counts only with the right SHA-256."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from types import MappingProxyType
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote, urlsplit
from urllib.request import Request, urlopen

from echo_scp import __version__
from echo_scp.errors import ConfigurationError, DownloadError, StorageError
from echo_scp.imports.folder import sha256_of

_CHUNK_BYTES = 1 << 20
_UNCONFIRMED = ".unconfirmed"
_TIMEOUT_S = 60.0
_RESERVED = "%:/?#[]@!$&'()*+,;="  # what an address may hold besides letters, digits and -._~ (RFC 3986)

Progress = Callable[[int, int | None], None]  # bytes so far, bytes in all where the server says it


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """A file that a project has released; `sha256` "" where the project states none."""

    url: str
    kind: str
    licence: str
    sha256: str = ""


_RELEASE = "https://github.com/echonet/dynamic/releases/download/v1.0.0"
_TERMS = "all rights reserved; use needs the authors' written permission (LICENSE.txt of echonet/dynamic)"
PUBLISHED: Mapping[str, PublishedFile] = MappingProxyType(
    {
        "echonet-dynamic-segmentation": PublishedFile(
            f"{_RELEASE}/deeplabv3_resnet50_random.pt", "echonet-dynamic-segmentation", _TERMS
        ),
        "echonet-dynamic-ef": PublishedFile(f"{_RELEASE}/r2plus1d_18_32_2_pretrained.pt", "echonet-dynamic-ef", _TERMS),
    }
)
"""What `engines download` knows by name."""


def download(
    url: str,
    folder: Path,
    sha256: str = "",
    progress: Progress = lambda done, total: None,
    timeout_s: float = _TIMEOUT_S,
) -> Path:
    """Fetch `url` into `folder` under its own name and return the path; a file that is there with this hash is kept.

    Without `sha256` nothing is taken over: the file waits beside its place, and the DownloadError says its hash, to be
    compared with the publisher's and given in a second call. Raises ConfigurationError, DownloadError, StorageError.
    """
    target = folder / _file_name(url)
    wanted = _checked(sha256)
    waiting = target.with_name(target.name + _UNCONFIRMED)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for found in (target, waiting):
            if wanted and found.is_file() and sha256_of(found) == wanted:
                return found.replace(target)
        actual = _fetch(url, waiting, progress, timeout_s)
        if actual == wanted:
            return waiting.replace(target)
        if wanted:
            waiting.unlink()
    except OSError as error:
        raise StorageError(f"{target}: cannot be written: {error.strerror}") from error
    if wanted:
        raise DownloadError(f"{url}: expected sha256 {wanted}, got {actual}; nothing was kept")
    hint = f"compare it with what the publisher states, then confirm with --sha256 {actual}"
    raise DownloadError(f"{url}: its sha256 is {actual}: {hint}; until then it waits as {waiting}")


def _file_name(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    name = unquote(parts.path).rpartition("/")[2]
    is_address = parts.scheme in ("http", "https") and parts.netloc
    if not is_address or not name.isprintable() or not name or name.startswith("."):
        raise ConfigurationError(f"{url}: expected an http or https address that ends with a file name")
    return name


def _checked(sha256: str) -> str:
    """Return the hash as it is compared; a slip in it would cost the whole transfer."""
    wanted = sha256.strip().lower()
    if wanted and not re.fullmatch(r"[0-9a-f]{64}", wanted):
        raise ConfigurationError(f"--sha256 {sha256}: expected 64 hexadecimal digits")
    return wanted


def _fetch(url: str, target: Path, progress: Progress, timeout_s: float) -> str:
    """Stream `url` to `target`, which appears when it is whole; return its hash."""
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    scratch = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            digest = _stream(url, file.write, progress, timeout_s)
        scratch.replace(target)
    finally:
        scratch.unlink(missing_ok=True)
    return digest


def _stream(url: str, write: Callable[[bytes], object], progress: Progress, timeout_s: float) -> str:
    agent = {"User-Agent": f"echo-scp/{__version__}"}
    request = Request(quote(url, safe=_RESERVED), headers=agent)  # noqa: S310 - the scheme was checked
    digest, done, total = hashlib.sha256(), 0, None
    try:
        response = urlopen(request, timeout=timeout_s)  # noqa: S310
    except HTTPError as error:
        raise DownloadError(f"{url}: the server answers {error.code} {error.reason}") from error
    except (URLError, HTTPException, OSError) as error:
        raise DownloadError(f"{url}: cannot be reached: {getattr(error, 'reason', error)}") from error
    with response:
        length = response.headers.get("Content-Length")
        total = int(length) if length is not None and length.isdigit() else None
        while chunk := _read(url, response.read):
            write(chunk)
            digest.update(chunk)
            done += len(chunk)
            progress(done, total)
    if total is not None and done != total:
        raise DownloadError(f"{url}: it broke off after {done} of {total} bytes; try again")
    return digest.hexdigest()


def _read(url: str, read: Callable[[int], bytes]) -> bytes:
    try:
        return read(_CHUNK_BYTES)
    except (HTTPException, OSError) as error:
        raise DownloadError(f"{url}: it broke off: {error}; try again") from error
