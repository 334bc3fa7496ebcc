"""What Spark and Dask cost on one machine, beside Polars, and what a second worker brings.

``python -m benchmarks.engines`` writes a dataset of 30 daily windows of 100,000 wide events each, as `sync_appmetrica`
does. Then each way aggregates all of them, with one worker and with two, in fresh processes, round after round. It
needs the extras `dask` and `spark`, and Java; a way that is not installed is left out. The exit code is 1 if two ways
differ in their answer.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import date, timedelta
from functools import partial
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeAlias

from .exports import ID, Rows
from .lazy_scan import APPLICATION_ID, FIRST_DAY, RESOURCE, move_to
from .runs import ROOT, clean_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import polars as pl

MEASURE = "--measure"
CALLS = 3  # that are measured in each process; one before them imports and compiles what they need
WORKERS = (1, 2)
KEYS = ["date", "event_name"]
Answer: TypeAlias = dict[str, int]
Query: TypeAlias = "Callable[[], Answer]"


def main() -> int:
    given = parse_arguments()
    with TemporaryDirectory(prefix="benchmarks-") as temporary:
        place = given.data or Path(temporary)
        if not list(place.rglob("*.parquet")):
            fill(place, given.windows, given.rows)
        ways = [(name, workers) for name, module in MODULES.items() if find_spec(module) for workers in WORKERS]
        rounds = [{way: run(*way, place) for way in ways} for _ in range(given.rounds)]
    print(build_page(rounds, given))
    answers = {json.dumps(figures["answer"]) for one in rounds for figures in one.values()}
    return int(len(answers) > 1)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engines", description=__doc__)
    parser.add_argument("--windows", type=int, default=30, help="how many days the dataset has (default: %(default)s)")
    parser.add_argument("--rows", type=int, default=100_000, help="of each window (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="processes of each way (default: %(default)s)")
    parser.add_argument("--data", type=Path, help="directory that keeps the dataset for the next time")
    return parser.parse_args()


def fill(place: Path, windows: int, rows: int) -> None:
    """Write windows with the same rows but for their dates."""
    import polars as pl

    frame = pl.concat(Rows(RESOURCE, rows).frames)
    print(f"writing {windows} windows of {rows:,} rows", file=sys.stderr, flush=True)
    days = [FIRST_DAY + timedelta(days=number) for number in range(windows)]
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        list(pool.map(write, [place] * windows, [frame] * windows, days))


def write(place: Path, frame: pl.DataFrame, day: date) -> None:
    """Write the file of one window, as the package does."""
    import pyarrow as pa

    from appmetrica_frames.engine import parquet
    from appmetrica_frames.schema import catalog
    from appmetrica_frames.schema.types import get_arrow_type

    kind = catalog.resource(RESOURCE)
    names = [name for name in frame.columns if name != "application_id"]
    schema = pa.schema([(name, get_arrow_type(kind.wire_type(name))) for name in names])
    table = move_to(frame, day).select(names).to_arrow().cast(schema)
    path = place / RESOURCE / f"application_id={APPLICATION_ID}" / f"date={day}" / "data.parquet"
    path.parent.mkdir(parents=True)
    parquet.write(path, schema, parquet.build_row_groups(table.to_batches(max_chunksize=1 << 14)), about={})


def run(name: str, workers: int, place: Path) -> dict[str, Any]:
    """Measure in a fresh process."""
    order = {"name": name, "workers": workers, "dataset": str(place / RESOURCE)}
    ran = subprocess.run(  # noqa: S603 - a module of our own
        [sys.executable, "-W", "ignore", "-m", "benchmarks.engines", MEASURE, json.dumps(order)],
        cwd=ROOT,
        env={**clean_environment(), "POLARS_MAX_THREADS": str(workers)},
        check=True,
        stdout=subprocess.PIPE,
    )
    figures: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return figures


def measure(name: str, workers: int, dataset: str) -> dict[str, Any]:
    """Return the seconds until the engine answers for the first time, those of each later call, and the answer."""
    start = time.perf_counter()
    with WAYS[name](workers, dataset) as query:
        answer = query()
        figures: dict[str, Any] = {"first": time.perf_counter() - start, "seconds": [], "answer": answer}
        for _ in range(CALLS):
            start = time.perf_counter()
            query()
            figures["seconds"].append(time.perf_counter() - start)
    return figures


@contextmanager
def open_polars(_workers: int, dataset: str) -> Iterator[Query]:
    yield partial(query_polars, dataset)


def query_polars(dataset: str) -> Answer:
    import polars as pl

    ids = pl.col(ID)
    rows = pl.scan_parquet(dataset, hive_partitioning=True).group_by(KEYS)
    return summarize(
        rows.agg(pl.len().alias("events"), ids.n_unique().alias("devices"), ids.max().alias("id")).collect()
    )


@contextmanager
def open_spark(workers: int, dataset: str) -> Iterator[Query]:
    """Start a session with executors of one core each."""
    import pyspark
    from pyspark.sql import SparkSession

    os.environ.update(SPARK_HOME=str(Path(pyspark.__file__).parent), SPARK_LOCAL_IP="127.0.0.1")
    settings = {
        "spark.executor.memory": "2g",
        "spark.log.level": "OFF",
        "spark.sql.shuffle.partitions": str(2 * workers),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    with TemporaryDirectory(prefix="benchmarks-") as folder:
        builder = SparkSession.builder.master(f"local-cluster[{workers},1,2048]").config("spark.worker.dir", folder)
        session = builder.config(map=settings).getOrCreate()
        yield partial(query_spark, session, dataset)
        session.stop()


def query_spark(session: Any, dataset: str) -> Answer:
    import polars as pl
    from pyspark.sql import functions as F  # noqa: N812 - as everybody calls it

    aggregates = F.count("*").alias("events"), F.countDistinct(ID).alias("devices"), F.max(ID).alias("id")
    answer = session.read.parquet(dataset).groupBy(*KEYS).agg(*aggregates)
    return summarize(pl.DataFrame(pl.from_arrow(answer.toArrow())))


@contextmanager
def open_dask(workers: int, dataset: str) -> Iterator[Query]:
    """Start a cluster of processes with one thread each."""
    from dask.distributed import Client

    with Client(n_workers=workers, threads_per_worker=1, dashboard_address=None, silence_logs=50):
        yield partial(query_dask, dataset)


def query_dask(dataset: str) -> Answer:
    import dask.dataframe as dd
    import polars as pl

    rows = dd.read_parquet(dataset, columns=[*KEYS, ID], dtype_backend="pyarrow")
    groups = rows.groupby(KEYS, observed=True)[ID]
    events, devices, largest = dd.compute(groups.size(), groups.nunique(), groups.max())
    frame = events.to_frame("events").join([devices.rename("devices"), largest.rename("id")])
    return summarize(pl.DataFrame(frame.reset_index(drop=True)))


MODULES = {"polars": "polars", "spark": "pyspark", "dask": "distributed"}
WAYS = {"polars": open_polars, "spark": open_spark, "dask": open_dask}


def summarize(answer: pl.DataFrame) -> Answer:
    """Return what tells a wrong answer from a right one."""
    return {
        "groups": answer.height,
        "events": int(answer["events"].sum()),
        "devices": int(answer["devices"].sum()),
        "id": int(max(answer["id"].to_list())),
    }


def build_page(rounds: list[dict[tuple[str, int], dict[str, Any]]], given: argparse.Namespace) -> str:
    """Return the medians of each way, and their ratios to Polars with one thread."""
    lines = [
        f"{given.windows} windows of {given.rows:,} wide events on {os.cpu_count()} cores.",
        f"Medians of {CALLS} calls in each of {given.rounds} processes.",
        "",
        "| engine | workers | first answer, s | aggregate, s | times Polars with one thread |",
        "|---|---|---|---|---|",
    ]
    ways = {way: [one[way] for one in rounds] for way in rounds[0]}
    times = {way: median(call for one in figures for call in one["seconds"]) for way, figures in ways.items()}
    for (name, workers), figures in ways.items():
        first, calls = median(one["first"] for one in figures), times[name, workers]
        lines.append(f"| {name} | {workers} | {first:.1f} | {calls:.2f} | {calls / times['polars', 1]:.1f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    if sys.argv[1:2] == [MEASURE]:
        print(json.dumps(measure(**json.loads(sys.argv[2]))))
    else:
        sys.exit(main())
