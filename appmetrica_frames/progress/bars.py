"""A progress bar: one line that is redrawn in place, in a terminal or in a notebook."""

from __future__ import annotations

import logging
import math
import time
from functools import cache, wraps
from importlib import import_module
from typing import TYPE_CHECKING, Any

from appmetrica_frames.util.terminal import escape_controls

from .stats import TransferStats, best_fraction, format_wait
from .stream import SafeStream, in_notebook

if TYPE_CHECKING:
    from collections.abc import Callable

    from .reporter import QueuePosition

log = logging.getLogger("appmetrica_frames")

REDRAW_INTERVAL = 0.1  # seconds between two updates of a download
MARGIN = 3  # columns at the end of a line, where a terminal echoes Ctrl-C
NOT_YET = 1e-9  # seconds; any delay keeps tqdm from drawing a bar while it creates it


def _never_fail(report: Callable[..., None]) -> Callable[..., None]:
    """Keep a failing display from failing the export: after the first error, nothing is shown any more."""

    @wraps(report)
    def call(bar: ProgressBar, *args: Any, **kwargs: Any) -> None:
        if not bar.is_visible:
            return
        try:
            report(bar, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - a stream, a terminal or a notebook may fail in any way
            bar.is_visible, bar.interval = False, math.inf
            log.debug("progress cannot be shown: %r", error)

    return call


class ProgressBar:
    """One line that shows the stage, waiting or downloading, and a line at the end that stays."""

    def __init__(self, title: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.is_visible = True
        self.interval = 1.0
        self._title = title
        self._clock = clock
        self._stats = TransferStats(clock=clock)
        self._bar: Any = None
        self._drawn_at = -math.inf

    @_never_fail
    def preparing(self, waited: float, fraction: float | None, position: QueuePosition | None = None) -> None:
        if self._stats.enter("waiting"):
            self._clear()
        text = format_wait(waited, fraction, position)
        self._draw(text, best_fraction(fraction, position) or 0.0, total=1.0)

    @_never_fail
    def downloading(self, size: int, total: int | None) -> None:
        if self._stats.enter("downloading", size):
            self._clear()
        now = self._clock()
        if now - self._drawn_at < REDRAW_INTERVAL and size != total:
            return
        self._drawn_at = now
        self._draw(self._stats.format_download(total), size, total=total)

    @_never_fail
    def decoded(self, rows: int) -> None:
        self._stats.rows = rows

    @_never_fail
    def message(self, text: str) -> None:
        self._clear()
        self._stats.forget()  # no summary of the transfer follows a message
        self._write(text)

    @_never_fail
    def close(self, *, done: bool = False) -> None:
        """Remove the bar; print a summary if the export has arrived. May be called again."""
        self._clear()
        summary = self._stats.format_summary()
        if done and summary:
            self._write(summary)

    def _clear(self) -> None:
        """Remove the bar. Until that has succeeded the bar is kept, so that an interrupted call can be repeated."""
        self._drawn_at = -math.inf
        if self._bar is None:
            return
        self._bar.total = None  # a notebook's bar that is closed before it is full would turn red and stay
        self._bar.delay = 0  # tqdm does not clear what it believes not to be drawn yet
        self._bar.disable = False  # nor what it began to close
        self._bar.close()
        SafeStream().clear()
        self._bar = None

    def _draw(self, text: str, n: float, *, total: float | None) -> None:
        description = escape_controls(f"{self._title}: {text}")
        if self._bar is None:
            # Created first and drawn afterwards: a bar that Ctrl-C interrupts while it is drawn can then be cleared.
            self._bar = _create_bar(description, n, total)
        self._bar.n = n
        self._bar.set_description_str(description, refresh=False)
        with self._bar.get_lock():  # an interrupted refresh() would never release it
            self._bar.refresh(nolock=True)

    def _write(self, text: str) -> None:
        bars = _bar_class()
        with bars.get_lock():  # write() would release it before it is taken, if interrupted there
            bars.write(escape_controls(f"{self._title}: {text}") + "\n", file=SafeStream(), end="", nolock=True)


def _create_bar(description: str, n: float, total: float | None) -> Any:
    """Return a bar that is not drawn yet."""
    layout = "{desc}" if total is None else "{desc} |{bar}|"
    screen = SafeStream()
    width = {"ncols": screen.width - MARGIN} if screen.width else {}
    return _bar_class()(
        desc=description, initial=n, total=total, bar_format=layout, leave=False, file=screen, delay=NOT_YET, **width
    )


def _bar_class() -> Any:
    if in_notebook():
        try:
            import_module("ipywidgets")
        except ImportError:
            pass
        else:
            from tqdm.notebook import tqdm as notebook_bar

            return _interruptible(notebook_bar)
    from tqdm import tqdm

    tqdm.get_lock()  # type: ignore[no-untyped-call] # creates it, for the subclass to share
    return _interruptible(tqdm)


@cache
def _interruptible(bar_class: Any) -> Any:
    """Return a subclass without tqdm's monitor thread, whose half-created bars can be deleted silently."""
    return type(bar_class.__name__, (bar_class,), {"monitor_interval": 0, "pos": 0})
