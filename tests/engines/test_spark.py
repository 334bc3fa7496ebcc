"""Spark, on two executors, answers as Polars does: to the last digit, pruned, and with an executor lost."""

from __future__ import annotations

import gc
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from .conftest import PATIENCE, ROOT, require_java, require_module

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .conftest import Ambush, Month

pytestmark = [
    pytest.mark.engines,
    # PySpark leaves sockets to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning"),
]
SETTINGS = {
    "spark.executor.memory": "512m",
    "spark.sql.adaptive.enabled": "false",  # so that the plan that is looked at is the one that ran
    "spark.sql.files.minPartitionNum": "8",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "100",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.shuffle.partitions": "2",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "OFF",
}
KEYS = ["date", "event_name"]


@pytest.fixture(scope="module")
def spark(month: Month) -> Iterator[Any]:
    """Start a session with two executors, each a Java process; the page's recipe finds it."""
    require_java()
    require_module("pyspark")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(month.folder)  # Java keeps it as the directory of relative paths
        patch.setenv("SPARK_HOME", find_home())
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        session = start_session(month.folder)
    yield session
    session.stop()
    gc.collect()


def find_home() -> str:
    """Return where the package keeps Spark, with the scripts that start executors."""
    import pyspark

    return str(Path(pyspark.__file__).parent)


def start_session(folder: Path) -> Any:
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local-cluster[2,1,512]").config("spark.worker.dir", str(folder / "spark"))
    return builder.config(map=SETTINGS).getOrCreate()


@pytest.fixture(scope="module")
def recipe(spark: Any, month: Month) -> dict[str, Any]:
    return month.run_block("SparkSession")


def test_the_recipe_answers_as_polars_does(recipe: dict[str, Any]) -> None:
    answer, expected = recipe["by_spark"], recipe["by_event"]
    assert answer.schema["largest_id"] == pl.Decimal(20, 0)
    assert answer.cast(dict(expected.schema)).sort(KEYS).equals(expected.sort(KEYS))
    assert expected.height > 50


def test_only_the_partitions_that_are_asked_for_are_read(
    recipe: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    recipe["query"].explain("formatted")
    plan = capfd.readouterr().out
    (filters,) = (line for line in plan.splitlines() if line.startswith("PartitionFilters"))
    assert ">= 2024-07-08" in filters
    assert "<= 2024-07-14" in filters
    assert read_metrics(recipe["query"]) == {"numFiles": 7, "numPartitions": 7}


def read_metrics(query: Any) -> dict[str, int]:
    """Return what the scan of a query that has run says of itself."""
    (scan,) = leaves(query._jdf.queryExecution().executedPlan())
    return {name: scan.metrics().apply(name).value() for name in ("numFiles", "numPartitions")}


def leaves(plan: Any) -> list[Any]:
    found = plan.collectLeaves()
    return [found.apply(number) for number in range(found.length())]


def test_every_id_and_time_is_exact(spark: Any, month: Month) -> None:
    columns = ["appmetrica_device_id", "session_id", "event_datetime", "event_timestamp", "date", "application_id"]
    rows = spark.read.parquet(str(month.dataset)).select(*columns)
    types = ["decimal(20,0)", "decimal(20,0)", "timestamp_ntz", "timestamp", "date", "int"]
    assert [kind for _, kind in rows.dtypes] == types
    expected = pl.scan_parquet(month.dataset, hive_partitioning=True).select(columns).collect()
    answer = pl.DataFrame(pl.from_arrow(rows.toArrow())).cast(dict(expected.schema))
    assert answer.sort(pl.all()).equals(expected.sort(pl.all()))
    assert expected["appmetrica_device_id"].max() > 2**63  # type: ignore[operator]


def test_a_frame_made_after_a_sync_has_all_rows(spark: Any, grown: tuple[Path, Callable[[], int]]) -> None:
    place, grow = grown
    day = "date = '2024-07-10'"
    before = spark.read.parquet(str(place)).where(day).count()
    after = grow()
    assert spark.read.parquet(str(place)).where(day).count() == after > before


def test_the_benchmark_asks_all_engines_the_same(spark: Any, month: Month, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.engines import query_polars, query_spark

    assert query_spark(spark, str(month.dataset)) == query_polars(str(month.dataset))


def test_a_killed_executor_loses_nothing_and_counts_nothing_twice(
    spark: Any, month: Month, ambush: Ambush, tmp_path: Path
) -> None:
    rows = spark.read.parquet(str(month.dataset)).select("date", "event_name", "appmetrica_device_id")
    counted = rows.mapInArrow(wait_in_the_middle(ambush.address, str(tmp_path)), rows.schema).groupBy("date").count()
    with ThreadPoolExecutor(1) as thread:
        answer = thread.submit(counted.toArrow)
        killed = ambush.wait(kill_executor)
        counts = pl.DataFrame(pl.from_arrow(answer.result(PATIENCE)))
    expected = pl.scan_parquet(month.dataset, hive_partitioning=True).group_by("date").len("count").collect()
    assert counts.cast(dict(expected.schema)).sort("date").equals(expected.sort("date"))
    readers = {int(note.name) for note in tmp_path.glob("[0-9]*")}
    assert killed in readers
    assert len(readers) == 2, "another executor reads the day again"


def wait_in_the_middle(address: tuple[str, int], notes: str) -> Callable[[Iterator[Any]], Iterator[Any]]:
    """Return a step that passes on the first rows of a day, reports, and waits until its executor is killed.

    A function within a function travels to the executors whole, with its imports.
    """

    def passed(batches: Iterator[Any]) -> Iterator[Any]:
        import os
        import socket
        from contextlib import suppress
        from datetime import date
        from pathlib import Path

        waited = False
        for batch in batches:
            yield batch
            if not waited and date(2024, 7, 20) in batch.column("date").to_pylist():
                waited = True
                Path(notes, str(os.getppid())).touch()
                with suppress(ConnectionRefusedError), socket.create_connection(address) as connection:
                    connection.sendall(str(os.getppid()).encode())
                    connection.recv(1)

    return passed


def kill_executor(python_daemon: int) -> None:
    """Kill the Java process that started the daemon of a Python worker."""
    parent = Path(f"/proc/{python_daemon}/stat").read_text("ascii").rpartition(")")[2].split()[1]
    os.kill(int(parent), signal.SIGKILL)
