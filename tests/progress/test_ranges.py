"""The progress of a range: its windows, counted and estimated, in plain lines and in the log."""

from __future__ import annotations

import io
import logging
import math
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from appmetrica_frames.progress import QueuePosition, report_range
from appmetrica_frames.progress.ranges import RangeProgress

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Clock

    from appmetrica_frames.progress.ranges import RangeStats

MB = 1_000_000
TITLE = "events of 1111, 2024-07-01 to 2024-09-28"


class View:
    """Keeps what it is shown, as text."""

    is_visible = True
    interval = 1.0

    def __init__(self) -> None:
        self.shown: list[str] = []
        self.messages: list[str] = []
        self.summaries: list[str | None] = []

    def show(self, stats: RangeStats) -> None:
        self.shown.append(", ".join(detail.text for detail in stats.describe()))

    def message(self, text: str) -> None:
        self.messages.append(text)

    def close(self, summary: str | None) -> None:
        self.summaries.append(summary)


@pytest.fixture
def view() -> View:
    return View()


@pytest.fixture
def start(view: View, clock: Clock) -> Callable[[int], RangeProgress]:
    return lambda windows: RangeProgress(windows, [view], clock=clock)


def test_a_range_shows_its_windows_and_the_time_left(
    start: Callable[[int], RangeProgress], view: View, clock: Clock
) -> None:
    progress = start(90)
    for _ in range(60):
        progress.finish_window(None, cached=True)
    assert view.shown[-1] == "60 of 90 windows"
    first, second, third = (progress.open_window(f"2024-09-0{day}") for day in (1, 2, 3))
    first.preparing(0.0, None)
    assert view.shown[-1] == "60 of 90 windows, 3 preparing"
    clock.now += 120
    first.downloading(0, 2 * MB)
    assert view.shown[-1] == "60 of 90 windows, 2 preparing, 1 downloading, about 58 min left"
    first.downloading(2 * MB, 2 * MB)
    first.decoded(1000)
    progress.finish_window(first, cached=False)
    assert view.shown[-1] == "61 of 90 windows, 2 preparing, 2 MB, about 58 min left"
    clock.now += 60
    second.downloading(MB, None)
    assert view.shown[-1] == "61 of 90 windows, 1 preparing, 1 downloading, 3 MB, about 42 min left"
    progress.fail_window(third)
    assert view.shown[-1] == "61 of 90 windows, 1 failed, 1 downloading, 3 MB, about 40 min left"


def test_the_time_left_is_that_of_the_windows_which_the_server_has_not_prepared(
    start: Callable[[int], RangeProgress], clock: Clock
) -> None:
    progress = start(5)
    progress.finish_window(None, cached=True)
    clock.now += 1000  # nothing is prepared meanwhile
    window = progress.open_window("2024-07-02")
    window.preparing(0.0, 0.5)
    clock.now += 100
    assert progress.stats.time_left() is None  # nothing can be known
    window.downloading(1, 1)
    assert progress.stats.time_left() == 300
    clock.now += 50
    assert progress.stats.time_left() == 250
    clock.now += 400  # this one takes longer: the others are believed to take as long as the first
    assert progress.stats.time_left() == 200
    progress.finish_window(window, cached=False)
    for day in (3, 4, 5):
        window = progress.open_window(f"2024-07-0{day}")
        window.downloading(1, 1)
    assert progress.stats.time_left() is None  # the server has done its part


def test_a_window_in_parts_is_prepared_when_its_last_part_is(
    start: Callable[[int], RangeProgress], view: View, clock: Clock
) -> None:
    progress = start(2)
    window = progress.open_window("2024-07-01")
    for size in (MB, 2 * MB):
        window.preparing(0.0, None)
        clock.now += 10
        window.downloading(size, size)
    progress.finish_window(window, cached=False)
    assert view.shown[1:] == [
        "0 of 2 windows, 1 preparing",
        "0 of 2 windows, 1 downloading, 1 MB, about 10 s left",
        "0 of 2 windows, 1 preparing, 1 MB, about 20 s left",
        "0 of 2 windows, 1 downloading, 3 MB, about 20 s left",
        "1 of 2 windows, 3 MB, about 20 s left",
    ]


