"""Exports and ranges side by side in a real terminal: each has its row, and only summaries stay."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

if sys.platform == "win32":
    pytest.skip("it has no pseudo-terminals", allow_module_level=True)

from screens import PseudoTerminal
from tqdm import tqdm

from appmetrica_frames.progress import QueuePosition, report_progress, report_range
from appmetrica_frames.progress import stream as stream_module

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import Clock

MB = 1_000_000
EVENTS = "events of 1111, 2024-07-01 to 2024-07-07"
CRASHES = "crashes of 2222, 2024-07-01"
QUARTER = "events of 1111, 2024-07-01 to 2024-09-28"


@pytest.fixture
def open_terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., PseudoTerminal]]:
    with ExitStack() as scope:

        def open_one(columns: int, lines: int = 24) -> PseudoTerminal:
            terminal = scope.enter_context(PseudoTerminal(columns, lines))
            streams = SimpleNamespace(stderr=terminal.stream, stdout=terminal.stream, modules=sys.modules)
            monkeypatch.setattr(stream_module, "sys", streams)
            return terminal

        yield open_one


@pytest.fixture
def terminal(open_terminal: Callable[..., PseudoTerminal]) -> PseudoTerminal:
    return open_terminal(100)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (
            140,
            f"{QUARTER}: 12 of 90 windows, 2 preparing, 1 downloading, 340 MB, about 13 min left |█▌         |",
        ),
        (
            120,
            (
                "events of 1111, 2024-07-01 to 09-28: "
                "12 of 90 windows, 2 preparing, 1 downloading, 340 MB, about 13 min left |▊     |"
            ),
        ),
        (80, "events of 1111, 07-01 to 09-28: 12 of 90 windows, about 13 min left |█    |"),
        (60, "events of 1111…: 12 of 90 windows, about 13 min left"),
    ],
)
def test_a_range_fits_the_terminal(
    open_terminal: Callable[..., PseudoTerminal], clock: Clock, columns: int, expected: str
) -> None:
    terminal = open_terminal(columns)
    with report_range(QUARTER, windows=90, wanted=None, clock=clock) as progress:
        for _ in range(12):
            progress.finish_window(None, cached=True)
        first, *_ = [progress.open_window(f"2024-07-1{day}") for day in (3, 4, 5)]
        clock.now += 10
        first.downloading(0, None)
        clock.now += 10
        first.downloading(340 * MB, None)
        (row,) = terminal.wait_for(lambda rows: "left" in "".join(rows) and ("MB" in rows[-1] or columns < 120))
        assert row.startswith(expected.partition(" |")[0])
        assert len(row) <= columns - 3  # where a terminal echoes Ctrl-C
        assert ("|" in row) == ("|" in expected)
        for _ in range(78):
            progress.finish_window(None, cached=True)
    summary = f"{QUARTER}: ready in 20 s: 90 windows from the cache"
    assert "".join(terminal.settle()).replace(" ", "") == summary.replace(" ", "")  # it may take two rows


def test_two_exports_have_a_row_each(terminal: PseudoTerminal, clock: Clock) -> None:
    with report_progress(EVENTS, wanted=None, clock=clock) as events:
        events.preparing(80.0, None, QueuePosition(2, 0.0))
        with report_progress(CRASHES, wanted=None, clock=clock) as crashes:
            crashes.preparing(5.0, 0.4)
            rows = terminal.wait_for(lambda rows: len(rows) == 2)
            assert rows[0].startswith(f"{EVENTS}: waiting 1 min 20 s, 2 jobs before it |")
            assert rows[1].startswith(f"{CRASHES}: waiting 5 s, 40% prepared |")
            crashes.downloading(MB, MB)
            events.preparing(81.0, None, QueuePosition(1, 0.0))
            terminal.wait_for(lambda rows: "1 min 21 s" in rows[0] and "downloading 1 MB of 1 MB" in rows[1])
        rows = terminal.wait_for(lambda rows: len(rows) == 2 and "ready" in rows[0])
        assert rows[0] == f"{CRASHES}: ready in 0 s, 1 MB downloaded"
        assert rows[1].startswith(f"{EVENTS}: waiting 1 min 21 s, 1 job before it |")
        events.downloading(2 * MB, 2 * MB)
    assert terminal.settle() == [
        f"{CRASHES}: ready in 0 s, 1 MB downloaded",
        f"{EVENTS}: ready in 0 s, 2 MB downloaded",
    ]


def test_the_row_of_an_export_that_has_ended_is_filled(terminal: PseudoTerminal, clock: Clock) -> None:
    with report_progress(CRASHES, wanted=None, clock=clock) as crashes:
        with ExitStack() as above:
            events = above.enter_context(report_progress(EVENTS, wanted=None, clock=clock))
            events.preparing(1.0, None)
            crashes.preparing(2.0, None)
            terminal.wait_for(lambda rows: len(rows) == 2 and rows[1].startswith(CRASHES))
        terminal.wait_for(lambda rows: len(rows) == 1 and rows[0].startswith(f"{CRASHES}: waiting 2 s |"))
        crashes.message("from the cache")
    assert terminal.settle() == [f"{CRASHES}: from the cache"]


def test_a_message_is_above_all_rows(terminal: PseudoTerminal, clock: Clock) -> None:
    with (
        report_progress(CRASHES, wanted=None, clock=clock) as crashes,
        report_range(QUARTER, windows=90, wanted=None, clock=clock) as progress,
    ):
        crashes.preparing(2.0, None)
        window = progress.open_window("2024-07-01")
        window.message("resuming the job that was requested 5 min ago")
        rows = terminal.wait_for(lambda rows: len(rows) == 3)
        assert rows[0] == f"{QUARTER}: 2024-07-01: resuming the job that was requested 5 min ago"
        assert rows[1].startswith(f"{CRASHES}: waiting 2 s |")
        assert rows[2].startswith(f"{QUARTER}: 0 of 90 windows, 1 preparing |")


def test_rows_that_the_terminal_lacks_are_shown_once_there_is_room(
    open_terminal: Callable[..., PseudoTerminal], clock: Clock
) -> None:
    terminal = open_terminal(80, lines=4)
    with ExitStack() as first, ExitStack() as last:
        for scope, names in ((first, "abc"), (last, "defg")):
            for name in names:
                scope.enter_context(report_progress(name, wanted=None, clock=clock)).preparing(1.0, None)
        rows = terminal.wait_for(lambda rows: len(rows) == 4)
        assert [row[:10] for row in rows] == [f"{name}: waiting" for name in "abcd"]
        first.close()
        rows = terminal.wait_for(lambda rows: rows[0].startswith("d"))
        assert [row[:10] for row in rows] == [f"{name}: waiting" for name in "defg"]
    assert terminal.settle() == []


def test_a_progress_bar_of_the_user_keeps_its_row(terminal: PseudoTerminal, clock: Clock) -> None:
    for application in tqdm([1111, 2222], desc="applications", file=terminal.stream, ncols=60, mininterval=0):
        with report_progress(f"events of {application}", wanted=None, clock=clock) as events:
            events.preparing(1.0, 0.5)
            rows = terminal.wait_for(lambda rows, title=f"events of {application}: w": rows[-1].startswith(title))
            assert rows[-2].startswith("applications: ")
            events.downloading(MB, MB)
    *summaries, applications = terminal.settle()
    assert summaries == [f"events of {number}: ready in 0 s, 1 MB downloaded" for number in (1111, 2222)]
    assert applications.startswith("applications: 100%")


def test_exports_and_ranges_in_many_threads_leave_their_summaries_only(terminal: PseudoTerminal) -> None:
    titles = [f"events of {number}" for number in range(8)]

    def read(title: str) -> None:
        with report_progress(title, wanted=None) as export:
            for waited in range(20):
                export.preparing(waited, waited / 20)
            export.downloading(MB, MB)

    def read_range(title: str) -> None:
        with report_range(title, windows=20, wanted=None) as progress:
            for _ in range(20):
                window = progress.open_window("2024-07-01")
                window.preparing(0.0, None)
                window.downloading(MB, MB)
                progress.finish_window(window, cached=False)

    with ThreadPoolExecutor(8) as pool, fast_switches():
        list(pool.map(lambda job: job[0](job[1]), zip([read, read_range] * 4, titles, strict=True)))
    rows = terminal.settle()
    assert sorted(row.partition(":")[0] for row in rows) == titles
    assert all("ready in" in row for row in rows)


@contextmanager
def fast_switches() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


# Two exports in threads and one in the main thread, which is interrupted; then the two get their files.
INTERRUPTED = """
import fcntl, signal, termios, threading
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGINT, signal.default_int_handler)
from appmetrica_frames.progress import report_progress, report_range
interrupted = threading.Event()

