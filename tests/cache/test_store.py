"""The cache's directory: what is published, what is found, and what a damaged file or record does."""

from __future__ import annotations

import os
import stat
import threading
from datetime import UTC
from typing import TYPE_CHECKING, Any

import pytest

from appmetrica_frames import Cache, CacheWarning, InvalidRequestError
from appmetrica_frames.cache.entry import CachedExport, parse_export, to_datetime
from appmetrica_frames.cache.leases import RECORD
from appmetrica_frames.cache.store import LocalStore
from appmetrica_frames.request.export import ExportRequest, build_request
from appmetrica_frames.util.files import checksum

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ORIGIN = "http://127.0.0.1:1"
CONTENT = b"PAR1 not really PAR1" * 100


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "cache")


def build(*fields: str, **parameters: Any) -> ExportRequest:
    return build_request(
        "push_tokens", application_id=1, fields=fields or None, now=0.0, zone=lambda _: UTC, **parameters
    )


def publish(
    store: LocalStore, request: ExportRequest, *, built: float = 1000.0, content: bytes = CONTENT
) -> CachedExport:
    with store.open_write(request, ORIGIN) as write:
        write.path.write_bytes(content)
        return write.commit(built_not_before=built, fetched_at=built + 1, text_columns={}, rows=3)


def find(store: LocalStore, request: ExportRequest) -> list[CachedExport]:
    return store.find(request, ORIGIN)


def files(store: LocalStore) -> set[str]:
    ours = (path for path in store.root.rglob("*") if path.is_file() and path.suffix not in {".lock", ".sqlite"})
    return {path.name for path in ours}


@pytest.mark.parametrize("offset", range(50))
def test_no_instant_is_rounded_up(offset: int) -> None:
    instant = 1_722_340_800.0 + offset * 0.123_456_789
    assert instant - 2e-6 < to_datetime(instant).timestamp() <= instant


def test_what_was_published_is_found(store: LocalStore) -> None:
    export = publish(store, build())
    assert find(store, build()) == [export]
    assert export.path.read_bytes() == CONTENT
    assert store.check(export, lease=False)
    assert store.check(export, lease=True)


def test_an_empty_cache_finds_nothing_and_creates_nothing(store: LocalStore) -> None:
    assert find(store, build()) == []
    assert not store.directory.exists()


def test_a_superset_of_the_fields_serves(store: LocalStore) -> None:
    whole = publish(store, build())
    assert find(store, build("token", "city")) == [whole]
    assert find(store, build("token")) == [whole]


def test_a_subset_of_the_fields_does_not_serve(store: LocalStore) -> None:
    publish(store, build("token", "city"))
    assert find(store, build("token", "city", "mcc")) == []


def test_the_youngest_serves_first(store: LocalStore) -> None:
    old = publish(store, build("token", "city"), built=1000.0)
    young = publish(store, build(), built=2000.0)
    assert find(store, build("token", "city")) == [young, old]


@pytest.mark.parametrize(
    "words", [{"limit": 5}, {"filters": {"city": "Omsk"}}, {"skip_unavailable_shards": True}], ids=str
)
def test_a_superset_of_another_request_does_not_serve(store: LocalStore, words: dict[str, Any]) -> None:
    publish(store, build(**words))
    assert find(store, build("token", "city")) == []
    assert len(find(store, build(**words))) == 1


def test_limited_rows_serve_no_other_fields(store: LocalStore) -> None:
    """Two limited answers may hold different rows."""
    publish(store, build(limit=5))
    assert find(store, build("token", "city", limit=5)) == []


def test_a_write_that_is_not_committed_leaves_nothing(store: LocalStore) -> None:
    with store.open_write(build(), ORIGIN) as write:
        write.path.write_bytes(CONTENT)
    assert files(store) == set()


def test_a_second_version_replaces_the_first_and_keeps_its_file_for_a_day(store: LocalStore) -> None:
    first = publish(store, build(), built=1000.0)
    second = publish(store, build(), built=2000.0)
    assert find(store, build()) == [second]
    assert files(store) == {f"{first.version}.parquet", f"{second.version}.parquet", RECORD}


def test_a_file_replaced_more_than_a_day_ago_is_swept(store: LocalStore) -> None:
    first = publish(store, build(), built=1000.0)
    os.utime(first.path, (0, 0))
    second = publish(store, build(), built=10 * 86_400.0)
    assert files(store) == {f"{second.version}.parquet", RECORD}


