"""Polars and DuckDB read a dataset, in processes of their own, while syncs replace its windows and are killed."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import appmetrica_frames as af
from appmetrica_frames.emulator import Emulator, faults

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from appmetrica_frames.emulator.builder import Build
    from appmetrica_frames.emulator.faults.plan import Request

    from .conftest import Syncer

KILLS = 30
READS = 500  # of each reader, at least
BODIES = [
    "\n".join(["city,tracking_id", *(f"city {row * 7919 % rows},{row * rows}" for row in range(rows))]).encode()
    for rows in (3_000, 5_000)
]
WHOLE = {(rows, sum(row * rows for row in range(rows))) for rows in (3_000, 5_000)}

# Reads until its standard input ends, and so many times at least.
READER = """
import json, sys, threading
reader, folder, wanted = sys.argv[1], sys.argv[2], int(sys.argv[3])
if reader == "polars":
    import polars as pl
    errors = (pl.exceptions.PolarsError, pl.exceptions.PanicException)
    def read():
        scan = pl.scan_parquet(folder, hive_partitioning=True)
        return scan.group_by("date").agg(pl.len(), pl.col("tracking_id").sum()).collect().rows()
else:
    import duckdb
    errors = (duckdb.Error,)
    database = duckdb.connect()
    question = (
        "SELECT date, count(*), sum(tracking_id)::BIGINT "
        f"FROM read_parquet('{folder}/*/*/*.parquet', hive_partitioning = true) GROUP BY date"
    )
    def read():
        return database.execute(question).fetchall()
over, seen, windows, reads, failed = threading.Event(), set(), set(), 0, 0
threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
while reads < wanted or not over.is_set():
    try:
        rows = read()
    except errors:
        failed += 1
        continue
    reads += 1
    windows.add(len(rows))
    seen.update((rows, total) for _, rows, total in rows)
print(json.dumps({"reads": reads, "failed": failed, "seen": sorted(seen), "windows": sorted(windows)}), flush=True)
"""

# Syncs again and again until it is killed.
SYNC = """
import json, sys
import appmetrica_frames as af
settings = json.loads(sys.argv[1])
client = af.Client(**settings["client"])
print(flush=True)
while True:
    af.sync_appmetrica(client=client, refresh=True, **settings["parameters"])
"""


@dataclass
class Seen:
    """What a reader saw."""

    reads: int
    failed: int
    seen: list[list[int]] = field(default_factory=list)
    windows: list[int] = field(default_factory=list)


@contextmanager
def reading(reader: str, folder: Path) -> Iterator[list[Seen]]:
    """Read for as long as the block lasts, and return what was seen."""
    found: list[Seen] = []
    command = [sys.executable, "-c", READER, reader, str(folder), str(READS)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        yield found
        output, _ = process.communicate(timeout=300)
        found.append(Seen(**json.loads(output)))


def sync_until_killed(settings: dict[str, Any]) -> None:
    command = [sys.executable, "-c", SYNC, json.dumps(settings)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            process.wait(random.uniform(0.1, 1.5))  # noqa: S311 - any time will do
        except subprocess.TimeoutExpired:
            process.kill()
        assert process.wait() == -signal.SIGKILL


# Has a DuckDB file open, and counts for each line that it reads; again if a file is replaced meanwhile.
COUNTER = """
import json, sys, duckdb
database = duckdb.connect(sys.argv[1], read_only=True)

def count():
    try:
        return database.execute("SELECT count(*) FROM installations").fetchone()
    except duckdb.Error:
        return count()

for _ in sys.stdin:
    print(json.dumps(count()), flush=True)
"""


def test_a_duckdb_file_is_read_before_during_and_after_a_sync(syncer: Syncer) -> None:
    """Another process has it open all the time, and counts at each request of the sync and once it has returned."""
    file, days = syncer.folder / "app.duckdb", 9
    parameters: dict[str, Any] = {
        "application_id": syncer.server.application_id,
        "to": syncer.to,
        "date_since": "2024-07-21",
        "date_until": "2024-07-29",
        "fields": ["city", "tracking_id"],
        "client": syncer.client(),
        "duckdb": file,
    }
    syncer.server.answers["installations"] = BODIES[0]
    af.sync_appmetrica("installations", **parameters)
    syncer.server.clock.advance(1.0)
    during: list[int] = []
    with subprocess.Popen(
        [sys.executable, "-c", COUNTER, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as reader:
        assert reader.stdin is not None
        assert reader.stdout is not None
        question, answer, one_at_a_time = reader.stdin, reader.stdout, threading.Lock()

        def count_rows() -> int:
            with one_at_a_time:
                question.write("\n")
                return int(json.loads(answer.readline())[0])

        def look(_: Request) -> bool:
            during.append(count_rows())
            return False

        assert count_rows() == days * 3_000
        syncer.server.answers["installations"] = BODIES[1]
        syncer.server.faults.when(look, faults.Reset())
        af.sync_appmetrica("installations", refresh=True, **parameters)
        assert count_rows() == days * 5_000
        reader.stdin.close()
    assert set(during) <= {3_000 * (days - new) + 5_000 * new for new in range(days + 1)}, "windows are old or new"
    assert days * 3_000 < max(during) < days * 5_000, "some were replaced before others"


@pytest.mark.exhaustive
def test_readers_beside_killed_syncs_never_see_a_wrong_window(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Both engines open a file more than once for a query: if it is replaced in between, the query ends in an error."""
    numbers = count()

    def build(_: Build) -> bytes:
        return BODIES[next(numbers) % 2]

    with Emulator() as server:
        server.answers["installations"] = build
        client = {"token": server.token, "base_url": server.base_url, "cache_dir": str(tmp_path / "cache")}
        client |= {"poll": (0.01, 0.05), "progress": False}
        parameters: dict[str, Any] = {
            "resource": "installations",
            "application_id": server.application_id,
            "date_since": "2024-07-27",
            "date_until": "2024-07-29",
            "fields": ["city", "tracking_id"],
            "to": str(tmp_path / "dataset"),
        }
        af.sync_appmetrica(client=af.Client(**client), **parameters)
        folder = tmp_path / "dataset" / "installations"
        with ExitStack() as scope:
            readers = {name: scope.enter_context(reading(name, folder)) for name in ("polars", "duckdb")}
            for _ in range(KILLS):
                sync_until_killed({"client": client, "parameters": parameters})
        done = af.sync_appmetrica(client=af.Client(**client), **parameters)
    found = {name: seen[0] for name, seen in readers.items()}
    for name, seen in found.items():
        assert seen.reads >= READS
        assert seen.windows == [3]
        assert {(rows, total) for rows, total in seen.seen} == WHOLE, f"{name} sees old windows and new ones, whole"
        figures = {f"reads by {name} beside killed syncs": seen.reads, f"of which failed ({name})": seen.failed}
        request.node.user_properties.append(("figures", figures))
        assert seen.failed < seen.reads / 10
    assert next(numbers) > KILLS, "windows were replaced all the time"
    assert pl.scan_parquet(folder, hive_partitioning=True).select(pl.len()).collect().item() == done["rows"].sum()
