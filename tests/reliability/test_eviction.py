"""Pruning, removing and evicting: a plan is what is done, files in use stay, and so do files that are not ours."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import appmetrica_frames as af
from appmetrica_frames.api import iterate, read
from appmetrica_frames.cache import eviction
from appmetrica_frames.cache import store as storage
from appmetrica_frames.cache.leases import RECORD
from appmetrica_frames.cache.store import LocalStore, key_of
from appmetrica_frames.emulator import Emulator
from appmetrica_frames.request.export import build_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from appmetrica_frames.cache.entry import CachedExport
    from appmetrica_frames.request.export import ExportRequest

ORIGIN = "http://127.0.0.1:1"
FIELDS = ["appmetrica_device_id", "token"]
HOUR, DAY = 3600.0, 86_400.0
FOREIGN = "ab" * 16
OURS = ("{}.parquet", "{}.lease", "{}.used", "{}.part12.tmp", "entry.json.{}.tmp")


@pytest.fixture
def store() -> LocalStore:
    return LocalStore(af.Cache().directory)


def build(number: int) -> ExportRequest:
    return build_request("push_tokens", application_id=1, limit=number, now=0.0, zone=lambda _: UTC)


def put(store: LocalStore, number: int, *, size: int = 100, unused_for: float = HOUR) -> CachedExport:
    """Publish an export of its own key, last used so many seconds ago."""
    with store.open_write(build(number), ORIGIN) as write:
        write.path.write_bytes(b"x" * size)
        export = write.commit(built_not_before=1000.0, fetched_at=time.time() - unused_for, text_columns={}, rows=1)
    set_used(export.path, unused_for)
    set_used(export.path.with_name(RECORD), unused_for)
    store.index.add(export.path.parent, size, export.path.stat().st_mtime)
    return export


def set_used(path: Path, ago: float) -> None:
    os.utime(path, (time.time() - ago, time.time() - ago))


def limits(removal: af.PruneResult) -> list[int]:
    return [int(export.request["limit"]) for export in removal.exports]


def snapshot() -> dict[Path, tuple[int, int]]:
    """Return every file and folder below the cache with its size and the time of its last change."""
    known = {path: path.lstat() for path in af.Cache().directory.rglob("*")}
    return {path: (facts.st_size, facts.st_mtime_ns) for path, facts in known.items()}


def planned_and_done(**words: Any) -> af.PruneResult:
    """Prune, having seen that the plan changes nothing and says what is then done."""
    before = snapshot()
    plan = af.Cache().prune(dry_run=True, **words)
    assert snapshot() == before
    done = af.Cache().prune(**words)
    assert (plan.exports, plan.leftovers, plan.size) == (done.exports, done.leftovers, done.size)
    assert (plan.dry_run, done.dry_run) == (True, False)
    assert not any(export.path.exists() for export in done.exports)
    assert not any(path.exists() for path in done.leftovers)
    return done


def test_the_least_recently_used_go_first_until_it_fits(store: LocalStore) -> None:
    for number, hours in {1: 3, 2: 5, 3: 1, 4: 4}.items():
        put(store, number, unused_for=hours * HOUR)
    assert planned_and_done(max_bytes=400).exports == ()
    done = planned_and_done(max_bytes=250)
    assert (limits(done), done.size) == ([2, 4], 200)
    done = planned_and_done(max_bytes=0)
    assert (limits(done), done.size) == ([1, 3], 200)
    assert af.Cache().exports() == []


@pytest.mark.parametrize("lease", [False, True], ids=["read", "lease"])
def test_prune_goes_by_the_last_use(store: LocalStore, *, lease: bool) -> None:
    exports = [put(store, number, unused_for=(9 - number) * HOUR) for number in range(1, 4)]
    store.touch(exports[0], lease=lease)
    assert limits(planned_and_done(max_bytes=100)) == [2, 3]


def test_a_replaced_version_that_was_read_minutes_ago_stays_until_nobody_can_be_about_to_open_it(
    store: LocalStore,
) -> None:
    first = put(store, 1)
    store.touch(first, lease=False)
    second = put(store, 1)
    assert planned_and_done().leftovers == ()
    assert first.path.exists()
    set_used(first.path.with_suffix(".used"), HOUR)
    assert set(planned_and_done().leftovers) == {first.path, first.path.with_suffix(".used")}
    store.touch(second, lease=False)
    set_used(second.path.with_suffix(".used"), HOUR)
    put(store, 1)
    assert not second.path.exists()
    assert not second.path.with_suffix(".used").exists()


REMOVALS: dict[str, Callable[[], Any]] = {
    "prune": lambda: af.Cache().prune(max_bytes=0),
    "expire": lambda: af.Cache().prune(older_than=0),
    "clear": lambda: af.Cache().clear(),
    "remove": lambda: af.Cache().remove(resource="push_tokens"),
    "evict": lambda: eviction.evict(LocalStore(af.Cache().directory), max_bytes=0, now=time.time(), keep=()),
}


@pytest.mark.parametrize("remove", REMOVALS.values(), ids=REMOVALS)
def test_an_export_that_was_read_and_leased_leaves_nothing_behind(remove: Callable[[], Any], store: LocalStore) -> None:
    export = put(store, 1)
    store.touch(export, lease=False)
    store.touch(export, lease=True)
    assert store.check(export, lease=True)
    set_used(export.path.with_suffix(".lease"), DAY + 60)
    remove()
    assert list(store.root.glob("push_tokens/*")) == []


def test_old_exports_go_by_when_they_were_fetched(store: LocalStore) -> None:
    put(store, 1, unused_for=3 * HOUR)
    path = put(store, 2, unused_for=5 * HOUR).path
    set_used(path, 0)
    assert limits(planned_and_done(older_than=4 * HOUR)) == [2]
    assert planned_and_done(older_than=4 * HOUR).exports == ()


def test_leftovers_go_and_files_in_use_stay(store: LocalStore) -> None:
    path = put(store, 1).path
    old = {path.with_name(name.format(FOREIGN)): DAY for name in OURS}
    young = {path.with_name(f"{'cd' * 16}.parquet"): 5 * 60.0}
    for file, ago in {**old, **young}.items():
        file.write_bytes(b"left over")
        set_used(file, ago)
    done = planned_and_done()
    assert (set(done.leftovers), done.exports, done.size) == (set(old), (), 9 * len(old))
    assert all(file.exists() for file in [path, *young])


def test_a_damaged_export_goes_and_a_record_without_sense_goes(store: LocalStore) -> None:
    path = put(store, 1).path
    path.write_bytes(b"y" * 100)
    other = put(store, 2).path
    other.with_name(RECORD).write_bytes(b"{")
    intact = put(store, 3).path
    assert set(af.Cache().verify().damaged) == {path, other.with_name(RECORD)}
    done = planned_and_done()
    assert limits(done) == [1]
    assert other.with_name(RECORD) in done.leftovers
    assert [export.path for export in af.Cache().verify().intact] == [intact]


def test_a_leased_path_stays_for_a_day(store: LocalStore) -> None:
    export = put(store, 1)
    store.touch(export, lease=True)
    set_used(export.path, HOUR)
    assert planned_and_done(max_bytes=0).exports == ()
    set_used(export.path.with_suffix(".lease"), DAY + 60)
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


def prune_everything_unleased() -> None:
    af.Cache().prune(max_bytes=0)


def test_a_path_that_was_handed_out_outlives_its_replacement_and_the_eviction_of_that(
    emulator: Emulator, words: dict[str, Any]
) -> None:
    lazy = pl.scan_parquet(af.download_appmetrica("push_tokens", **words))
    for path in af.Cache().directory.rglob("*.parquet"):
        set_used(path, HOUR)
    emulator.answers["push_tokens"] = b"appmetrica_device_id,token\n1,new"
    af.read_appmetrica("push_tokens", refresh=True, **words)
    prune_everything_unleased()
    assert af.Cache().exports() == []
    assert lazy.collect()["token"].to_list() == ["old"] * 3
    for path in af.Cache().directory.rglob("*"):
        set_used(path, 2 * DAY)
    af.Cache().prune()
    assert list((af.Cache().directory / "v2").glob("push_tokens/*")) == []


@pytest.mark.parametrize("remove", [lambda: af.Cache().clear(), prune_everything_unleased], ids=["clear", "evict"])
def test_a_reader_in_the_middle_outlives_its_file(remove: Callable[[], Any], words: dict[str, Any]) -> None:
    with af.iter_appmetrica("push_tokens", batch_size=1, **words) as unread:
        with af.iter_appmetrica("push_tokens", batch_size=1, **words) as begun:
            tokens = begun.read_next_batch().column("token").to_pylist()
            remove()
            assert list(af.Cache().directory.rglob("*.parquet")) == []
            assert [*tokens, *(token for batch in begun for token in batch.column("token").to_pylist())] == ["old"] * 3
        assert sum(batch.num_rows for batch in unread) == 3


@pytest.mark.parametrize("way", ["polars", "pandas", "pyarrow", "iter"])
def test_a_file_that_is_removed_just_before_it_is_opened_is_fetched_again(
    way: Any, words: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    open_exports, removals = read.open_exports, []

    @contextmanager
    def spoilt(*args: Any, **kwargs: Any) -> Iterator[Any]:
        with open_exports(*args, **kwargs) as export:
            if not removals:
                removals.append(af.Cache().clear())
            yield export

    monkeypatch.setattr(iterate if way == "iter" else read, "open_exports", spoilt)
    if way == "iter":
        with af.iter_appmetrica("push_tokens", **words) as batches:
            rows = sum(batch.num_rows for batch in batches)
    else:
        rows = len(af.read_appmetrica("push_tokens", backend=way, **words))
    assert (rows, len(removals[0].exports)) == (3, 1)


def test_max_bytes_spares_what_was_just_fetched_and_what_is_leased(emulator: Emulator, words: dict[str, Any]) -> None:
    small = af.Client(emulator.token, base_url=emulator.base_url, poll=(0.002, 0.01), progress=False, max_bytes=1)
    lazy = pl.scan_parquet(af.download_appmetrica("push_tokens", **{**words, "limit": 2}))
    af.read_appmetrica("push_tokens", **words)
    frame = af.read_appmetrica("push_tokens", **{**words, "client": small, "limit": 1})
    assert {export.request.get("limit") for export in af.Cache().exports()} == {"1", "2"}
    assert af.read_appmetrica("push_tokens", offline=True, **{**words, "limit": 1}).equals(frame)
    assert lazy.collect().height == 3


@pytest.mark.parametrize(
    "act", [lambda: af.Cache().prune(max_bytes=0), lambda: af.Cache().clear()], ids=["prune", "clear"]
)
def test_a_folder_that_is_written_to_is_left_alone(act: Callable[[], af.PruneResult], store: LocalStore) -> None:
    path = put(store, 1).path
    lock = store.lock(key_of(path.parent), timeout=0, on_wait=lambda: None)
    with lock, store.open_write(build(1), ORIGIN) as write:
        set_used(write.path, 2 * DAY)
        done = act()
        assert (done.exports, done.leftovers) == ((), ())
        assert write.path.exists()
        assert path.exists()


def test_a_plan_does_not_take_what_was_published_since(store: LocalStore) -> None:
    export = put(store, 1)
    export.path.with_name(RECORD).write_bytes(b"{")
    planned = eviction.find_leftovers(store, time.time())
    assert export.path.with_name(RECORD) in planned
    second = put(store, 1)
    assert eviction.remove_export(store, export) is False
    eviction.remove_leftovers(store, planned, time.time())
    assert list(store.exports()) == [second]
    assert second.path.exists()


def test_a_damaged_file_that_was_replaced_meanwhile_is_not_dropped(store: LocalStore) -> None:
    first = put(store, 1)
    first.path.unlink()
    second = put(store, 1)
    store.discard_damaged(first)
    assert list(store.exports()) == [second]


def test_a_damaged_file_that_is_being_replaced_is_not_dropped(store: LocalStore) -> None:
    export = put(store, 1)
    export.path.write_bytes(b"harmed")
    with (
        store.lock(export.key, timeout=0, on_wait=lambda: None),
        pytest.warns(af.CacheWarning, match="damaged"),
    ):
        store.discard_damaged(export)
    assert export.path.with_name(RECORD).exists()
    with pytest.warns(af.CacheWarning, match="damaged"):
        store.discard_damaged(export)
    assert not export.path.with_name(RECORD).exists()


def test_what_cannot_be_cleaned_up_does_not_hide_what_went_wrong(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise OSError(5, "Input/output error")

    def spoilt() -> None:
        with store.open_write(build(1), ORIGIN) as write:
            assert write.path.exists()
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


def write_foreign_files(directory: Path, key_folder: Path, tmp_path: Path) -> dict[Path, bytes]:
    """Put what is not ours in every place where it may lie, named as much like ours as can be."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (directory / "v2/push_tokens" / ("99" * 16)).symlink_to(elsewhere, target_is_directory=True)
    found = [
        directory / "notes.txt",
        directory / "entry.json",
        directory / "v0" / "push_tokens" / FOREIGN / f"{FOREIGN}.parquet",
        directory / "v1" / "push_tokens" / "mine" / "entry.json",
        directory / "v1" / "push_tokens" / FOREIGN / "notes.txt",
        directory / "v0" / "push_tokens" / FOREIGN / f"{FOREIGN}.parquet.tmp",
        directory / "v2" / f"{FOREIGN}.parquet",
        directory / "v2" / "push_tokens" / f"{FOREIGN}.parquet.tmp",
        directory / "v2" / "push_tokens" / "mine" / f"{FOREIGN}.parquet.tmp",
        directory / "v2" / "push_tokens" / "mine" / "entry.json",
        key_folder / "notes.txt",
        key_folder / "mine.parquet",
        key_folder / "something.tmp",
        key_folder / "entry.json.bak",
        key_folder / "deeper" / f"{FOREIGN}.parquet",
        elsewhere / f"{FOREIGN}.parquet.tmp",
        elsewhere / "entry.json",
    ]
    for path in found:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"precious")
        set_used(path, 9 * DAY)
    (directory / "v2" / "mine" / "empty").mkdir(parents=True)
    return {path: path.read_bytes() for path in found}


