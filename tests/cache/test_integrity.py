"""A file that is read is compared with its checksum; one whose path is handed out, the first time and when it changes.

A flip of a bit that leaves size, time and inode as they were shows which of the two was done: only reading finds it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import UTC
from typing import TYPE_CHECKING

import pytest

from appmetrica_frames import Cache
from appmetrica_frames.cache.store import LocalStore
from appmetrica_frames.request.export import build_request

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from appmetrica_frames.cache.entry import CachedExport

ORIGIN = "http://127.0.0.1:1"
CONTENT = b"PAR1 not really PAR1" * 100
REQUEST = build_request("push_tokens", application_id=1, now=0.0, zone=lambda _: UTC)
HOUR = 3600.0


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "cache")


@pytest.fixture
def export(store: LocalStore) -> CachedExport:
    """Publish an export, an hour ago."""
    return publish(store)


def publish(store: LocalStore, *, ago: float = HOUR) -> CachedExport:
    with store.open_write(REQUEST, ORIGIN) as write:
        write.path.write_bytes(CONTENT)
        export = write.commit(built_not_before=1000.0, fetched_at=1001.0, text_columns={}, rows=3)
    set_time(export.path, ago=ago)
    return export


def set_time(path: Path, *, ago: float) -> None:
    os.utime(path, (time.time() - ago, time.time() - ago))


def lease(store: LocalStore, export: CachedExport) -> bool:
    """Look an export up as a call does that hands out its path."""
    store.touch(export, lease=True)
    return store.check(export, lease=True)


def read(store: LocalStore, export: CachedExport) -> bool:
    """Look an export up as a call does that reads it."""
    store.touch(export, lease=False)
    return store.check(export, lease=False)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def flip_unseen(path: Path) -> None:
    """Flip a bit as a failing disk does: nothing but the content shows it."""
    found = path.stat()
    flip(path)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def replace(path: Path) -> None:
    """Put another file of the same size and time in its place."""
    found, beside = path.stat(), path.with_name("beside")
    beside.write_bytes(b"x" * len(CONTENT))
    os.utime(beside, ns=(found.st_atime_ns, found.st_mtime_ns))
    beside.replace(path)


def truncate(path: Path) -> None:
    found = path.stat()
    os.truncate(path, len(CONTENT) - 1)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def test_a_flip_before_the_first_lease_is_noticed(store: LocalStore, export: CachedExport) -> None:
    flip_unseen(export.path)
    assert not lease(store, export)
    assert not lease(store, export)


def test_a_file_that_is_leased_again_is_not_read(store: LocalStore, export: CachedExport) -> None:
    assert lease(store, export)
    flip_unseen(export.path)
    assert lease(store, export)


def test_a_read_notices_what_a_lease_does_not(store: LocalStore, export: CachedExport) -> None:
    assert lease(store, export)
    flip_unseen(export.path)
    assert not read(store, export)
    assert not lease(store, export)


def test_what_verify_finds_damaged_is_not_leased_again(store: LocalStore, export: CachedExport) -> None:
    assert lease(store, export)
    flip_unseen(export.path)
    assert Cache(store.directory).verify().damaged == (export.path,)
    assert not lease(store, export)


def test_verify_leaves_an_intact_export_and_its_last_use_alone(store: LocalStore, export: CachedExport) -> None:
    assert lease(store, export)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in export.path.parent.iterdir()}
    assert Cache(store.directory).verify().intact == (export,)
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in export.path.parent.iterdir()} == before


@pytest.mark.parametrize("change", [flip, replace, truncate, os.unlink])
def test_a_file_that_changes_after_a_lease_is_noticed_at_the_next(
    change: Callable[[Path], None], store: LocalStore, export: CachedExport
) -> None:
    assert lease(store, export)
    change(export.path)
    assert not lease(store, export)


def test_a_file_whose_time_changes_is_read_once_more(store: LocalStore, export: CachedExport) -> None:
    assert lease(store, export)
    set_time(export.path, ago=2 * HOUR)
    assert lease(store, export)
    flip_unseen(export.path)
    assert lease(store, export)
    set_time(export.path, ago=3 * HOUR)
    assert not lease(store, export)


def test_a_file_that_was_read_but_never_leased_is_read_for_its_first_lease(
    store: LocalStore, export: CachedExport
) -> None:
    assert read(store, export)
    flip_unseen(export.path)
    assert not lease(store, export)


def test_a_file_published_just_now_is_read_again_since_it_may_change_within_its_time(store: LocalStore) -> None:
    export = publish(store, ago=0)
    assert lease(store, export)
    flip_unseen(export.path)
    assert not lease(store, export)


def test_a_file_from_before_the_clock_went_back_is_read_once(store: LocalStore) -> None:
    export = publish(store, ago=-HOUR)
    assert lease(store, export)
    flip_unseen(export.path)
    assert lease(store, export)


def test_uses_leave_the_time_of_the_file_alone(store: LocalStore, export: CachedExport) -> None:
    before = export.path.stat().st_mtime_ns
    assert lease(store, export)
    assert read(store, export)
    assert export.path.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 40, b"\xff" * 199, b"1" * 5000, b"00000000 0 0 0", b'{"size": 2000}'], ids=len
)
def test_a_broken_lease_says_nothing(content: bytes, store: LocalStore, export: CachedExport) -> None:
    assert lease(store, export)
    noted = export.path.with_suffix(".lease")
    sound = noted.read_bytes()
    for broken in (content, sound[:-1], sound + b"0", flipped(sound)):
        noted.write_bytes(broken)
        assert lease(store, export)
        assert noted.read_bytes() == sound
    flip_unseen(export.path)
    noted.write_bytes(content)
    assert not lease(store, export)


def flipped(content: bytes) -> bytes:
    return bytes([content[0] ^ 1]) + content[1:]


@pytest.mark.skipif(os.name == "nt", reason="links and FIFOs are not for everybody there")
@pytest.mark.parametrize("kind", ["directory", "fifo", "link"])
def test_what_is_no_lease_in_its_place_has_the_file_read_each_time(
    kind: str, store: LocalStore, export: CachedExport, tmp_path: Path
) -> None:
    place, precious = export.path.with_suffix(".lease"), tmp_path / "precious"
    precious.write_bytes(b"precious")
    make = {"directory": place.mkdir, "fifo": lambda: os.mkfifo(place), "link": lambda: place.symlink_to(precious)}
    make[kind]()
    assert lease(store, export)
    assert precious.read_bytes() == b"precious"
    flip_unseen(export.path)
    assert not lease(store, export)
    assert precious.read_bytes() == b"precious"


LEASING = """
import sys
from pathlib import Path
from appmetrica_frames.cache.store import LocalStore, load_export

