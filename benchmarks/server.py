"""The server that a benchmark downloads from: prepared files at the speed of the wire, at next to no cost.

It speaks the request procedure only: 202 to the first request of a token, the file to the next one. A token that
begins with ``ready`` has its file at once. ``/cost`` says what all of it has cost so far.
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
        super().__init__(("127.0.0.1", 0), Answer)
        self.directory = directory
        self.met: set[str] = set()

    def is_prepared(self, token: str) -> bool:
        """Tell whether the file is there for a token; it is at the latest when it is asked for again."""
        met = token in self.met
        self.met.add(token)
        return met or token.startswith(READY)


class Answer(BaseHTTPRequestHandler):
    """The answer to one connection."""

    server: FileServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == COST:
            self.say(200, json.dumps({"cpu_seconds": time.process_time()}).encode())
        elif self.server.is_prepared(self.headers.get("Authorization", "")):
            self.send(self.server.directory / f"{path.rpartition('/')[2]}.gz")
        else:
            self.say(202, WAIT)

    def say(self, status: int, text: bytes) -> None:
        self.begin(status, len(text))
        self.wfile.write(text)

    def send(self, path: Path) -> None:
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
    """Serve a directory, saying where, until the input ends."""
    with FileServer(Path(sys.argv[1])) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        sys.stdout.write(f"http://127.0.0.1:{server.server_address[1]}\n")
        sys.stdout.flush()
        sys.stdin.read()
        server.shutdown()


if __name__ == "__main__":
    main()
