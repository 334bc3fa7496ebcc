"""What it costs to look up a year of daily windows whose files are cached, before any of their data is read.

``python -m benchmarks.cached_year`` caches a year of ``events``, a window a day. Several processes, one after another,
look all of them up as a lazy call does: once for the first lease of the files, which reads them in full, and once more.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, date, timedelta
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from appmetrica_frames.request.export import ExportRequest

ORIGIN = "http://127.0.0.1:1"  # never asked
FIRST_DAY = date(2024, 1, 1)
HOUR = 3600.0
KIB = 1024
FIRST, LATER = "first lease", "later lease"
STEPS = ("find", "touch", "check")
LIMIT = 0.2  # seconds, for a year
Times: TypeAlias = dict[str, dict[str, float]]


def main() -> None:
    given = parse_arguments()
    with TemporaryDirectory(prefix="benchmarks-") as temporary:
        cache = Path(temporary)
        fill_cache(cache, given.windows, given.kib * KIB)
        rounds = [run_round(cache, given.windows) for _ in range(given.rounds)]
    print(build_page(rounds, given.windows, given.kib))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cached_year", description=__doc__)
    parser.add_argument("--windows", type=int, default=365, help="days that are cached (default: %(default)s)")
    parser.add_argument("--kib", type=int, default=1024, help="size of each file (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="processes that measure (default: %(default)s)")
    return parser.parse_args()


def build_requests(windows: int) -> list[ExportRequest]:
    from appmetrica_frames.request.export import build_request

    days = [str(FIRST_DAY + timedelta(days=number)) for number in range(windows)]
    return [
        build_request("events", application_id=1, date_since=day, date_until=day, now=0.0, zone=lambda _: UTC)
        for day in days
    ]


def fill_cache(cache: Path, windows: int, size: int) -> None:
    """Publish a file for each window. The look-up does not care what is in it."""
    from appmetrica_frames.cache.store import LocalStore

    print(f"caching {windows} windows", file=sys.stderr, flush=True)
    store, an_hour_ago = LocalStore(cache), time.time() - HOUR
    for request in build_requests(windows):
        with store.open_write(request, ORIGIN) as write:
            write.path.write_bytes(os.urandom(size))
            export = write.commit(
                built_not_before=an_hour_ago, fetched_at=an_hour_ago, text_columns={}, rows=size // KIB
            )
        os.utime(export.path, (an_hour_ago, an_hour_ago))


def run_round(cache: Path, windows: int) -> Times:
    """Measure in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(measure, cache, windows).result()


def measure(cache: Path, windows: int) -> Times:
    """Return the seconds of each step over all windows, for the first lease of the files and for a later one."""
    requests = build_requests(windows)
    for lease in cache.rglob("*.lease"):
        lease.unlink()
    return {lease: look_up(cache, requests) for lease in (FIRST, LATER)}


def look_up(cache: Path, requests: list[ExportRequest]) -> dict[str, float]:
    """Look the windows up as a call does that hands out the paths of their files."""
    from appmetrica_frames.cache.store import LocalStore

    seconds = dict.fromkeys(STEPS, 0.0)

    def timed(step: str, call: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        result = call()
        seconds[step] += time.perf_counter() - start
        return result

    for request in requests:
        store = LocalStore(cache)
        (export,) = timed("find", lambda store=store, request=request: store.find(request, ORIGIN))
        timed("touch", lambda store=store, export=export: store.touch(export, lease=True))
        if not timed("check", lambda store=store, export=export: store.check(export, lease=True)):
            raise RuntimeError(f"{export.path} is not what was cached.")
    return seconds


def build_page(rounds: list[Times], windows: int, kib: int) -> str:
    """Return the medians of each step and of the whole."""
    lines = [f"{windows} daily windows of {kib:,} KiB; medians of {len(rounds)} processes."]
    for lease, limit in ((FIRST, ""), (LATER, f"; at most {1000 * LIMIT:.0f} ms for a year")):
        whole = 1000 * median(sum(times[lease].values()) for times in rounds)
        steps = ", ".join(f"{step} {1000 * median(times[lease][step] for times in rounds):.1f}" for step in STEPS)
        lines.append(f"{lease}: {whole:.1f} ms ({steps}){limit}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
