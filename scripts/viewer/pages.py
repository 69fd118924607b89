"""Serve OHIF's pages and an archive's DICOMweb from one address, as OHIF needs it: one origin, isolated from others."""

from __future__ import annotations

import http.client
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from mimetypes import guess_type
from pathlib import Path
from urllib.parse import urlsplit

DICOM_WEB = "/dicom-web/"
DERIVED_DELAY_S = 1.5
# OHIF shares memory between threads, which browsers allow only between pages that cannot be embedded elsewhere.
ISOLATION = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}
HOP_BY_HOP = {"host", "connection", "accept-encoding"}
CONFIG = """\
window.config = {
  routerBasename: null,
  extensions: [],
  modes: [],
  customizationService: {},
  showStudyList: true,
  maxNumberOfWebWorkers: 2,
  showWarningMessageForCrossOrigin: false,
  showCPUFallbackMessage: false,
  showLoadingIndicator: true,
  strictZSpacingForVolumeViewport: true,
  investigationalUseDialog: { option: 'never' },
  defaultDataSourceName: 'dicomweb',
  dataSources: [{
    namespace: '@ohif/extension-default.dataSourcesModule.dicomweb',
    sourceName: 'dicomweb',
    configuration: {
      friendlyName: 'Orthanc',
      name: 'orthanc',
      qidoRoot: '/dicom-web', wadoRoot: '/dicom-web', wadoUriRoot: '/wado',
      qidoSupportsIncludeField: false,
      imageRendering: 'wadors',
      thumbnailRendering: 'wadors',
      enableStudyLazyLoad: true,
      supportsFuzzyMatching: false,
      supportsWildcard: true,
      dicomUploadEnabled: false,
      bulkDataURI: { enabled: true },
      omitQuotationForMultipartRequest: true,
    },
  }],
};
"""


class Archive:
    """Where the DICOMweb requests go."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._derived: dict[str, bool] = {}

    def is_derived(self, series_instance_uid: str) -> bool:
        """Is the series none of images, but of what was made of them?"""
        if series_instance_uid not in self._derived:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            connection.request("GET", f"{DICOM_WEB}series?SeriesInstanceUID={series_instance_uid}&Modality=SEG")
            answer = connection.getresponse()
            self._derived[series_instance_uid] = answer.status == 200 and answer.read().strip() not in (b"", b"[]")
            connection.close()
        return self._derived[series_instance_uid]


def serve(dist: Path, archive: Archive, port: int = 0, address: str = "127.0.0.1") -> ThreadingHTTPServer:
    """Return a running server of the pages in `dist`; `server_close` it after `shutdown`."""

    class Handler(_Handler):
        pass

    Handler.dist, Handler.archive = dist, archive
    server = ThreadingHTTPServer((address, port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="pages", daemon=True).start()
    return server


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    dist: Path
    archive: Archive

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path.startswith((DICOM_WEB, "/wado")):
            self._forward(path)
        elif path == "/app-config.js":
            self._answer(200, "text/javascript", CONFIG.encode())
        else:
            self._page(path)

    do_POST = do_GET  # noqa: N815 - the name that http.server calls

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - of http.server
        """Keep quiet."""

    def _page(self, path: str) -> None:
        file = (self.dist / path.lstrip("/")).resolve()
        if not file.is_file() or not file.is_relative_to(self.dist.resolve()):
            file = self.dist / "index.html"  # OHIF reads the rest of the address itself
        kind = "application/wasm" if file.suffix == ".wasm" else guess_type(file.name)[0] or "application/octet-stream"
        self._answer(200, kind, file.read_bytes())

    def _forward(self, path: str) -> None:
        parts = path.split("/")
        if parts[-1] == "metadata" and "series" in parts and self.archive.is_derived(parts[parts.index("series") + 1]):
            time.sleep(DERIVED_DELAY_S)  # OHIF binds a Segmentation to the first clip it knows: let it know all
        connection = http.client.HTTPConnection("127.0.0.1", self.archive.port, timeout=120)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
        headers["Host"] = self.headers.get("Host", "127.0.0.1")  # the addresses in the answers begin with it
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))) or None
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        self._answer(answer.status, answer.getheader("Content-Type", "application/octet-stream"), answer.read())
        connection.close()

    def _answer(self, status: int, kind: str, content: bytes) -> None:
        self.send_response(status)
        for name, value in (ISOLATION | {"Content-Type": kind, "Content-Length": str(len(content))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
