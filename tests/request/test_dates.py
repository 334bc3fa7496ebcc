"""The spellings of a date: which are days, which are moments, and which are refused."""

from __future__ import annotations

import warnings
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from appmetrica_frames import DateWarning, InvalidRequestError
from appmetrica_frames.request.dates import parse_date_range

FIRST, LAST = "2026-11-23 00:00:00", "2026-11-23 23:59:59"


def parse(since: Any, until: Any) -> tuple[str, str]:
    return parse_date_range(since, until, resource="events", zone=lambda: UTC)


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
    ],
)
def test_other_spellings_are_refused_with_the_accepted_ones(value: str) -> None:
    with pytest.raises(InvalidRequestError, match="'2024-07-29' or '2024-07-29 23:37:01'"):
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
