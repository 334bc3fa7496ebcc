"""Object storage on this machine, with faults: run as a script, it prints its port and ends with its standard input.

``POST /faults`` with a JSON list says what becomes of the next objects or parts that are put: ``refuse`` (403),
``fail`` (500), ``cut`` (the connection ends in the middle), ``slow`` (half a second later) or ``pass``.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from threading import Thread
from typing import TYPE_CHECKING, Any

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

STATUSES = {"refuse": "403 Forbidden", "fail": "500 Internal Server Error"}
CODES = {"refuse": "AccessDenied", "fail": "InternalError"}


class FaultyStorage:
    """moto's object storage, behind the faults that are ordered."""

    def __init__(self) -> None:
        self._storage = DomainDispatcherApplication(create_backend_app)
        self._faults: list[str] = []

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/faults":
            self._faults = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
            start("200 OK", [])
            return []
        is_object = environ["REQUEST_METHOD"] == "PUT" and environ["PATH_INFO"].count("/") > 1
        fault = self._faults.pop(0) if is_object and self._faults else "pass"
        if fault in STATUSES:
            return self._refuse(fault, environ, start)
        if fault == "cut":
            environ["wsgi.input"].read(10)
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        if fault == "slow":
            time.sleep(0.5)
        return self._storage(environ, start)

    def _refuse(self, fault: str, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        start(STATUSES[fault], [("Content-Type", "application/xml")])
        return [f"<Error><Code>{CODES[fault]}</Code><Message>ordered</Message></Error>".encode()]


class Silent(WSGIRequestHandler):
    """Writes no log."""

    def log(self, *_: object, **__: object) -> None:
        pass


if __name__ == "__main__":
    server = make_server("127.0.0.1", 0, FaultyStorage(), threaded=True, request_handler=Silent)
    Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(f"{server.port}\n")
    sys.stdout.flush()
    sys.stdin.read()
