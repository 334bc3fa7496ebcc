"""Ctrl-C at any moment while progress is drawn: the screen is clean afterwards."""

from __future__ import annotations

import io
import sys
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from tqdm import tqdm

from appmetrica_frames.progress import report_progress
from appmetrica_frames.progress import stream as stream_module

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

COLUMNS = 80
KEPT = {"events: resuming", "events: ready in 3 s, 2 MB downloaded, 1 MB/s", ""}
DRAWING = tuple(f"{os.sep}{folder}{os.sep}" for folder in ("tqdm", "progress"))


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
    def lines(self) -> list[str]:
        return [_overwrite(line) for line in self.getvalue().split("\n")]


def _overwrite(line: str) -> str:
    cells: list[str] = []
    for piece in line.split("\r"):
        cells[: len(piece)] = piece
    return "".join(cells).rstrip()


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
    lock = tqdm.get_lock()
    tqdm.set_lock(threading.RLock())  # tqdm's own lock, a pair, may stay half taken
    yield screen
    tqdm.set_lock(lock)
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


def assert_clean(screen: Screen) -> None:
    *above, last = screen.lines
    assert set(above) <= KEPT, screen.getvalue()
    assert last in {"", "^C"}, screen.getvalue()  # what is typed where no bar is stays, as in every program


def test_an_interrupt_at_any_write_or_flush_leaves_a_clean_screen(screen: Screen) -> None:
    interrupted = 0
    while True:
        screen.seek(0)
        screen.truncate()
        screen.on_call = Countdown(interrupted + 1, screen.type_ctrl_c)
        try:
            report_export(ticks())
        except KeyboardInterrupt:
            interrupted += 1
            screen.on_call = lambda: None
            assert_clean(screen)
        else:
            break
    assert interrupted > 30


def test_an_interrupt_at_any_call_while_drawing_leaves_a_clean_screen(screen: Screen) -> None:
    """Python looks for signals where a function begins and where a built-in one returns."""
    interrupted = 0
    while True:
        screen.seek(0)
        screen.truncate()
        count = Countdown(interrupted + 1, screen.type_ctrl_c)
        sys.setprofile(_at_calls(count))
        try:
            report_export(ticks())
        except KeyboardInterrupt:
            interrupted += 1
            sys.setprofile(None)
            assert_clean(screen)
        else:
            assert count.left > 0, "the interrupt was lost"
            break
        finally:
            sys.setprofile(None)
    assert interrupted > 300


def _at_calls(count: Countdown) -> Any:
    def profile(frame: FrameType, event: str, _: Any) -> None:
        if count.left > 0 and event in {"call", "c_return"} and _is_drawing(frame):
            count()

    return profile


def _is_drawing(frame: FrameType) -> bool:
    path = frame.f_code.co_filename
    if not any(folder in path for folder in DRAWING) or path == __file__:
        return False
    above: FrameType | None = frame
    while above is not None:
        if above.f_code.co_name == "__del__":  # an exception there reaches nobody
            return False
        above = above.f_back
    return True