@pytest.mark.parametrize("lease", [False, True], ids=["read", "lease"])
@pytest.mark.parametrize("harm", ["flip", "truncate", "extend", "delete", "foreign"])
def test_a_harmed_file_is_noticed(store: LocalStore, harm: str, *, lease: bool) -> None:
    export = publish(store, build())
    store.touch(export, lease=lease)
    path = export.path
    harmed = {
        "flip": bytes([CONTENT[0] ^ 1]) + CONTENT[1:],
        "truncate": CONTENT[:-1],
        "extend": CONTENT + b"\0",
        "foreign": b"x" * len(CONTENT),
    }
    path.unlink() if harm == "delete" else path.write_bytes(harmed[harm])
    assert not store.check(export, lease=lease)
    with pytest.warns(CacheWarning, match="damaged or missing"):
        store.discard_damaged(export)
    assert files(store) == set()


def test_every_single_bit_of_the_record_matters(store: LocalStore) -> None:
    export = publish(store, build())
    text, folder = export.to_json(), export.path.parent
    survivors = 0
    for position in range(len(text) * 8):
        flipped = bytearray(text)
        flipped[position // 8] ^= 1 << position % 8
        try:
            assert parse_export(bytes(flipped), folder) == export  # a flip that does not change what is said
            survivors += 1
        except ValueError:
            continue
    assert survivors < len(text) * 8 / 20  # white space of one kind for another


@pytest.mark.parametrize(
    "text", [b"", b"{}", b"[]", b"null", b"{" * 100_000, b"\xff", b'{"version": 2, "export": {}, "check": 0}']
)
def test_a_file_that_is_not_a_record_is_dropped_with_one_warning(store: LocalStore, text: bytes) -> None:
    publish(store, build())
    record = store.folder(build(), ORIGIN) / RECORD
    record.write_bytes(text)
    with pytest.warns(CacheWarning, match="damaged") as caught:
        assert find(store, build()) == []
    assert len(caught) == 1
    assert find(store, build()) == []


@pytest.fixture
def umask_0() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask_0")
def test_only_the_owner_can_read_directories_and_files(store: LocalStore) -> None:
    with store.lock("k", timeout=0, on_wait=lambda: None):
        publish(store, build())
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in [store.directory, *store.directory.rglob("*")]}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}


def test_a_lock_excludes_and_reports_the_wait(store: LocalStore) -> None:
    waiting = threading.Event()
    order: list[str] = []

    def second() -> None:
        with store.lock("k", timeout=10, on_wait=waiting.set):
            order.append("second")

    thread = threading.Thread(target=second)
    with store.lock("k", timeout=0, on_wait=lambda: pytest.fail("nobody holds it")):
        thread.start()
        assert waiting.wait(10)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


def test_a_cache_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("precious")
    for directory in (in_the_way, in_the_way / "below"):
        with (
            pytest.raises(InvalidRequestError, match="APPMETRICA_CACHE_DIR"),
            LocalStore(directory).lock("k", timeout=0, on_wait=print),
        ):
            pass
    assert in_the_way.read_text() == "precious"


def test_checksum_is_of_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 3_000_000)
    whole = checksum(path)
    path.write_bytes(b"x" * 2_999_999 + b"y")
    assert checksum(path) != whole


def test_cache_lists_counts_and_removes(store: LocalStore) -> None:
    publish(store, build(), built=1000.0)
    publish(store, build(limit=1), built=2000.0)
    cache = Cache(store.directory)
    young, old = cache.exports()
    assert (young.request["limit"], old.rows, old.size) == ("1", 3, len(CONTENT))
    assert old.built_not_before.timestamp() == 1000.0
    assert (cache.info().exports, cache.info().rows, cache.info().size) == (2, 6, 2 * len(CONTENT))

    plan = cache.remove(key=young.key, dry_run=True)
    assert (plan.exports, plan.size, plan.dry_run) == ((young,), len(CONTENT), True)
    assert len(cache.exports()) == 2

    cache.remove(key=young.key)
    assert cache.exports() == [old]
    cache.remove(resource="events")
    assert cache.exports() == [old]
    cache.clear()
    assert cache.exports() == []
    assert files(store) == set()
