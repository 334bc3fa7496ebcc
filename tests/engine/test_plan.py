"""The plan of a call: what it says of each window is what the call then does."""

from __future__ import annotations

import warnings
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import appmetrica_frames as af
from appmetrica_frames.emulator import Emulator, MovableClock

from .conftest import NOON, Reader

if TYPE_CHECKING:
    from collections.abc import Iterator

HOUR, DAY = 3600.0, 86_400.0
FIRST = date(2024, 7, 20)
FETCHED = ["stale", "missing", "pending"]


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator(rows_per_day=40, clock=MovableClock(start=NOON)) as running:
        yield running


def to_fetch(plan: pl.DataFrame) -> list[tuple[str, str]]:
    wanted = plan.filter(pl.col("state").is_in(FETCHED))
    return sorted((str(number), str(since)) for number, since in wanted.select("application_id", "since").iter_rows())


def dates(plan: pl.DataFrame) -> list[tuple[str, ...]]:
    return plan.select(pl.col("since", "until").dt.to_string("%Y-%m-%d %H:%M:%S")).rows()


WEEK: dict[str, Any] = {"date_since": "2024-07-22", "date_until": "2024-07-28"}


def test_a_plan_has_a_row_for_each_window_in_the_order_of_the_result(reader: Reader) -> None:
    numbers = [reader.server.other_application_id, reader.server.application_id]
    plan = reader.plan(application_id=numbers, date_since="2024-07-27 18:00:00", date_until="2024-07-29 05:59:59")
    assert dict(plan.schema) == {
        "application_id": pl.UInt64(),
        "since": pl.Datetime("us"),
        "until": pl.Datetime("us"),
        "state": pl.Enum(["cached", "settled", "stale", "missing", "pending"]),
        "reason": pl.String(),
        "rows": pl.UInt64(),
        "bytes": pl.UInt64(),
        "age": pl.Duration("us"),
    }
    assert plan["application_id"].to_list() == [numbers[0]] * 3 + [numbers[1]] * 3
    assert dates(plan) == 2 * [
        ("2024-07-27 18:00:00", "2024-07-27 23:59:59"),
        ("2024-07-28 00:00:00", "2024-07-28 23:59:59"),
        ("2024-07-29 00:00:00", "2024-07-29 05:59:59"),
    ]
    assert plan.select("state", "reason", "rows", "bytes", "age").unique().rows() == [
        ("missing", "the cache has no such export", None, None, None)
    ]


def test_without_split_there_is_one_row(reader: Reader) -> None:
    plan = reader.plan(split=None, **WEEK)
    assert dates(plan) == [("2024-07-22 00:00:00", "2024-07-28 23:59:59")]
    tokens = reader.plan(resource="push_tokens", split=None, fields=["token"])
    assert tokens.select("since", "until", "state").rows() == [(None, None, "missing")]


def test_a_plan_tells_rows_bytes_and_age_of_the_cached_file(reader: Reader) -> None:
    reader.read(**WEEK)
    reader.server.clock.advance(HOUR)
    exports = sorted(af.Cache(reader.cache).exports(), key=lambda export: str(export.request["date_since"]))
    for seconds, state in [(0.0, "cached"), (DAY, "stale")]:
        reader.server.clock.advance(seconds)
        plan = reader.plan(lookback=None, **WEEK)
        assert set(plan["state"]) == {state}
        assert plan["rows"].to_list() == [export.rows for export in exports]
        assert plan["bytes"].to_list() == [export.path.stat().st_size for export in exports]
        now = reader.server.clock.now()
        ages = [timedelta(seconds=now - export.times.built_not_before) for export in exports]
        assert all(abs(was - said) < timedelta(milliseconds=1) for was, said in zip(ages, plan["age"], strict=True))


def test_a_plan_sends_and_writes_nothing(reader: Reader) -> None:
    reader.read(date_since="2024-07-22", date_until="2024-07-24")
    record = next(reader.cache.rglob("entry.json"))
    record.write_text("damaged")
    reader.leave_job(reader.server.clock.now(), date_since="2024-07-28", date_until="2024-07-28")
    requests, files = len(reader.server.exchanges), sorted(reader.cache.rglob("*"))
    times = [path.stat().st_mtime_ns for path in files]
    for policy in [{}, {"refresh": True}, {"offline": True}, {"max_age": 0}]:
        with pytest.warns(af.CacheWarning, match="is damaged"):
            reader.plan(**policy, **WEEK)
    assert len(reader.server.exchanges) == requests
    assert sorted(reader.cache.rglob("*")) == files
    assert [path.stat().st_mtime_ns for path in files] == times


