"""Windows: they tile any range to the second, are shared by overlapping ranges, and end when their last second does."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from itertools import pairwise
from typing import Any, get_args
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from appmetrica_frames import InvalidRequestError
from appmetrica_frames.request.export import ExportRequest, build_request
from appmetrica_frames.request.windows import Split, check_split, split_range, split_request, window_end

ORIGIN = "https://api.appmetrica.yandex.com"
SECOND = timedelta(seconds=1)
FIRST, LAST = datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59)  # noqa: DTZ001
SPLITS: tuple[Split, ...] = get_args(Split)

splits = st.sampled_from(SPLITS)


def to_text(moment: datetime) -> str:
    return moment.isoformat(sep=" ")


def to_range(ends: tuple[datetime, datetime]) -> tuple[datetime, datetime]:
    first, last = sorted(end.replace(microsecond=0) for end in ends)
    return first, last


def ranges_within(first: str, last: str) -> st.SearchStrategy[tuple[datetime, datetime]]:
    moments = st.datetimes(datetime.fromisoformat(first), datetime.fromisoformat(last))
    return st.tuples(moments, moments).map(to_range)


ranges = ranges_within("2019-01-01", "2025-01-01")
ranges_anywhere = ranges | ranges_within("0001-01-01", "0002-06-01") | ranges_within("9998-06-01", str(LAST))


def build(since: str, until: str, **parameters: Any) -> ExportRequest:
    return build_request(
        "events", application_id=1, date_since=since, date_until=until, now=0.0, zone=lambda _: UTC, **parameters
    )


def calendar_unit(moment: datetime, split: Split) -> tuple[int, ...]:
    if split == "week":
        return moment.isocalendar()[:2]
    return (moment.year, moment.month) if split == "month" else (moment.year, moment.month, moment.day)


@given(ends=ranges_anywhere, split=splits)
@example(ends=(FIRST, FIRST), split="week")
@example(ends=(LAST, LAST), split="month")
@example(ends=(LAST.replace(hour=0), LAST), split="day")
def test_windows_tile_the_range_to_the_second(ends: tuple[datetime, datetime], split: Split) -> None:
    texts = split_range(to_text(ends[0]), to_text(ends[1]), split)
    windows = [(datetime.fromisoformat(first), datetime.fromisoformat(last)) for first, last in texts]
    assert [tuple(map(to_text, window)) for window in windows] == texts
    assert (windows[0][0], windows[-1][1]) == ends
    assert all(first <= last for first, last in windows)
    assert all(last + SECOND == first for (_, last), (first, _) in pairwise(windows))


@given(ends=ranges_anywhere, split=splits)
def test_a_window_is_all_that_the_range_has_of_one_unit_of_the_calendar(
    ends: tuple[datetime, datetime], split: Split
) -> None:
    windows = split_range(to_text(ends[0]), to_text(ends[1]), split)
    units = [{calendar_unit(datetime.fromisoformat(end), split) for end in window} for window in windows]
    assert all(len(unit) == 1 for unit in units)
    assert len(set.union(*units)) == len(windows)


@given(one=ranges, other=ranges, split=splits)
def test_overlapping_ranges_share_their_inner_windows(
    one: tuple[datetime, datetime], other: tuple[datetime, datetime], split: Split
) -> None:
    first, last = (to_text(end) for end in (max(one[0], other[0]), min(one[1], other[1])))
    keys = [
        {window.key(ORIGIN): dict(window.params) for window in split_request(build(*map(to_text, ends)), split)}
        for ends in (one, other)
    ]
    inner = [
        {key for key, dates in found.items() if first < dates["date_since"] and dates["date_until"] < last}
        for found in keys
    ]
    assert inner[0] == inner[1]


@given(ends=ranges, split=splits)
def test_a_window_is_the_request_for_the_same_dates(ends: tuple[datetime, datetime], split: Split) -> None:
    parameters: dict[str, Any] = {
        "fields": ["event_name", "city"],
        "filters": {"os_name": "ios"},
        "date_dimension": "receive",
        "skip_unavailable_shards": True,
        "wire_format": "json",
        "schema_overrides": {"city": "string"},
    }
    for window in split_request(build(*map(to_text, ends), **parameters), split)[:20]:
        dates = dict(window.params)
        alone = build(dates["date_since"], dates["date_until"], **parameters)
        assert (window, window.key(ORIGIN)) == (alone, alone.key(ORIGIN))


def test_weeks_begin_on_monday_and_the_ends_are_clipped() -> None:
    assert split_range("2024-06-27 05:06:07", "2024-07-09 12:00:00", "week") == [
        ("2024-06-27 05:06:07", "2024-06-30 23:59:59"),
        ("2024-07-01 00:00:00", "2024-07-07 23:59:59"),
        ("2024-07-08 00:00:00", "2024-07-09 12:00:00"),
    ]


def test_months_are_those_of_the_calendar() -> None:
    assert split_range("2023-12-31 00:00:00", "2024-03-01 00:00:00", "month") == [
        ("2023-12-31 00:00:00", "2023-12-31 23:59:59"),
        ("2024-01-01 00:00:00", "2024-01-31 23:59:59"),
        ("2024-02-01 00:00:00", "2024-02-29 23:59:59"),
        ("2024-03-01 00:00:00", "2024-03-01 00:00:00"),
    ]


@pytest.mark.parametrize(("split", "count"), [("week", 521_723), ("month", 9999 * 12)])
def test_all_of_the_calendar_can_be_split(split: Split, count: int) -> None:
    windows = split_range("0001-01-01 00:00:00", "9999-12-31 23:59:59", split)
    assert (windows[0][0], windows[-1][1]) == ("0001-01-01 00:00:00", "9999-12-31 23:59:59")
    assert len(windows) == count


def test_ten_years_of_days_are_split_at_once() -> None:
    began = time.process_time()
    assert len(split_range("2015-01-01 00:00:00", "2024-12-31 23:59:59", "day")) == 3653
    assert time.process_time() - began < 0.1


def test_without_a_split_the_request_is_its_only_window() -> None:
    request = build("2024-07-01", "2024-07-31", limit=5)
    assert split_request(request, None) == (request,)


def test_a_resource_without_dates_is_its_only_window() -> None:
    request = build_request("push_tokens", application_id=1, now=0.0, zone=lambda _: UTC)
    assert split_request(request, None) == (request,)
    with pytest.raises(InvalidRequestError, match=r"push_tokens takes no dates.*Drop split"):
        split_request(request, "day")


@pytest.mark.parametrize("split", ["hour", "Day", "", 7, True, ["day"]], ids=repr)
def test_other_splits_are_refused_with_the_accepted_ones(split: Any) -> None:
    with pytest.raises(InvalidRequestError, match="split is one of 'day', 'week', 'month', not"):
        check_split(build("2024-07-01", "2024-07-31"), split)


def test_a_split_is_refused_with_a_limit() -> None:
    with pytest.raises(InvalidRequestError, match=r"limit.*split.*drop one of the two"):
        check_split(build("2024-07-01", "2024-07-31", limit=5), "day")


@pytest.mark.parametrize(
    ("until", "zone", "end"),
    [
        ("2024-07-01", UTC, datetime(2024, 7, 2, tzinfo=UTC)),
        ("2024-07-01 05:06:07", UTC, datetime(2024, 7, 1, 5, 6, 8, tzinfo=UTC)),
        ("2024-07-01", ZoneInfo("Europe/Moscow"), datetime(2024, 7, 1, 21, tzinfo=UTC)),
        ("2024-07-01", timezone(timedelta(hours=-5)), datetime(2024, 7, 2, 5, tzinfo=UTC)),
        ("2024-07-01", None, datetime(2024, 7, 2, 12, tzinfo=UTC)),
        # Shown twice, as the clocks go back at 02:00 UTC: the second time.
        ("2024-10-27 02:30:00", ZoneInfo("Europe/Berlin"), datetime(2024, 10, 27, 1, 30, 1, tzinfo=UTC)),
        # Skipped, as the clocks go forward from 02:00 to 03:00: the later reading.
        ("2024-03-31 02:30:00", ZoneInfo("Europe/Berlin"), datetime(2024, 3, 31, 1, 30, 1, tzinfo=UTC)),
        # The next day begins at 01:00, and the last second of this one is followed by it.
        ("2024-09-07", ZoneInfo("America/Santiago"), datetime(2024, 9, 8, 4, tzinfo=UTC)),
        # The last hour of the day comes twice.
        ("2024-04-06", ZoneInfo("America/Santiago"), datetime(2024, 4, 7, 4, tzinfo=UTC)),
    ],
)
def test_a_window_ends_with_its_last_second_in_the_applications_zone(
    until: str, zone: tzinfo | None, end: datetime
) -> None:
    assert window_end(build("2024-01-01", until), zone) == end.timestamp()


@pytest.mark.parametrize("until", ["0001-01-01", "9999-12-31"])
@pytest.mark.parametrize(
    "zone", [None, UTC, ZoneInfo("Asia/Tokyo"), ZoneInfo("America/New_York"), timezone(timedelta(hours=14))], ids=str
)
def test_the_ends_of_the_calendar_have_an_instant(until: str, zone: tzinfo | None) -> None:
    end = window_end(build("0001-01-01", until), zone)
    assert end is not None
    utc = datetime.fromisoformat(f"{until} 23:59:59").replace(tzinfo=UTC).timestamp()
    assert abs(end - utc) <= timedelta(hours=15).total_seconds()


def test_an_unknown_zone_is_the_latest_of_all() -> None:
    request = build("2024-07-01", "2024-07-01")
    latest = window_end(request, None)
    assert latest is not None
    assert all((window_end(request, ZoneInfo(name)) or 0) <= latest for name in ("Etc/GMT+12", "Pacific/Honolulu"))


def test_a_request_without_dates_never_ends() -> None:
    assert window_end(build_request("push_tokens", application_id=1, now=0.0, zone=lambda _: UTC), UTC) is None
