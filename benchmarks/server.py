"""The server that a benchmark downloads from: prepared files at the speed of the wire, at next to no cost.

It answers exports only: 202 to the first request of a token, the file to the next one. A token that begins with
``ready`` gets its file at once. ``/cost`` gives the processor time of the server so far.
"""

from __future__ import annotations

import json
import sys
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingTCPServer
from threading import Thread
from urllib.parse import urlsplit

WAIT = b"Wait for result"
READY = "OAuth ready"
COST = "/cost"


class FileServer(ThreadingTCPServer):
    """Serves the files of one directory, named ``<resource>.<format>.gz``."""

    daemon_threads = True

    def __init__(self, directory: Path) -> None:
        super().__init__(("127.0.0.1", 0), RequestHandler)
        self.directory = directory
        self.seen: set[str] = set()

    def is_prepared(self, token: str) -> bool:
        """Tell whether a token gets the file: at its second request, or at once if it is a ready one."""
        seen = token in self.seen
        self.seen.add(token)
        return seen or token.startswith(READY)


class RequestHandler(BaseHTTPRequestHandler):
    """Answers the requests of one connection."""

    server: FileServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == COST:
            self.send_text(200, json.dumps({"cpu_seconds": time.process_time()}).encode())
        elif self.server.is_prepared(self.headers.get("Authorization", "")):
            self.send_export(self.server.directory / f"{path.rpartition('/')[2]}.gz")
        else:
            self.send_text(202, WAIT)

    def send_text(self, status: int, text: bytes) -> None:
        self.begin(status, len(text))
        self.wfile.write(text)

    def send_export(self, path: Path) -> None:
        self.begin(200, path.stat().st_size, ("Content-Encoding", "gzip"))
        with path.open("rb") as file:
            self.connection.sendfile(file)

    def begin(self, status: int, length: int, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in (("Content-Length", str(length)), *headers):
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


def main() -> None:
    """Serve a directory until the input ends; print the address."""
    with FileServer(Path(sys.argv[1])) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        sys.stdout.write(f"http://127.0.0.1:{server.server_address[1]}\n")
        sys.stdout.flush()
        sys.stdin.read()
        server.shutdown()


if __name__ == "__main__":
    main()
