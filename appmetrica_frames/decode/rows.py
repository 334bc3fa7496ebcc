"""Cut a CSV body into blocks of whole rows, without looking into the cells.

In RFC 4180 every quote byte has a partner, so a line end stands inside a quoted cell exactly where an odd number of
quote bytes came before it. Where a block ends depends on the body alone, never on how the network cut it.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from appmetrica_frames.errors import DecodeError, DownloadError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BOM = b"\xef\xbb\xbf"
_HEADER_LIMIT = 1 << 20
ROW_LIMIT = 1 << 26  # keeps memory bounded when a stray quote swallows the rest of the body


def split_header(chunks: Iterable[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Return the first line without BOM and line end, and the rest of the body."""
    rest, head = iter(chunks), bytearray()
    while not (end := _row_end(head)) and len(head) <= _HEADER_LIMIT and (chunk := next(rest, None)) is not None:
        head += chunk
    if not head.removeprefix(BOM):
        raise DownloadError("The body is empty; even an export without rows has a header. Download it again.")
    end = end or len(head)
    return bytes(head[:end]).removeprefix(BOM).rstrip(b"\r\n"), chain([bytes(head[end:])], rest)


def whole_rows(chunks: Iterable[bytes], *, size: int) -> Iterator[bytes]:
    """Yield blocks of whole rows of about `size` bytes; a longer row makes a longer block."""
    held: list[memoryview] = []
    quoted = False
    for piece in pieces(chunks, size):
        quoted ^= _odd_quotes(piece)
        end = _last_row_end(piece, quoted=quoted)
        if end:
            yield b"".join([*held, memoryview(piece)[:end]])
            held.clear()
        held.append(memoryview(piece)[end:])
        _refuse_endless_row(held)
    if quoted:
        raise DecodeError("The body ends inside a quoted cell: its end is missing, or a quote in it has no partner.")
    if any(held):
        yield b"".join(held)


def empty_line(block: bytes) -> int | None:
    """Return where in a block of whole rows the first empty line stands, if there is one."""
    starts = [at for pair in (b"\n\n", b"\n\r", b"\r\r") if (at := _outside_quotes(block, pair)) is not None]
    return 0 if block[:1] in (b"\n", b"\r") else min(starts, default=None)


def pieces(chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Yield the same bytes in pieces of `size`, the last one shorter; each byte is copied once."""
    held: list[bytes | memoryview] = []
    missing = size
    for chunk in chunks:
        rest = memoryview(chunk)
        while len(rest) >= missing:
            yield b"".join([*held, rest[:missing]])
            rest, missing = rest[missing:], size
            held.clear()
        held.append(rest)
        missing -= len(rest)
    yield b"".join(held)


def _row_end(head: bytearray) -> int:
    end = head.find(b"\n")
    while end >= 0 and head.count(b'"', 0, end) % 2:
        end = head.find(b"\n", end + 1)
    return end + 1


def _last_row_end(piece: bytes, *, quoted: bool) -> int:
    end = len(piece)
    while (line_end := piece.rfind(b"\n", 0, end)) >= 0:
        quoted ^= _odd_quotes(piece, line_end, end)
        if not quoted:
            return line_end + 1
        end = line_end
    return 0


def _outside_quotes(block: bytes, pair: bytes) -> int | None:
    quoted, start = False, 0
    while (at := block.find(pair, start)) >= 0:
        quoted ^= _odd_quotes(block, start, at)
        if not quoted:
            return at + 1
        start = at + 1
    return None


def _odd_quotes(text: bytes, start: int = 0, end: int | None = None) -> bool:
    return text.count(b'"', start, end) % 2 == 1


def _refuse_endless_row(held: list[memoryview]) -> None:
    if sum(map(len, held)) > ROW_LIMIT:
        raise DecodeError(
            f"A row is longer than {ROW_LIMIT} bytes; a quote in it may have no partner: {bytes(held[0][:80])!r}"
        )
