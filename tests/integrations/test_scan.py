"""A lazy scan: nothing is asked for before collect, and then only what the query needs."""

from __future__ import annotations

import io
import pickle
import signal
import sys
import threading
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Literal

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import appmetrica_frames as af
from appmetrica_frames.engine.call import lease_exports
from appmetrica_frames.engine.options import build_options
from appmetrica_frames.integrations.polars import scan_files
from appmetrica_frames.schema import catalog

if TYPE_CHECKING:
    from collections.abc import Callable

    from appmetrica_frames.emulator import Emulator

Engine = Literal["in-memory", "streaming"]
CANARY = "y0_canary-3b9ac9ff"
FIELDS = ["event_name", "event_datetime", "event_timestamp", "appmetrica_device_id"]
WEEK: dict[str, Any] = {"date_since": "2024-07-01", "date_until": "2024-07-07", "fields": FIELDS, "split": "day"}
DAYS = [date(2024, 7, day) for day in range(1, 8)]
NOWHERE = "http://127.0.0.1:9"
happened, instant = pl.col("event_datetime"), pl.col("event_timestamp")

both_engines = pytest.mark.parametrize("engine", ["in-memory", "streaming"])


@pytest.fixture
def week(server: Emulator, client: af.Client) -> dict[str, Any]:
    return {"application_id": server.application_id, "client": client, **WEEK}


def requested_days(server: Emulator, *, after: int = 0) -> list[date]:
    """Return the first days of the exports that were requested."""
    queries = [dict(exchange.query) for exchange in server.exchanges[after:] if "/export/" in exchange.path]
    return sorted({datetime.fromisoformat(query["date_since"]).date() for query in queries if "date_since" in query})


# Before collect


