"""What is left out of a line where a terminal is narrow."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appmetrica_frames.progress.wording import Detail, cut_line, fit_line

DAY = "events of 1111, 2024-07-01"
QUARTER = "events of 1111, 2024-07-01 to 2024-09-28"
TWO_YEARS = "events of 1111, 2023-07-01 to 2024-06-30"
HOURS = "events of 1111, 2024-07-01 06:00:00 to 2024-07-02 05:59:59"
RANGE = [
    Detail("12 of 90 windows"),
    Detail("2 preparing", 2),
    Detail("1 downloading", 3),
    Detail("340 MB", 4),
    Detail("about 35 min left"),
]
WAIT = [Detail("waiting 7 min 5 s", 1), Detail("40% prepared")]


@pytest.mark.parametrize(
    ("title", "details", "width", "expected"),
    [
        (
            QUARTER,
            RANGE,
            115,
            f"{QUARTER}: 12 of 90 windows, 2 preparing, 1 downloading, 340 MB, about 35 min left",
        ),
        (
            QUARTER,
            RANGE,
            110,
            (
                "events of 1111, 2024-07-01 to 09-28: "
                "12 of 90 windows, 2 preparing, 1 downloading, 340 MB, about 35 min left"
            ),
        ),
        (QUARTER, RANGE, 90, f"{QUARTER}: 12 of 90 windows, 2 preparing, about 35 min left"),
        (QUARTER, RANGE, 75, "events of 1111, 2024-07-01 to 09-28: 12 of 90 windows, about 35 min left"),
        (QUARTER, RANGE, 70, "events of 1111, 07-01 to 09-28: 12 of 90 windows, about 35 min left"),
        (QUARTER, RANGE, 57, "events of 1111…: 12 of 90 windows, about 35 min left"),
        (QUARTER, RANGE, 50, "events of…: 12 of 90 windows, about 35 min left"),
        (TWO_YEARS, WAIT, 74, f"{TWO_YEARS}: waiting 7 min 5 s, 40% prepared"),
        (TWO_YEARS, WAIT, 57, f"{TWO_YEARS}: 40% prepared"),
        (QUARTER, WAIT, 57, f"{QUARTER}: 40% prepared"),
        (QUARTER, WAIT, 50, "events of 1111, 2024-07-01 to 09-28: 40% prepared"),
        (QUARTER, WAIT, 37, "events of 1111, 07-01…: 40% prepared"),
        (HOURS, WAIT, 57, "events of 1111, 07-01 06:00:00 to 07-02…: 40% prepared"),
        (DAY, WAIT, 57, "events of 1111, 2024-07-01: 40% prepared"),
    ],
)
def test_what_matters_most_stays(title: str, details: list[Detail], width: int, expected: str) -> None:
    assert cut_line(title, details, width) == expected


def test_a_line_that_does_not_fit_is_told_before_its_title_is_cut() -> None:
    assert fit_line(QUARTER, RANGE, 67) == "events of 1111, 07-01 to 09-28: 12 of 90 windows, about 35 min left"
    assert fit_line(QUARTER, RANGE, 66) is None


@given(
    st.sampled_from([DAY, QUARTER, TWO_YEARS, HOURS, "push_tokens of 1111", "x"]),
    st.sampled_from([RANGE, WAIT]),
    st.integers(45, 200),
)
def test_a_line_fits_every_width_from_45_columns(title: str, details: list[Detail], width: int) -> None:
    line = cut_line(title, details, width)
    assert len(line) <= width
    for detail in details:
        assert detail.rank or detail.text in line
