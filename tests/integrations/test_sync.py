"""What a dataset holds decides what is fetched; a window never loses rows, and is published as soon as it is there."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Any, Self

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

import appmetrica_frames as af
from appmetrica_frames.cache.locks import Locks
from appmetrica_frames.emulator import faults
from appmetrica_frames.integrations import storage

from .conftest import DAY

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from appmetrica_frames.emulator.faults.plan import Request

    from .conftest import Syncer


def test_the_next_day_on_an_empty_cache_asks_only_for_what_is_not_settled(syncer: Syncer) -> None:
    month = {"date_since": "2024-07-01"}
    assert len(syncer.requested(date_until="2024-07-29", **month)) == 29
    syncer.forget_cache()
    syncer.server.clock.advance(DAY + 60.0)
    assert syncer.requested(date_until="2024-07-30", **month) == [f"2024-07-{day}" for day in range(23, 31)]
    assert syncer.requested(date_until="2024-07-30", **month) == []


def test_a_file_never_seems_to_be_from_the_future(syncer: Syncer) -> None:
    """Its instants are kept in microseconds, and the clock's are finer; here it stands still."""
    for _ in range(5):
        syncer.server.clock.advance(0.123_456_7)
        syncer.sync(date_since="2024-07-29", refresh=True)
        assert syncer.sync(date_since="2024-07-29")["action"].to_list() == ["kept"]


def test_a_sync_within_max_age_asks_for_nothing(syncer: Syncer) -> None:
    syncer.sync()
    syncer.forget_cache()
    syncer.server.clock.advance(3_600.0)
    assert syncer.requested(max_age=2 * 3_600.0) == []
    assert syncer.requested(max_age=1_800.0) == ["2024-07-27", "2024-07-28", "2024-07-29"]


def test_a_refresh_writes_every_window(syncer: Syncer) -> None:
    syncer.sync()
    syncer.server.clock.advance(60.0)
    frame = syncer.sync(refresh=True)
    assert frame["action"].to_list() == ["written"] * 3
    assert frame["reason"].unique().to_list() == ["refresh accepts nothing built before the call"]


def test_what_the_cache_has_is_published_without_a_request(syncer: Syncer) -> None:
    syncer.sync()
    assert syncer.requested(to=syncer.folder / "other") == []


def test_relative_dates_are_those_of_the_application(syncer: Syncer) -> None:
    frame = syncer.sync(date_since="2daysAgo", date_until="yesterday")
    assert frame["since"].dt.date().cast(pl.String).to_list() == ["2024-07-28", "2024-07-29"]


def test_a_dry_run_shows_the_plan_and_writes_nothing(syncer: Syncer) -> None:
    plan = syncer.sync(dry_run=True)
    assert plan.select("state", "action", "rows").unique().rows() == [("missing", "would write", None)]
    assert not syncer.to.exists()
    assert [one for one in syncer.server.exchanges if "/export/" in one.path] == []
    syncer.sync(date_until="2024-07-28")
    before = {path: path.stat().st_mtime_ns for path in syncer.folder.rglob("*")}
    plan = syncer.sync(dry_run=True)
    assert plan["action"].to_list() == ["kept", "kept", "would write"]
    assert plan["rows"].to_list()[2] is None
    assert {path: path.stat().st_mtime_ns for path in syncer.folder.rglob("*")} == before


def test_a_shorter_range_keeps_the_rows_of_its_first_and_last_window(syncer: Syncer) -> None:
    whole = {"split": "month", "date_since": "2024-07-10", "date_until": "2024-07-29"}
    syncer.sync(**whole)
    before = syncer.read().sort(pl.all())
    shorter = {"split": "month", "date_since": "2024-07-12", "date_until": "2024-07-20"}
    assert syncer.sync(**shorter)["action"].to_list() == ["kept"]
    frame = syncer.sync(refresh=True, **shorter)
    assert frame.select(pl.col("since", "until").cast(pl.String)).rows() == [
        ("2024-07-10 00:00:00.000000", "2024-07-29 23:59:59.000000")
    ]
    assert syncer.read().sort(pl.all()).equals(before)


def test_a_longer_range_writes_the_window_again(syncer: Syncer) -> None:
    syncer.sync(date_until="2024-07-28 11:59:59")
    frame = syncer.sync(date_until="2024-07-28")
    assert frame["action"].to_list() == ["kept", "written"]
    assert frame["reason"][1] == "covers 2024-07-28 00:00:00 to 11:59:59 only"


def test_a_file_without_some_shards_does_not_stand_in_for_a_whole_one(syncer: Syncer) -> None:
    syncer.sync(skip_unavailable_shards=True)
    assert syncer.sync(skip_unavailable_shards=True)["action"].to_list() == ["kept"] * 3
    assert syncer.sync()["reason"].unique().to_list() == ["was exported with skip_unavailable_shards"]
    assert syncer.sync(skip_unavailable_shards=True)["action"].to_list() == ["kept"] * 3


def fail_on(day: str) -> Callable[[Request], bool]:
    return lambda request: dict(request.query).get("date_since", "").startswith(day)


