"""A sync fails, or its process dies, at each of its file operations: no window is half there, and the next one goes on.

Each time the dataset has the first of two days, and half of the second; the cache has both.
"""

from __future__ import annotations

import errno
import json
import random
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import fault_points
import polars as pl
import pyarrow.parquet as pq
import pytest
from fault_points import Points, failing, watched

import appmetrica_frames as af
from appmetrica_frames.emulator import Emulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

HALF = "2024-07-02 11:59:59"


@dataclass
class World:
    """A server, a cache that has all windows, and a dataset as it was before."""

    server: Emulator
    folder: Path
    counts: dict[str, set[int]]

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "base_url": self.server.base_url,
            "token": self.server.token,
            "cache_dir": str(self.folder / "cache"),
            "progress": False,
        }

    @property
    def words(self) -> dict[str, Any]:
        return {
            "resource": "events",
            "application_id": self.server.application_id,
            "date_since": "2024-07-01",
            "date_until": "2024-07-03",
            "fields": ["event_datetime", "event_name", "session_id"],
        }

    def start(self, number: int) -> Path:
        """Return a dataset that is as it was before."""
        directory = self.folder / f"try-{number}"
        shutil.rmtree(directory, ignore_errors=True)
        shutil.copytree(self.folder / "before", directory)
        return directory

    def sync(self, to: Path, **changes: Any) -> pl.DataFrame:
        words = self.words | changes
        return af.sync_appmetrica(words.pop("resource"), to=to, client=af.Client(**self.settings), **words)

    def check_whole(self, directory: Path) -> None:
        """See that each file is whole, and is the old window or the new one."""
        for path in (directory / "events").rglob("*.parquet"):
            day = path.parent.name.partition("=")[2]
            assert pq.read_table(path, partitioning=None).num_rows in self.counts[day], path

    def check_repeated(self, directory: Path) -> None:
        """See that the same call brings the dataset up to date."""
        self.sync(directory)
        rows = pl.scan_parquet(directory / "events", hive_partitioning=True).collect()
        assert {str(day): {count} for day, count in rows.group_by("date").len().rows()} == {
            day: {max(counts)} for day, counts in self.counts.items()
        }


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with Emulator(rows_per_day=100) as server:
        made = World(server, tmp_path_factory.mktemp("syncs"), {})
        made.sync(made.folder / "before", date_until=HALF)
        frame = made.sync(made.folder / "after")
        half = made.sync(made.folder / "before", date_until=HALF, dry_run=True)["rows"][1]
        days, rows = frame["since"].dt.date().cast(pl.String).to_list(), frame["rows"].to_list()
        made.counts |= {day: {count} for day, count in zip(days, rows, strict=True)}
        made.counts["2024-07-02"].add(half)
        assert len(made.counts["2024-07-02"]) == 2
        yield made


def count_operations(world: World) -> int:
    directory = world.start(0)
    with watched(Points(directory)) as points:
        world.sync(directory)
    return len(points.seen)


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EACCES])
def test_a_sync_whose_file_operation_fails_leaves_whole_windows(
    world: World, error: int, count_tries: Callable[[str], Any]
) -> None:
    tries = count_tries("A sync that fails leaves whole windows")
    for number in range(1, count_operations(world) + 1):
        directory = world.start(number)
        with watched(Points(directory, number, failing(error))), suppress(af.AppMetricaError):
            world.sync(directory)
        world.check_whole(directory)
        world.check_repeated(directory)
        shutil.rmtree(directory)
        tries.add()
    assert tries.count > 20


def test_a_sync_whose_process_is_killed_leaves_whole_windows(world: World, count_tries: Callable[[str], Any]) -> None:
    tries = count_tries("A sync that is killed leaves whole windows")
    settings = {"client": world.settings, "words": world.words, "function": "sync_appmetrica"}
    command = [sys.executable, fault_points.__file__]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(settings) + "\n")
        for number in range(1, count_operations(world) + 1):
            directory = world.start(number)
            process.stdin.write(json.dumps([str(directory), number]) + "\n")
            assert int(process.stdout.readline()) in {0, -signal.SIGKILL}
            world.check_whole(directory)
            world.check_repeated(directory)
            shutil.rmtree(directory)
            tries.add()
        process.stdin.close()
    assert tries.count > 20


SYNC = """
import json, sys
import appmetrica_frames as af
settings = json.loads(sys.argv[1])
print(flush=True)
af.sync_appmetrica(client=af.Client(**settings["client"]), to=settings["to"], **settings["words"])
"""


@pytest.mark.exhaustive
def test_a_sync_that_is_killed_at_any_time_leaves_whole_windows(
    world: World, count_tries: Callable[[str], Any]
) -> None:
    tries, ended = count_tries("A sync that is killed at random leaves whole windows"), set()
    for number in range(30):
        directory = world.start(number)
        settings = {"client": world.settings, "words": world.words, "to": str(directory)}
        command = [sys.executable, "-c", SYNC, json.dumps(settings)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            with suppress(subprocess.TimeoutExpired):
                process.wait(random.uniform(0.1, 1.5))  # noqa: S311 - any time will do
            process.kill()
            ended.add(process.wait())
        world.check_whole(directory)
        world.check_repeated(directory)
        tries.add()
    assert -signal.SIGKILL in ended
