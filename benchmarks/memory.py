"""Peak memory and time of one big download: ``python -m benchmarks.memory --rows 2_000_000``.

A server process prepares an export of wide events and keeps it; a fresh client process downloads it into an empty
store and says what that cost. Only the client is measured.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

DAYS = 10
DAY = "2026-01-{:02}"
SPARE = 1.3  # an average day has rows_per_day rows; enough of them to cut off exactly as many as asked
RSS_UNIT = 1 if sys.platform == "darwin" else 1024
MIB = 1 << 20


def main() -> None:
    """Serve, measure, print a table and the same as JSON."""
    words = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    words.add_argument("--rows", type=int, default=2_000_000, help="rows of the export (default: 2_000_000)")
    words.add_argument("--limit-mib", type=int, default=400, help="exit with 1 above so many MiB (default: 400)")
    words.add_argument("--download-from", help=argparse.SUPPRESS)
    given = words.parse_args()
    if given.download_from:
        sys.stdout.write(json.dumps(download(given.download_from, given.rows)))
        return
    with served(given.rows) as server:
        measured = server | in_a_fresh_process(server["base_url"], given.rows)
    del measured["base_url"]
    print(table(measured))
    print(json.dumps(measured))
    sys.exit(measured["peak_rss_mib"] > given.limit_mib)


def words_of(rows: int) -> dict[str, Any]:
    return {"application_id": 1111, "date_since": DAY.format(1), "date_until": DAY.format(DAYS), "limit": rows}


def download(base_url: str, rows: int) -> dict[str, Any]:
    """Download the export in this process and return what it cost."""
    from appmetrica_frames import Client, download_appmetrica

    imported = peak_mib()
    with tempfile.TemporaryDirectory() as directory:
        client = Client("emulator-token", base_url=base_url, cache_dir=directory, progress=False)
        began = time.perf_counter()
        (path,) = download_appmetrica("events", **words_of(rows), client=client)
        wall = time.perf_counter() - began
        used = resource.getrusage(resource.RUSAGE_SELF)
        import pyarrow.parquet as pq

        about = pq.read_metadata(path)
        return {
            "rows": about.num_rows,
            "columns": about.num_columns,
            "parquet_mib": round(path.stat().st_size / MIB, 1),
            "peak_rss_mib": round(used.ru_maxrss * RSS_UNIT / MIB, 1),
            "rss_before_mib": imported,
            "wall_seconds": round(wall, 2),
            "cpu_seconds": round(used.ru_utime + used.ru_stime, 2),
        }


def peak_mib() -> float:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT / MIB, 1)


def in_a_fresh_process(base_url: str, rows: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.memory", "--rows", str(rows), "--download-from", base_url]
    ran = subprocess.run(command, check=True, stdout=subprocess.PIPE)  # noqa: S603 - our own words
    measured: dict[str, Any] = json.loads(ran.stdout)
    return measured


@contextmanager
def served(rows: int) -> Iterator[dict[str, Any]]:
    """Run the server in a process of its own; give its address once the file is ready."""
    fork_free = multiprocessing.get_context("spawn")
    ours, theirs = fork_free.Pipe()
    process = fork_free.Process(target=serve, args=(rows, theirs))
    process.start()
    theirs.close()
    try:
        yield ours.recv()
    finally:
        ours.close()  # the server waits for this
        process.join()


def serve(rows: int, line: Connection) -> None:
    from appmetrica_frames.emulator import Emulator

    with Emulator(rows_per_day=int(rows * SPARE / DAYS)) as server:
        began = time.perf_counter()
        size = prepared(server.base_url, rows)
        took = round(time.perf_counter() - began, 1)
        line.send({"base_url": server.base_url, "gzip_mib": size, "prepared_in_seconds": took})
        try:
            line.recv()
        except EOFError:
            return


def prepared(base_url: str, rows: int) -> float:
    """Ask what the client will ask until it is ready; return the size of the file in MiB."""
    from appmetrica_frames.words import order

    asked = order("events", **words_of(rows)).request
    query = urllib.parse.urlencode(asked.query())
    headers = {"Authorization": "OAuth emulator-token", "Accept-Encoding": "gzip"}
    request = urllib.request.Request(f"{base_url}{asked.path}?{query}", headers=headers)  # noqa: S310 - loopback
    while True:
        with urllib.request.urlopen(request) as answer:  # noqa: S310 - loopback
            if answer.status == HTTPStatus.OK:
                return round(sum(map(len, iter(lambda: answer.read(MIB), b""))) / MIB, 1)
        time.sleep(0.5)


def table(measured: dict[str, Any]) -> str:
    width = max(map(len, measured))
    return "\n".join(f"{name.replace('_', ' '):<{width}}  {value:>12,}" for name, value in measured.items())


if __name__ == "__main__":
    main()