def read():
    with report_progress("crashes of 1111", wanted=None) as export:
        while not interrupted.wait(0.001):
            export.preparing(1.0, 0.5)
        export.downloading(1000, 1000)

def read_range():
    with report_range("events of 1111", windows=2, wanted=None) as progress:
        progress.finish_window(None, cached=True)
        window = progress.open_window("2024-07-01")
        while not interrupted.wait(0.001):
            window.preparing(1.0, 0.5)
        window.downloading(1000, 1000)
        progress.finish_window(window, cached=False)

threads = [threading.Thread(target=read), threading.Thread(target=read_range)]
for thread in threads:
    thread.start()
try:
    with report_progress("clicks of 1111", wanted=None) as export:
        while True:
            export.preparing(1.0, 0.5)
except KeyboardInterrupt:
    interrupted.set()
for thread in threads:
    thread.join()
print("$")
"""


@pytest.mark.parametrize("attempt", range(5))
def test_ctrl_c_in_one_thread_does_not_spoil_the_rows_of_others(attempt: int) -> None:
    with PseudoTerminal(80) as terminal:
        process = subprocess.Popen(
            [sys.executable, "-c", INTERRUPTED],
            stdin=terminal.stream,
            stdout=terminal.stream,
            stderr=terminal.stream,
            env={**os.environ, "PYTHONUTF8": "1", "TERM": "xterm"},
            start_new_session=True,
        )
        try:
            terminal.wait_for(
                lambda rows: (
                    sorted(row[:6] for row in rows if "waiting" in row or "windows" in row)
                    == ["clicks", "crashe", "events"]
                )
            )
            os.write(terminal.keyboard, b"\x03")
            *rows, _ = terminal.wait_for(lambda rows: rows[-1:] == ["$"])
        finally:
            process.kill()
            process.wait()
    assert sorted(row.removeprefix("^C").partition(" of")[0] for row in rows) == ["crashes", "events"]
    assert all(": ready in 0 s" in row or ": ready in 1 s" in row for row in rows), rows