folder, times = Path(sys.argv[1]), int(sys.argv[2])
store, export = LocalStore(folder.parents[3]), load_export(folder)
for _ in range(times):
    store.touch(export, lease=True)
    assert store.check(export, lease=True)
    if times > 1:
        export.path.with_suffix(".lease").write_bytes(b"")
"""


def start_leasing(export: CachedExport, times: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", LEASING, str(export.path.parent), str(times)])


def test_a_file_that_another_process_has_leased_is_not_read_again(store: LocalStore, export: CachedExport) -> None:
    assert start_leasing(export, 1).wait(60) == 0
    flip_unseen(export.path)
    assert lease(store, export)


def test_processes_that_lease_the_same_file_do_not_disturb_one_another(store: LocalStore, export: CachedExport) -> None:
    assert lease(store, export)
    noted = export.path.with_suffix(".lease")
    sound = noted.read_bytes()
    others = [start_leasing(export, 300) for _ in range(2)]
    while any(other.poll() is None for other in others):
        assert lease(store, export)
    assert [other.returncode for other in others] == [0, 0]
    assert lease(store, export)
    assert noted.read_bytes() == sound
    assert {path.suffix for path in export.path.parent.iterdir()} == {".json", ".parquet", ".lease"}


def test_a_use_of_an_export_that_is_gone_leaves_nothing(store: LocalStore, export: CachedExport) -> None:
    Cache(store.directory).clear()
    export.path.parent.mkdir(parents=True)
    assert not read(store, export)
    assert not lease(store, export)
    assert list(export.path.parent.iterdir()) == []
