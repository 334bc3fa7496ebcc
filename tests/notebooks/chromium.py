"""A headless Chromium, told what to do over a pipe (https://chromedevtools.github.io/devtools-protocol/)."""

from __future__ import annotations

import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from pathlib import Path

PROGRAMS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
FLAGS = (
    "--headless",
    "--no-sandbox",  # root and containers have none; the pages are our own
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND",  # what a page asks for is seen, and goes nowhere
    "--remote-debugging-pipe",
)
# Chromium reads its orders from descriptor 3 and answers on 4: a Python that puts them there becomes it.
BECOME = (
    "import os, sys; o, a = map(int, sys.argv[1:3]); os.dup2(o, 3); os.dup2(a, 4); os.execv(sys.argv[3], sys.argv[3:])"
)
BEYOND = 10  # a descriptor that collides with neither
PATIENCE = 30.0  # seconds for an answer

Message = dict[str, Any]


def program() -> str | None:
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


class Chromium:
    """A browser with one page."""

    def __init__(self, program: str, *, profile: Path) -> None:
        self._command = [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
        self._events: deque[Message] = deque()
        self._number = 0
        self._received = b""
        self._session: dict[str, str] = {}

    def __enter__(self) -> Self:
        orders, self._write = os.pipe()
        self._read, answers = os.pipe()
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, BEYOND) for end in (orders, answers)]
        become = [sys.executable, "-c", BECOME, *map(str, ends), *self._command]
        self._process = subprocess.Popen(
            become, pass_fds=ends, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for end in (orders, answers, *ends):
            os.close(end)
        page = self.tell("Target.createTarget", url="about:blank")["targetId"]
        self._session = {"sessionId": self.tell("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]}
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.tell(f"{domain}.enable")
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._write)  # nobody is left to tell it anything: Chromium ends
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._read)

    def open(self, path: Path) -> None:
        """Load a page from a file; what was asked and said before is forgotten."""
        self.tell("Page.navigate", url="about:blank")
        self._events.clear()
        self.tell("Page.navigate", url=path.as_uri())

    def run(self, script: str) -> Any:
        """Return what a script gives, once it gives it if that is a promise."""
        answer = self.tell("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, condition: str) -> None:
        """Wait until a condition holds, looked at whenever the page is painted."""
        self.run(
            f"new Promise(done => {{ (function look() {{ {condition} ? done() : requestAnimationFrame(look) }})() }})"
        )

    def asked(self) -> list[str]:
        """Return the address of every request that the page made or was kept from making."""
        made = [event["params"]["request"]["url"] for event in self._said("Network.requestWillBeSent")]
        return made + [event["params"]["url"] for event in self._said("Network.webSocketCreated")]

    def complaints(self) -> list[str]:
        """Return what stands in the console, and errors that nobody caught."""
        logged = [event["params"]["entry"]["text"] for event in self._said("Log.entryAdded")]
        printed = [json.dumps(event["params"]["args"]) for event in self._said("Runtime.consoleAPICalled")]
        thrown = [json.dumps(event["params"]["exceptionDetails"]) for event in self._said("Runtime.exceptionThrown")]
        return logged + printed + thrown

    def tell(self, method: str, **words: Any) -> Message:
        self._number += 1
        order = {"id": self._number, "method": method, "params": words, **self._session}
        os.write(self._write, json.dumps(order).encode() + b"\0")
        while "id" not in (message := self._next()):
            self._events.append(message)
        assert message["id"] == self._number, message
        assert "error" not in message, message["error"]
        answer: Message = message["result"]
        return answer

    def _said(self, method: str) -> list[Message]:
        return [event for event in self._events if event["method"] == method]

    def _next(self) -> Message:
        until = time.monotonic() + PATIENCE
        while b"\0" not in self._received:
            ready, _, _ = select.select([self._read], [], [], max(0.0, until - time.monotonic()))
            assert ready, f"Chromium said nothing for {PATIENCE} s"
            piece = os.read(self._read, 1 << 20)
            assert piece, "Chromium has ended"
            self._received += piece
        message, _, self._received = self._received.partition(b"\0")
        parsed: Message = json.loads(message)
        return parsed
