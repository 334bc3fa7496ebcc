"""The spellings of a date: which are days, which are moments, and which are refused."""

from __future__ import annotations

import warnings
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appmetrica_frames import DateWarning, InvalidRequestError
from appmetrica_frames.request.dates import MAX_DAYS_AGO, parse_date_range

FIRST, LAST = "2026-11-23 00:00:00", "2026-11-23 23:59:59"


NOW = datetime(2026, 11, 23, 21, 30, tzinfo=UTC)  # in Moscow, it is half past midnight of the next day
MOSCOW = ZoneInfo("Europe/Moscow")


def parse(since: Any, until: Any, *, now: datetime = NOW, zone: tzinfo = UTC) -> tuple[str, str]:
    return parse_date_range(since, until, resource="events", now=now.timestamp(), zone=lambda: zone)


def ask_nobody() -> tzinfo:
    raise AssertionError("the zone was asked for")


@pytest.mark.parametrize(
    "day",
    ["2026-11-23", " 2026-11-23 ", date(2026, 11, 23), pd.Timestamp("2026-11-23"), np.datetime64("2026-11-23")],
    ids=lambda day: type(day).__name__,
)
def test_a_day_is_from_its_first_to_its_last_second(day: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert parse(day, day) == (FIRST, LAST)


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-11-23 05:06", "2026-11-23 05:06:00"),
        ("2026-11-23T05:06:07", "2026-11-23 05:06:07"),
        ("2026-11-23 05:06:07.999", "2026-11-23 05:06:07"),
        ("2026-11-23 00:00:00", FIRST),
        (datetime(2026, 11, 23, 5, 6, 7, 8), "2026-11-23 05:06:07"),  # noqa: DTZ001
        (pd.Timestamp("2026-11-23 05:06:07.008009010"), "2026-11-23 05:06:07"),
        (np.datetime64("2026-11-23T05:06"), "2026-11-23 05:06:00"),
        (np.datetime64("2026-11-23T05:06:07.123456789"), "2026-11-23 05:06:07"),
    ],
)
def test_a_moment_is_taken_to_the_second(moment: Any, expected: str) -> None:
    assert parse("2026-11-01", moment)[1] == expected


@pytest.mark.parametrize(
    "moment", ["2026-11-23T05:06:07Z", "2026-11-23 08:06:07+03:00", pd.Timestamp("2026-11-23 08:06:07+03:00")]
)
def test_a_moment_with_a_zone_is_converted(moment: Any) -> None:
    assert parse(datetime(2026, 11, 1, tzinfo=UTC), moment)[1] == "2026-11-23 05:06:07"


@pytest.mark.parametrize("until", [datetime(2026, 11, 24), np.datetime64("2026-11-24T00:00")], ids=repr)  # noqa: DTZ001
def test_midnight_as_the_end_is_that_second_with_a_warning_at_the_callers_line(until: Any) -> None:
    with pytest.warns(DateWarning, match="2026-11-24: the rest of that day is left out.*'2026-11-24'") as caught:
        assert parse("2026-11-23", until) == (FIRST, "2026-11-24 00:00:00")
    assert caught[0].filename == __file__


def test_midnight_as_the_beginning_needs_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert parse(datetime(2026, 11, 23), "2026-11-23") == (FIRST, LAST)  # noqa: DTZ001


@pytest.mark.parametrize(
    "value",
    [
        *(
            "20260701",
            "2026W271",
            "2026-W27-1",
            "2026-7-1",
            "2026-02-30",
            "2026-07-01 25:00",
            "2026-07-01T05",
            "now",
            "",
        ),
        *("\u0662026-07-01", "2026-07-01 05:06:07 UTC", "1.7.2026", "2026-07-01\n2026-07-02"),
        *("tomorrow", "todays", "7days", "daysAgo7", "today 05:06", "yesterday\ntoday"),
    ],
)
def test_other_spellings_are_refused_with_the_accepted_ones(value: str) -> None:
    with pytest.raises(
        InvalidRequestError,
        match=r"'2024-07-29' or '2024-07-29 23:37:01', or as 'today', 'yesterday' or '7daysAgo'\.$",
    ):
        parse(value, "2026-11-23")


@pytest.mark.parametrize(
    "value",
    [
        *(20260701, 1.5, None.__class__, pd.NaT, np.datetime64("NaT"), np.datetime64("2026-07"), np.datetime64("2026")),
        *(np.timedelta64(1, "D"), np.datetime64(2**62, "s"), [date(2026, 7, 1)]),
    ],
    ids=repr,
)
def test_what_is_no_date_is_refused(value: Any) -> None:
    with pytest.raises(InvalidRequestError, match="date_since"):
        parse(value, "2026-11-23")


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("today", "2026-11-24"),
        ("yesterday", "2026-11-23"),
        ("0daysAgo", "2026-11-24"),
        ("1daysAgo", "2026-11-23"),
        ("007daysAgo", "2026-11-17"),
        ("365daysAgo", "2025-11-24"),
        (f"{MAX_DAYS_AGO}daysAgo", "1926-11-24"),
        *((text, "2026-11-23") for text in (" Yesterday ", "YESTERDAY", "1DAYSAGO", "1daysago", "1DaysAgo")),
    ],
)
def test_a_relative_date_is_a_day_of_the_applications_calendar(day: str, expected: str) -> None:
    assert parse(day, day, zone=MOSCOW) == (f"{expected} 00:00:00", f"{expected} 23:59:59")


