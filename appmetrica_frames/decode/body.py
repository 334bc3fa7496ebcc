"""The content of an HTTP body: decompressed strictly, and refused where a cut could go unnoticed.

Strict gunzip checks every member and every checksum; nothing may be missing, and nothing may follow.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol

from isal import isal_zlib

from appmetrica_frames.errors import DecodeError, DownloadError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MAGIC = b"\x1f\x8b"
_GZIP = 31  # wbits: a gzip header and trailer are required, and the trailer's CRC and length are checked

# The decoder copies what it has not consumed on every step, so a step must never see more input than this:
# a highly compressed chunk, or one of thousands of members, would otherwise cost quadratic time.
_SLICE = 1 << 16


class RawBody(Protocol):
    """The bytes as they come off the wire, and what the headers say about them."""

    framed: bool
    encoding: str

    def __iter__(self) -> Iterator[bytes]: ...


def decode_body(body: RawBody) -> Iterator[bytes]:
    """Return the content of a body, and refuse a body whose end could be missing without anybody noticing."""
    if not body.framed:
        raise DownloadError(
            "The body has neither a length nor chunks, so a cut would go unnoticed. "
            "Check base_url, and whether a proxy stands in between."
        )
    is_gzip, chunks = detect_gzip(body)
    if is_gzip:
        return gunzip(chunks)
    if body.encoding not in {"", "identity", "gzip"}:
        raise DecodeError(f"The server answered with Content-Encoding {body.encoding!r}, which was not asked for.")
    if body.encoding == "gzip":
        raise DownloadError("The body is announced as gzip and does not begin like it.")
    return chunks


def detect_gzip(chunks: Iterable[bytes]) -> tuple[bool, Iterator[bytes]]:
    """Return whether the body is gzip, and all of it."""
    rest = iter(chunks)
    head = b""
    while len(head) < len(_MAGIC) and (chunk := next(rest, None)) is not None:
        head += chunk
    return head.startswith(_MAGIC), chain([head] if head else [], rest)


def gunzip(chunks: Iterable[bytes], *, step: int = 1 << 17) -> Iterator[bytes]:
    """Yield the decompressed body in pieces of at most `step` bytes, or raise `DownloadError`."""
    body = _GzipBody(step)
    for chunk in chunks:
        for start in range(0, len(chunk), _SLICE):
            yield from body.feed(chunk[start : start + _SLICE])
    body.end()


class _GzipBody:
    """What has arrived of a gzip body."""

    def __init__(self, step: int) -> None:
        self.step = step
        self.received = 0
        self.members = 0
        self.member: Any = None

    def feed(self, piece: bytes) -> Iterator[bytes]:
        self.received += len(piece)
        while piece:
            if self.member is None:
                self._open(piece)
            yield from self._inflate(piece)
            piece = self._next_member()

    def _open(self, piece: bytes) -> None:
        if self.members and not _MAGIC.startswith(piece[: len(_MAGIC)]):
            raise DownloadError(f"Trailing bytes follow the end of the gzip body: {piece[:16]!r}. Download it again.")
        self.member = isal_zlib.decompressobj(wbits=_GZIP)

    def end(self) -> None:
        if self.member is not None or not self.members:
            raise DownloadError(
                f"The gzip body was cut after {self.received} bytes: its end is missing. Download it again."
            )

    def _inflate(self, piece: bytes) -> Iterator[bytes]:
        full = True
        # A full step may leave output inside the decoder even when all input is consumed.
        while (piece or full) and not self.member.eof:
            out = self._decompress(piece)
            piece, full = self.member.unconsumed_tail, len(out) == self.step
            if out:
                yield out

    def _decompress(self, piece: bytes) -> bytes:
        try:
            return bytes(self.member.decompress(piece, self.step))
        except isal_zlib.error as fault:  # type: ignore[misc]  # isal's stub takes the class for an instance
            raise DownloadError(
                f"The gzip body is damaged within its first {self.received} bytes: {fault}. Download it again."
            ) from fault

    def _next_member(self) -> bytes:
        if not self.member.eof:
            return b""
        left = bytes(self.member.unused_data)
        self.member, self.members = None, self.members + 1
        return left
