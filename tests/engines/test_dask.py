"""Dask, on two processes, answers as Polars does: to the last digit, pruned, and with a worker lost."""

from __future__ import annotations

import os
import shutil
import signal
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from .conftest import PATIENCE, ROOT, require_module

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .conftest import Ambush, Month

pytestmark = pytest.mark.engines
KEYS = ["date", "event_name"]
PICKED = ["date", "event_name", "appmetrica_device_id"]


@pytest.fixture(scope="module")
def recipe(month: Month) -> Iterator[dict[str, Any]]:
    require_module("distributed")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(month.folder)
        names = month.run_block("dask.distributed")
    yield names
    names["client"].close()


def read(place: Path, **options: Any) -> Any:
    import dask.dataframe as dd

    return dd.read_parquet(str(place), dtype_backend="pyarrow", **options)


def to_polars(frame: Any) -> pl.DataFrame:
    """Convert a pandas result, with the days as dates."""
    return pl.DataFrame(frame.assign(date=frame["date"].astype("str"))).with_columns(pl.col("date").str.to_date())


def test_the_recipe_answers_as_polars_does(recipe: dict[str, Any]) -> None:
    columns = {name: recipe[name].rename(name) for name in ("events", "devices", "largest_id")}
    assert str(columns["largest_id"].dtype) == "uint64[pyarrow]"
    answer = to_polars(columns["events"].to_frame().join([*columns.values()][1:]).reset_index())
    expected = recipe["by_event"]
    assert answer.cast(dict(expected.schema)).sort(KEYS).equals(expected.sort(KEYS))
    assert recipe["week"].npartitions == 7


def test_only_the_partitions_that_are_asked_for_are_read(recipe: dict[str, Any], month: Month, tmp_path: Path) -> None:
    copy = shutil.copytree(month.dataset, tmp_path / "events")
    for path in copy.glob("*/date=2024-07-[23]*/*.parquet"):
        path.write_bytes(b"not read")
    days = [("date", ">=", "2024-07-08"), ("date", "<=", "2024-07-14")]
    assert len(read(copy, filters=days)) == recipe["by_event"]["events"].sum()


def test_every_id_and_time_is_exact(recipe: dict[str, Any], month: Month) -> None:
    columns = ["appmetrica_device_id", "session_id", "event_datetime", "event_timestamp", "date"]
    answer = read(month.dataset, columns=columns).compute()
    expected = pl.scan_parquet(month.dataset, hive_partitioning=True).select(columns).collect()
    assert to_polars(answer).cast(dict(expected.schema)).sort(pl.all()).equals(expected.sort(pl.all()))


def test_a_frame_made_after_a_sync_has_all_rows(recipe: dict[str, Any], grown: tuple[Path, Callable[[], int]]) -> None:
    place, grow = grown
    day = [("date", "==", "2024-07-10")]
    before = len(read(place, filters=day))
    after = grow()
    assert len(read(place, filters=day)) == after > before


def test_the_benchmark_asks_all_engines_the_same(
    recipe: dict[str, Any], month: Month, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.engines import query_dask, query_polars

    assert query_dask(str(month.dataset)) == query_polars(str(month.dataset))


def test_a_killed_worker_loses_nothing_and_counts_nothing_twice(
    recipe: dict[str, Any], month: Month, ambush: Ambush, tmp_path: Path
) -> None:
    waiting = wait_in_the_middle(ambush.address, str(tmp_path))
    counted = read(month.dataset, columns=PICKED).map_partitions(waiting)
    answer = recipe["client"].compute(counted.groupby("date", observed=True).size())
    killed = ambush.wait(lambda pid: os.kill(pid, signal.SIGKILL))
    counts = to_polars(answer.result(PATIENCE).rename("count").reset_index())
    expected = pl.scan_parquet(month.dataset, hive_partitioning=True).group_by("date").len("count").collect()
    assert counts.cast(dict(expected.schema)).sort("date").equals(expected.sort("date"))
    readers = {int(note.name) for note in tmp_path.glob("[0-9]*")}
    assert killed in readers
    assert len(readers) == 2, "another process reads the day again"


def wait_in_the_middle(address: tuple[str, int], notes: str) -> Callable[[Any], Any]:
    """Return a step that reports that it has the rows of a day, and waits until its process is killed.

    A function within a function travels to the workers whole, with its imports.
    """

    def passed(frame: Any) -> Any:
        import os
        import socket
        from contextlib import suppress
        from pathlib import Path

        if "2024-07-20" in set(frame["date"].astype("str")):  # Dask may read several small files at once
            Path(notes, str(os.getpid())).touch()
            with suppress(ConnectionRefusedError), socket.create_connection(address) as connection:
                connection.sendall(str(os.getpid()).encode())
                connection.recv(1)
        return frame

    return passed
