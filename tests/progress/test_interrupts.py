"""Ctrl-C at any moment while progress is drawn: the screen is clean afterwards."""

from __future__ import annotations

import io
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
import tqdm as tqdm_package

from appmetrica_frames import progress
from appmetrica_frames.progress import report_progress, report_range
from appmetrica_frames.progress import stream as stream_module
from appmetrica_frames.progress.bars import ProgressBar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

if sys.platform == "win32":
    pytest.skip("it has no pseudo-terminals", allow_module_level=True)

import fcntl
import os
import pty
import struct
import termios

from screens import Cells

COLUMNS = 80
KEPT = {
    "events: resuming",
    "events: ready in 3 s, 2 MB downloaded, 1 MB/s",
    "events: ready in 3 s: 1 window from the cache, 1 fetched (2 MB, 0 rows)",
    "^C",  # what is typed where no bar is stays, as in every program
}
DRAWING = tuple(str(Path(str(module.__file__)).parent) for module in (tqdm_package, progress))

Stack = tuple[object, ...]
Report: TypeAlias = "Callable[[Callable[[], float]], None]"


class Screen(io.StringIO):
    """A terminal in memory, of so many columns as a real one says, which may interrupt whoever writes."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self.on_call: Callable[[], None] = lambda: None

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def write(self, text: str) -> int:
        self.on_call()
        written = super().write(text)
        self.on_call()
        return written

    def flush(self) -> None:
        self.on_call()
        super().flush()
        self.on_call()

    def type_ctrl_c(self) -> None:
        """Echo the keys as a terminal does, and raise what the signal raises."""
        super().write("^C")
        raise KeyboardInterrupt

    @property
    def rows(self) -> list[str]:
        return Cells(COLUMNS).feed(self.getvalue().replace("\n", "\r\n")).rows

    def erase(self) -> None:
        self.seek(0)
        self.truncate()


class Countdown:
    """Calls a function once, at the n-th time that it is called itself."""

    def __init__(self, n: int, action: Callable[[], None]) -> None:
        self.left = n
        self._action = action

    def __call__(self) -> None:
        self.left -= 1
        if self.left == 0:
            self._action()


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Iterator[Screen]:
    keyboard, descriptor = pty.openpty()
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    screen = Screen(descriptor)
    monkeypatch.setattr(stream_module, "sys", SimpleNamespace(stderr=screen, stdout=screen, modules=sys.modules))
    yield screen
    os.close(keyboard)
    os.close(descriptor)


def report_export(clock: Callable[[], float]) -> None:
    """Report an export that waits, downloads and ends, with a message first."""
    with report_progress("events", wanted=None, clock=clock) as reporter:
        reporter.message("resuming")
        reporter.preparing(0.0, None)
        reporter.preparing(1.0, 0.5)
        reporter.downloading(0, 2_000_000)
        reporter.downloading(2_000_000, 2_000_000)


def ticks() -> Callable[[], float]:
    """Return a clock on which the download takes two seconds of three."""
    instants = iter([0.0, 0.0, 1.0, 1.0, 1.0, 3.0])
    last = 3.0
    return lambda: next(instants, last)


def report_windows(clock: Callable[[], float]) -> None:
    """Report a range of two windows, one of them cached, with a message first."""
    with report_range("events", windows=2, wanted=None, clock=clock) as progress:
        progress.message("resuming")
        progress.finish_window(None, cached=True)
        window = progress.open_window("2024-07-01")
        window.preparing(0.0, None)
        window.downloading(2_000_000, 2_000_000)
        progress.finish_window(window, cached=False)


def assert_clean(screen: Screen) -> None:
    assert set(screen.rows) <= KEPT, screen.getvalue()


@pytest.mark.parametrize("report", [report_export, report_windows])
def test_an_interrupt_at_any_write_or_flush_leaves_a_clean_screen(screen: Screen, report: Report) -> None:
    interrupted = 0
    while True:
        screen.erase()
        screen.on_call = Countdown(interrupted + 1, screen.type_ctrl_c)
        try:
            report(ticks())
        except KeyboardInterrupt:
            interrupted += 1
            screen.on_call = lambda: None
            assert_clean(screen)
        else:
            break
    assert interrupted > 30


@pytest.mark.parametrize("report", [report_export, report_windows])
def test_an_interrupt_at_any_call_while_drawing_leaves_a_clean_screen(screen: Screen, report: Report) -> None:
    """Python looks for signals where a function begins and where a built-in one returns."""
    for moment in moments_of(report):
        screen.erase()
        with pytest.raises(KeyboardInterrupt), profiled(Interrupter(moment, screen)):
            report(ticks())
        assert_clean(screen)


@pytest.mark.parametrize("report", [report_export, report_windows])
def test_an_interrupt_leaves_the_row_of_another_export_alone(screen: Screen, report: Report) -> None:
    """The other one goes on, in another thread."""
    other = ProgressBar("crashes", clock=lambda: 0.0)
    other.preparing(0.0, None)
    moments = moments_of(report)
    other.close()
    for moment in moments:
        screen.erase()
        other.preparing(1.0, None)
        with pytest.raises(KeyboardInterrupt), profiled(Interrupter(moment, screen)):
            report(ticks())
        other.preparing(2.0, None)
        *above, row = screen.rows
        assert set(above) <= KEPT, screen.getvalue()
        assert row.startswith("crashes: waiting 2 s |"), screen.getvalue()
        other.close()
        assert_clean(screen)


def moments_of(report: Report) -> list[Stack]:
    """Return the moments at which a report can be interrupted."""
    report(ticks())  # what is done once only is done
    moments: list[Stack] = []
    with profiled(moments.append):
        report(ticks())
    distinct = list(dict.fromkeys(moments))
    assert len(distinct) > 100
    return distinct


def test_a_close_that_was_interrupted_can_be_repeated(screen: Screen) -> None:
    """On a screen of unknown width, where only tqdm knows how much there is to clear."""
    screen._descriptor = -1
    moments: list[Stack] = []
    _draw_and_close(moments.append)
    for moment in dict.fromkeys(moments):
        screen.erase()
        _draw_and_close(Interrupter(moment, screen))
        assert screen.rows == [], screen.getvalue()


def _draw_and_close(on_moment: Callable[[Stack], None]) -> None:
    bar = ProgressBar("events", clock=ticks())
    bar.preparing(0.0, None)
    with suppress(KeyboardInterrupt), profiled(on_moment):
        bar.close()
    bar.close()


class Interrupter:
    """Interrupts at one moment, once."""

    def __init__(self, moment: Stack, screen: Screen) -> None:
        self._moment: Stack | None = moment
        self._screen = screen

    def __call__(self, moment: Stack) -> None:
        if moment == self._moment:
            self._moment = None
            if self._screen.fileno() < 0:  # a notebook, which echoes nothing
                raise KeyboardInterrupt
            self._screen.type_ctrl_c()


@contextmanager
def profiled(on_moment: Callable[[Stack], None]) -> Iterator[None]:
    """Call a function at every moment at which a signal can interrupt progress or tqdm."""

    def profile(frame: FrameType, event: str, _: Any) -> None:
        if event in {"call", "c_return"} and frame.f_code.co_filename.startswith(DRAWING):
            stack = _stack(frame, event)
            if stack is not None:
                on_moment(stack)

    sys.setprofile(profile)
    try:
        yield
    finally:
        sys.setprofile(None)


def _stack(frame: FrameType, event: str) -> Stack | None:
    """Return where the interpreter is; None where an interrupt reaches nobody, or comes over and over again."""
    places: list[object] = [event]
    above: FrameType | None = frame
    while above is not None and above.f_code.co_filename != __file__:
        if above.f_code.co_name in {"__del__", "<genexpr>"}:
            return None
        places += (above.f_code, above.f_lasti)
        above = above.f_back
    return tuple(places)
