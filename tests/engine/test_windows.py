"""A range in windows: the rows of one export, and the server is asked for what is missing or not final yet."""

from __future__ import annotations

import warnings
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest

import appmetrica_frames as af
from appmetrica_frames.emulator import Emulator, MovableClock

from .conftest import NOON, Reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DAY = 86_400.0
WEEK: dict[str, Any] = {"date_since": "2024-07-23", "date_until": "2024-07-29"}
THREE_DAYS: dict[str, Any] = {"date_since": "2024-07-27", "date_until": "2024-07-29"}
FIELDS = {
    "events": ["event_datetime", "event_timestamp", "event_name", "session_id", "mcc", "city", "application_id"],
    "installations": ["install_datetime", "install_timestamp", "is_reinstallation", "country_iso_code"],
}
TEXT = {"event_timestamp", "session_id", "mcc"}  # the columns of `BAD` that do not fit
BAD = (
    b"application_id,city,event_datetime,event_name,event_timestamp,mcc,session_id\n"
    b"1111,Kazan,2024-07-27 10:00:00,buy,soon,MTS,first\n"
    b"1111,,2024-07-27 11:00:00,buy,1722067200,250,2"
)


@pytest.fixture(scope="module")
def shared_server() -> Iterator[Emulator]:
    with Emulator(rows_per_day=2_000, clock=MovableClock(start=NOON)) as running:
        yield running


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def parameters(reader: Reader) -> dict[str, Any]:
    """Return the parameters of a call to a server and a cache of the test's own."""
    client = af.Client(
        reader.server.token,
        base_url=reader.server.base_url,
        cache_dir=reader.cache,
        poll=(0.001, 0.01),
        progress=False,
    )
    return {"application_id": reader.server.application_id, "client": client, "split": "day"}


def iterate(resource: str, parameters: dict[str, Any]) -> pl.DataFrame:
    with af.iter_appmetrica(resource, batch_size=30, **parameters) as batches:
        return pl.DataFrame(pa.Table.from_batches(list(batches), batches.schema))


def read_paths(resource: str, parameters: dict[str, Any]) -> pl.DataFrame:
    paths = [str(path) for path in af.download_appmetrica(resource, **parameters)]
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return pl.DataFrame(connection.read_parquet(paths).select(*parameters["fields"]).to_arrow_table())


