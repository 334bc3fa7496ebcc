"""Pruning, removing and evicting: a plan is what is done, nobody's file is pulled away, strangers' files stay."""

from __future__ import annotations

import os
import shutil
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import appmetrica_frames as af
from appmetrica_frames import api as frames
from appmetrica_frames.cache import eviction as pruning
from appmetrica_frames.cache.store import RECORD, Store, drop, parquet_path, use
from appmetrica_frames.emulator import Emulator
from appmetrica_frames.request.export import export_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from appmetrica_frames.cache.entry import Entry

ORIGIN = "http://127.0.0.1:1"
FIELDS = ["appmetrica_device_id", "token"]
HOUR, DAY = 3600.0, 86_400.0
STRANGER = "ab" * 16


@pytest.fixture
def store() -> Store:
    return Store(af.Cache().directory)


def put(store: Store, number: int, *, size: int = 100, unused_for: float = HOUR) -> tuple[Path, Entry]:
    """Store an export of its own key, last used so long ago."""
    request = export_request("push_tokens", application_id=1, limit=number, zone=lambda _: UTC)
    with store.draft(request.resource, request.key(ORIGIN)) as draft:
        draft.path.write_bytes(b"x" * size)
        path, entry = draft.publish(
            built_not_before=1000.0,
            stored_at=time.time() - unused_for,
            family=request.family(ORIGIN),
            origin=ORIGIN,
            request=request.described(),
            fields=request.wire_fields,
            limited=True,
            as_text={},
            rows=1,
        )
    set_used(path, unused_for)
    return path, entry


def set_used(path: Path, ago: float) -> None:
    os.utime(path, (time.time() - ago, time.time() - ago))


def limits(removal: af.PruneResult) -> list[int]:
    return [int(export.request["limit"]) for export in removal.exports]


def planned_and_done(**words: Any) -> af.PruneResult:
    """Prune, having seen that the plan changes nothing and says what is then done."""
    before = sorted(af.Cache().directory.rglob("*"))
    plan = af.Cache().prune(dry_run=True, **words)
    assert [path for path in sorted(af.Cache().directory.rglob("*")) if "locks" not in path.parts] == [
        path for path in before if "locks" not in path.parts
    ]
    done = af.Cache().prune(**words)
    assert (plan.exports, plan.leftovers, plan.size) == (done.exports, done.leftovers, done.size)
    assert (plan.dry_run, done.dry_run) == (True, False)
    assert not any(export.path.exists() for export in done.exports)
    assert not any(path.exists() for path in done.leftovers)
    return done


def test_the_least_recently_used_go_first_until_it_fits(store: Store) -> None:
    for number, hours in {1: 3, 2: 5, 3: 1, 4: 4}.items():
        put(store, number, unused_for=hours * HOUR)
    assert planned_and_done(max_bytes=400).exports == ()
    done = planned_and_done(max_bytes=250)
    assert (limits(done), done.size) == ([2, 4], 200)
    done = planned_and_done(max_bytes=0)
    assert (limits(done), done.size) == ([1, 3], 200)
    assert af.Cache().ls() == []


def test_old_ones_go_by_when_they_were_stored(store: Store) -> None:
    put(store, 1, unused_for=3 * HOUR)
    path, _ = put(store, 2, unused_for=5 * HOUR)
    set_used(path, 0)
    assert limits(planned_and_done(older_than=4 * HOUR)) == [2]
    assert planned_and_done(older_than=4 * HOUR).exports == ()


def test_leftovers_go_and_what_may_still_be_read_stays(store: Store) -> None:
    path, _ = put(store, 1)
    old = {path.with_name(name.format(STRANGER)): DAY for name in ("{}.parquet", "{}.part12.tmp", "entry.json.{}.tmp")}
    young = {path.with_name(f"{'cd' * 16}.parquet"): 5 * 60.0}
    for file, ago in {**old, **young}.items():
        file.write_bytes(b"left over")
        set_used(file, ago)
    done = planned_and_done()
    assert (set(done.leftovers), done.exports, done.size) == (set(old), (), 9 * len(old))
    assert all(file.exists() for file in [path, *young])


def test_a_damaged_export_goes_and_a_record_without_sense_goes(store: Store) -> None:
    path, _ = put(store, 1)
    path.write_bytes(b"y" * 100)
    other, _ = put(store, 2)
    other.with_name(RECORD).write_bytes(b"{")
    sound, _ = put(store, 3)
    assert set(af.Cache().verify().damaged) == {path, other.with_name(RECORD)}
    done = planned_and_done()
    assert limits(done) == [1]
    assert other.with_name(RECORD) in done.leftovers
    assert [export.path for export in af.Cache().verify().sound] == [sound]


