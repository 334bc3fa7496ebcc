"""Cut a CSV body into blocks of whole rows without parsing the cells.

In RFC 4180 every quote byte has a partner, so a line end stands inside a quoted cell exactly where an odd number of
quote bytes came before it. Where a block ends depends on the body alone, never on how the network cut it.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from appmetrica_frames.errors import DecodeError, DownloadError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BOM = b"\xef\xbb\xbf"
_QUOTE = ord('"')
_HEADER_LIMIT = 1 << 20
ROW_LIMIT = 1 << 26  # keeps memory bounded when a stray quote swallows the rest of the body


def split_header(chunks: Iterable[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Return the first line without BOM and line end, and the rest of the body."""
    rest, head = iter(chunks), bytearray()
    while not (end := _find_row_end(head)) and len(head) <= _HEADER_LIMIT and (chunk := next(rest, None)) is not None:
        head += chunk
    if not head.removeprefix(BOM):
        raise DownloadError("The body is empty; even an export without rows has a header. Download it again.")
    end = end or len(head)
    return bytes(head[:end]).removeprefix(BOM).rstrip(b"\r\n"), chain([bytes(head[end:])], rest)


def split_rows(chunks: Iterable[bytes], *, size: int) -> Iterator[memoryview]:
    """Yield blocks of whole rows of about `size` bytes; a longer row makes a longer block."""
    rest = memoryview(b"")
    quoted = False
    for piece in rechunk(chunks, size):
        text = b"".join([rest, *piece])
        quoted ^= _has_odd_quotes(memoryview(text)[len(rest) :])
        end = _find_last_row_end(text, len(rest), quoted=quoted)
        if end:
            yield memoryview(text)[:end]
        rest = memoryview(text)[end:]
        _refuse_endless_row(rest)
    if quoted:
        raise DecodeError("The body ends inside a quoted cell: its end is missing, or a quote in it has no partner.")
    if rest:
        yield rest


def find_empty_line(block: bytes) -> int | None:
    """Return where in a block of whole rows the first empty line stands, if there is one."""
    starts = [at for pair in (b"\n\n", b"\n\r", b"\r\r") if (at := _find_outside_quotes(block, pair)) is not None]
    return 0 if block[:1] in (b"\n", b"\r") else min(starts, default=None)


def rechunk(chunks: Iterable[bytes], size: int) -> Iterator[list[memoryview]]:
    """Yield the same bytes in pieces of `size`, the last one shorter; nothing is copied: a piece is a list of parts."""
    held: list[memoryview] = []
    missing = size
    for chunk in chunks:
        rest = memoryview(chunk)
        while len(rest) >= missing:
            yield [*held, rest[:missing]]
            rest, missing = rest[missing:], size
            held.clear()
        held.append(rest)
        missing -= len(rest)
    yield held


def _find_row_end(head: bytearray) -> int:
    end = head.find(b"\n")
    while end >= 0 and head.count(b'"', 0, end) % 2:
        end = head.find(b"\n", end + 1)
    return end + 1


def _find_last_row_end(text: bytes, start: int, *, quoted: bool) -> int:
    """Return where the last row ends that ends after `start`, or 0; `quoted` says how the text ends."""
    end = len(text)
    while (line_end := text.rfind(b"\n", start, end)) >= 0:
        quoted ^= text.count(b'"', line_end, end) % 2 == 1
        if not quoted:
            return line_end + 1
        end = line_end
    return 0


def _find_outside_quotes(block: bytes, pair: bytes) -> int | None:
    quoted, start = False, 0
    while (at := block.find(pair, start)) >= 0:
        quoted ^= block.count(b'"', start, at) % 2 == 1
        if not quoted:
            return at + 1
        start = at + 1
    return None


def _has_odd_quotes(text: memoryview) -> bool:
    # In exports with JSON in them, quotes are so many that looking for one after the other takes thrice as long.
    return bool(np.count_nonzero(np.frombuffer(text, np.uint8) == _QUOTE) % 2)


def _refuse_endless_row(rest: memoryview) -> None:
    if len(rest) > ROW_LIMIT:
        raise DecodeError(
            f"A row is longer than {ROW_LIMIT} bytes; a quote in it may have no partner: {bytes(rest[:80])!r}"
        )
