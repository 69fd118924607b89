"""A published file counts only when it arrived whole and is the one that was meant."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from echo_scp.errors import ConfigurationError, DownloadError, StorageError
from echo_scp.imports import KINDS
from echo_scp.imports.download import PUBLISHED, download

CONTENT = bytes(range(256)) * 9000  # more than one chunk
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Release(BaseHTTPRequestHandler):
    """A release page: a good file, a redirection to it, one that breaks off, and one without a stated length."""

    def do_GET(self):
        self.server.asked.append(self.path)
        if self.path == "/moved.pt":
            self.send_response(302)
            self.send_header("Location", "/weights.pt")
            self.end_headers()
        elif self.path.startswith("/missing"):
            self.send_error(404)
        else:
            self.send_response(200)
            if self.path != "/unsized.pt":
                self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT[: len(CONTENT) // 2] if self.path == "/cut.pt" else CONTENT)

    def log_message(self, *arguments):
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Release) as server:
        server.asked = []
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def site(server) -> str:
    return f"http://127.0.0.1:{server.server_port}"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", ["weights.pt", "moved.pt", "unsized.pt"])
def test_a_file_with_the_right_hash_is_kept_under_its_name(site, tmp_path, name):
    """Also through a redirection, and where the server does not say how long it is."""
    path = download(f"{site}/{name}", tmp_path / "new", SHA256.upper())

    assert path == tmp_path / "new" / name
    assert path.read_bytes() == CONTENT
    assert names(tmp_path / "new") == [name]


def test_progress_counts_the_bytes(site, tmp_path):
    """The last call says that everything is there."""
    seen = []

    download(f"{site}/weights.pt", tmp_path, SHA256, lambda done, total: seen.append((done, total)))

    assert len(seen) > 1
    assert seen[-1] == (len(CONTENT), len(CONTENT))


def test_an_unknown_hash_must_be_confirmed(server, site, tmp_path):
    """The first call says it; the second, with it, takes the file that waits, without the network."""
    with pytest.raises(DownloadError, match=f"--sha256 {SHA256}"):
        download(f"{site}/weights.pt", tmp_path)
    assert not (tmp_path / "weights.pt").exists()

    path = download(f"{site}/weights.pt", tmp_path, SHA256)

    assert path.read_bytes() == CONTENT
    assert names(tmp_path) == ["weights.pt"]
    assert server.asked == ["/weights.pt"]


def test_a_file_that_is_there_is_not_fetched_again(server, site, tmp_path):
    """Its hash is compared, not its name."""
    (tmp_path / "weights.pt").write_bytes(CONTENT)

    download(f"{site}/weights.pt", tmp_path, SHA256)

    assert server.asked == []


def test_another_file_under_the_name_is_replaced_only_by_the_right_one(site, tmp_path):
    """An older release stays until the new one is whole."""
    (tmp_path / "weights.pt").write_bytes(b"older")
    with pytest.raises(DownloadError):
        download(f"{site}/weights.pt", tmp_path, "0" * 64)
    assert (tmp_path / "weights.pt").read_bytes() == b"older"

    download(f"{site}/weights.pt", tmp_path, SHA256)

    assert (tmp_path / "weights.pt").read_bytes() == CONTENT


def test_a_wrong_hash_keeps_nothing(site, tmp_path):
    """The message says both hashes."""
    with pytest.raises(DownloadError, match=f"expected sha256 {'0' * 64}, got {SHA256}"):
        download(f"{site}/weights.pt", tmp_path, "0" * 64)

    assert names(tmp_path) == []


def test_a_file_that_breaks_off_keeps_nothing(site, tmp_path):
    """Half a network is none."""
    with pytest.raises(DownloadError, match=f"broke off .*{len(CONTENT) // 2}"):
        download(f"{site}/cut.pt", tmp_path, SHA256)

    assert names(tmp_path) == []


def test_a_missing_file_is_named(site, tmp_path):
    """With the server's own word."""
    with pytest.raises(DownloadError, match=r"missing\.pt: the server answers 404"):
        download(f"{site}/missing.pt", tmp_path, SHA256)

    assert names(tmp_path) == []


def test_a_server_that_is_not_there_is_named(tmp_path):
    """Most nodes have no internet."""
    with pytest.raises(DownloadError, match="cannot be reached"):
        download("http://127.0.0.1:9/weights.pt", tmp_path, SHA256, timeout_s=5)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://host/a.pt", "https:///a.pt", "http://host/", "a.pt"])
def test_only_files_on_the_web_are_fetched(url, tmp_path):
    """No local path, no folder, no other protocol."""
    with pytest.raises(ConfigurationError, match="http or https"):
        download(url, tmp_path, SHA256)


def test_a_folder_that_cannot_be_written_is_a_storage_error(site, tmp_path):
    """Not a fault of the server."""
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(StorageError, match="cannot be written"):
        download(f"{site}/weights.pt", tmp_path / "file", SHA256)


def test_what_is_known_by_name_can_be_imported():
    """Each published file says its kind and its terms."""
    assert {file.kind for file in PUBLISHED.values()} <= set(KINDS)
    assert all(file.url.startswith("https://") and file.licence for file in PUBLISHED.values())


@pytest.mark.parametrize("sha256", ["abc", f"sha256:{SHA256}", "g" * 64])
def test_a_hash_that_is_none_is_refused_before_anything_is_fetched(server, site, tmp_path, sha256):
    """A slip would cost the whole transfer."""
    with pytest.raises(ConfigurationError, match="expected 64 hexadecimal digits"):
        download(f"{site}/weights.pt", tmp_path, sha256)

    assert server.asked == []


@pytest.mark.parametrize("url", ["http://[bad/weights.pt", "http://localhost/a%00.pt"])
def test_an_address_that_is_none_is_refused(tmp_path, url):
    """Neither a host nor a file could be called so."""
    with pytest.raises(ConfigurationError, match="expected an http or https address"):
        download(url, tmp_path)


def test_an_address_may_be_written_as_it_is_read(server, site, tmp_path):
    """With blanks and letters of any script."""
    path = download(f"{site}/Gewichte für A4C%2B.pt", tmp_path, SHA256)

    assert path.name == "Gewichte für A4C+.pt"
    assert server.asked == ["/Gewichte%20f%C3%BCr%20A4C%2B.pt"]