def test_nothing_that_is_not_the_caches_own_is_removed(store: LocalStore, tmp_path: Path) -> None:
    export = put(store, 1)
    path = export.path
    put(store, 2)
    precious = write_foreign_files(store.directory, path.parent, tmp_path)
    path.with_name(f"{FOREIGN}.parquet.tmp").write_bytes(b"ours")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [p.name for p in planned_and_done().leftovers] == [f"{FOREIGN}.parquet.tmp"]
        assert len(planned_and_done(max_bytes=150).exports) == 1
        put(store, 1)
        store.touch(export, lease=False)
        af.Cache().clear()
        planned_and_done(max_bytes=0, older_than=0)
    assert af.Cache().exports() == []
    assert {path: path.read_bytes() for path in precious} == precious
    assert (store.directory / "v2" / "mine" / "empty").is_dir()
    assert not path.exists()


def test_a_deleted_cache_is_created_again(words: dict[str, Any]) -> None:
    af.read_appmetrica("push_tokens", **words)
    shutil.rmtree(af.Cache().directory)
    assert af.Cache().prune() == af.PruneResult(exports=(), leftovers=(), size=0, dry_run=False)
    assert not af.Cache().directory.exists()
    assert isinstance(af.read_appmetrica("push_tokens", **words), pl.DataFrame)
    assert len(af.Cache().exports()) == 1


