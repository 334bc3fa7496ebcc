"""A store that cannot be written to: the frame arrives, one warning says so, nothing half-written is left."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import appmetrica_frames as af
from appmetrica_frames.emulator import Emulator

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY = 65534
FIELDS = ["appmetrica_device_id", "token"]
ROWS = [f"{'x' * 50} {row}" for row in range(20)]
MANY = [f"{row**31:x}" for row in range(60_000)]
ROOM = 1 << 20


def body(rows: list[str]) -> bytes:
    return "\n".join([",".join(FIELDS), *(f"{row},{token}" for row, token in enumerate(rows))]).encode()


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator() as server:
        server.answers["push_tokens"] = body(ROWS)
        yield server


# Root may write anywhere: the reader gives up its rights. It has imported everything by then, for it may not be able to
# read its own libraries any more.
READER = """
import json, os, sys, warnings
from pathlib import Path
import appmetrica_frames as af, polars as pl

settings = json.loads(sys.argv[1])
words = settings["words"]

def client(cache):
    return af.Client("{token}", base_url="{base_url}", cache_dir=cache, poll=(0.005, 0.01), progress=False)

os.umask(0o077)
af.read_appmetrica("push_tokens", client=client(settings["own"]), **words)
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(settings["nobody"])
    os.setuid(settings["nobody"])
told = {{}}
for way in ("read", "scan", "download", "iter"):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        asked = {{"client": client(settings["cache"]), **words, **settings["freshness"]}}
        if way == "read":
            rows = af.read_appmetrica("push_tokens", **asked)["token"].to_list()
        elif way == "scan":
            rows = af.scan_appmetrica("push_tokens", **asked).collect()["token"].to_list()
        elif way == "download":
            files = af.download_appmetrica("push_tokens", **asked)
            rows = pl.read_parquet(files)["token"].to_list()
        else:
            with af.iter_appmetrica("push_tokens", **asked) as batches:
                rows = [row for batch in batches for row in batch.column("token").to_pylist()]
    told[way] = {{"rows": rows, "warnings": [f"{{w.category.__name__}}: {{w.message}}" for w in caught]}}
