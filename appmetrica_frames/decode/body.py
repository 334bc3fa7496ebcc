"""The content of an HTTP body: decompressed, and refused where a cut could go unnoticed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from appmetrica_frames.errors import DecodeError, DownloadError

from .gunzip import gunzip, sniffed

if TYPE_CHECKING:
    from collections.abc import Iterator


class RawBody(Protocol):
    """The bytes as they come off the wire, and what the headers say of them."""

    framed: bool
    encoding: str

    def __iter__(self) -> Iterator[bytes]: ...


def content(body: RawBody) -> Iterator[bytes]:
    """Return what a body holds, and refuse one that could be cut without anybody noticing."""
    if not body.framed:
        raise DownloadError("The body has neither a length nor chunks, so that a cut would go unnoticed.")
    gzipped, chunks = sniffed(body)
    if gzipped:
        return gunzip(chunks)
    if body.encoding not in {"", "identity", "gzip"}:
        raise DecodeError(f"The server answered with Content-Encoding {body.encoding!r}, which was not asked for.")
    if body.encoding == "gzip":
        raise DownloadError("The body is announced as gzip and does not begin like it.")
    return chunks