LOOKS: dict[str, Callable[[pl.LazyFrame], Any]] = {
    "schema": lambda lazy: lazy.collect_schema(),
    "explain": lambda lazy: lazy.explain(),
    "explain streaming": lambda lazy: lazy.explain(engine="streaming"),
    "unoptimized": lambda lazy: lazy.explain(optimized=False),
    "repr": repr,
    "html": lambda lazy: lazy._repr_html_(),
    "query": lambda lazy: lazy.filter(happened.dt.date() == DAYS[0]).group_by("event_name").len().explain(),
    "pickle": pickle.dumps,
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
@pytest.mark.parametrize("dates", ["days", "zones"])
def test_nothing_is_needed_before_collect(look: Callable[[pl.LazyFrame], Any], dates: str) -> None:
    """Neither a network nor a token, even where the dates will need the application's time zone."""
    times = {"date_since": datetime(2024, 7, 1, tzinfo=UTC), "date_until": datetime(2024, 7, 2, 1, tzinfo=UTC)}
    asked = WEEK | (times if dates == "zones" else {})
    lazy = af.scan_appmetrica("events", application_id=1, client=af.Client(base_url=NOWHERE), **asked)
    look(lazy)
    with pytest.raises(af.MissingTokenError):
        lazy.collect()


def test_no_request_is_sent_before_collect(server: Emulator, week: dict[str, Any]) -> None:
    lazy = af.scan_appmetrica("events", **week)
    for look in LOOKS.values():
        look(lazy)
    assert server.exchanges == []
    assert lazy.collect().height > 0
    assert requested_days(server) == DAYS


@pytest.mark.parametrize(
    "wrong",
    [
        {"fields": ["no_such"]},
        {"date_since": "2024-08-01"},
        {"date_since": datetime(2024, 8, 1, tzinfo=UTC), "date_until": datetime(2024, 7, 1, 1, tzinfo=UTC)},
        {"split": "hour"},
        {"refresh": True, "offline": True},
        {"filters": {"no_such": 1}, "date_since": datetime(2024, 7, 1, tzinfo=UTC), "date_until": "2024-07-02T00:00Z"},
    ],
)
def test_parameters_are_checked_at_once(wrong: dict[str, Any]) -> None:
    with pytest.raises(af.InvalidRequestError):
        af.scan_appmetrica("events", application_id=1, **{**WEEK, **wrong})


def test_dates_with_a_zone_are_converted_at_collect(server: Emulator, week: dict[str, Any]) -> None:
    week |= {
        "date_since": datetime(2024, 7, 1, 21, tzinfo=UTC),
        "date_until": datetime(2024, 7, 3, 20, 59, 59, tzinfo=UTC),
    }
    lazy = af.scan_appmetrica("events", **{**week, "fields": (name for name in FIELDS)})
    assert server.exchanges == []
    local = {"date_since": "2024-07-02", "date_until": "2024-07-03"}
    assert_frame_equal(lazy.collect(), af.read_appmetrica("events", **{**week, **local}))


def test_the_schema_is_that_of_the_frame(server: Emulator, client: af.Client) -> None:
    for name, resource in catalog.resources().items():
        asked: dict[str, Any] = {"application_id": server.application_id, "client": client}
        if resource.dates:
            asked |= {"date_since": "2024-07-29", "date_until": "2024-07-29"}
        lazy = af.scan_appmetrica(name, **asked)
        assert lazy.collect_schema() == af.read_appmetrica(name, **asked).schema == lazy.collect().schema


OVERRIDES: dict[str, Any] = {
    "event_name": pl.Categorical,
    "event_datetime": pl.Datetime("ms"),
    "event_timestamp": pl.Datetime("ms", "Europe/Moscow"),
    "appmetrica_device_id": "string",
}


@both_engines
def test_overrides_are_part_of_the_schema(week: dict[str, Any], engine: Engine) -> None:
    week["schema_overrides"] = OVERRIDES
    lazy, frame = af.scan_appmetrica("events", **week), af.read_appmetrica("events", **week)
    assert lazy.collect_schema() == frame.schema
    assert_frame_equal(lazy.collect(engine=engine), frame)
    day = (happened.dt.date() == DAYS[2]) & (instant > pl.lit(utc(2, 20)).dt.convert_time_zone("Europe/Moscow"))
    assert_frame_equal(lazy.filter(day).collect(engine=engine), frame.filter(day))


# Which windows are fetched


def local(day: int, hour: int = 0, minute: int = 0, second: int = 0) -> datetime:
    return datetime(2024, 7, day, hour, minute, second)  # noqa: DTZ001 - as the application's clocks show it


def utc(day: int, hour: int = 0) -> datetime:
    return datetime(2024, 7, day, hour, tzinfo=UTC)


WANTED: dict[str, tuple[pl.Expr, list[int]]] = {
    "equal": (happened == local(3, 12), [3]),
    "before": (happened < local(3), [1, 2]),
    "at most": (happened <= local(3), [1, 2, 3]),
    "after": (happened > local(5, 23, 59, 58), [5, 6, 7]),
    "not": (~(happened > local(2, 23, 59, 59)), [1, 2]),
    "between": (happened.is_between(local(2), local(3), closed="left"), [2]),
    "not between": (~happened.is_between(local(2), local(7)), [1, 7]),
    "in": (happened.is_in([local(4, 5)]), [4]),
    "a day": (happened.dt.date() == date(2024, 7, 4), [4]),
    "days": (happened.dt.date().is_between(date(2024, 7, 4), date(2024, 7, 5)), [4, 5]),
    "cast to a day": (happened.cast(pl.Date) == date(2024, 7, 4), [4]),
    "no such day": (happened.dt.date() > date(2024, 7, 7), []),
    "and": ((happened > local(5)) & (pl.col("event_name") == "screen_view"), [5, 6, 7]),
    "and itself": ((happened > local(5)) & (happened < local(6)), [5]),
    "or": ((happened < local(2)) | (happened.dt.date() == date(2024, 7, 6)), [1, 6]),
    "or another column": ((happened < local(2)) | (pl.col("event_name") == "purchase"), list(range(1, 8))),
    "another column": (pl.col("event_name") == "purchase", list(range(1, 8))),
    # As long as the time zone is not known, the second day may have begun at 10:00 on the first.
    "instant": (instant < utc(1, 10), [1]),
    "a later instant": (instant < utc(1, 11), [1, 2]),
    "a day in UTC": (instant.dt.date() == date(2024, 7, 4), [3, 4, 5]),
}


@both_engines
@pytest.mark.parametrize("case", WANTED)
def test_windows_that_the_predicate_rules_out_are_not_fetched(
    server: Emulator, week: dict[str, Any], case: str, engine: Engine
) -> None:
    predicate, days = WANTED[case]
    rows = af.scan_appmetrica("events", **week).filter(predicate).collect(engine=engine)
    assert requested_days(server) == [date(2024, 7, day) for day in days]
    assert_frame_equal(rows, af.read_appmetrica("events", **week).filter(predicate))


DIMENSIONS = [(name, dimension) for name, resource in catalog.resources().items() for dimension in resource.date_fields]


@pytest.mark.parametrize(("name", "dimension"), DIMENSIONS)
def test_each_resource_has_its_date_columns(
    server: Emulator, client: af.Client, name: str, dimension: Literal["default", "receive"]
) -> None:
    column, unix_time = catalog.resource(name).date_fields[dimension]
    asked: dict[str, Any] = {
        "application_id": server.application_id,
        "client": client,
        "date_since": "2024-07-20",
        "date_until": "2024-07-26",
        "date_dimension": dimension,
        "split": "day",
        "fields": [column, unix_time],
    }
    wanted = pl.col(column).dt.date() == date(2024, 7, 24)
    rows = af.scan_appmetrica(name, **asked).filter(wanted).collect()
    assert requested_days(server) == [date(2024, 7, 24)]
    assert_frame_equal(rows, af.read_appmetrica(name, **asked).filter(wanted))


def test_the_time_on_the_device_says_nothing_of_windows_by_receive_time(server: Emulator, week: dict[str, Any]) -> None:
    week |= {"date_dimension": "receive", "fields": [*FIELDS, "event_receive_datetime"]}
    lazy = af.scan_appmetrica("events", **week)
    assert lazy.filter(pl.col("event_receive_datetime") < local(2)).collect().height > 0
    assert requested_days(server) == [date(2024, 7, 1)]
    lazy.filter(happened < local(2)).collect()
    assert requested_days(server) == DAYS


@pytest.mark.parametrize("broken", ["raises", "answers nonsense"])
def test_where_polars_cannot_tell_every_window_is_fetched(
    server: Emulator, week: dict[str, Any], broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> Any:
        if broken == "raises":
            raise TypeError
        return pl.lit("nonsense")

    monkeypatch.setattr(pl.Expr, "_skip_batch_predicate", fails)
    rows = af.scan_appmetrica("events", **week).filter(happened < local(2)).collect()
    assert requested_days(server) == DAYS
    assert_frame_equal(rows, af.read_appmetrica("events", **week).filter(happened < local(2)))


# Which rows and columns come


QUERIES: dict[str, Callable[[pl.LazyFrame], pl.LazyFrame]] = {
    "all": lambda rows: rows,
    "columns in another order": lambda rows: rows.select("appmetrica_device_id", "event_name"),
    "no column": lambda rows: rows.select(pl.len()),
    "a filter by a column that is not selected": lambda rows: rows.filter(happened < local(3)).select("event_name"),
    "the first rows": lambda rows: rows.head(900),
    "the first rows, filtered": lambda rows: rows.head(900).filter(happened >= local(2)),
    "the first of the filtered": lambda rows: rows.filter(happened >= local(2)).head(5),
    "no rows": lambda rows: rows.filter(happened > local(9)),
    "none of the rows": lambda rows: rows.head(0),
    "a slice": lambda rows: rows.slice(400, 300),
    "the last rows": lambda rows: rows.tail(7),
    "a group": lambda rows: rows.group_by(happened.dt.date()).len().sort("event_datetime"),
    "itself": lambda rows: rows.join(rows.select("event_name").head(1), on="event_name", how="semi"),
    "twice": lambda rows: pl.concat([rows.filter(happened < local(2)), rows.filter(happened > local(7))]),
    "an error of none": lambda rows: rows.with_columns(new=pl.col("event_name").str.len_chars()).filter(
        pl.col("new") > 4
    ),
}


@both_engines
@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_a_query_returns_what_it_returns_of_the_frame(
    week: dict[str, Any], query: Callable[[pl.LazyFrame], pl.LazyFrame], engine: Engine
) -> None:
    frame = af.read_appmetrica("events", **week)
    rows = query(af.scan_appmetrica("events", **week)).collect(engine=engine)
    assert_frame_equal(rows, query(frame.lazy()).collect(engine=engine))


@both_engines
def test_the_first_rows_need_the_first_windows_only(server: Emulator, week: dict[str, Any], engine: Engine) -> None:
    lazy = af.scan_appmetrica("events", **week)
    assert lazy.head(5).collect(engine=engine).height == 5
    assert requested_days(server) == DAYS[:1]
    first = lazy.head(5).filter(happened > local(3)).collect(engine=engine)
    assert first.height == 0
    assert requested_days(server) == DAYS[:1]
    assert lazy.head(700).collect(engine=engine).height == 700
    assert requested_days(server) == DAYS[:2]


@both_engines
def test_a_sink_and_batches_come_from_it_as_well(week: dict[str, Any], tmp_path: Any, engine: Engine) -> None:
    frame = af.read_appmetrica("events", **week)
    lazy = af.scan_appmetrica("events", **week)
    lazy.sink_parquet(tmp_path / "all.parquet", engine=engine)
    assert_frame_equal(pl.read_parquet(tmp_path / "all.parquet"), frame)
    several = pl.collect_all([lazy.select(pl.len()), lazy.filter(happened < local(2))], engine=engine)
    assert several[0].item() == frame.height
    assert_frame_equal(several[1], frame.filter(happened < local(2)))


# Freshness


@both_engines
def test_the_rows_are_as_old_as_the_collect(server: Emulator, week: dict[str, Any], engine: Engine) -> None:
    lazy = af.scan_appmetrica("events", **week, max_age=3600)
    af.read_appmetrica("events", **week)
    before = len(server.exchanges)
    lazy.collect(engine=engine)
    assert requested_days(server, after=before) == []


@both_engines
def test_a_refresh_is_one_refresh(server: Emulator, week: dict[str, Any], engine: Engine) -> None:
    af.read_appmetrica("events", **week)
    for _ in range(2):
        before = len(server.exchanges)
        lazy = af.scan_appmetrica("events", **week, refresh=True)
        lazy.join(lazy.filter(happened < local(2)), on="appmetrica_device_id", how="semi").collect(engine=engine)
        assert requested_days(server, after=before) == DAYS
        after = len(server.exchanges)
        lazy.collect(engine=engine)
        assert requested_days(server, after=after) == []


def test_offline_reads_the_cache_only(server: Emulator, week: dict[str, Any]) -> None:
    lazy = af.scan_appmetrica("events", **week, offline=True)
    with pytest.raises(af.NotCachedError):
        lazy.collect()
    day = lazy.filter(happened.dt.date() == DAYS[1])
    af.read_appmetrica("events", **{**week, "date_since": "2024-07-02", "date_until": "2024-07-02"})
    before = len(server.exchanges)
    assert day.collect().height > 0
    assert len(server.exchanges) == before


# Errors, warnings, interrupts


@both_engines
@pytest.mark.parametrize(
    ("settings", "error"),
    [({"offline": True}, af.NotCachedError), ({"client": af.Client(base_url=NOWHERE)}, af.MissingTokenError)],
)
def test_errors_come_out_of_collect_as_they_are(
    week: dict[str, Any], settings: dict[str, Any], error: type[Exception], engine: Engine
) -> None:
    lazy = af.scan_appmetrica("events", **{**week, **settings})
    for query in (lazy, lazy.head(1), lazy.select(pl.len()), pl.concat([lazy.filter(happened < local(2)), lazy])):
        with pytest.raises(error):
            query.collect(engine=engine)


MISFIT = b"appmetrica_device_id,event_datetime,event_name,event_timestamp\n1,2024-07-01 00:00:01,a,soon\n"


@both_engines
def test_a_column_that_does_not_fit_its_type_is_an_error_of_those_who_need_it(
    server: Emulator, week: dict[str, Any], engine: Engine
) -> None:
    server.answers["events"] = MISFIT
    week["date_until"] = "2024-07-01"
    lazy = af.scan_appmetrica("events", **week)
    message = "events from 2024-07-01 00:00:00 to 2024-07-01 23:59:59: .*'event_timestamp'.*schema_overrides="
    for query in (lazy, lazy.filter(instant.is_null()).select("event_name")):
        with pytest.raises(af.SchemaError, match=message) as caught:
            query.collect(engine=engine)
        assert caught.value.column == "event_timestamp"
    before = len(server.exchanges)
    assert lazy.select("event_name").collect(engine=engine).rows() == [("a",)]
    with pytest.warns(af.SchemaWarning):
        assert af.read_appmetrica("events", **week)["event_timestamp"].to_list() == ["soon"]
    assert len(server.exchanges) == before
    as_text = af.scan_appmetrica("events", **week, schema_overrides={"event_timestamp": "string"})
    assert as_text.select("event_timestamp").collect(engine=engine).rows() == [("soon",)]


def respond_by_day(_: int, request: bytes) -> bytes:
    """Have a cell that is no UNIX time on the second day only."""
    header, name = MISFIT.splitlines()[0], b"one" if b"2024-07-01" in request else b"two"
    cell = b"1719800000" if name == b"one" else b"soon"
    body = b"%s\n7,2024-07-0%d 10:00:00,%s,%s" % (header, 1 + (name == b"two"), name, cell)
    return b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


@both_engines
def test_only_the_windows_that_are_needed_must_fit(raw_server: Any, engine: Engine) -> None:
    client = raw_server(respond_by_day).client()
    lazy = af.scan_appmetrica("events", application_id=1, client=client, **WEEK | {"date_until": "2024-07-02"})
    assert lazy.filter(happened < local(2)).collect(engine=engine)["event_name"].to_list() == ["one"]
    assert lazy.select("event_name").collect(engine=engine)["event_name"].to_list() == ["one", "two"]
    with pytest.raises(af.SchemaError, match="events from 2024-07-02 00:00:00"):
        lazy.collect(engine=engine)


@both_engines
@pytest.mark.filterwarnings("ignore::appmetrica_frames.SchemaWarning")
def test_the_files_of_such_windows_can_be_scanned_as_text(raw_server: Any, engine: Engine) -> None:
    client = raw_server(respond_by_day).client()
    parameters = {"application_id": 1, "client": client, **WEEK, "date_until": "2024-07-02"}
    rows = scan_files(lease_exports(build_options("events", **parameters)))
    assert rows.collect_schema() == rows.collect().schema
    assert_frame_equal(rows.collect(engine=engine), af.read_appmetrica("events", **parameters))
    assert rows.collect(engine=engine)["event_timestamp"].to_list() == ["1719800000", "soon"]


def test_strict_is_an_error_for_all(server: Emulator, week: dict[str, Any]) -> None:
    server.answers["events"] = MISFIT
    week["date_until"] = "2024-07-01"
    with pytest.raises(af.SchemaError):
        af.scan_appmetrica("events", **week, strict=True).select("event_name").collect()


@both_engines
def test_fields_that_the_server_rejects_are_null_with_one_warning_at_the_line_of_collect(
    server: Emulator, week: dict[str, Any], engine: Engine
) -> None:
    server.rejected_fields.update({"city", "mcc"})
    lazy = af.scan_appmetrica("events", **{**week, "fields": None})
    with pytest.warns(af.SchemaWarning, match="rejects 'city', 'mcc'") as caught:
        frame = lazy.collect(engine=engine)
    assert [warning.filename for warning in caught] == [__file__]
    assert frame.schema == lazy.collect_schema()
    assert frame["city"].null_count() == frame["mcc"].null_count() == frame.height > 0


@both_engines
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_ctrl_c_ends_a_collect_that_waits_for_the_server(raw_server: Any, engine: Engine) -> None:
    server = raw_server(lambda *_: b"", stall=1)

    def interrupt() -> None:
        server.stalled.wait(30)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    lazy = af.scan_appmetrica("push_tokens", application_id=1, client=server.client(network_timeout=60))
    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        lazy.collect(engine=engine)
    thread.join()


# Pickles


@both_engines
@pytest.mark.parametrize("way", ["pickle", "serialize"])
def test_a_pickle_has_no_token_and_reads_that_of_the_environment(
    server: Emulator, week: dict[str, Any], way: str, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    week["client"] = af.Client(CANARY, base_url=server.base_url, poll=(0.01, 0.05), progress=False)
    lazy = af.scan_appmetrica("events", **week).filter(happened < local(2))
    text = pickle.dumps(lazy) if way == "pickle" else lazy.serialize()
    assert CANARY.encode() not in text
    read = pickle.loads if way == "pickle" else lambda written: pl.LazyFrame.deserialize(io.BytesIO(written))
    loaded: pl.LazyFrame = read(text)
    with pytest.raises(af.MissingTokenError):
        loaded.collect(engine=engine)
    monkeypatch.setenv("APPMETRICA_TOKEN", server.token)
    assert loaded.collect(engine=engine).height > 0
    assert requested_days(server) == DAYS[:1]
