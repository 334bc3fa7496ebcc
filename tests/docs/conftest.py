"""A server whose files are ready at once, so that the examples wait for nothing; the built documentation."""

from __future__ import annotations

import os
import subprocess
import sys
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from filelock import FileLock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from appmetrica_frames.emulator import Emulator

ACCEPTED = 202
ROOT = Path(__file__).parents[2]


class PatientProxy:
    """Answers with the file instead of 202: it repeats a request until the emulator has prepared the file."""

    def __init__(self, emulator: Emulator) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                status, headers, body = _fetch(emulator.base_url, self.path, dict(self.headers))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, name="patient-proxy")
        self._thread.start()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _fetch(base_url: str, path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
    while True:
        response = _get(base_url, path, headers)
        if response.status != ACCEPTED:
            kept = {name: value for name in ("Content-Type", "Content-Encoding") if (value := response.headers[name])}
            return response.status, kept, response.read()
        response.read()
        headers.pop("Cache-Control", None)  # a repeated "no-cache" would put the job back


def _get(base_url: str, path: str, headers: dict[str, str]) -> HTTPResponse:
    connection = HTTPConnection(urlsplit(base_url).netloc, timeout=30)
    connection.request("GET", path, headers={**headers, "Host": urlsplit(base_url).netloc, "Connection": "close"})
    return connection.getresponse()


@pytest.fixture
def ready_url(server: Emulator) -> Iterator[str]:
    """Return the address of a server that never lets a client wait."""
    proxy = PatientProxy(server)
    yield proxy.base_url
    proxy.close()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the documentation, which is built once, however many processes run the tests."""
    own = tmp_path_factory.getbasetemp()
    folder = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    with FileLock(folder / "site.lock"):
        if not (folder / "site" / "built").exists():
            _build(folder / "site")
    return folder / "site" / "html"


def _build(folder: Path) -> None:
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-n", "-W", "--keep-going", "-q", "-E", "-a"]
    ran = subprocess.run(
        [*command, "-d", folder / "doctrees", "docs", folder / "html"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    (folder / "built").touch()
