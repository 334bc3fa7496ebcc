"""What `scan_appmetrica` costs beside a bare `polars.scan_parquet` of the same files.

``python -m benchmarks.lazy_scan`` fills a cache with 90 daily windows of 100,000 wide events each, through the cache's
own writer. Then queries by either way take turns, in several processes one after another.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import date, datetime, timedelta
from functools import partial
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeAlias

from .exports import ID, Rows
from .measure import peak_mib
from .runs import ROOT, clean_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import polars as pl

    from appmetrica_frames.request.export import ExportRequest

RESOURCE, APPLICATION_ID, ORIGIN = "events", 1111, "https://api.appmetrica.yandex.com"
FIRST_DAY = date(2024, 7, 1)
SECONDS_OF_DAY = 86_400
TIMES = ("event_datetime", "event_timestamp", "event_receive_datetime", "event_receive_timestamp")
RATIO = {"one day, two columns": 1.3, "group_by of all": 1.2, "peak of group_by of all": 1.3}
ONE_DAY, ALL, PEAK = RATIO
OURS, BARE = "scan_appmetrica", "scan_parquet"
CALLS = {ONE_DAY: 30, ALL: 5}  # by either way, in each process
MEASURE = "--measure"
Figures: TypeAlias = dict[str, dict[str, list[float]]]


def main() -> None:
    given = parse_arguments()
    with TemporaryDirectory(prefix="benchmarks-") as temporary:
        cache = given.data or Path(temporary)
        if not list(cache.rglob("*.parquet")):
            fill(cache, given.windows, given.rows)
        rounds: list[Figures] = [run("times", cache, given) for _ in range(given.rounds)]
        peaks = [
            {PEAK: {way: [run(f"peak of {way}", cache, given)["peak"]["mib"][0]] for way in (OURS, BARE)}}
            for _ in range(given.rounds)
        ]
    print(build_page([*rounds, *peaks], given))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lazy_scan", description=__doc__)
    parser.add_argument("--windows", type=int, default=90, help="how many days are cached (default: %(default)s)")
    parser.add_argument("--rows", type=int, default=100_000, help="of each window (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="processes that measure (default: %(default)s)")
    parser.add_argument("--engine", default="streaming", choices=["streaming", "in-memory"])
    parser.add_argument("--data", type=Path, help="directory that keeps the filled cache for the next time")
    return parser.parse_args()


def fill(cache: Path, windows: int, rows: int) -> None:
    """Put windows with the same rows but for their dates into a cache."""
    import polars as pl

    from appmetrica_frames.engine.options import build_options
    from appmetrica_frames.engine.plan import plan_windows

    frame = pl.concat(Rows(RESOURCE, rows).frames)
    requests = [window.request for window in plan_windows(build_options(RESOURCE, **parameters(cache, windows)))]
    print(f"caching {windows} windows of {rows:,} rows", file=sys.stderr, flush=True)
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        list(pool.map(write, [cache] * windows, [frame] * windows, requests))


def parameters(cache: Path, windows: int) -> dict[str, Any]:
    """Return the parameters of a call for all windows."""
    from appmetrica_frames import Client

    return {
        "application_id": APPLICATION_ID,
        "date_since": FIRST_DAY,
        "date_until": FIRST_DAY + timedelta(days=windows - 1),
        "split": "day",
        "offline": True,
        "client": Client(base_url=ORIGIN, cache_dir=cache, progress=False),
    }


def write(cache: Path, frame: pl.DataFrame, request: ExportRequest) -> None:
    """Put one window into a cache."""
    import pyarrow as pa

    from appmetrica_frames.cache.store import LocalStore
    from appmetrica_frames.engine import parquet
    from appmetrica_frames.schema import catalog
    from appmetrica_frames.schema.types import get_arrow_type

    kind = catalog.resource(RESOURCE)
    schema = pa.schema([(name, get_arrow_type(kind.wire_type(name))) for name in request.wire_fields])
    day = date.fromisoformat(dict(request.params)["date_since"][:10])
    table = move_to(frame, day).select(schema.names).to_arrow().cast(schema)
    with LocalStore(cache).open_write(request, ORIGIN) as pending:
        groups = parquet.build_row_groups(table.to_batches(max_chunksize=1 << 14))
        rows = parquet.write(pending.path, schema, groups, about=request.to_dict())
        pending.commit(built_not_before=time.time(), fetched_at=time.time(), text_columns={}, rows=rows)


def move_to(frame: pl.DataFrame, day: date) -> pl.DataFrame:
    """Return rows with all their times moved to a day."""
    import polars as pl

    midnight = int((day - date(1970, 1, 1)).total_seconds())
    seconds = midnight + pl.col("event_datetime").dt.epoch("s") % SECONDS_OF_DAY
    return frame.with_columns((seconds * 1_000_000).cast(pl.Datetime("us")).alias(name) for name in TIMES)


def run(what: str, cache: Path, given: argparse.Namespace) -> Figures:
    """Measure in a fresh process."""
    order = {"what": what, "cache": str(cache), "windows": given.windows, "engine": given.engine}
    ran = subprocess.run(  # noqa: S603 - a module of our own
        [sys.executable, "-m", "benchmarks.lazy_scan", MEASURE, json.dumps(order)],
        cwd=ROOT,
        env=clean_environment(),
        check=True,
        stdout=subprocess.PIPE,
    )
    figures: Figures = json.loads(ran.stdout)
    return figures


def measure(what: str, cache: Path, windows: int, engine: Any) -> Figures:
    """Return the seconds of each query by either way, or the peak of one way."""
    scans = build_scans(cache, windows)
    if what != "times":
        way = what.removeprefix("peak of ")
        group_all(scans[ALL][way]()).collect(engine=engine)
        return {"peak": {"mib": [peak_mib()]}}
    queries = {ONE_DAY: partial(select_day, windows=windows), ALL: group_all}
    times: Figures = {name: {OURS: [], BARE: []} for name in queries}
    for name, query in queries.items():
        for way in times[name]:
            query(scans[name][way]()).collect(engine=engine)  # imports what the measured calls need
        for _, (way, seconds) in zip(range(2 * CALLS[name]), take_turns(query, scans[name], engine), strict=False):
            times[name][way].append(seconds)
    return times


def take_turns(
    query: Callable[[pl.LazyFrame], pl.LazyFrame], scans: dict[str, Callable[[], pl.LazyFrame]], engine: Any
) -> Iterator[tuple[str, float]]:
    for _ in count():
        for way, scan in scans.items():
            start = time.perf_counter()
            query(scan()).collect(engine=engine)
            yield way, time.perf_counter() - start


def build_scans(cache: Path, windows: int) -> dict[str, dict[str, Callable[[], pl.LazyFrame]]]:
    """Return the LazyFrames of each query by either way: ours of all windows, and Polars' own of the files it needs."""
    import polars as pl

    from appmetrica_frames import download_appmetrica, scan_appmetrica

    asked = parameters(cache, windows)
    paths = download_appmetrica(RESOURCE, **asked)

    def bare(files: Iterable[Path]) -> Callable[[], pl.LazyFrame]:
        return lambda: pl.scan_parquet(list(files), glob=False)

    def ours() -> pl.LazyFrame:
        return scan_appmetrica(RESOURCE, **asked)

    return {ONE_DAY: {OURS: ours, BARE: bare(paths[windows // 2 :][:1])}, ALL: {OURS: ours, BARE: bare(paths)}}


def select_day(rows: pl.LazyFrame, *, windows: int) -> pl.LazyFrame:
    import polars as pl

    day = datetime.combine(FIRST_DAY + timedelta(days=windows // 2), datetime.min.time())
    return rows.filter(pl.col("event_datetime").is_between(day, day + timedelta(days=1), closed="left")).select(
        "event_name", ID
    )


def group_all(rows: pl.LazyFrame) -> pl.LazyFrame:
    import polars as pl

    by = [pl.col("event_datetime").dt.date().alias("day"), pl.col("event_name")]
    return rows.group_by(by).agg(pl.len(), pl.col(ID).n_unique(), pl.col("event_json").str.len_bytes().sum())


def build_page(rounds: list[Figures], given: argparse.Namespace) -> str:
    """Return the medians of both ways, with their ratios."""
    lines = [f"{given.windows} cached windows of {given.rows:,} wide events, engine {given.engine}."]
    for name, limit in RATIO.items():
        ours, bare = (
            median(figure for figures in rounds if name in figures for figure in figures[name][way])
            for way in (OURS, BARE)
        )
        unit, factor = ("MiB", 1) if name == PEAK else ("ms", 1000)
        lines.append(
            f"{name}: {ours * factor:.1f} {unit}, bare {bare * factor:.1f} {unit}, "
            f"{ours / bare:.2f} times; at most {limit}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    if sys.argv[1:2] == [MEASURE]:
        sys.stdout.write(json.dumps(measure(**json.loads(sys.argv[2]))))
    else:
        main()