def test_a_body_that_is_restarted_counts_as_received_twice(start: Callable[[int], RangeProgress], view: View) -> None:
    window = start(1).open_window("2024-07-01")
    window.downloading(2 * MB, 3 * MB)
    window.downloading(MB, 3 * MB)
    assert view.shown[-1] == "0 of 1 window, 1 downloading, 3 MB"


def test_the_position_in_the_queue_is_that_of_the_first_job(start: Callable[[int], RangeProgress], view: View) -> None:
    progress = start(3)
    first, second = progress.open_window("2024-07-01"), progress.open_window("2024-07-02")
    first.preparing(0.0, None, QueuePosition(2, 0.0))
    second.preparing(0.0, None, QueuePosition(3, 0.0))
    assert view.shown[-1] == "0 of 3 windows, 2 jobs before the first, 2 preparing"
    first.preparing(1.0, None, QueuePosition(1, 0.0))
    assert view.shown[-1] == "0 of 3 windows, 1 job before the first, 2 preparing"
    first.preparing(2.0, None, QueuePosition(0, 0.0))
    assert view.shown[-1] == "0 of 3 windows, 2 preparing"
    first.downloading(0, None)
    assert view.shown[-1] == "0 of 3 windows, 1 preparing, 1 downloading, about 1 s left"  # the second's is outdated


@pytest.mark.parametrize(
    ("cached", "fetched", "expected"),
    [
        (60, 30, "ready in 48 min: 60 windows from the cache, 30 fetched (30 MB, 30,000 rows)"),
        (1, 1, "ready in 48 min: 1 window from the cache, 1 fetched (1 MB, 1,000 rows)"),
        (0, 1, "ready in 48 min: 1 window fetched (1 MB, 1,000 rows)"),
        (0, 2, "ready in 48 min: 2 windows fetched (2 MB, 2,000 rows)"),
        (1200, 0, "ready in 48 min: 1,200 windows from the cache"),
    ],
)
def test_a_summary_says_where_the_windows_came_from(
    view: View, clock: Clock, cached: int, fetched: int, expected: str
) -> None:
    progress = RangeProgress(cached + fetched, [view], clock=clock)
    for _ in range(cached):
        progress.finish_window(None, cached=True)
    for _ in range(fetched):
        window = progress.open_window("2024-07-01")
        window.downloading(MB, MB)
        window.decoded(1000)
        progress.finish_window(window, cached=False)
    clock.now = 48 * 60
    progress.close(done=True)
    assert view.summaries == [expected]


def test_a_window_that_another_process_fetched_counts_as_cached(
    start: Callable[[int], RangeProgress], view: View
) -> None:
    progress = start(1)
    window = progress.open_window("2024-07-01")
    window.message("another process is fetching the same export; waiting for it")
    progress.finish_window(window, cached=True)
    progress.close(done=True)
    assert view.messages == ["2024-07-01: another process is fetching the same export; waiting for it"]
    assert view.summaries == ["ready in 0 s: 1 window from the cache"]


def test_a_message_is_shown_once(start: Callable[[int], RangeProgress], view: View) -> None:
    progress = start(2)
    for text in ("disabled", "disabled", "enabled"):
        progress.message(text)
    assert view.messages == ["disabled", "enabled"]


def test_a_range_that_fails_has_no_summary(start: Callable[[int], RangeProgress], view: View) -> None:
    progress = start(2)
    progress.finish_window(None, cached=True)
    progress.close()
    assert view.summaries == [None]


def test_a_thread_that_ends_after_the_range_shows_nothing(start: Callable[[int], RangeProgress], view: View) -> None:
    progress = start(2)
    window = progress.open_window("2024-07-01")
    progress.close()
    shown = list(view.shown)
    window.downloading(1, 1)
    window.message("resuming")
    progress.fail_window(window)
    assert (view.shown, view.messages) == (shown, [])


