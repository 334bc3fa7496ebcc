"""Whatever a query's predicate says of the dates, it gets the same rows with and without pruning."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import appmetrica_frames as af
from appmetrica_frames.cache.store import LocalStore
from appmetrica_frames.engine import parquet
from appmetrica_frames.engine.options import build_options
from appmetrica_frames.engine.plan import Window, plan_windows
from appmetrica_frames.integrations.polars import build_schema
from appmetrica_frames.integrations.pruning import prune_windows

if TYPE_CHECKING:
    from datetime import tzinfo
    from pathlib import Path

ORIGIN = "http://127.0.0.1:9"
FIELDS = ["event_name", "event_datetime", "event_timestamp", "event_receive_datetime"]
RANGE: dict[str, Any] = {
    "application_id": 1,
    "date_since": "2024-10-25",
    "date_until": "2024-10-28",
    "fields": FIELDS,
    "split": "day",
    "offline": True,
}
BERLIN = ZoneInfo("Europe/Berlin")  # the clocks go back on 2024-10-27
SECONDS = [0, 1, 7_200, 10_799, 43_200, 86_398, 86_399]  # of a day
SCHEMA = pa.schema(
    [
        ("event_datetime", pa.timestamp("us")),
        ("event_name", pa.string()),
        ("event_receive_datetime", pa.timestamp("us")),
        ("event_timestamp", pa.timestamp("us", tz="UTC")),
    ]
)
DAYS = [datetime(2024, 10, day) for day in range(25, 29)]  # noqa: DTZ001 - in the application's time zone


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> af.Client:
    """Cache a window for each day, with rows at its very first and last second, and one whose time is not known."""
    cache = tmp_path_factory.mktemp("cache")
    client = af.Client(base_url=ORIGIN, cache_dir=cache, progress=False)
    for window in plan_windows(build_options("events", **RANGE, client=client)):
        write(window, cache)
    return client


def write(window: Window, cache: Path) -> None:
    since = datetime.fromisoformat(dict(window.request.params)["date_since"])
    local = [since + timedelta(seconds=second) for second in SECONDS]
    moments = [(moment, moment.replace(tzinfo=BERLIN, fold=fold)) for moment in local for fold in (0, 1)]
    rows = [
        {"event_datetime": there, "event_timestamp": then, "event_name": "ab"[there.second % 2]}
        for there, then in moments
    ]
    rows = [{**row, "event_receive_datetime": since + timedelta(days=1)} for row in rows]
    rows.append(dict.fromkeys(SCHEMA.names))
    table = pa.Table.from_pylist(rows, SCHEMA)
    with LocalStore(cache).open_write(window.request, ORIGIN) as pending:
        parquet.write(pending.path, SCHEMA, [table], about={})
        pending.commit(built_not_before=0.0, fetched_at=0.0, text_columns={}, rows=table.num_rows)


@pytest.fixture(scope="module")
def frame(client: af.Client) -> pl.DataFrame:
    return af.read_appmetrica("events", **RANGE, client=client)


NEAR = st.sampled_from([-1, 0, 1])
MOMENTS = st.builds(
    lambda day, second, near, small: day + timedelta(seconds=second + near, microseconds=small),
    st.sampled_from(DAYS),
    st.sampled_from([-86_400, *SECONDS, 86_400]),
    NEAR,
    NEAR,
)
ZONES: st.SearchStrategy[tzinfo] = st.sampled_from([UTC, BERLIN, timezone(timedelta(hours=-5))])
COMPARISONS = st.sampled_from(["eq", "ne", "lt", "le", "gt", "ge", "eq_missing", "ne_missing"])
CLOSED: Any = st.sampled_from(["both", "left", "right", "none"])


def aware(moments: st.SearchStrategy[datetime]) -> st.SearchStrategy[datetime]:
    return st.builds(lambda moment, zone: moment.replace(tzinfo=zone).astimezone(UTC), moments, ZONES)


def days(moments: st.SearchStrategy[datetime]) -> st.SearchStrategy[date]:
    return moments.map(lambda moment: moment.date())


LOCAL, INSTANT, RECEIVED = (pl.col(name) for name in FIELDS[1:3] + FIELDS[3:])
OPERANDS: list[tuple[pl.Expr, st.SearchStrategy[Any], pl.DataType]] = [
    (LOCAL, MOMENTS, pl.Datetime("us")),
    (LOCAL, days(MOMENTS), pl.Date()),
    (LOCAL.dt.date(), days(MOMENTS), pl.Date()),
    (LOCAL.cast(pl.Date), days(MOMENTS), pl.Date()),
    (LOCAL.cast(pl.Date, strict=False), days(MOMENTS), pl.Date()),
    (LOCAL.dt.date(), MOMENTS, pl.Datetime("us")),
    (LOCAL.cast(pl.Datetime("ms")), MOMENTS, pl.Datetime("us")),
    (LOCAL.cast(pl.Datetime("ns")), MOMENTS, pl.Datetime("us")),
    (LOCAL.dt.truncate("1d"), MOMENTS, pl.Datetime("us")),
    (LOCAL + timedelta(hours=1), MOMENTS, pl.Datetime("us")),
    (LOCAL.dt.offset_by("-1d"), MOMENTS, pl.Datetime("us")),
    (LOCAL.dt.day(), st.integers(24, 29), pl.Int8()),
    (LOCAL.dt.epoch("s"), MOMENTS.map(lambda moment: int(moment.replace(tzinfo=UTC).timestamp())), pl.Int64()),
    (INSTANT, aware(MOMENTS), pl.Datetime("us", "UTC")),
    (INSTANT.dt.date(), days(MOMENTS), pl.Date()),
    (INSTANT.cast(pl.Date), days(MOMENTS), pl.Date()),
    (INSTANT.dt.convert_time_zone("Europe/Berlin").dt.date(), days(MOMENTS), pl.Date()),
    (INSTANT.dt.convert_time_zone("Europe/Berlin").dt.replace_time_zone(None), MOMENTS, pl.Datetime("us")),
    (RECEIVED, MOMENTS, pl.Datetime("us")),
    (pl.col("event_name"), st.sampled_from(["a", "b"]), pl.String()),
]


@st.composite
def leaves(draw: st.DrawFn) -> pl.Expr:
    """Draw a comparison of one column."""
    column, values, dtype = draw(st.sampled_from(OPERANDS))
    kind = draw(st.sampled_from(["compare", "compare", "reverse", "between", "in", "null", "not null"]))
    first, second = (pl.lit(draw(values | st.none()), dtype) for _ in range(2))
    if kind == "compare":
        return getattr(column, draw(COMPARISONS))(first)  # type: ignore[no-any-return]
    if kind == "reverse":
        return getattr(first, draw(COMPARISONS))(column)  # type: ignore[no-any-return]
    if kind == "between":
        return column.is_between(first, second, closed=draw(CLOSED))
    if kind == "in":
        listed = pl.Series(draw(st.lists(values | st.none(), max_size=3)), dtype=dtype)
        return column.is_in(listed.implode(), nulls_equal=draw(st.booleans()))
    return column.is_null() if kind == "null" else column.is_not_null()


def combine(inner: st.SearchStrategy[pl.Expr]) -> st.SearchStrategy[pl.Expr]:
    return (
        st.builds(pl.Expr.__and__, inner, inner)
        | st.builds(pl.Expr.__or__, inner, inner)
        | st.builds(pl.Expr.__xor__, inner, inner)
        | inner.map(pl.Expr.__invert__)
        | st.builds(lambda one, two, three: pl.when(one).then(two).otherwise(three), inner, inner, inner)
    )


PREDICATES = st.recursive(leaves(), combine, max_leaves=5)


def filtered(rows: pl.LazyFrame, predicate: pl.Expr, engine: Any) -> pl.DataFrame | str:
    """Return the rows, or the error, if Polars takes the predicate for one."""
    try:
        return rows.filter(predicate).collect(engine=engine)
    except pl.exceptions.PolarsError as error:
        return type(error).__name__


@pytest.mark.parametrize("engine", ["in-memory", "streaming"])
def test_any_predicate_gets_the_same_rows(client: af.Client, frame: pl.DataFrame, engine: str) -> None:
    lazy = af.scan_appmetrica("events", **RANGE, client=client)

    @settings(max_examples=300)
    @given(PREDICATES)
    def check(predicate: pl.Expr) -> None:
        rows, expected = filtered(lazy, predicate, engine), filtered(frame.lazy(), predicate, "in-memory")
        if isinstance(rows, str) or isinstance(expected, str):
            assert rows == expected
        else:
            assert_frame_equal(rows, expected)

    check()


@settings(max_examples=300)
@given(PREDICATES)
def test_no_window_with_a_row_is_left_out(frame: pl.DataFrame, predicate: pl.Expr) -> None:
    """As a predicate is written, and not only as Polars hands it to a source; in a time zone that is known."""
    options = build_options("events", **RANGE)
    windows = plan_windows(options)
    try:
        days_of_rows = set(frame.filter(predicate)["event_datetime"].dt.date().drop_nulls())
    except pl.exceptions.PolarsError:
        return
    kept = prune_windows(windows, predicate, build_schema(options.request), lambda _: BERLIN)
    assert {datetime.fromisoformat(dict(window.request.params)["date_since"]).date() for window in kept} >= days_of_rows


def kept_days(predicate: pl.Expr, zone: tzinfo | None, **changes: Any) -> list[int]:
    options = build_options("events", **RANGE | changes)
    kept = prune_windows(plan_windows(options), predicate, build_schema(options.request), lambda _: zone)
    return [datetime.fromisoformat(dict(window.request.params)["date_since"]).day for window in kept]


@pytest.mark.parametrize(
    ("zone", "since", "until", "kept"),
    [
        (UTC, 26, 26, [26]),
        (BERLIN, 26, 26, [26, 27]),
        (timezone(timedelta(hours=-5)), 26, 26, [25, 26]),
        (None, 26, 26, [25, 26, 27]),
    ],
)
def test_a_day_in_utc_needs_the_windows_of_the_zone(
    zone: tzinfo | None, since: int, until: int, kept: list[int]
) -> None:
    first = datetime(2024, 10, since, tzinfo=UTC)
    assert kept_days((first <= INSTANT) & (datetime(2024, 10, until + 1, tzinfo=UTC) > INSTANT), zone) == kept
    assert kept_days(INSTANT.dt.date() == first.date(), zone) == kept


def test_an_hour_that_the_clocks_show_twice_is_in_its_window() -> None:
    last = datetime(2024, 10, 27, 23, 59, 59, tzinfo=UTC) - timedelta(hours=1)
    assert kept_days(last == INSTANT, BERLIN) == [27]
    assert kept_days(last + timedelta(seconds=1) == INSTANT, BERLIN) == [28]


def test_a_window_that_ends_in_such_an_hour_ends_with_the_second_of_the_two() -> None:
    ends = {"date_since": "2024-10-27 01:00:00", "date_until": "2024-10-27 02:30:00"}
    assert kept_days(datetime(2024, 10, 27, 1, 30, tzinfo=UTC) == INSTANT, BERLIN, **ends) == [27]
    assert kept_days(datetime(2024, 10, 27, 1, 31, tzinfo=UTC) == INSTANT, BERLIN, **ends) == []


def test_a_day_that_clocks_go_back_to_is_not_left_out() -> None:
    """In Newfoundland, they went back from a minute after midnight."""
    day = {"date_since": "2010-11-07 02:30:00", "date_until": "2010-11-07 23:59:59"}
    column = {"event_timestamp": pl.Datetime("us", "America/St_Johns")}
    assert kept_days(INSTANT.dt.date() == date(2010, 11, 6), UTC, **day, schema_overrides=column) == [7]


@pytest.mark.parametrize(
    ("dtype", "kept"),
    [
        (pl.Datetime("ms", "Asia/Tokyo"), [27, 28]),
        (pl.Datetime("ns", "UTC"), [27, 28]),
        (pl.Datetime("us"), [27, 28]),
        (pl.Date, [27, 28]),
        (pl.Int64, [25, 26, 27, 28]),
        (pl.String, [25, 26, 27, 28]),
    ],
)
def test_other_types_of_the_column_are_taken_into_account(dtype: Any, kept: list[int]) -> None:
    first = datetime(2024, 10, 26, 23, tzinfo=UTC)
    literal = {pl.Int64: pl.lit(int(first.timestamp())), pl.String: pl.lit("2024-10-27"), pl.Date: pl.lit(first.date())}
    value = (
        literal[dtype] if dtype in literal else pl.lit(first.replace(tzinfo=None)).cast(pl.Datetime(dtype.time_unit))
    )
    if getattr(dtype, "time_zone", None):
        value = value.dt.replace_time_zone("UTC").dt.convert_time_zone(dtype.time_zone)
    kept_now = kept_days(value <= INSTANT, BERLIN, schema_overrides={"event_timestamp": dtype})
    assert set(kept_now) >= {27, 28}
    assert kept_now == ([26, 27, 28] if dtype == pl.Date else kept)


def test_dates_at_the_end_of_the_calendar_leave_nothing_out() -> None:
    ends = {"date_since": "9999-12-30", "date_until": "9999-12-31"}
    assert kept_days(datetime(9999, 12, 31, 23, tzinfo=UTC) < INSTANT, None, **ends) == [30, 31]
    assert kept_days(datetime(9999, 12, 31) < LOCAL, None, **ends) == [31]  # noqa: DTZ001 - local