def test_windows_that_are_there_stay_when_another_fails(syncer: Syncer) -> None:
    syncer.server.faults.when(fail_on("2024-07-28"), faults.json_error(500, "broken shard"))
    with pytest.raises(
        af.IncompleteExportError, match=r"2 of 3 windows are up to date in .*dataset, and stay there"
    ) as caught:
        syncer.sync()
    assert [window.since[:10] for window in caught.value.completed] == ["2024-07-27", "2024-07-29"]
    assert [window.since[:10] for window in caught.value.failed] == ["2024-07-28"]
    assert isinstance(caught.value.__cause__, af.ServerError)
    assert len(syncer.files()) == 2
    syncer.server.clear_faults()
    syncer.forget_cache()
    assert syncer.requested() == ["2024-07-28"]


def test_a_field_that_the_server_rejects_is_a_null_column(syncer: Syncer) -> None:
    syncer.server.rejected_fields.add("city")
    with pytest.warns(af.SchemaWarning, match="The server rejects 'city'"):
        syncer.sync(fields=None)
    rows = syncer.read()
    assert rows.height > 0
    assert rows.schema["city"] == pl.String
    assert rows["city"].null_count() == rows.height
    assert syncer.sync(fields=None)["action"].to_list() == ["kept"] * 3


def test_an_interrupt_keeps_what_was_published_and_says_so(syncer: Syncer) -> None:
    """The main thread is interrupted as Ctrl-C does it while the last window is under way."""
    main = threading.main_thread().ident
    assert main is not None
    interrupted = threading.Event()

    def is_last(request: Request) -> bool:
        if not fail_on("2024-07-29")(request) or interrupted.is_set():
            return False
        interrupted.set()
        threading.Timer(0.5, lambda: signal.pthread_kill(main, signal.SIGINT)).start()
        return True

    syncer.server.faults.when(is_last, faults.Stall(after=10))
    with pytest.raises(KeyboardInterrupt, match=r"\d+ of 12 windows are up to date in "):
        syncer.sync(date_since="2024-07-18")
    files = syncer.files()
    assert 5 <= len(files) <= 11
    syncer.forget_cache()
    requested = syncer.requested(date_since="2024-07-18")
    assert len(requested) == 12 - len(files)


def test_a_window_is_there_before_the_others_are(syncer: Syncer) -> None:
    seen: list[list[str]] = []

    def look(request: Request) -> bool:
        if fail_on("2024-07-29")(request):
            seen.append(syncer.files())
        return False

    syncer.server.faults.when(look, faults.Reset())
    syncer.sync(date_since="2024-07-18")
    assert len(seen[0]) >= 5, "each thread has published its first window before it begins with another"


BAD = b"city,install_timestamp\nKazan,soon\n"


def cache_text(syncer: Syncer, fields: list[str]) -> None:
    """Have the cache hold a day in which a column became text, and the server forget it."""
    with pytest.warns(af.SchemaWarning), pytest.raises(af.IncompleteExportError):
        syncer.sync(to=syncer.folder / "other", fields=fields, date_since="2024-07-29")
    del syncer.server.answers["installations"]


@pytest.mark.parametrize("is_cached", [False, True])
def test_a_column_that_became_text_keeps_its_window_out_of_the_dataset(syncer: Syncer, *, is_cached: bool) -> None:
    fields = ["city", "install_timestamp"]
    syncer.sync(fields=fields, date_until="2024-07-28")
    syncer.server.answers["installations"] = BAD
    if is_cached:
        cache_text(syncer, fields)
    with (
        pytest.warns(af.SchemaWarning),
        pytest.raises(af.IncompleteExportError, match=r"schema_overrides={'install_timestamp': 'string'}") as caught,
    ):
        syncer.sync(fields=fields, date_until="2024-07-29")
    (error,) = caught.value.failed.values()
    assert isinstance(error, af.SchemaError)
    assert error.column == "install_timestamp"
    assert len(caught.value.completed) == len(syncer.files()) == 2


def test_a_column_that_became_text_and_is_not_wanted_is_no_obstacle(syncer: Syncer) -> None:
    syncer.server.answers["installations"] = b"appmetrica_device_id,city,install_timestamp\n1,Kazan,soon\n"
    wanted = ["city", "appmetrica_device_id"]
    cache_text(syncer, [*wanted, "install_timestamp"])
    assert syncer.requested(fields=wanted, date_since="2024-07-29") == []
    assert syncer.read()["city"].to_list() == ["Kazan"]


def test_what_cannot_be_written_is_said_and_the_rest_of_the_dataset_stays(syncer: Syncer) -> None:
    syncer.sync(date_until="2024-07-28")
    (syncer.path("date=2024-07-29").parent).write_text("in the way")
    with pytest.raises(af.AppMetricaError, match=r"cannot be written|is not a file of this dataset"):
        syncer.sync()
    assert len(syncer.files()) == 2


