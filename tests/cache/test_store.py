"""The store: what is published, what is found, and what a damaged file or record does."""

from __future__ import annotations

import os
import stat
import threading
from datetime import UTC
from typing import TYPE_CHECKING, Any

import pytest

from appmetrica_frames import Cache, CacheWarning, InvalidRequestError
from appmetrica_frames.cache.entry import Entry, parsed
from appmetrica_frames.cache.store import RECORD, Store, drop, is_sound, parquet_path
from appmetrica_frames.request.export import ExportRequest, export_request
from appmetrica_frames.util.files import checksum

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ORIGIN = "http://127.0.0.1:1"
CONTENT = b"PAR1 not really PAR1" * 100


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def asked(*fields: str, **words: Any) -> ExportRequest:
    return export_request("push_tokens", application_id=1, fields=fields or None, zone=lambda _: UTC, **words)


def published(store: Store, request: ExportRequest, *, built: float = 1000.0, content: bytes = CONTENT) -> Entry:
    with store.draft(request.resource, request.key(ORIGIN)) as draft:
        draft.path.write_bytes(content)
        _, entry = draft.publish(
            built_not_before=built,
            stored_at=built + 1,
            family=request.family(ORIGIN),
            origin=ORIGIN,
            request=request.described(),
            fields=request.wire_fields,
            limited=request.limited,
            as_text={},
            rows=3,
        )
    return entry


def found(store: Store, request: ExportRequest) -> list[Entry]:
    return [entry for _, entry in store.candidates(request, ORIGIN)]


def files(store: Store) -> set[str]:
    return {path.name for path in store.root.rglob("*") if path.is_file() and path.suffix != ".lock"}


def test_what_was_published_is_found(store: Store) -> None:
    entry = published(store, asked())
    assert found(store, asked()) == [entry]
    folder = store.folder("push_tokens", asked().key(ORIGIN))
    assert parquet_path(folder, entry).read_bytes() == CONTENT
    assert is_sound(folder, entry)


def test_an_empty_store_finds_nothing_and_makes_nothing(store: Store) -> None:
    assert found(store, asked()) == []
    assert not store.directory.exists()


def test_a_superset_of_the_fields_serves(store: Store) -> None:
    whole = published(store, asked())
    assert found(store, asked("token", "city")) == [whole]
    assert found(store, asked("token")) == [whole]


def test_a_subset_of_the_fields_does_not_serve(store: Store) -> None:
    published(store, asked("token", "city"))
    assert found(store, asked("token", "city", "mcc")) == []


def test_the_youngest_serves_first(store: Store) -> None:
    old = published(store, asked("token", "city"), built=1000.0)
    young = published(store, asked(), built=2000.0)
    assert found(store, asked("token", "city")) == [young, old]


@pytest.mark.parametrize(
    "words", [{"limit": 5}, {"filters": {"city": "Omsk"}}, {"skip_unavailable_shards": True}], ids=str
)
def test_a_superset_of_another_meaning_does_not_serve(store: Store, words: dict[str, Any]) -> None:
    published(store, asked(**words))
    assert found(store, asked("token", "city")) == []
    assert len(found(store, asked(**words))) == 1


def test_limited_rows_serve_no_other_fields(store: Store) -> None:
    """Two limited answers may hold different rows."""
    published(store, asked(limit=5))
    assert found(store, asked("token", "city", limit=5)) == []


def test_a_draft_that_is_not_published_leaves_nothing(store: Store) -> None:
    with store.draft("push_tokens", "k") as draft:
        draft.path.write_bytes(CONTENT)
    assert files(store) == set()


def test_a_second_publication_replaces_the_first_and_keeps_its_file_for_a_day(store: Store) -> None:
    first = published(store, asked(), built=1000.0)
    second = published(store, asked(), built=2000.0)
    assert found(store, asked()) == [second]
    assert files(store) == {f"{first.generation}.parquet", f"{second.generation}.parquet", RECORD}


def test_a_file_replaced_more_than_a_day_ago_is_swept(store: Store) -> None:
    first = published(store, asked(), built=1000.0)
    os.utime(parquet_path(store.folder("push_tokens", asked().key(ORIGIN)), first), (0, 0))
    second = published(store, asked(), built=10 * 86_400.0)
    assert files(store) == {f"{second.generation}.parquet", RECORD}


