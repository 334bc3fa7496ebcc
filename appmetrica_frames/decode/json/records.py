"""Cut a JSON body into blocks of records without parsing the values.

A block ends before what looks like the start of a record: a brace and the name that came first in the first record. No
text can hold that, for the quote would end it; a bare nested object can, and then the block ends within a record, which
the decoder notices and mends. Where a block ends depends on the body alone, never on how the network cut it.
"""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from appmetrica_frames.decode.rows import BOM, ROW_LIMIT, rechunk
from appmetrica_frames.errors import DecodeError, DownloadError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_HEAD = re.compile(rb'[ \t\n\r]*\{[ \t\n\r]*"data"[ \t\n\r]*:[ \t\n\r]*\[[ \t\n\r]*(?=[^ \t\n\r])')
_TAIL = re.compile(rb"\][ \t\n\r]*\}[ \t\n\r]*\Z")
_EMPTY_OBJECT = re.compile(rb"[ \t\n\r]*\{[ \t\n\r]*\}[ \t\n\r]*\Z")
_LEAD = re.compile(rb'\{[ \t\n\r]*"(?:[^"\\]|\\.)*"')
_ANY_LEAD = b"{"
_HEAD_LIMIT = 1 << 16
_SHOWN = 80


class RecordBlock(NamedTuple):
    """Records with commas between them, and one after them unless they are the last."""

    text: bytes
    is_last: bool

    def after(self, rest: bytes) -> RecordBlock:
        """Return the block with the beginning of its first record in front of it."""
        return RecordBlock(rest + self.text, self.is_last) if rest else self


def split_records(chunks: Iterable[bytes], *, size: int) -> Iterator[RecordBlock]:
    """Yield blocks of records of about `size` bytes, or raise unless the body is ``{"data": [...]}`` as a whole."""
    held, searched = bytearray(), 0
    lead = b""
    for piece in rechunk(_open_array(chunks), size):
        for part in piece:
            held += part
        lead = lead or _find_lead(held)
        if end := _find_last_start(held, lead, searched):
            with memoryview(held) as whole:
                text = bytes(whole[:end])
            yield RecordBlock(text, is_last=False)
            del held[:end]
        refuse_endless_record(held)
        searched = len(held)
    yield from _close_array(bytes(held))


def refuse_endless_record(held: bytes | bytearray) -> None:
    """Keep memory bounded if a record does not end."""
    if len(held) > ROW_LIMIT:
        raise DecodeError(f"A record is longer than {ROW_LIMIT} bytes, or broken: {bytes(held[:_SHOWN])!r}")


def _open_array(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield what follows the opening bracket, or an empty array if there is none."""
    rest, head = iter(chunks), bytearray()
    while not (opening := _HEAD.match(head)) and len(head) <= _HEAD_LIMIT and (chunk := next(rest, None)) is not None:
        head += chunk
        head = head.removeprefix(BOM)
    if opening:
        return chain([bytes(head[opening.end() :])], rest)
    _refuse_other_body(bytes(head))
    return iter([b"]}"])


def _refuse_other_body(head: bytes) -> None:
    if not head:
        raise DownloadError('The body is empty; even an export without rows is {"data": []}. Download it again.')
    # One client of this API has met the empty object as an export without rows; no cut can make one of another body.
    if not _EMPTY_OBJECT.match(head):
        begins = head[:_SHOWN].decode(errors="replace")
        raise DecodeError(f'The body is not a JSON object with "data", an array: it begins with {begins!r}.')


def _find_lead(held: bytearray) -> bytes:
    lead = _LEAD.match(held)
    return lead[0] if lead else _ANY_LEAD


def _find_last_start(held: bytearray, lead: bytes, searched: int) -> int:
    # Records may name their values in another order than the first one does.
    start = held.rfind(lead, max(0, searched - len(lead) + 1))
    return max(0, start if start > 0 else held.rfind(_ANY_LEAD, searched))


def _close_array(held: bytes) -> Iterator[RecordBlock]:
    tail = _TAIL.search(held, max(0, held.rfind(b"]")))
    if not tail:
        end = held[-_SHOWN:].decode(errors="replace")
        raise DownloadError(f"The body does not end like an export but with {end!r}: it was cut. Download it again.")
    if text := held[: tail.start()]:
        yield RecordBlock(text, is_last=True)