def test_a_plan_of_an_empty_cache_makes_no_directory(reader: Reader) -> None:
    reader.plan(**WEEK)
    assert not reader.cache.exists()


@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_a_file_that_is_gone_or_cut_is_missing(reader: Reader, damage: str) -> None:
    reader.read(**WEEK)
    for path in reader.cache.rglob("*.parquet"):
        path.unlink() if damage == "gone" else path.write_bytes(path.read_bytes()[:-1])
    plan = reader.plan(**WEEK)
    assert plan.select("state", "reason", "rows").unique().rows() == [
        ("missing", "the cached file is damaged or gone", None)
    ]
    assert reader.read(**WEEK) == to_fetch(plan)


def test_a_pending_job_is_shown_for_a_day(reader: Reader) -> None:
    day = {"date_since": "2024-07-29", "date_until": "2024-07-29"}
    now = reader.server.clock.now()
    reader.leave_job(now - 300, **day)
    assert reader.plan(**day).select("state", "reason").rows() == [
        ("pending", "requested 5 min ago; the same call resumes it")
    ]
    assert reader.states(offline=True, **day) == ["missing"]
    for requested_at, state in [(now - DAY, "pending"), (now - DAY - 1, "missing"), (now + 1, "missing")]:
        reader.leave_job(requested_at, **day)
        assert reader.states(**day) == [state]
    reader.leave_job(now, **day).write_text("{}")
    assert reader.states(**day) == ["missing"]


def test_a_pending_job_does_not_hide_a_file_that_may_be_returned(reader: Reader) -> None:
    day = {"date_since": "2024-07-29", "date_until": "2024-07-29"}
    reader.read(**day)
    reader.leave_job(reader.server.clock.now(), **day)
    assert reader.states(**day) == ["cached"]
    assert reader.states(refresh=True, **day) == ["pending"]


def test_fields_that_the_server_is_known_to_reject_are_left_out(reader: Reader) -> None:
    """A read of every field does without them, and so finds the export without them."""
    reader.server.rejected_fields.add("city")
    parameters = {"fields": None, "date_since": "2024-07-28", "date_until": "2024-07-29"}
    with pytest.warns(af.SchemaWarning, match="rejects 'city'"):
        reader.read(**parameters)
    assert reader.states(**parameters) == ["cached", "cached"]


days = st.integers(0, 9).map(lambda number: FIRST + timedelta(days=number))
ranges = st.tuples(days, st.integers(0, 4)).map(
    lambda drawn: {"date_since": drawn[0], "date_until": drawn[0] + timedelta(days=drawn[1])}
)
policies = st.sampled_from(
    [{}, {}, {"max_age": 0}, {"max_age": 6 * HOUR}, {"max_age": 30 * DAY}, {"refresh": True}, {"offline": True}]
)
others = st.fixed_dictionaries(
    {
        "split": st.sampled_from([None, "day", "day", "week", "month"]),
        "lookback": st.sampled_from([None, 0, DAY, 7 * DAY]),
        "fields": st.sampled_from([["city"], ["city", "os_name"]]),
        "date_dimension": st.sampled_from(["default", "receive"]),
    }
)
steps = st.lists(
    st.tuples(
        st.sampled_from([0.0, HOUR, 7 * HOUR, DAY, 3 * DAY]),
        ranges,
        policies,
        others,
        st.sampled_from(["", "", "job", "cut", "other application"]),
    ),
    min_size=2,
    max_size=4,
)


@given(steps=steps)
@settings(max_examples=20)
def test_a_read_fetches_exactly_what_the_plan_says(
    emulator: Emulator, tmp_path_factory: pytest.TempPathFactory, steps: list[Any]
) -> None:
    reader = Reader(emulator, tmp_path_factory.mktemp("cache") / "cache")
    for seconds, asked, policy, other, event in steps:
        parameters = {**asked, **policy, **other}
        emulator.clock.advance(seconds)
        prepare(reader, event, parameters)
        with warnings.catch_warnings(action="ignore", category=af.CacheWarning):
            plan = reader.plan(**parameters)
        planned = to_fetch(plan)
        if policy.get("offline") and planned:
            with pytest.raises(af.NotCachedError):
                reader.read(**parameters)
        else:
            assert reader.read(**parameters) == planned


def prepare(reader: Reader, event: str, parameters: dict[str, Any]) -> None:
    """Do what happens to a cache between two reads."""
    if event == "job":
        reader.leave_job(reader.server.clock.now() - HOUR, **parameters)
    if event == "cut":
        for path in sorted(reader.cache.rglob("*.parquet"))[:2]:
            path.write_bytes(path.read_bytes()[:-1])
    if event == "other application":
        parameters["application_id"] = [reader.server.other_application_id, reader.server.application_id]
