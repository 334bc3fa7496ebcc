"""A response on its way to the client: a value that faults rewrite, and the bytes that are sent."""

from __future__ import annotations

import gzip
from dataclasses import dataclass, replace
from http.client import responses as status_texts
from typing import TYPE_CHECKING, Literal, Self, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping


Framing: TypeAlias = Literal["length", "chunked", "close"]
Headers: TypeAlias = tuple[tuple[str, str], ...]

CHUNK = 512
FRAMING_HEADERS = {"content-length", "transfer-encoding", "connection"}


@dataclass(frozen=True, slots=True)
class Ending:
    """Where a response stops early, and what the client sees there.

    Attributes
    ----------
    after : int or None
        Body bytes to send before; None sends nothing, not even the status line.
    how : {"close", "reset", "silence"}
    """

    after: int | None
    kind: Literal["close", "reset", "silence"]


@dataclass(frozen=True, slots=True)
class Response:
    """What to send, and how.

    Attributes
    ----------
    headers : tuple of (str, str)
        Without Content-Length and the like, which are derived from the framing.
    body : bytes
        With its content encoding, not framed.
    delay : float
        Seconds before the status line.
    pace : float, optional
        Bytes a second at which the body is sent.
    paced_for : float
        Seconds after which the rest of a paced body is sent at once.
    ending : Ending, optional
        Where it stops early; None sends all of it.
    """

    status: int
    headers: Headers = ()
    body: bytes = b""
    framing: Framing = "length"
    delay: float = 0.0
    pace: float | None = None
    paced_for: float = 0.0
    ending: Ending | None = None

    @property
    def is_gzipped(self) -> bool:
        return self.header("content-encoding") == "gzip"

    @property
    def content(self) -> bytes:
        """The decoded body."""
        return gzip.decompress(self.body) if self.is_gzipped else self.body

    @property
    def is_reusable(self) -> bool:
        """Whether the connection may serve another request afterwards."""
        return self.ending is None and self.framing != "close"

    def header(self, name: str) -> str | None:
        return next((value for known, value in self.headers if known.lower() == name), None)

    def with_headers(self, headers: Mapping[str, str]) -> Self:
        """Return a copy with these headers, which replace others of the same name."""
        known = {name.lower() for name in headers}
        others = (pair for pair in self.headers if pair[0].lower() not in known)
        return replace(self, headers=(*others, *headers.items()))

    def with_body(self, content: bytes, *, is_gzipped: bool) -> Self:
        """Return a copy with this body, gzipped or not."""
        others = tuple(pair for pair in self.headers if pair[0].lower() != "content-encoding")
        if not is_gzipped:
            return replace(self, headers=others, body=content)
        return replace(self, headers=(*others, ("Content-Encoding", "gzip")), body=gzip.compress(content, mtime=0))

    def format_head(self) -> bytes:
        """Return the status line and the headers."""
        headers = [(name, value) for name, value in self.headers if name.lower() not in FRAMING_HEADERS]
        lines = [f"HTTP/1.1 {self.status} {status_texts.get(self.status, 'Unknown')}"]
        lines += [f"{name}: {value}" for name, value in (*headers, self._framing_header())]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def frame_body(self) -> bytes:
        """Return the framed body, up to where it stops early."""
        sent = self.body if self.ending is None else self.body[: self.ending.after or 0]
        if self.framing != "chunked":
            return sent
        starts = range(0, len(sent), CHUNK)
        # A chunk that is cut still states its whole size.
        chunks = [_chunk(self.body[start : start + CHUNK], sent[start : start + CHUNK]) for start in starts]
        return b"".join(chunks) + (b"0\r\n\r\n" if self.ending is None else b"")

    def _framing_header(self) -> tuple[str, str]:
        if self.framing == "length":
            return "Content-Length", str(len(self.body))
        return ("Transfer-Encoding", "chunked") if self.framing == "chunked" else ("Connection", "close")


def _chunk(whole: bytes, sent: bytes) -> bytes:
    return b"%x\r\n" % len(whole) + sent + (b"\r\n" if len(sent) == len(whole) else b"")
