"""Single bits flip in what is stored: each is noticed, none becomes data, and the export is fetched again."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pytest

import appmetrica_frames as af
from appmetrica_frames.cache.entry import parse_export
from appmetrica_frames.emulator import Emulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SEED = 20_260_101
FIELDS = ["appmetrica_device_id", "token"]
ROWS = [f"token {row} {row**5:x}" for row in range(300)]
IN_PARQUET, IN_THE_RECORD = 200, 50


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator() as server:
        lines = [f"{2**63 + row},{token}" for row, token in enumerate(ROWS)]
        server.answers["push_tokens"] = "\n".join([",".join(FIELDS), *lines]).encode()
        yield server


@pytest.fixture
def words(emulator: Emulator) -> dict[str, Any]:
    client = af.Client(emulator.token, base_url=emulator.base_url, poll=(0.002, 0.01), progress=False)
    return {"application_id": emulator.application_id, "fields": FIELDS, "client": client}


def iterated(words: dict[str, Any]) -> list[str]:
    with af.iter_appmetrica("push_tokens", **words) as batches:
        return pa.Table.from_batches(list(batches), batches.schema)["token"].to_pylist()


WAYS: list[Callable[[dict[str, Any]], Any]] = [
    lambda words: af.read_appmetrica("push_tokens", **words)["token"].to_list(),
    lambda words: af.read_appmetrica("push_tokens", backend="pyarrow", **words)["token"].to_pylist(),
    lambda words: af.read_appmetrica("push_tokens", backend="pandas", **words)["token"].to_list(),
    lambda words: af.scan_appmetrica("push_tokens", **words).collect()["token"].to_list(),
    lambda words: pl.read_parquet(af.download_appmetrica("push_tokens", **words))["token"].to_list(),
    iterated,
]


def chosen(content: bytes, count: int) -> list[int]:
    return random.Random(SEED).sample(range(len(content) * 8), count)  # noqa: S311 - to be the same each time


def flipped(content: bytes, bit: int) -> bytes:
    harmed = bytearray(content)
    harmed[bit // 8] ^= 1 << bit % 8
    return bytes(harmed)


def read_or_nothing(read: Callable[[dict[str, Any]], Any], words: dict[str, Any]) -> Any:
    try:
        return read(words)
    except af.NotCachedError:
        return None


def is_noticed(path: Path, sound: dict[Path, bytes], bit: int, words: dict[str, Any], number: int) -> None:
    """Read with one bit harmed: no data offline, and the right data otherwise; each with one warning."""
    read = WAYS[number % len(WAYS)]
    for offline in (True, False):
        for stored in path.parent.iterdir():
            stored.unlink()
        for stored, content in sound.items():
            stored.write_bytes(content)
        path.write_bytes(flipped(sound[path], bit))
        with pytest.warns(af.CacheWarning, match="damaged") as caught:
            data = read_or_nothing(read, {**words, "offline": offline})
        assert data == (None if offline else ROWS)
        assert len(caught) == 1


def stored(words: dict[str, Any]) -> tuple[Path, dict[Path, bytes]]:
    # Built now, for certain: a file that the server had lying may be a day old, and is not even looked at again.
    (path,) = af.download_appmetrica("push_tokens", refresh=True, **words)
    return path, {file: file.read_bytes() for file in (path, path.with_name("entry.json"))}


def test_every_flip_in_a_parquet_file_is_noticed(
    emulator: Emulator, words: dict[str, Any], count_tries: Callable[[str], Any]
) -> None:
    tries = count_tries("a flipped bit in a Parquet file is noticed")
    path, sound = stored(words)
    before = emulator.preparations, emulator.downloads
    bits = chosen(sound[path], IN_PARQUET)
    for number, bit in enumerate(bits):
        tries.add()
        is_noticed(path, sound, bit, words, number)
    assert (emulator.preparations, emulator.downloads) == (before[0], before[1] + IN_PARQUET)


def test_every_flip_in_a_record_is_noticed(
    emulator: Emulator, words: dict[str, Any], count_tries: Callable[[str], Any]
) -> None:
    tries = count_tries("a flipped bit in a record is noticed")
    path, sound = stored(words)
    record = path.with_name("entry.json")
    before = emulator.preparations, emulator.downloads
    bits = chosen(sound[record], IN_THE_RECORD)
    assert not any(says_the_same(sound[record], bit) for bit in bits)
    for number, bit in enumerate(bits):
        tries.add()
        is_noticed(record, sound, bit, words, number)
    assert (emulator.preparations, emulator.downloads) == (before[0], before[1] + IN_THE_RECORD)


def says_the_same(content: bytes, bit: int) -> bool:
    try:
        return parse_export(flipped(content, bit), Path()) == parse_export(content, Path())
    except ValueError:
        return False


def test_what_cannot_be_read_now_is_not_thrown_away(words: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fails for a moment must not cost an export that took an hour to prepare."""
    path, sound = stored(words)

    def fails(*_: Any) -> int:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr("appmetrica_frames.cache.integrity.checksum", fails)
        with pytest.warns(af.CacheWarning, match="cannot be read"), pytest.raises(af.NotCachedError):
            af.read_appmetrica("push_tokens", offline=True, **words)
        assert af.Cache().prune().exports == ()
    assert {file: file.read_bytes() for file in sound} == sound
    assert path in [export.path for export in af.Cache().verify().intact]
    assert af.read_appmetrica("push_tokens", offline=True, **words)["token"].to_list() == ROWS


def test_a_lazy_query_over_files_that_were_leased_before_reads_none_of_them(
    emulator: Emulator, words: dict[str, Any]
) -> None:
    path, sound = stored(words)
    an_hour_ago = time.time() - 3600
    os.utime(path, (an_hour_ago, an_hour_ago))
    assert af.download_appmetrica("push_tokens", **words) == [path]
    path.write_bytes(flipped(sound[path], 80))
    os.utime(path, (an_hour_ago, an_hour_ago))  # as a failing disk does it
    downloads = emulator.downloads
    af.scan_appmetrica("push_tokens", **words)
    assert af.download_appmetrica("push_tokens", **words) == [path]
    with pytest.warns(af.CacheWarning, match="damaged"):
        assert af.read_appmetrica("push_tokens", **words)["token"].to_list() == ROWS
    assert emulator.downloads == downloads + 1
    assert not path.with_suffix(".lease").exists()
