"""A gzip body is decoded whole or refused."""

from __future__ import annotations

import gzip
import os
import tracemalloc
import zlib
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appmetrica_frames.decode.body import detect_gzip, gunzip
from appmetrica_frames.errors import DownloadError

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT = "id,текст\n1,purchase 🎉\n".encode() * 40
BODY = gzip.compress(TEXT, mtime=0)


def plain(*chunks: bytes, step: int = 1 << 20) -> bytes:
    return b"".join(gunzip(chunks, step=step))


def cut(body: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(body) + 1) for place in places), len(body)]
    return [body[start:end] for start, end in pairwise(edges)]


@given(members=st.lists(st.binary(max_size=300), min_size=1, max_size=4), places=st.lists(st.integers(0, 10**6)))
def test_any_members_in_any_chunking_give_the_same_bytes(members: list[bytes], places: list[int]) -> None:
    body = b"".join(gzip.compress(member, mtime=0) for member in members)
    assert plain(*cut(body, places)) == gzip.decompress(body)


@given(text=st.binary(max_size=2000), step=st.integers(1, 500), places=st.lists(st.integers(0, 10**6), max_size=5))
def test_no_piece_is_longer_than_a_step_or_empty(text: bytes, step: int, places: list[int]) -> None:
    pieces = list(gunzip(cut(gzip.compress(text * 5, mtime=0), places), step=step))
    assert b"".join(pieces) == text * 5
    assert all(0 < len(piece) <= step for piece in pieces)


@pytest.mark.parametrize("body", [BODY, BODY + BODY], ids=["one member", "two members"])
def test_a_cut_anywhere_is_noticed(body: bytes) -> None:
    whole = {len(BODY), len(body)}
    for length in set(range(len(body))) - whole:
        with pytest.raises(DownloadError, match=rf"cut after {length} bytes"):
            plain(body[:length])


@given(tail=st.binary(min_size=1, max_size=40), places=st.lists(st.integers(0, 10**6), max_size=5))
def test_trailing_bytes_are_refused(tail: bytes, places: list[int]) -> None:
    with pytest.raises(DownloadError):
        plain(*cut(BODY + tail, places))


@pytest.mark.parametrize("tail", [b"\0", b"\0" * 512, b"garbage", b"\n"])
def test_trailing_bytes_are_called_so(tail: bytes) -> None:
    with pytest.raises(DownloadError, match="Trailing bytes"):
        plain(BODY + tail)
    with pytest.raises(DownloadError, match="Trailing bytes"):
        plain(BODY, tail)


@pytest.mark.parametrize("back", range(1, 9))
def test_a_wrong_crc_or_length_is_noticed(back: int) -> None:
    body = bytearray(BODY)
    body[-back] ^= 1
    with pytest.raises(DownloadError, match="damaged") as caught:
        plain(bytes(body))
    assert caught.value.__cause__ is not None


def test_a_flipped_bit_never_changes_the_text() -> None:
    for bit in range(len(BODY) * 8):
        body = bytearray(BODY)
        body[bit // 8] ^= 1 << bit % 8
        with suppress(DownloadError):
            assert plain(bytes(body)) == TEXT, bit  # the header's time stamp is free to change


@pytest.mark.parametrize("body", [b"", b"\x1f", b"<html>Bad gateway</html>", zlib.compress(TEXT)])
def test_anything_but_gzip_is_refused(body: bytes) -> None:
    with pytest.raises(DownloadError):
        plain(body)


def test_a_bomb_is_decoded_step_by_step() -> None:
    bomb = gzip.compress(bytes(1 << 26), 9)
    tracemalloc.start()
    try:
        assert sum(map(len, gunzip([bomb], step=1 << 16))) == 1 << 26
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_incompressible_bytes_arrive() -> None:
    noise = os.urandom(1 << 20)
    assert plain(gzip.compress(noise), step=4096) == noise


def test_an_error_of_the_network_comes_out_unchanged() -> None:
    error = DownloadError("connection lost")

    def chunks() -> Iterator[bytes]:
        yield BODY[:20]
        raise error

    with pytest.raises(DownloadError) as caught:
        list(gunzip(chunks()))
    assert caught.value is error


@given(body=st.sampled_from([BODY, TEXT, b"", b"\x1f", b"\x1f\x8b", b"\x8b\x1f"]), places=st.lists(st.integers(0, 5)))
def test_detecting_gzip_loses_nothing(body: bytes, places: list[int]) -> None:
    is_gzip, chunks = detect_gzip(cut(body, places))
    assert is_gzip == (body[:2] == b"\x1f\x8b")
    assert b"".join(chunks) == body
