"""Texts that come from outside, read within limits: on bytes after decompression, on depth and on numbers."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from appmetrica_frames.decode.body import gunzip
from appmetrica_frames.errors import DecodeError, DownloadError

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_TEXT = 64 << 10
MAX_JSON = 4 << 20
GZIP_MAGIC = b"\x1f\x8b"
PLAIN_OR_GZIP = frozenset({"", "identity", "gzip", "x-gzip"})


def read_raw(chunks: Iterable[bytes], limit: int) -> bytes:
    """Return the beginning of a body, as it comes off the wire."""
    raw = bytearray()
    for chunk in chunks:
        raw += chunk
        if len(raw) >= limit:
            break
    return bytes(raw[:limit])


def decode_text(raw: bytes, encoding: str, limit: int) -> str:
    """Return the beginning of a text, decompressed; what is damaged ends where the damage begins.

    Only gzip is requested, and once: layers of it can make gigabytes of a few bytes, so that other encodings are not
    read at all.
    """
    if encoding not in PLAIN_OR_GZIP:
        return f"(a text with Content-Encoding {encoding[:40]!r}, which was not requested)"
    text = _gunzip(raw, limit) if raw.startswith(GZIP_MAGIC) else raw
    return text[:limit].decode("utf-8", "replace")


def parse_json(text: str) -> Any:
    """Return a JSON document; raise `ValueError` for anything else, however deep and however long its numbers."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("the JSON is nested too deeply") from error


def parse_document(text: str, path: str) -> Any:
    """Return the JSON document that a path answered with."""
    if len(text) >= MAX_JSON:
        raise DecodeError(f"{path} answers with more than {MAX_JSON >> 20} MiB: check base_url.")
    try:
        return parse_json(text)
    except ValueError as error:
        raise DecodeError(f"{path} did not answer with JSON: check base_url.") from error


def replace_surrogates(text: str) -> str:
    """Return a text that can be encoded: JSON can hold halves of surrogate pairs."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _gunzip(raw: bytes, limit: int) -> bytes:
    text = bytearray()
    with suppress(DownloadError):
        for piece in gunzip([raw]):
            text += piece
            if len(text) >= limit:
                break
    return bytes(text)
