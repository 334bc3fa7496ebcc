"""Cut a JSON body into blocks of records without parsing the values.

A block ends before what looks like the start of a record: a brace and the name that came first in the first record. No
text can hold that, for the quote would end it; a bare nested object can, and then the block ends within a record, which
the decoder notices and mends. Where a block ends depends on the body alone, never on how the network cut it.
"""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from appmetrica_frames.decode.rows import BOM, MAX_ROW_BYTES, rechunk
from appmetrica_frames.errors import DecodeError, DownloadError
from appmetrica_frames.util.excerpts import MARGIN, excerpt

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_HEAD = re.compile(rb'[ \t\n\r]*\{[ \t\n\r]*"data"[ \t\n\r]*:[ \t\n\r]*\[[ \t\n\r]*(?=[^ \t\n\r])')
_TAIL = re.compile(rb"\][ \t\n\r]*\}[ \t\n\r]*\Z")
_EMPTY_OBJECT = re.compile(rb"[ \t\n\r]*\{[ \t\n\r]*\}[ \t\n\r]*\Z")
MAX_LEAD_CHARACTERS = 1000  # of the first name; its expression takes memory for each
LEAD = re.compile(rb'\{[ \t\n\r]*("(?:[^"\\]|\\.){0,%d}")' % MAX_LEAD_CHARACTERS)
_ANY_LEAD = b"{"
MAX_HEAD_BYTES = 1 << 16
_SHOWN = 80


class RecordBlock(NamedTuple):
    """Records with commas between them, and one after them unless they are the last."""

    text: bytes
    is_last: bool


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
    if len(held) > MAX_ROW_BYTES:
        raise DecodeError(
            f"A record is longer than {MAX_ROW_BYTES} bytes, or broken: {excerpt(bytes(held[:MARGIN]), _SHOWN)!r}"
        )


def _open_array(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield what follows the opening bracket, or an empty array if there is none."""
    rest = iter(chunks)
    head = _take(rest, len(BOM)).removeprefix(BOM)
    # The head doubles before it is searched again, so that many small chunks take linear time.
    while not (opening := _HEAD.match(head)) and len(head) <= MAX_HEAD_BYTES and (more := _take(rest, len(head) or 1)):
        head += more
    if opening:
        return chain([head[opening.end() :]], rest)
    _refuse_other_body(head)
    return iter([b"]}"])


def _take(chunks: Iterator[bytes], size: int) -> bytes:
    """Return the next chunks, at least so many bytes if there are."""
    taken = bytearray()
    while len(taken) < size and (chunk := next(chunks, None)) is not None:
        taken += chunk
    return bytes(taken)


def _refuse_other_body(head: bytes) -> None:
    if not head:
        raise DownloadError('The body is empty; even an export without rows is {"data": []}. Download it again.')
    # One client of this API has met the empty object as an export without rows; no cut can make one of another body.
    if not _EMPTY_OBJECT.match(head):
        begins = excerpt(head, _SHOWN)
        raise DecodeError(f'The body is not a JSON object with "data", an array: it begins with {begins!r}.')


def _find_lead(held: bytearray) -> bytes:
    lead = LEAD.match(held)
    return lead[0] if lead else _ANY_LEAD


def _find_last_start(held: bytearray, lead: bytes, searched: int) -> int:
    # Records may name their values in another order than the first one does.
    start = held.rfind(lead, max(0, searched - len(lead) + 1))
    return max(0, start if start > 0 else held.rfind(_ANY_LEAD, searched))


def _close_array(held: bytes) -> Iterator[RecordBlock]:
    tail = _TAIL.search(held, max(0, held.rfind(b"]")))
    if not tail:
        end = excerpt(held, _SHOWN, start=len(held) - _SHOWN)
        raise DownloadError(f"The body does not end like an export but with {end!r}: it was cut. Download it again.")
    if text := held[: tail.start()]:
        yield RecordBlock(text, is_last=True)