def read_pandas(resource: str, parameters: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(pa.Table.from_pandas(af.read_appmetrica(resource, backend="pandas", **parameters)))


FRAMES: dict[str, Callable[[str, dict[str, Any]], pl.DataFrame]] = {
    "polars": lambda resource, parameters: af.read_appmetrica(resource, **parameters),
    "pandas": read_pandas,
    "pyarrow": lambda resource, parameters: pl.DataFrame(af.read_appmetrica(resource, backend="pyarrow", **parameters)),
    "iter": iterate,
}
WAYS = {
    **FRAMES,
    "scan": lambda resource, parameters: af.scan_appmetrica(resource, **parameters).collect(),
    "download": read_paths,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("resource", FIELDS)
def test_rows_of_windows_are_those_of_the_single_export(
    resource: str, way: str, shared_server: Emulator, shared_cache: Path
) -> None:
    client = af.Client(
        shared_server.token,
        base_url=shared_server.base_url,
        cache_dir=shared_cache,
        poll=(0.001, 0.01),
        progress=False,
    )
    shared = {"application_id": shared_server.application_id, "fields": FIELDS[resource], "client": client, **WEEK}
    single = WAYS[way](resource, shared)
    frame = WAYS[way](resource, {**shared, "split": "day"})
    assert single.height > 50
    assert frame.schema == single.schema
    assert frame.sort(pl.all()).equals(single.sort(pl.all()))
    days = frame.to_series(0).dt.date()
    assert days.is_sorted()
    assert days.n_unique() == 7


def test_the_files_of_a_download_are_in_the_order_of_the_windows(reader: Reader, parameters: dict[str, Any]) -> None:
    af.download_appmetrica("events", fields=FIELDS["events"], **{**parameters, "split": None}, **THREE_DAYS)
    paths = af.download_appmetrica("events", fields=FIELDS["events"], **parameters, **THREE_DAYS)
    spans = [pl.read_parquet(path)["event_datetime"] for path in paths]
    assert len(paths) == 3
    assert all(before.max() < after.min() for before, after in pairwise(spans))  # type: ignore[operator]


def test_a_range_costs_a_job_for_each_window_that_is_missing(reader: Reader, parameters: dict[str, Any]) -> None:
    shared = {**parameters, "fields": ["city"]}
    for dates, jobs in [
        (WEEK, 7),
        (WEEK, 0),
        ({"date_since": "2024-07-24", "date_until": "2024-07-26"}, 0),  # 3 of 7 cached days
        ({"date_since": "2024-07-24", "date_until": "2024-07-30"}, 1),  # and one day more
        ({"date_since": "2024-07-22 12:00:00", "date_until": "2024-07-24 11:59:59"}, 2),  # the ends are clipped
    ]:
        before = reader.server.preparations
        af.read_appmetrica("events", **shared, **dates)
        assert reader.server.preparations - before == jobs


def test_a_window_is_the_export_of_its_dates(reader: Reader, parameters: dict[str, Any]) -> None:
    """A call for one day and a call for a range of days share that day."""
    shared = {**parameters, "fields": ["city"]}
    af.read_appmetrica("events", date_since="2024-07-28", date_until="2024-07-28", **{**shared, "split": None})
    af.read_appmetrica("events", **shared, **THREE_DAYS)
    assert reader.server.preparations == 3
    af.read_appmetrica("events", date_since="2024-07-29", date_until="2024-07-29", **{**shared, "split": None})
    assert reader.server.preparations == 3


def test_the_next_morning_only_the_new_and_the_unsettled_windows_are_fetched(reader: Reader) -> None:
    """The zone is not known: a day is taken to end at noon of the next one, in UTC."""
    quarter = {"date_since": "2024-07-10", "date_until": "2024-07-29"}
    assert len(reader.read(**quarter)) == 20
    reader.server.clock.advance(DAY + 60)
    for dates, expected in [
        ({"date_since": "2024-07-11", "date_until": "2024-07-30"}, list(range(23, 31))),
        ({"date_since": "2024-07-11", "date_until": "2024-07-30"}, []),
    ]:
        plan = reader.plan(**dates)
        planned = plan.filter(~pl.col("state").is_in(["settled", "cached"]))["since"].dt.day().to_list()
        fetched = [int(since[8:10]) for _, since in reader.read(**dates)]
        assert planned == fetched == expected


def test_a_week_later_everything_has_settled(reader: Reader) -> None:
    reader.read(**THREE_DAYS)
    reader.server.clock.advance(8 * DAY)
    assert len(reader.read(**THREE_DAYS)) == 3
    reader.server.clock.advance(365 * DAY)
    assert reader.read(**THREE_DAYS) == []
    assert reader.read(max_age=0, **THREE_DAYS) == []
    assert len(reader.read(lookback=None, **THREE_DAYS)) == 3
    assert len(reader.read(refresh=True, **THREE_DAYS)) == 3


def test_by_receive_time_a_window_settles_within_a_day(reader: Reader) -> None:
    received = {"date_dimension": "receive", "date_since": "2024-07-20", "date_until": "2024-07-29"}
    assert len(reader.read(**received)) == 10
    reader.server.clock.advance(DAY + 60)
    assert [since[:10] for _, since in reader.read(**received)] == ["2024-07-29"]


@pytest.mark.parametrize("way", WAYS)
def test_windows_with_more_columns_than_wanted_are_of_use(way: str, reader: Reader, parameters: dict[str, Any]) -> None:
    single = af.read_appmetrica("events", fields=FIELDS["events"], **{**parameters, "split": None}, **THREE_DAYS)
    for day, fields in [(27, ["city", "mcc"]), (28, FIELDS["events"]), (29, ["mcc", "event_name", "city"])]:
        dates = {"date_since": f"2024-07-{day}", "date_until": f"2024-07-{day}"}
        af.read_appmetrica("events", fields=fields, **parameters, **dates)
    before = reader.server.preparations
    frame = WAYS[way]("events", {**parameters, "fields": ["mcc", "city"], **THREE_DAYS})
    assert reader.server.preparations == before
    assert frame.sort(pl.all()).equals(single.select("mcc", "city").sort(pl.all()))


def read_bad_day(reader: Reader, parameters: dict[str, Any], day: int) -> None:
    """Cache a day in which three columns have values that do not fit."""
    reader.server.answers["events"] = BAD
    with warnings.catch_warnings(action="ignore", category=af.SchemaWarning):
        af.read_appmetrica("events", date_since=f"2024-07-{day}", date_until=f"2024-07-{day}", **parameters)
    del reader.server.answers["events"]


@pytest.mark.parametrize("day", [27, 28, 29])
@pytest.mark.parametrize("way", FRAMES)
def test_a_column_that_is_text_in_one_window_is_text_in_all_of_the_result(
    way: str, day: int, reader: Reader, parameters: dict[str, Any]
) -> None:
    shared = {**parameters, "fields": FIELDS["events"]}
    typed = af.read_appmetrica("events", **{**shared, "split": None}, **THREE_DAYS)
    read_bad_day(reader, shared, day)
    with pytest.warns(af.SchemaWarning, match=r"arrives as text") as caught:
        frame = FRAMES[way]("events", {**shared, **THREE_DAYS})
    assert len(caught) == len(TEXT), "one warning for each column"
    assert {name for name in TEXT if any(name in str(warning.message) for warning in caught)} == TEXT
    schema = {name: pl.String() if name in TEXT else dtype for name, dtype in typed.schema.items()}
    assert dict(frame.schema) == schema
    assert frame.columns == FIELDS["events"]

    others = typed.filter(pl.col("event_datetime").dt.day() != day)
    texts = others.with_columns(
        pl.col("event_timestamp").dt.epoch("s").cast(pl.String), pl.col("session_id", "mcc").cast(pl.String)
    )
    bad = frame.filter(pl.col("event_name") == "buy")
    assert bad.select("event_timestamp", "session_id", "mcc").rows() == [
        ("soon", "first", "MTS"),
        ("1722067200", "2", "250"),
    ]
    assert frame.filter(pl.col("event_name") != "buy").sort(pl.all()).equals(texts.sort(pl.all()))


@pytest.mark.parametrize("way", FRAMES)
def test_strict_refuses_a_range_of_which_one_window_has_text(
    way: str, reader: Reader, parameters: dict[str, Any]
) -> None:
    shared = {**parameters, "fields": FIELDS["events"]}
    read_bad_day(reader, shared, 28)
    with pytest.raises(af.SchemaError, match="strict=True"):
        FRAMES[way]("events", {**shared, "strict": True, **THREE_DAYS})


def test_files_of_which_one_has_text_are_warned_about(reader: Reader, parameters: dict[str, Any]) -> None:
    shared = {**parameters, "fields": FIELDS["events"]}
    read_bad_day(reader, shared, 28)
    with pytest.warns(af.SchemaWarning) as caught:
        paths = af.download_appmetrica("events", **shared, **THREE_DAYS)
    said = [str(warning.message) for warning in caught]
    assert len(paths) == 3
    overrides = dict.fromkeys(sorted(TEXT), "string")
    assert said[-1].endswith(f"With schema_overrides={overrides}, all of them have text.")
    assert len(said) == len(TEXT) + 1
    paths = af.download_appmetrica("events", schema_overrides=overrides, **shared, **THREE_DAYS)
    assert pl.scan_parquet(paths).select("mcc", "session_id").collect_schema() == {
        "mcc": pl.String(),
        "session_id": pl.String(),
    }


def test_files_that_all_have_text_are_not_warned_about_twice(reader: Reader, parameters: dict[str, Any]) -> None:
    shared = {**parameters, "fields": FIELDS["events"], "date_since": "2024-07-28", "date_until": "2024-07-28"}
    read_bad_day(reader, {**parameters, "fields": FIELDS["events"]}, 28)
    with pytest.warns(af.SchemaWarning) as caught:
        af.download_appmetrica("events", **shared)
    assert len(caught) == len(TEXT)
    assert not any("differ" in str(warning.message) for warning in caught)


@pytest.mark.parametrize("way", FRAMES)
def test_a_field_that_the_server_rejects_is_null_in_all_of_the_result(
    way: str, reader: Reader, parameters: dict[str, Any]
) -> None:
    reader.server.rejected_fields.add("city")
    with pytest.warns(af.SchemaWarning, match="rejects 'city'") as caught:
        frame = FRAMES[way]("events", {**parameters, **THREE_DAYS})
    assert len(caught) == 1
    assert frame.height > 0
    assert frame["city"].null_count() == frame.height
    assert frame["city"].dtype == pl.String
    every_field = reader.options(resource="events", fields=None, **THREE_DAYS).request.fields
    assert frame.columns == list(every_field)


@pytest.mark.parametrize("way", FRAMES)
def test_a_window_cached_before_the_server_came_to_reject_a_field_keeps_it(
    way: str, reader: Reader, parameters: dict[str, Any]
) -> None:
    first = af.read_appmetrica("events", date_since="2024-07-27", date_until="2024-07-27", **parameters)
    reader.server.rejected_fields.add("city")
    with pytest.warns(af.SchemaWarning, match="rejects 'city'") as caught:
        frame = FRAMES[way]("events", {**parameters, **THREE_DAYS})
    assert len(caught) == 1
    assert frame.schema == first.schema
    assert frame.head(first.height).equals(first)
    assert frame["city"].slice(first.height).null_count() == frame.height - first.height > 0
    with pytest.warns(af.SchemaWarning) as caught:
        af.download_appmetrica("events", **parameters, **THREE_DAYS)
    assert len(caught) == 2
    assert str(caught[1].message).startswith("Only some of the Parquet files have 'city'")


@pytest.mark.parametrize("way", FRAMES)
def test_a_column_that_is_text_for_one_application_is_text_for_all(
    way: str, reader: Reader, parameters: dict[str, Any]
) -> None:
    numbers = [reader.server.other_application_id, reader.server.application_id]
    shared = {**parameters, "fields": FIELDS["events"]}
    read_bad_day(reader, shared, 28)
    with pytest.warns(af.SchemaWarning) as caught:
        frame = FRAMES[way]("events", {**shared, "application_id": numbers, **THREE_DAYS})
    assert len(caught) == len(TEXT)
    assert {frame.schema[name] for name in TEXT} == {pl.String()}


@pytest.mark.parametrize("way", WAYS)
def test_several_applications_come_one_after_another(way: str, reader: Reader, parameters: dict[str, Any]) -> None:
    numbers = [reader.server.other_application_id, reader.server.application_id]
    shared = {**parameters, "fields": FIELDS["events"], **THREE_DAYS}
    apart = [af.read_appmetrica("events", **{**shared, "application_id": number}) for number in numbers]
    before = reader.server.preparations
    frame = WAYS[way]("events", {**shared, "application_id": numbers})
    assert reader.server.preparations == before
    assert frame.equals(pl.concat(apart))
    assert frame["application_id"].unique(maintain_order=True).to_list() == numbers


@pytest.mark.parametrize(
    ("resource", "changes", "text"),
    [
        ("events", {"limit": 10, **THREE_DAYS}, "drop one of the two"),
        ("push_tokens", {}, "Drop split"),
        ("profiles", {}, "Drop split"),
        ("events", {"split": "hour", **THREE_DAYS}, "split is one of 'day', 'week', 'month'"),
        ("events", {"lookback": -1, **THREE_DAYS}, "lookback must be zero or more"),
        ("events", {"lookback": "7d", **THREE_DAYS}, "lookback takes seconds or a timedelta"),
        ("events", {"application_id": [], **THREE_DAYS}, "empty list"),
        ("events", {"application_id": [1111, 1111], **THREE_DAYS}, "more than once"),
    ],
)
@pytest.mark.parametrize("way", [*WAYS, "plan"])
def test_what_cannot_be_split_is_refused_before_anything_is_sent(
    resource: str, changes: dict[str, Any], text: str, *, way: str, parameters: dict[str, Any], reader: Reader
) -> None:
    call = WAYS.get(way, lambda resource, parameters: af.plan_appmetrica(resource, **parameters))
    with pytest.raises(af.InvalidRequestError, match=text):
        call(resource, {**parameters, **changes})
    assert reader.server.exchanges == []
