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

# The decoder copies what it has not consumed on every step and at the end of every member, so it never sees more input
# than this: a highly compressed chunk, or one of thousands of members, would otherwise cost quadratic time.
MAX_INPUT_BYTES = 1 << 16
MIN_INPUT_BYTES = 1 << 12  # for the first step of a member, which may be short
MAX_SILENT_BYTES = 1 << 20  # of input in a row without any content: endless names, empty members or empty blocks


class RawBody(Protocol):
    """The bytes as they come off the wire, and what the headers say about them."""

    framed: bool
    encoding: str

    def __iter__(self) -> Iterator[bytes]: ...


def decode_body(body: RawBody) -> Iterator[bytes]:
    """Return the content of a body, and refuse a body whose end could be missing without anybody noticing."""
    if not body.framed:
        raise DownloadError(
            "The server does not mark the end of the file (neither Content-Length nor chunks), so that a cut would go "
            "unnoticed. Check base_url, and whether a proxy removes these headers."
        )
    is_gzip, chunks = detect_gzip(body)
    if is_gzip:
        return gunzip(chunks)
    if body.encoding not in {"", "identity", "gzip"}:
        raise DecodeError(f"The server answered with Content-Encoding {body.encoding!r}, which was not requested.")
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
        start = 0
        while start < len(chunk):
            piece = chunk[start : start + body.input_bytes]
            start += len(piece)
            yield from body.feed(piece)
    body.end()


class _GzipBody:
    """What has arrived of a gzip body."""

    def __init__(self, step: int) -> None:
        self.input_bytes = MIN_INPUT_BYTES
        self._step = step
        self._received = 0
        self._received_by_output = 0  # when there was content for the last time
        self._members = 0
        self._member: Any = None

    def feed(self, piece: bytes) -> Iterator[bytes]:
        self._received += len(piece)
        self.input_bytes = min(2 * self.input_bytes, MAX_INPUT_BYTES)
        while piece:
            if self._member is None:
                self._open(piece)
            yield from self._inflate(piece)
            piece = self._next_member()
        self._refuse_silence()

    def _open(self, piece: bytes) -> None:
        if self._members and not _MAGIC.startswith(piece[: len(_MAGIC)]):
            raise DownloadError("Trailing bytes follow the end of the gzip body. Download it again.")
        self._member = isal_zlib.decompressobj(wbits=_GZIP)

    def end(self) -> None:
        if self._member is not None or not self._members:
            raise DownloadError(
                f"The gzip body was cut after {self._received} bytes: its end is missing. Download it again."
            )

    def _inflate(self, piece: bytes) -> Iterator[bytes]:
        full = True
        # A full step may leave output inside the decoder even when all input is consumed.
        while (piece or full) and not self._member.eof:
            out = self._decompress(piece)
            piece, full = self._member.unconsumed_tail, len(out) == self._step
            if out:
                self._received_by_output = self._received
                yield out

    def _decompress(self, piece: bytes) -> bytes:
        try:
            return bytes(self._member.decompress(piece, self._step))
        except isal_zlib.error as error:  # type: ignore[misc]  # isal's stub takes the class for an instance
            raise DownloadError(
                f"The gzip body is damaged within its first {self._received} bytes: {error}. Download it again."
            ) from error

    def _next_member(self) -> bytes:
        if not self._member.eof:
            return b""
        rest = bytes(self._member.unused_data)
        self._member, self._members = None, self._members + 1
        self.input_bytes = MIN_INPUT_BYTES
        return rest

    def _refuse_silence(self) -> None:
        if self._received - self._received_by_output > MAX_SILENT_BYTES:
            raise DownloadError(
                f"More than {MAX_SILENT_BYTES} bytes of the gzip body have no content: a header in it does not end, or "
                "its members are empty. Check base_url."
            )