@pytest.mark.parametrize(
    ("zone", "utc_midnight"),
    [
        (MOSCOW, "2026-11-23T21:00:00Z"),
        (ZoneInfo("America/Los_Angeles"), "2026-11-24T08:00:00Z"),
        (timezone(timedelta(hours=5, minutes=45)), "2026-11-23T18:15:00Z"),
    ],
    ids=str,
)
def test_at_midnight_in_the_applications_zone_the_day_changes(zone: tzinfo, utc_midnight: str) -> None:
    midnight = datetime.fromisoformat(utc_midnight)
    assert parse("today", "today", now=midnight - timedelta(seconds=1), zone=zone) == (FIRST, LAST)
    assert parse("yesterday", "yesterday", now=midnight, zone=zone) == (FIRST, LAST)


@given(
    now=st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    hours=st.integers(-12, 14),
    days=st.integers(0, MAX_DAYS_AGO),
)
def test_any_number_of_days_ago(now: datetime, hours: int, days: int) -> None:
    day = (now + timedelta(hours=hours)).date() - timedelta(days=days)
    zone = timezone(timedelta(hours=hours))
    assert parse(f"{days}daysAgo", "today", now=now, zone=zone)[0] == f"{day} 00:00:00"


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        ("2026-11-01", "yesterday", ("2026-11-01 00:00:00", LAST)),
        ("7daysAgo", date(2026, 11, 23), ("2026-11-17 00:00:00", LAST)),
        ("yesterday", "2026-11-24 00:10", (FIRST, "2026-11-24 00:10:00")),
        ("yesterday", datetime(2026, 11, 23, 21, tzinfo=UTC), (FIRST, "2026-11-24 00:00:00")),
        ("2026-11-22T21:00Z", "yesterday", (FIRST, LAST)),
    ],
)
@pytest.mark.filterwarnings("ignore::appmetrica_frames.DateWarning")
def test_relative_dates_go_with_absolute_ones(since: Any, until: Any, expected: tuple[str, str]) -> None:
    assert parse(since, until, zone=MOSCOW) == expected


@pytest.mark.parametrize(
    "value",
    [
        *("-1daysAgo", "+1daysAgo", "1.5daysAgo", "daysAgo", "7 daysAgo", "7days ago", "1dayAgo", "a week ago"),
        *(f"{MAX_DAYS_AGO + 1}daysAgo", "99999999daysAgo", f"{'9' * 5000}daysAgo", "\u0667daysAgo", "7day\u017fAgo"),
    ],
    ids=lambda value: value[:20],
)
@pytest.mark.parametrize("name", ["date_since", "date_until"])
def test_other_numbers_of_days_are_refused(value: str, name: str) -> None:
    ends = {"since": "2026-11-01", "until": "today"} | {name.removeprefix("date_"): value}
    with pytest.raises(
        InvalidRequestError, match=f"^{name} .* a whole number of days from 0 to 36525, as in '7days"
    ) as e:
        parse_date_range(**ends, resource="events", now=NOW.timestamp(), zone=ask_nobody)
    assert len(str(e.value)) < 300


@pytest.mark.parametrize(
    ("since", "until"),
    [
        ("2026-11-22", "2026-11-23 05:00"),
        (date(2026, 11, 22), np.datetime64("2026-11-23")),
        (datetime(2026, 11, 22), pd.Timestamp("2026-11-23")),  # noqa: DTZ001
    ],
)
def test_the_zone_is_not_asked_for_without_need(since: Any, until: Any) -> None:
    assert parse_date_range(since, until, resource="events", now=NOW.timestamp(), zone=ask_nobody)


@pytest.mark.parametrize(
    ("since", "until"),
    [("today", "yesterday"), ("1daysAgo", "2daysAgo"), ("2026-11-23T05:00Z", "2026-11-23T07:00+03:00")],
)
def test_reversed_ends_are_refused_before_the_zone_is_asked_for(since: str, until: str) -> None:
    with pytest.raises(InvalidRequestError, match=r"lies after date_until .*swap them"):
        parse_date_range(since, until, resource="events", now=NOW.timestamp(), zone=ask_nobody)


@pytest.mark.parametrize(("since", "until"), [("2026-11-25", "today"), ("yesterday", "2026-11-22T20:59:59Z")])
def test_reversed_ends_are_refused_with_what_they_mean(since: str, until: str) -> None:
    with pytest.raises(InvalidRequestError, match=r"In the application's time zone, date_since .*2026-11.*lies after"):
        parse(since, until, zone=MOSCOW)


def test_reversed_local_times_of_the_hour_that_comes_twice_are_refused() -> None:
    with pytest.raises(InvalidRequestError, match=r"2026-10-25 02:30:00 and lies after .* 2026-10-25 02:10:00"):
        parse("2026-10-25T00:30Z", "2026-10-25T01:10Z", zone=ZoneInfo("Europe/Berlin"))


@pytest.mark.parametrize(
    ("since", "until", "hours"),
    [("0001-01-01T00:00Z", "2026-11-01T00:00Z", -5), ("2026-11-01T00:00Z", "9999-12-31T23:59Z", 3)],
)
def test_moments_outside_of_the_calendar_are_refused(since: str, until: str, hours: int) -> None:
    with pytest.raises(InvalidRequestError, match="outside of the years 1 to 9999"):
        parse(since, until, zone=timezone(timedelta(hours=hours)))