assert pl.read_parquet(files)["token"].to_list() == rows
print(json.dumps({{"told": told, "path": str(files[0])}}))
"""


def readers_report(server: Emulator, cache: Path, tmp_path: Path, **freshness: Any) -> dict[str, Any]:
    words = {"application_id": server.application_id, "fields": FIELDS}
    settings = {
        "cache": str(cache),
        "own": str(tmp_path / "own"),
        "nobody": NOBODY,
        "words": words,
        "freshness": freshness,
    }
    code = READER.format(token=server.token, base_url=server.base_url)
    environment = {**os.environ, "TMPDIR": "/tmp"}  # noqa: S108 - where nobody in particular may write
    ran = subprocess.run(
        [sys.executable, "-c", code, json.dumps(settings)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment,
    )
    assert ran.returncode == 0, ran.stderr
    report: dict[str, Any] = json.loads(ran.stdout)
    return report


def everything_below(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    return {
        str(path.relative_to(folder)): (
            path.stat().st_mode,
            path.stat().st_mtime_ns,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in [folder, *folder.rglob("*")]
    }


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Give a folder that everybody can reach; pytest keeps its own private, whatever a test makes of them."""
    folder = Path(tempfile.mkdtemp(prefix="open-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@contextmanager
def closed_to_others(folder: Path, mode: int) -> Iterator[None]:
    """Let others read what is in a folder, and the folder as its mode says; undo it afterwards."""
    inside = sorted(folder.rglob("*"), reverse=True)
    before = {path: stat.S_IMODE(path.stat().st_mode) for path in [*inside, folder]}
    for path in inside:
        path.chmod(0o555 if path.is_dir() else 0o444)
    folder.chmod(mode)
    try:
        yield
    finally:
        for path, old in reversed(before.items()):
            path.chmod(old)


pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="permissions of files mean something else there")


@pytest.mark.parametrize("leased", [False, True], ids=["never leased", "leased before"])
@pytest.mark.parametrize("freshness", [{}, {"offline": True}], ids=["fresh", "offline"])
def test_a_cache_that_can_only_be_read_answers(
    emulator: Emulator, open_folder: Path, freshness: dict[str, Any], *, leased: bool
) -> None:
    cache = open_folder / "cache"
    words: dict[str, Any] = {"application_id": emulator.application_id, "fields": FIELDS}
    client = af.Client(emulator.token, base_url=emulator.base_url, cache_dir=cache, poll=(0.005, 0.01), progress=False)
    af.read_appmetrica("push_tokens", client=client, **words)
    if leased:
        os.utime(next(cache.rglob("*.parquet")), (0, 0))
        af.download_appmetrica("push_tokens", client=client, **words)
    assert [path.stat().st_size > 0 for path in cache.rglob("*.lease")] == [True] * leased
    with closed_to_others(cache, 0o555):
        before = everything_below(cache)
        report = readers_report(emulator, cache, open_folder, **freshness)
        assert everything_below(cache) == before
    assert report["path"].startswith(str(cache))
    for way in report["told"].values():
        assert way == {"rows": ROWS, "warnings": []}


@pytest.mark.parametrize("state", ["read-only", "no permission", "below no permission"])
def test_a_cache_that_cannot_be_written_to_costs_one_warning(emulator: Emulator, open_folder: Path, state: str) -> None:
    cache = open_folder / "cache"
    words: dict[str, Any] = {"application_id": emulator.application_id, "fields": FIELDS}
    client = af.Client(emulator.token, base_url=emulator.base_url, cache_dir=cache, poll=(0.005, 0.01), progress=False)
    af.read_appmetrica("push_tokens", client=client, **words)
    emulator.answers["push_tokens"] = body(["young"])
    with closed_to_others(cache, 0o555 if state == "read-only" else 0o700 if os.geteuid() == 0 else 0):
        asked = cache / "a" / "b" if state == "below no permission" else cache
        report = readers_report(emulator, asked, open_folder, refresh=True)
    assert len(list(cache.rglob("*.parquet"))) == 1
    assert list(cache.rglob("*.tmp")) == []
    assert not Path(report["path"]).exists(), "it was to be gone with the interpreter"
    assert not Path(report["path"]).parent.exists()
    for told in report["told"].values():
        assert told["rows"] == ["young"]
        (said,) = told["warnings"]
        assert said.startswith(f"CacheWarning: The cache in {asked} cannot be written to")
    assert af.read_appmetrica("push_tokens", offline=True, client=client, **words)["token"].to_list() == ROWS


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of one MiB."""
    disk = tmp_path / "small"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "none", str(disk)],  # noqa: S607
        capture_output=True,
        check=False,
    ) if sys.platform == "linux" and os.geteuid() == 0 else None  # fmt: skip
    if mounted is None or mounted.returncode:
        pytest.skip("mounting a small file system takes root on Linux; failing writes are tried at every operation")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)  # noqa: S607


def test_a_full_disk_costs_one_warning_and_keeps_the_old_file(emulator: Emulator, small_disk: Path) -> None:
    words: dict[str, Any] = {"application_id": emulator.application_id, "fields": FIELDS}
    client = af.Client(
        emulator.token, base_url=emulator.base_url, cache_dir=small_disk, poll=(0.005, 0.01), progress=False
    )
    af.read_appmetrica("push_tokens", client=client, **words)
    before = {path.name for path in small_disk.rglob("*.*")}
    emulator.answers["push_tokens"] = body(MANY)
    with pytest.warns(af.CacheWarning, match="No space left") as caught:
        frame = af.read_appmetrica("push_tokens", refresh=True, client=client, **words)
    assert len(caught) == 1
    assert frame["token"].to_list() == MANY
    assert emulator.preparations == 2
    assert {path.name for path in small_disk.rglob("*.*")} - before <= {"pending.json"}
    assert af.read_appmetrica("push_tokens", offline=True, client=client, **words)["token"].to_list() == ROWS


@pytest.mark.parametrize("free", [0, 4096, 8192])
def test_a_disk_that_fills_up_at_any_step(emulator: Emulator, small_disk: Path, free: int) -> None:
    """Room for the Parquet file but not for its record, for the lock but not for the folder, and so on."""
    words: dict[str, Any] = {"application_id": emulator.application_id, "fields": FIELDS}
    client = af.Client(
        emulator.token, base_url=emulator.base_url, cache_dir=small_disk / "cache", poll=(0.005, 0.01), progress=False
    )
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            file.truncate(max(0, file.tell() - free))
    with pytest.warns(af.CacheWarning) as caught:
        frame = af.read_appmetrica("push_tokens", client=client, **words)
    assert frame["token"].to_list() == ROWS
    assert len(caught) == 1
    assert list(small_disk.rglob("*.parquet")) + list(small_disk.rglob("*.tmp")) == []
    filler.unlink()
    assert af.read_appmetrica("push_tokens", client=client, **words)["token"].to_list() == ROWS
    assert len(af.Cache(small_disk / "cache").exports()) == 1
