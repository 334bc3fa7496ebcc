"""How long a range takes against a server that prepares one window after another, as a multiple of that.

``python -m benchmarks.ranges`` reads daily windows whose download takes half as long as their preparation: as a range
with ``split="day"``, and as one call after another, each against an emulator of its own. Seconds stand for minutes: the
pauses between requests are those for jobs of two minutes, as a share of the preparation. What the emulator and the
cache know of each window becomes a picture.
"""

from __future__ import annotations

import argparse
import gzip
import random
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, timedelta
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from .ranges_picture import WindowTimes, draw_windows

if TYPE_CHECKING:
    from appmetrica_frames.emulator.builder import Build
    from appmetrica_frames.emulator.faults import FaultSpec, Request

FIRST_DAY = date(2024, 7, 1)
POLL = (2 / 120, 30 / 120)  # the shortest and the longest pause, of a preparation of two minutes
DOWNLOAD = 0.5  # of the preparation
FIELDS = ["appmetrica_device_id", "event_name"]
ROWS = 4_000
LIMIT = 1.1
PICTURE = "ranges.svg"


@dataclass(frozen=True)
class Order:
    """What a process reads from which server."""

    base_url: str
    application_id: int
    token: str
    cache: Path
    windows: int
    preparation: float
    is_range: bool


class Watch:
    """Makes up the rows of a server, sends them slowly, and notes what becomes of each window."""

    def __init__(self, preparation: float) -> None:
        numbers = random.Random(1)  # noqa: S311 - rows that gzip cannot shorten much
        rows = [f"{numbers.getrandbits(62)},{numbers.randbytes(16).hex()}" for _ in range(ROWS)]
        self._csv = "\n".join([",".join(FIELDS), *rows]).encode()
        self._seconds = DOWNLOAD * preparation
        self._speed = len(gzip.compress(self._csv)) / self._seconds
        self._windows: dict[str, WindowTimes] = {}

    def build(self, build: Build) -> bytes:
        """Return the rows of a window, whose preparation begins."""
        done = build.started_at + build.preparation
        self._note(dict(build.request.pairs), begun=build.started_at, prepared=done)
        return self._csv

    def on_request(self, request: Request) -> FaultSpec:
        if self._day(dict(request.query)) not in self._windows:
            self._note(dict(request.query), queued=time.time())
        return None

    def on_body(self, request: Request) -> FaultSpec:
        from appmetrica_frames.emulator import faults

        self._note(dict(request.query), downloaded=time.time())
        return faults.Trickle(self._speed, self._seconds)

    def finish(self, cache: Path) -> list[WindowTimes]:
        """Return what became of each window, in their order, up to the record of its file."""
        from appmetrica_frames import Cache

        for export in Cache(cache).exports():
            self._note(export.request, cached=export.fetched_at.timestamp())
        return [times for _, times in sorted(self._windows.items())]

    def _note(self, params: dict[str, str], **instants: float) -> None:
        day = self._day(params)
        self._windows[day] = replace(self._windows.get(day, WindowTimes(day)), **instants)

    def _day(self, params: dict[str, str]) -> str:
        return params.get("date_since", "")[:10]


def main() -> None:
    given = parse_arguments()
    whole = measure(given.windows, given.preparation, is_range=True)
    print_line('a range with split="day"', whole, given, limit=f"; at most {LIMIT} times")
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / PICTURE).write_text(draw_windows(whole[1]))
    if given.singles:
        print_line("one call after another", measure(given.singles, given.preparation, is_range=False), given)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ranges", description=__doc__)
    parser.add_argument("--windows", type=int, default=30, help="days of the range (default: %(default)s)")
    parser.add_argument("--singles", type=int, default=30, help="days that are read singly (default: %(default)s)")
    parser.add_argument("--preparation", type=float, default=2.0, help="seconds of a day (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results", help="where the picture goes")
    return parser.parse_args()


def print_line(
    what: str, measured: tuple[float, list[WindowTimes]], given: argparse.Namespace, limit: str = ""
) -> None:
    seconds, windows = measured
    prepared = len(windows) * given.preparation
    times = seconds / prepared
    print(f"{what}: {len(windows)} windows in {seconds:.1f} s, {times:.2f} times their preparations{limit}", flush=True)


def measure(windows: int, preparation: float, *, is_range: bool) -> tuple[float, list[WindowTimes]]:
    """Return the seconds that a fresh process takes for daily windows, and what became of each."""
    from appmetrica_frames.emulator import Emulator

    watch = Watch(preparation)
    with (
        TemporaryDirectory(prefix="benchmarks-") as temporary,
        Emulator(preparation=preparation, faults=watch.on_request, bodies=watch.on_body) as server,
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool,
    ):
        server.answers["events"] = watch.build
        cache = Path(temporary)
        order = Order(server.base_url, server.application_id, server.token, cache, windows, preparation, is_range)
        seconds = pool.submit(read_windows, order).result()
        return seconds, watch.finish(cache)


def read_windows(order: Order) -> float:
    """Read the windows, in a process that has imported what it needs, and return the seconds it took."""
    import httpx  # noqa: F401
    import polars as pl  # noqa: F401

    import appmetrica_frames as af
    from appmetrica_frames.engine import fetch  # noqa: F401
    from appmetrica_frames.integrations import polars  # noqa: F401

    poll = (POLL[0] * order.preparation, POLL[1] * order.preparation)
    client = af.Client(order.token, base_url=order.base_url, cache_dir=order.cache, poll=poll, progress=False)
    ranges = [(0, order.windows - 1)] if order.is_range else [(day, day) for day in range(order.windows)]
    start = time.perf_counter()
    rows = 0
    for first, last in ranges:
        rows += af.read_appmetrica(
            "events",
            application_id=order.application_id,
            date_since=FIRST_DAY + timedelta(days=first),
            date_until=FIRST_DAY + timedelta(days=last),
            fields=FIELDS,
            split="day" if order.is_range else None,
            client=client,
        ).height
    seconds = time.perf_counter() - start
    if rows != order.windows * ROWS:
        raise RuntimeError(f"{rows} rows were read of {order.windows * ROWS}.")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
