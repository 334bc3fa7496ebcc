"""Cut a JSON body into blocks of records, without looking into the values.

A block ends before what looks like the start of a record: a brace and the name that came first in the first record. No
text can hold that, for the quote would end it; a bare nested object can, and then the block ends within a record, which
the parser notices and mends. Where a block ends depends on the body alone, never on how the network cut it.
"""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from appmetrica_frames.errors import DecodeError, DownloadError

from .rows import BOM, ROW_LIMIT, pieces

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_HEAD = re.compile(rb'[ \t\n\r]*\{[ \t\n\r]*"data"[ \t\n\r]*:[ \t\n\r]*\[[ \t\n\r]*(?=[^ \t\n\r])')
_TAIL = re.compile(rb"\][ \t\n\r]*\}[ \t\n\r]*\Z")
_NOTHING = re.compile(rb"[ \t\n\r]*\{[ \t\n\r]*\}[ \t\n\r]*\Z")
_LEAD = re.compile(rb'\{[ \t\n\r]*"(?:[^"\\]|\\.)*"')
_ANY_LEAD = b"{"
_HEAD_LIMIT = 1 << 16
_SHOWN = 80


class Block(NamedTuple):
    """Records with commas between them, and one after them unless they are the last."""

    text: bytes
    last: bool


def records(chunks: Iterable[bytes], *, size: int) -> Iterator[Block]:
    """Yield blocks of records of about `size` bytes, or raise unless the body is ``{"data": [...]}`` as a whole."""
    held, searched = bytearray(), 0
    lead = b""
    for piece in pieces(_array(chunks), size):
        for part in piece:
            held += part
        lead = lead or _lead(held)
        if end := _last_start(held, lead, searched):
            with memoryview(held) as whole:
                text = bytes(whole[:end])
            yield Block(text, last=False)
            del held[:end]
        refuse_endless_record(held)
        searched = len(held)
    yield from _last(bytes(held))


def refuse_endless_record(held: bytes | bytearray) -> None:
    """Keep memory bounded when a record does not come to its end."""
    if len(held) > ROW_LIMIT:
        raise DecodeError(f"A record is longer than {ROW_LIMIT} bytes, or broken: {bytes(held[:_SHOWN])!r}")


def _array(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield what follows the opening bracket, or nothing when there is no array."""
    rest, head = iter(chunks), bytearray()
    while not (found := _HEAD.match(head)) and len(head) <= _HEAD_LIMIT and (chunk := next(rest, None)) is not None:
        head += chunk
        head = head.removeprefix(BOM)
    if found:
        return chain([bytes(head[found.end() :])], rest)
    _refuse(bytes(head))
    return iter([b"]}"])


def _refuse(head: bytes) -> None:
    if not head:
        raise DownloadError('The body is empty; even an export without rows is {"data": []}. Download it again.')
    # One client of this API has met the empty object as an export without rows; no cut can make one of another body.
    if not _NOTHING.match(head):
        begins = head[:_SHOWN].decode(errors="replace")
        raise DecodeError(f'The body is not a JSON object with "data", an array: it begins with {begins!r}.')


def _lead(held: bytearray) -> bytes:
    found = _LEAD.match(held)
    return found[0] if found else _ANY_LEAD


def _last_start(held: bytearray, lead: bytes, searched: int) -> int:
    # Records may name their values in another order than the first one does.
    start = held.rfind(lead, max(0, searched - len(lead) + 1))
    return max(0, start if start > 0 else held.rfind(_ANY_LEAD, searched))


def _last(held: bytes) -> Iterator[Block]:
    tail = _TAIL.search(held, max(0, held.rfind(b"]")))
    if not tail:
        end = held[-_SHOWN:].decode(errors="replace")
        raise DownloadError(f"The body does not end like an export but with {end!r}: it was cut. Download it again.")
    if text := held[: tail.start()]:
        yield Block(text, last=True)