@pytest.mark.parametrize("harm", ["flip", "truncate", "extend", "delete", "foreign"])
def test_a_harmed_file_is_noticed(store: Store, harm: str) -> None:
    entry = published(store, asked())
    folder = store.folder("push_tokens", asked().key(ORIGIN))
    path = parquet_path(folder, entry)
    harmed = {
        "flip": bytes([CONTENT[0] ^ 1]) + CONTENT[1:],
        "truncate": CONTENT[:-1],
        "extend": CONTENT + b"\0",
        "foreign": b"x" * len(CONTENT),
    }
    path.unlink() if harm == "delete" else path.write_bytes(harmed[harm])
    assert not is_sound(folder, entry)
    with pytest.warns(CacheWarning, match="damaged or gone"):
        drop(folder, entry)
    assert files(store) == set()


def test_every_single_bit_of_the_record_matters(store: Store) -> None:
    text = published(store, asked()).serialised()
    survivors = 0
    for position in range(len(text) * 8):
        flipped = bytearray(text)
        flipped[position // 8] ^= 1 << position % 8
        try:
            assert parsed(bytes(flipped)) == parsed(text)  # a flip that does not change what is said
            survivors += 1
        except ValueError:
            continue
    assert survivors < len(text) * 8 / 20  # white space of one kind for another


@pytest.mark.parametrize(
    "text", [b"", b"{}", b"[]", b"null", b"{" * 100_000, b"\xff", b'{"version": 1, "entry": {}, "check": 0}']
)
def test_a_record_that_is_none_is_dropped_with_one_warning(store: Store, text: bytes) -> None:
    published(store, asked())
    record = store.folder("push_tokens", asked().key(ORIGIN)) / RECORD
    record.write_bytes(text)
    with pytest.warns(CacheWarning, match="damaged") as caught:
        assert found(store, asked()) == []
    assert len(caught) == 1
    assert found(store, asked()) == []


@pytest.fixture
def umask_0() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask_0")
def test_directories_and_files_are_the_owners_alone(store: Store) -> None:
    with store.claim("k", waiting=lambda: None):
        published(store, asked())
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in [store.directory, *store.directory.rglob("*")]}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}


def test_a_claim_excludes_and_says_so(store: Store) -> None:
    said = threading.Event()
    order: list[str] = []

    def second() -> None:
        with store.claim("k", waiting=said.set):
            order.append("second")

    thread = threading.Thread(target=second)
    with store.claim("k", waiting=lambda: pytest.fail("nobody holds it")):
        thread.start()
        assert said.wait(10)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


def test_a_store_that_is_a_file_is_refused(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("precious")
    for directory in (in_the_way, in_the_way / "below"):
        with (
            pytest.raises(InvalidRequestError, match="APPMETRICA_CACHE_DIR"),
            Store(directory).claim("k", waiting=print),
        ):
            pass
    assert in_the_way.read_text() == "precious"


def test_checksum_is_of_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 3_000_000)
    whole = checksum(path)
    path.write_bytes(b"x" * 2_999_999 + b"y")
    assert checksum(path) != whole


def test_cache_lists_counts_and_removes(store: Store) -> None:
    published(store, asked(), built=1000.0)
    published(store, asked(limit=1), built=2000.0)
    cache = Cache(store.directory)
    young, old = cache.ls()
    assert (young.request["limit"], old.rows, old.size) == ("1", 3, len(CONTENT))
    assert old.built_not_before.timestamp() == 1000.0
    assert (cache.info().exports, cache.info().rows, cache.info().size) == (2, 6, 2 * len(CONTENT))

    plan = cache.remove(key=young.key, dry_run=True)
    assert (plan.exports, plan.size, plan.dry_run) == ((young,), len(CONTENT), True)
    assert len(cache.ls()) == 2

    cache.remove(key=young.key)
    assert cache.ls() == [old]
    cache.remove(resource="events")
    assert cache.ls() == [old]
    cache.remove()
    assert cache.ls() == []
    assert files(store) == set()