def test_an_older_layout_is_ignored_by_reads_and_removed_by_prune(words: dict[str, Any]) -> None:
    older = af.Cache().directory / "v1" / "push_tokens" / FOREIGN
    older.mkdir(parents=True)
    for name in ("entry.json", f"{FOREIGN}.parquet", f"{FOREIGN}.lent", "pending.json"):
        (older / name).write_bytes(b"x" * 10)
    assert af.read_appmetrica("push_tokens", **words).height == 3
    assert len(af.Cache().exports()) == 1
    done = planned_and_done()
    assert ({path.parent for path in done.leftovers}, done.size) == ({older}, 40)
    assert not (af.Cache().directory / "v1").exists()
    assert len(af.Cache().exports()) == 1


def count_records(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return a list that grows with each record that is read."""
    read, paths = storage.read_regular, []

    def counted(path: Path, *, limit: int) -> bytes:
        paths.append(path)
        return read(path, limit=limit)

    monkeypatch.setattr(storage, "read_regular", counted)
    return paths


def test_a_look_up_reads_the_records_of_one_request(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(1, 30):
        put(store, number)
    paths = count_records(store, monkeypatch)
    assert len(store.find(build(7), ORIGIN)) == 1
    assert paths == [store.folder(build(7), ORIGIN) / RECORD]


def test_eviction_reads_only_the_records_of_what_it_removes(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    exports = [put(store, number, unused_for=(40 - number) * HOUR) for number in range(1, 30)]
    paths = count_records(store, monkeypatch)
    eviction.evict(store, max_bytes=2900, now=time.time(), keep={exports[-1].path.parent})
    assert paths == []
    eviction.evict(store, max_bytes=2700, now=time.time(), keep={exports[-1].path.parent})
    assert {path.parent for path in paths} == {export.path.parent for export in exports[:2]}
    assert [export.path.exists() for export in exports] == [False] * 2 + [True] * 27


def test_eviction_goes_by_the_last_use_and_not_by_what_the_index_knows(store: LocalStore) -> None:
    exports = [put(store, number, unused_for=(40 - number) * HOUR) for number in range(1, 6)]
    store.touch(exports[0], lease=False)
    eviction.evict(store, max_bytes=400, now=time.time(), keep={exports[-1].path.parent})
    assert [export.path.exists() for export in exports] == [True, False, True, True, True]


@pytest.mark.parametrize("content", [None, b"", b"not a database" * 100])
def test_a_missing_or_damaged_index_is_built_anew(store: LocalStore, content: bytes | None) -> None:
    exports = [put(store, number, unused_for=(40 - number) * HOUR) for number in range(1, 6)]
    index = store.root / "index.sqlite"
    index.unlink() if content is None else index.write_bytes(content)
    eviction.evict(store, max_bytes=300, now=time.time(), keep={exports[-1].path.parent})
    assert [export.path.exists() for export in exports] == [False] * 2 + [True] * 3
    assert store.index.total() == 300


def test_the_index_forgets_what_somebody_else_has_deleted(store: LocalStore) -> None:
    exports = [put(store, number, unused_for=(40 - number) * HOUR) for number in range(1, 6)]
    shutil.rmtree(exports[0].path.parent)
    eviction.evict(store, max_bytes=400, now=time.time(), keep={exports[-1].path.parent})
    assert [export.path.exists() for export in exports] == [False, True, True, True, True]
    assert store.index.total() == 400


def make_temporary(name: str, ago: float) -> Path:
    folder = Path(tempfile.gettempdir()) / name
    folder.mkdir()
    (folder / "export.parquet").write_bytes(b"x" * 10)
    set_used(folder, ago)
    return folder


def test_prune_sweeps_the_temporary_folders_of_processes_that_are_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    gone, ours = 2**22 + 1, os.getpid()
    old = make_temporary(f"appmetrica_frames-{gone}-abc", 2 * DAY)
    others = [
        make_temporary(f"appmetrica_frames-{gone}-def", HOUR),
        make_temporary(f"appmetrica_frames-{ours}-abc", 2 * DAY),
        make_temporary("appmetrica_frames-demo-abc", 2 * DAY),
        make_temporary("somebody_elses-abc", 2 * DAY),
    ]
    done = planned_and_done()
    assert (done.leftovers, done.size) == ((old / "export.parquet",), 10)
    assert not old.exists()
    assert all(folder.is_dir() for folder in others)


def test_a_forked_childs_exit_leaves_the_temporary_file_of_its_parent(words: dict[str, Any]) -> None:
    in_the_way = af.Cache().directory
    in_the_way.parent.mkdir(parents=True, exist_ok=True)
    code = f"""
import os, sys, warnings
import appmetrica_frames as af
from appmetrica_frames.cache.store import LocalStore
def full(*_, **__): raise OSError(28, "No space left on device")
LocalStore.lock = full
warnings.simplefilter("ignore")
client = af.Client({words["client"].token.reveal()!r}, base_url={words["client"].base_url!r}, poll=(0.002, 0.01))
fields = {FIELDS}
(path,) = af.download_appmetrica("push_tokens", application_id=1111, fields=fields, client=client)
if os.fork() == 0:
    sys.exit(0)
os.wait()
print(path.exists())
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "True\n"


EVICTING = """
import sys, time
from pathlib import Path
from appmetrica_frames.cache.eviction import evict
from appmetrica_frames.cache.store import LocalStore

store = LocalStore(Path(sys.argv[1]))
print("ready", flush=True)
while True:
    evict(store, max_bytes=0, now=time.time(), keep=())
"""


def test_no_path_that_was_handed_out_is_evicted_by_another_process(words: dict[str, Any]) -> None:
    rounds = 40
    client = words["client"]
    af.read_appmetrica("push_tokens", **words)
    with subprocess.Popen([sys.executable, "-c", EVICTING, str(af.Cache().directory)], stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout is not None
            other.stdout.readline()
            paths = [
                path
                for number in range(rounds)
                for path in af.download_appmetrica("push_tokens", **{**words, "client": client, "limit": number + 1})
            ]
        finally:
            other.kill()
    assert len(paths) == rounds
    assert [path for path in paths if not path.exists()] == []


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_lease_that_is_taken_while_a_file_is_removed_keeps_it_or_finds_no_record(
    store: LocalStore, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The two orders in which the one removes and the other hands out: never a path whose file is about to go."""
    export = put(store, 1)
    remove, handed_out = eviction._remove, []

    def lease(path: Path) -> None:
        if moment == "after":
            remove(path)
        if path.name == RECORD:
            store.touch(export, lease=True)
            handed_out.append(store.check(export, lease=True))
        if moment == "before":
            remove(path)

    monkeypatch.setattr(eviction, "_remove", lease)
    assert eviction.remove_export(store, export, now=time.time(), only_idle=True)
    assert handed_out == [moment == "before"]
    assert export.path.exists() or not handed_out[0]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs on this system")
@pytest.mark.parametrize("kind", ["fifo", "directory"])
@pytest.mark.parametrize("name", ["entry.json", "pending.json", "parquet", "lease", "used", "lock", "index.sqlite"])
def test_what_is_no_file_in_place_of_a_file_of_the_cache_stops_nothing(
    name: str, kind: str, words: dict[str, Any]
) -> None:
    (path,) = af.download_appmetrica("push_tokens", **words)
    other = af.read_appmetrica("push_tokens", **{**words, "limit": 1})
    places = {
        "parquet": path,
        "lease": path.with_suffix(".lease"),
        "used": path.with_suffix(".used"),
        "lock": next((af.Cache().directory / "v2" / "locks").glob(f"*{path.parent.name}.lock")),
        "index.sqlite": af.Cache().directory / "v2" / "index.sqlite",
    }
    place = places.get(name, path.with_name(name))
    place.unlink(missing_ok=True)
    os.mkfifo(place) if kind == "fifo" else place.mkdir()
    small = af.Client(words["client"].token.reveal(), base_url=words["client"].base_url, max_bytes=1, progress=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", af.CacheWarning)
        for changes in ({}, {"refresh": True}, {"refresh": True, "client": small}):
            assert af.read_appmetrica("push_tokens", **{**words, **changes}).height == 3
        assert af.read_appmetrica("push_tokens", **{**words, "limit": 1}).equals(other)
        assert len(af.Cache().exports()) >= 1
        af.Cache().verify()
        af.Cache().prune(max_bytes=0)
        af.Cache().clear()
