"""An answer on its way to the client, as a value that faults rewrite, and the bytes that it becomes."""

from __future__ import annotations

import gzip
from dataclasses import dataclass, replace
from http.client import responses
from typing import TYPE_CHECKING, Literal, Self, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping


Framing: TypeAlias = Literal["length", "chunked", "close"]
Headers: TypeAlias = tuple[tuple[str, str], ...]

CHUNK = 512
OF_THE_FRAMING = {"content-length", "transfer-encoding", "connection"}


@dataclass(frozen=True, slots=True)
class Ending:
    """Where an answer stops short, and what the client sees there.

    Attributes
    ----------
    after : int or None
        Body bytes that are sent before it; None if nothing is sent, not even the status line.
    how : {"close", "reset", "silence"}
    """

    after: int | None
    how: Literal["close", "reset", "silence"]


@dataclass(frozen=True, slots=True)
class Reply:
    """What will be sent, and how.

    Attributes
    ----------
    headers : tuple of (str, str)
        Without those of the framing, which are made from the body when it is sent.
    body : bytes
        As encoded by Content-Encoding and not framed.
    delay : float
        Seconds before the status line.
    pace : float, optional
        Bytes a second at which the body is sent.
    paced_for : float
        Seconds after which the rest of a paced body is sent at once.
    ending : Ending, optional
        Where it stops short; None sends all of it.
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
    def zipped(self) -> bool:
        return self.header("content-encoding") == "gzip"

    @property
    def plain(self) -> bytes:
        """The body without its encoding."""
        return gzip.decompress(self.body) if self.zipped else self.body

    @property
    def reusable(self) -> bool:
        """Whether the connection may serve another request afterwards."""
        return self.ending is None and self.framing != "close"

    def header(self, name: str) -> str | None:
        return next((value for known, value in self.headers if known.lower() == name), None)

    def updated(self, headers: Mapping[str, str]) -> Self:
        """Return it with those headers instead of its own of the same names."""
        known = {name.lower() for name in headers}
        kept = (pair for pair in self.headers if pair[0].lower() not in known)
        return replace(self, headers=(*kept, *headers.items()))

    def carrying(self, plain: bytes, *, zipped: bool) -> Self:
        """Return it with that body, encoded or not."""
        kept = tuple(pair for pair in self.headers if pair[0].lower() != "content-encoding")
        if not zipped:
            return replace(self, headers=kept, body=plain)
        return replace(self, headers=(*kept, ("Content-Encoding", "gzip")), body=gzip.compress(plain, mtime=0))

    def head(self) -> bytes:
        """Return the status line and the headers."""
        stated = [(name, value) for name, value in self.headers if name.lower() not in OF_THE_FRAMING]
        lines = [f"HTTP/1.1 {self.status} {responses.get(self.status, 'Unknown')}"]
        lines += [f"{name}: {value}" for name, value in (*stated, self._framing())]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def framed(self) -> bytes:
        """Return what follows the head, up to where it stops short."""
        sent = self.body if self.ending is None else self.body[: self.ending.after or 0]
        if self.framing != "chunked":
            return sent
        starts = range(0, len(sent), CHUNK)
        # The size of a chunk is that of the whole one, even where the body stops in the middle of it.
        chunks = [_chunk(self.body[start : start + CHUNK], sent[start : start + CHUNK]) for start in starts]
        return b"".join(chunks) + (b"0\r\n\r\n" if self.ending is None else b"")

    def _framing(self) -> tuple[str, str]:
        if self.framing == "length":
            return "Content-Length", str(len(self.body))
        return ("Transfer-Encoding", "chunked") if self.framing == "chunked" else ("Connection", "close")


def _chunk(whole: bytes, sent: bytes) -> bytes:
    return b"%x\r\n" % len(whole) + sent + (b"\r\n" if len(sent) == len(whole) else b"")