def test_a_path_that_was_given_away_stays_for_a_day(store: Store) -> None:
    path, entry = put(store, 1)
    use(path.parent, entry, lend=True)
    set_used(path, HOUR)
    assert planned_and_done(max_bytes=0).exports == ()
    set_used(path.with_suffix(".lent"), DAY + 60)
    assert limits(planned_and_done(max_bytes=0)) == [1]


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator() as server:
        server.answers["push_tokens"] = b"appmetrica_device_id,token\n1,old\n2,old\n3,old"
        yield server


@pytest.fixture
def words(emulator: Emulator) -> dict[str, Any]:
    client = af.Client(emulator.token, base_url=emulator.base_url, poll=(0.002, 0.01), progress=False)
    return {"application_id": emulator.application_id, "fields": FIELDS, "client": client}


def forget_everything_unlent() -> None:
    af.Cache().prune(max_bytes=0)


def test_a_lazy_frame_outlives_its_replacement_and_the_eviction_of_that(
    emulator: Emulator, words: dict[str, Any]
) -> None:
    lazy = af.scan_appmetrica("push_tokens", **words)
    for lent in af.Cache().directory.rglob("*.parquet"):
        set_used(lent, HOUR)
    emulator.answers["push_tokens"] = b"appmetrica_device_id,token\n1,new"
    af.read_appmetrica("push_tokens", refresh=True, **words)
    forget_everything_unlent()
    assert af.Cache().ls() == []
    assert lazy.collect()["token"].to_list() == ["old"] * 3
    for path in af.Cache().directory.rglob("*"):
        set_used(path, 2 * DAY)
    af.Cache().prune()
    assert list((af.Cache().directory / "v1").glob("push_tokens/*")) == []


@pytest.mark.parametrize("remove", [lambda: af.Cache().remove(), forget_everything_unlent], ids=["remove", "evict"])
def test_a_reader_in_the_middle_outlives_its_file(remove: Callable[[], Any], words: dict[str, Any]) -> None:
    with af.iter_appmetrica("push_tokens", batch_size=1, **words) as unread:
        with af.iter_appmetrica("push_tokens", batch_size=1, **words) as begun:
            tokens = begun.read_next_batch().column("token").to_pylist()
            remove()
            assert list(af.Cache().directory.rglob("*.parquet")) == []
            assert [*tokens, *(token for batch in begun for token in batch.column("token").to_pylist())] == ["old"] * 3
        assert sum(batch.num_rows for batch in unread) == 3