def test_a_sync_waits_for_another_and_then_says_so(syncer: Syncer) -> None:
    with (
        Locks(syncer.to / storage.OWN_FOLDER, make_folder).acquire("installations", timeout=0, on_wait=lambda: None),
        pytest.raises(af.DatasetError, match="Another process has been syncing installations in"),
    ):
        syncer.sync(patience=0.3)
    assert syncer.sync(patience=0.3)["action"].to_list() == ["written"] * 3


def make_folder(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def test_two_syncs_at_once_write_each_window_once(syncer: Syncer) -> None:
    frames: list[pl.DataFrame] = []
    threads = [threading.Thread(target=lambda: frames.append(syncer.sync())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    actions = sorted(frame["action"].to_list() for frame in frames)
    assert actions == [["kept"] * 3, ["written"] * 3]
    assert syncer.read().height == syncer.export().height


def test_two_resources_do_not_wait_for_each_other(syncer: Syncer) -> None:
    with Locks(syncer.to / storage.OWN_FOLDER, make_folder).acquire("events", timeout=0, on_wait=lambda: None):
        assert syncer.sync(patience=0.0)["action"].to_list() == ["written"] * 3


def test_leftovers_of_a_process_that_was_killed_go_after_a_day(syncer: Syncer) -> None:
    own = make_folder(syncer.to / storage.OWN_FOLDER)
    for name, age in [("old", 2 * DAY), ("new", 60.0)]:
        path = own / f"{name}.tmp"
        path.touch()
        os.utime(path, (time.time() - age,) * 2)
    syncer.sync()
    assert sorted(path.name for path in own.iterdir()) == ["installations.lock", "new.tmp"]


BODIES = {
    rows: "\n".join(["city,tracking_id", *(f"city {row * 7919 % rows},{row * rows}" for row in range(rows))]).encode()
    for rows in (3_000, 5_000)
}
WHOLE = {(rows, sum(row * rows for row in range(rows))) for rows in BODIES}


ERRORS = (pl.exceptions.PolarsError, pl.exceptions.PanicException, duckdb.Error, pa.ArrowException, OSError)


class Watcher:
    """Reads a dataset again and again in a thread, and keeps what it has seen of each window."""

    def __init__(self, read: Callable[[], list[tuple[int, int]]]) -> None:
        self.seen: set[tuple[int, int]] = set()
        self.reads = 0
        self.errors: list[BaseException] = []
        self._read = read
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.seen.update(self._read())
                self.reads += 1
            except ERRORS as error:
                self.errors.append(error)


def read_polars(folder: Path) -> list[tuple[int, int]]:
    scan = pl.scan_parquet(folder, hive_partitioning=True)
    return scan.group_by("date").agg(pl.len(), pl.col("tracking_id").sum()).drop("date").collect().rows()


def read_duckdb(folder: Path) -> list[tuple[int, int]]:
    with duckdb.connect() as connection:
        return connection.sql(
            f"SELECT count(*), sum(tracking_id)::BIGINT FROM read_parquet('{folder}/*/*/*.parquet', "  # noqa: S608
            "hive_partitioning = true) GROUP BY date"
        ).fetchall()


def read_pyarrow(folder: Path) -> list[tuple[int, int]]:
    table = ds.dataset(folder, partitioning="hive").to_table()
    rows = table.group_by("date").aggregate([("tracking_id", "count"), ("tracking_id", "sum")])
    return list(zip(*(rows.column(f"tracking_id_{name}").to_pylist() for name in ("count", "sum")), strict=True))


@pytest.mark.parametrize("read", [read_polars, read_duckdb, read_pyarrow])
def test_a_reader_never_sees_a_window_twice_or_in_part(syncer: Syncer, read: Callable[[Path], Any]) -> None:
    """Windows are replaced by longer and shorter ones.

    Polars and DuckDB open a file more than once for a query. If it is replaced in between, they may end with an error,
    never with other rows; Arrow opens it once.
    """
    folder = syncer.to / "installations"
    wanted = {"fields": ["city", "tracking_id"], "date_since": "2024-07-28", "refresh": True}

    def replace(rows: int) -> None:
        syncer.server.answers["installations"] = BODIES[rows]
        syncer.server.clock.advance(1.0)
        syncer.sync(**wanted)

    replace(3_000)
    with Watcher(lambda: read(folder)) as watcher:
        for _ in range(10):
            replace(5_000)
            replace(3_000)
    assert watcher.seen <= WHOLE
    assert watcher.reads > 10
    assert read is not read_pyarrow or watcher.errors == []


def test_the_public_function_keeps_settled_windows_for_good(syncer: Syncer) -> None:
    parameters: dict[str, Any] = {
        "application_id": syncer.server.application_id,
        "to": str(syncer.to),
        "date_since": "2024-07-27",
        "date_until": "2024-07-29",
        "fields": ["city", "install_datetime"],
        "client": syncer.client(),
    }
    assert af.sync_appmetrica("installations", dry_run=True, **parameters)["action"].to_list() == ["would write"] * 3
    assert af.sync_appmetrica("installations", **parameters)["action"].to_list() == ["written"] * 3
    kept = af.sync_appmetrica("installations", max_age=0, **parameters)
    assert kept.select("action", "state").unique().rows() == [("kept", "settled")]
