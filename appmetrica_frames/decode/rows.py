"""Cut a CSV body into blocks of whole rows without parsing the cells.

In RFC 4180 every quote has a partner, so a line end is inside a quoted cell exactly if an odd number of quotes came
before it. Where a block ends depends on the body alone, never on how the network cut it. Time is linear in the body:
no byte is searched again because its row goes on in the next chunk.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from appmetrica_frames.errors import DecodeError, DownloadError
from appmetrica_frames.util.excerpts import MARGIN, excerpt

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

BOM = b"\xef\xbb\xbf"
MAX_HEADER_BYTES = 1 << 20
_SHOWN = 80  # characters of a row in a message
MAX_ROW_BYTES = 1 << 26  # keeps memory bounded if a stray quote swallows the rest of the body
SMALL_CHUNK = 1 << 12  # bytes; smaller chunks are merged, for each costs more memory than it holds
_TRIES = 64  # line ends that are looked at one by one before numpy looks at all of them
_SLICE = 1 << 20
_QUOTE, _LINE_FEED, _CARRIAGE_RETURN = b'"\n\r'


def split_header(chunks: Iterable[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Return the first line without BOM and line end, and the rest of the body."""
    rest, head = iter(chunks), bytearray()
    end, is_quoted = 0, False
    while not end and len(head) <= MAX_HEADER_BYTES and (chunk := next(rest, None)) is not None:
        row_end, is_quoted = _find_row_end(chunk, is_quoted=is_quoted)
        end = row_end and len(head) + row_end
        head += chunk
    if not head.removeprefix(BOM):
        raise DownloadError("The body is empty; even an export without rows has a header. Download it again.")
    end = end or len(head)
    return bytes(head[:end]).removeprefix(BOM).rstrip(b"\r\n"), chain([bytes(head[end:])], rest)


def split_rows(chunks: Iterable[bytes], *, size: int) -> Iterator[bytes | memoryview]:
    """Yield blocks of whole rows of about `size` bytes; a longer row makes a longer block."""
    held: list[bytes | memoryview] = []
    is_quoted = False
    for piece in rechunk(chunks, size):
        # The rest of the last block is short as a rule. A long one is the beginning of a row that is not copied again.
        rest = held.pop() if len(held) == 1 and len(held[0]) <= size else b""
        text = b"".join([rest, *piece])
        is_quoted ^= _has_odd_quotes(memoryview(text)[len(rest) :])
        if end := _find_last_row_end(text, len(rest), is_quoted=is_quoted):
            yield b"".join([*held, text[:end]]) if held else memoryview(text)[:end]
            held = [memoryview(text)[end:]]
        else:
            held.append(text)
        _refuse_endless_row(held)
    if is_quoted:
        raise DecodeError("The body ends inside a quoted cell: its end is missing, or a quote in it has no partner.")
    if rest := b"".join(held):
        yield rest


def find_empty_line(block: bytes) -> int | None:
    """Return where the first empty line of a block of whole rows is, if there is one."""
    if block[:1] in {b"\n", b"\r"}:
        return 0
    if not any(pair in block for pair in (b"\n\n", b"\n\r", b"\r\r")):
        return None
    quotes = 0
    for start in range(0, len(block), _SLICE):
        text = np.frombuffer(block, np.uint8, min(_SLICE + 1, len(block) - start), start)
        quotes_before = _count_quotes(text[:-1]) + np.uint8(quotes)
        empty = np.flatnonzero(_follow_line_ends(text) & (quotes_before % 2 == 0))
        if empty.size:
            return start + int(empty[0]) + 1
        quotes = int(quotes_before[-1]) if quotes_before.size else quotes
    return None


def rechunk(chunks: Iterable[bytes], size: int) -> Iterator[list[memoryview]]:
    """Yield the same bytes in pieces of `size`, the last one shorter; a piece is a list of parts, to copy nothing."""
    held: list[memoryview] = []
    missing = size
    for chunk in _merge_small(chunks, min(SMALL_CHUNK, size)):
        rest = memoryview(chunk)
        while len(rest) >= missing:
            yield [*held, rest[:missing]]
            rest, missing = rest[missing:], size
            held.clear()
        held.append(rest)
        missing -= len(rest)
    yield held


def _merge_small(chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    merged = bytearray()
    for chunk in chunks:
        if not merged and len(chunk) >= size:
            yield chunk
            continue
        merged += chunk
        if len(merged) >= size:
            yield bytes(merged)
            merged.clear()
    yield bytes(merged)


def _find_row_end(text: bytes, *, is_quoted: bool) -> tuple[int, bool]:
    """Return where the first row ends, or 0, and whether the text up to there ends within quotes."""
    start = 0
    while (line_end := text.find(b"\n", start)) >= 0:
        is_quoted ^= text.count(b'"', start, line_end) % 2 == 1
        if not is_quoted:
            return line_end + 1, is_quoted
        start = line_end + 1
    return 0, is_quoted ^ (text.count(b'"', start) % 2 == 1)


def _find_last_row_end(text: bytes, start: int, *, is_quoted: bool) -> int:
    """Return where the last row ends that ends after `start`, or 0; `is_quoted` says how the text ends."""
    end = len(text)
    for _ in range(_TRIES):
        line_end = text.rfind(b"\n", start, end)
        is_quoted ^= text.count(b'"', max(line_end, start), end) % 2 == 1
        if line_end < 0:
            return 0
        if not is_quoted:
            return line_end + 1
        end = line_end
    return _find_last_of_many(text, start, end, is_quoted=is_quoted)


def _find_last_of_many(text: bytes, start: int, end: int, *, is_quoted: bool) -> int:
    region = np.frombuffer(text, np.uint8, end - start, start)
    quotes = _count_quotes(region)
    quotes_behind = quotes[-1] - quotes if quotes.size else quotes
    row_ends = np.flatnonzero((region == _LINE_FEED) & (quotes_behind % 2 == is_quoted))
    return start + int(row_ends[-1]) + 1 if row_ends.size else 0


def _count_quotes(text: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return for each byte how many quotes there are up to it, modulo 256: whether they are odd is all that counts."""
    return np.cumsum(text == _QUOTE, dtype=np.uint8)


def _follow_line_ends(text: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return for each byte but the last whether it is a line end that another one follows, and not as CRLF."""
    is_end = (text == _LINE_FEED) | (text == _CARRIAGE_RETURN)
    is_crlf = (text[:-1] == _CARRIAGE_RETURN) & (text[1:] == _LINE_FEED)
    follows: NDArray[np.bool_] = is_end[:-1] & is_end[1:] & ~is_crlf
    return follows


def _has_odd_quotes(text: memoryview) -> bool:
    # Exports with JSON in them have so many quotes that searching one after the other takes three times as long.
    return bool(np.count_nonzero(np.frombuffer(text, np.uint8) == _QUOTE) % 2)


def _refuse_endless_row(held: list[bytes | memoryview]) -> None:
    if sum(map(len, held)) > MAX_ROW_BYTES:
        begins = excerpt(bytes(held[0][:MARGIN]), _SHOWN)
        raise DecodeError(f"A row is longer than {MAX_ROW_BYTES} bytes; a quote in it may have no partner: {begins!r}")