@pytest.mark.parametrize("way", ["polars", "pandas", "pyarrow", "iter"])
def test_a_file_that_goes_just_before_it_is_opened_is_fetched_again(
    way: Any, words: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    obtained, removals = frames.obtained, []

    @contextmanager
    def spoilt(*args: Any, **kwargs: Any) -> Iterator[Any]:
        with obtained(*args, **kwargs) as export:
            if not removals:
                removals.append(af.Cache().remove())
            yield export

    monkeypatch.setattr(frames, "obtained", spoilt)
    if way == "iter":
        with af.iter_appmetrica("push_tokens", **words) as batches:
            rows = sum(batch.num_rows for batch in batches)
    else:
        rows = len(af.read_appmetrica("push_tokens", backend=way, **words))
    assert (rows, len(removals[0].exports)) == (3, 1)


def test_max_bytes_spares_what_was_just_stored_and_what_was_given_away(
    emulator: Emulator, words: dict[str, Any]
) -> None:
    small = af.Client(emulator.token, base_url=emulator.base_url, poll=(0.002, 0.01), progress=False, max_bytes=1)
    lazy = af.scan_appmetrica("push_tokens", **{**words, "limit": 2})
    af.read_appmetrica("push_tokens", **words)
    frame = af.read_appmetrica("push_tokens", **{**words, "client": small, "limit": 1})
    assert {export.request.get("limit") for export in af.Cache().ls()} == {"1", "2"}
    assert af.read_appmetrica("push_tokens", offline=True, **{**words, "limit": 1}).equals(frame)
    assert lazy.collect().height == 3


@pytest.mark.parametrize(
    "act", [lambda: af.Cache().prune(max_bytes=0), lambda: af.Cache().remove()], ids=["prune", "remove"]
)
def test_a_folder_that_is_written_to_is_left_alone(act: Callable[[], af.PruneResult], store: Store) -> None:
    path, _ = put(store, 1)
    with store.claim(path.parent.name, waiting=lambda: None), store.draft("push_tokens", path.parent.name) as draft:
        set_used(draft.path, 2 * DAY)
        done = act()
        assert (done.exports, done.leftovers) == ((), ())
        assert draft.path.exists()
        assert path.exists()


def test_a_plan_does_not_take_what_was_published_since(store: Store) -> None:
    path, first = put(store, 1)
    export = pruning.Stored(path.parent, first)
    path.with_name(RECORD).write_bytes(b"{")
    planned = list(pruning.leftovers(store, time.time()))
    assert path.with_name(RECORD) in planned
    second, entry = put(store, 1)
    assert pruning.remove_export(store, export) is False
    pruning.remove_leftovers(store, planned, time.time())
    assert [found for _, found in store.records()] == [entry]
    assert second.exists()


def test_a_damaged_file_that_was_replaced_meanwhile_is_not_dropped(store: Store) -> None:
    path, first = put(store, 1)
    path.unlink()
    _, second = put(store, 1)
    drop(path.parent, first)
    assert [found for _, found in store.records()] == [second]


def test_a_damaged_file_that_is_being_replaced_is_not_dropped(store: Store) -> None:
    path, entry = put(store, 1)
    path.write_bytes(b"harmed")
    with (
        store.claim(path.parent.name, waiting=lambda: None),
        pytest.warns(af.CacheWarning, match="damaged"),
    ):
        drop(path.parent, entry)
    assert path.with_name(RECORD).exists()
    with pytest.warns(af.CacheWarning, match="damaged"):
        drop(path.parent, entry)
    assert not path.with_name(RECORD).exists()


def test_what_cannot_be_cleaned_up_does_not_hide_what_went_wrong(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise OSError(5, "Input/output error")

    def spoilt() -> None:
        with store.draft("push_tokens", STRANGER) as draft:
            assert draft.path.exists()
            monkeypatch.setattr("pathlib.Path.unlink", fails)
            raise KeyError

    with pytest.raises(KeyError):
        spoilt()
    monkeypatch.undo()
    left = list(store.directory.rglob("*.tmp"))
    assert len(left) == 1
    af.Cache(store.directory).prune()
    assert not left[0].exists()


def test_many_who_find_the_same_damage_fetch_once(emulator: Emulator, words: dict[str, Any]) -> None:
    (path,) = af.download_appmetrica("push_tokens", **words)
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    downloads = emulator.downloads
    together = threading.Barrier(8)

    def read(_: int) -> list[str]:
        together.wait()
        return af.read_appmetrica("push_tokens", **words)["token"].to_list()

    with warnings.catch_warnings(), ThreadPoolExecutor(8) as pool:
        warnings.simplefilter("ignore", af.CacheWarning)
        assert list(pool.map(read, range(8))) == [["old"] * 3] * 8
    assert (emulator.downloads, emulator.preparations) == (downloads + 1, 1)


def strangers(directory: Path, key_folder: Path, tmp_path: Path) -> dict[Path, bytes]:
    """Put what is not ours in every place where it may lie, named as much like ours as can be."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (directory / "v1/push_tokens" / ("99" * 16)).symlink_to(elsewhere, target_is_directory=True)
    found = [
        directory / "notes.txt",
        directory / "entry.json",
        directory / "v0" / "push_tokens" / STRANGER / f"{STRANGER}.parquet.tmp",
        directory / "v1" / f"{STRANGER}.parquet",
        directory / "v1" / "push_tokens" / f"{STRANGER}.parquet.tmp",
        directory / "v1" / "push_tokens" / "mine" / f"{STRANGER}.parquet.tmp",
        directory / "v1" / "push_tokens" / "mine" / "entry.json",
        key_folder / "notes.txt",
        key_folder / "mine.parquet",
        key_folder / "something.tmp",
        key_folder / "entry.json.bak",
        key_folder / "deeper" / f"{STRANGER}.parquet",
        elsewhere / f"{STRANGER}.parquet.tmp",
        elsewhere / "entry.json",
    ]
    for path in found:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"precious")
        set_used(path, 9 * DAY)
    (directory / "v1" / "mine" / "empty").mkdir(parents=True)
    return {path: path.read_bytes() for path in found}


def test_nothing_that_is_not_the_stores_own_is_removed(store: Store, tmp_path: Path) -> None:
    path, entry = put(store, 1)
    put(store, 2)
    precious = strangers(store.directory, path.parent, tmp_path)
    path.with_name(f"{STRANGER}.parquet.tmp").write_bytes(b"ours")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [p.name for p in planned_and_done().leftovers] == [f"{STRANGER}.parquet.tmp"]
        assert len(planned_and_done(max_bytes=150).exports) == 1
        put(store, 1)
        use(path.parent, entry, lend=False)
        af.Cache().remove()
        planned_and_done(max_bytes=0, older_than=0)
    assert af.Cache().ls() == []
    assert {path: path.read_bytes() for path in precious} == precious
    assert (store.directory / "v1" / "mine" / "empty").is_dir()
    assert not parquet_path(path.parent, entry).exists()


def test_a_store_that_was_thrown_away_is_made_again(words: dict[str, Any]) -> None:
    af.read_appmetrica("push_tokens", **words)
    shutil.rmtree(af.Cache().directory)
    assert af.Cache().prune() == af.PruneResult(exports=(), leftovers=(), size=0, dry_run=False)
    assert not af.Cache().directory.exists()
    assert isinstance(af.read_appmetrica("push_tokens", **words), pl.DataFrame)
    assert len(af.Cache().ls()) == 1