def test_windows_report_from_several_threads_at_once(start: Callable[[int], RangeProgress], view: View) -> None:
    progress = start(64)

    def fetch(number: int) -> None:
        window = progress.open_window(f"window {number}")
        for waited in range(10):
            window.preparing(waited, None)
        for size in range(0, 1001, 10):
            window.downloading(size, 1000)
        window.decoded(5)
        progress.finish_window(window, cached=False)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(fetch, range(64)))
    finally:
        sys.setswitchinterval(interval)
    progress.close(done=True)
    assert view.summaries == ["ready in 0 s: 64 windows fetched (64 kB, 320 rows)"]
    done = [int(line.split()[0]) for line in view.shown]
    assert all(before <= after for before, after in pairwise(done))


def report_four_windows(clock: Clock, *, wanted: bool | None) -> None:
    with report_range(TITLE, windows=4, wanted=wanted, clock=clock) as progress:
        progress.finish_window(None, cached=True)
        for day in (2, 3, 4):
            window = progress.open_window(f"2024-07-0{day}")
            window.preparing(0.0, None)
            clock.now += 60
            window.downloading(0, MB)
            window.downloading(MB, MB)
            window.decoded(500)
            progress.finish_window(window, cached=False)
        progress.message("done")


LINES = [
    f"{TITLE}: 1 of 4 windows, 1 preparing",
    f"{TITLE}: 1 of 4 windows, 1 downloading, about 2 min left",
    f"{TITLE}: 2 of 4 windows, 1 downloading, 1 MB, about 1 min left",
    f"{TITLE}: 3 of 4 windows, 1 downloading, 2 MB",
    f"{TITLE}: done",
    f"{TITLE}: ready in 3 min: 1 window from the cache, 3 fetched (3 MB, 1,500 rows)",
]


def test_lines_say_how_far_the_range_is_and_end_with_a_summary(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    report_four_windows(clock, wanted=True)
    assert capsys.readouterr().err.splitlines() == LINES


def test_the_log_gets_the_lines_without_the_messages(
    clock: Clock, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.INFO, "appmetrica_frames")
    report_four_windows(clock, wanted=False)
    assert [record.getMessage() for record in caplog.records] == [line for line in LINES if "done" not in line]
    assert capsys.readouterr() == ("", "")


def test_lines_of_a_long_range_become_fewer(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with report_range(TITLE, windows=90, wanted=True, clock=clock) as progress:
        for _ in range(90):
            window = progress.open_window("2024-07-01")
            for waited in range(0, 60, 10):
                window.preparing(waited, None)
                clock.now += 10
            window.downloading(1, 1)
            progress.finish_window(window, cached=False)
    lines = capsys.readouterr().err.splitlines()
    assert lines[1] == f"{TITLE}: 0 of 90 windows, 1 preparing"  # after half a minute
    assert len(lines) == 24  # in an hour and a half


def test_a_range_from_the_cache_is_one_line(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with report_range(TITLE, windows=90, wanted=True, clock=clock) as progress:
        for _ in range(90):
            progress.finish_window(None, cached=True)
    assert capsys.readouterr().err == f"{TITLE}: ready in 0 s: 90 windows from the cache\n"


@pytest.mark.parametrize("wanted", [None, False])
def test_outside_a_terminal_nothing_is_shown_unless_it_is_wanted(
    clock: Clock, capsys: pytest.CaptureFixture[str], *, wanted: bool | None
) -> None:
    with report_range(TITLE, windows=1, wanted=wanted, clock=clock) as progress:
        window = progress.open_window("2024-07-01")
        assert (window.is_visible, window.interval) == (False, math.inf)
        window.downloading(1, 1)
        progress.finish_window(window, cached=False)
    assert capsys.readouterr() == ("", "")


class Broken(io.StringIO):
    """A terminal that went away."""

    def isatty(self) -> bool:
        return True

    def write(self, _: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")


@pytest.mark.parametrize("wanted", [None, True])
def test_a_stream_that_fails_does_not_fail_the_range(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, *, wanted: Any
) -> None:
    monkeypatch.setattr(sys, "stderr", Broken())
    report_four_windows(clock, wanted=wanted)
