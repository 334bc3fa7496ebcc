"""One line that is drawn again and again, in a terminal or a notebook."""

from __future__ import annotations

import logging
import math
import time
from functools import wraps
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .stats import TransferStats, format_wait, known_fraction
from .stream import SafeStream, in_notebook

if TYPE_CHECKING:
    from collections.abc import Callable

    from .reporter import QueuePosition

log = logging.getLogger("appmetrica_frames")

REDRAW_SECONDS = 0.1  # between two pictures of a download
FREE_COLUMNS = 3  # at the end of a line, where a terminal shows that Ctrl-C was pressed
NOT_AT_ONCE = 1e-9  # seconds: a bar draws itself when it is told to, not while it is made


def _harmless(show: Callable[..., None]) -> Callable[..., None]:
    """Keep the export going if progress cannot be shown: after the first failure, nothing is shown any more."""

    @wraps(show)
    def show_safely(bars: ProgressBar, *args: Any, **kwargs: Any) -> None:
        if not bars.is_visible:
            return
        try:
            show(bars, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - a stream, a terminal or a notebook may fail in any way
            bars.is_visible, bars.interval = False, math.inf
            log.debug("progress cannot be shown: %r", error)

    return show_safely


class ProgressBar:
    """One line for the stage, waiting or downloading, and a line at the end that stays."""

    def __init__(self, title: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.is_visible = True
        self.interval = 1.0
        self._title = title
        self._clock = clock
        self._stats = TransferStats(clock=clock)
        self._bar: Any = None
        self._drawn = -math.inf

    @_harmless
    def preparing(self, waited: float, fraction: float | None, position: QueuePosition | None = None) -> None:
        if self._stats.enter("waiting"):
            self._clear()
        text = format_wait(waited, fraction, position)
        self._draw(text, known_fraction(fraction, position) or 0.0, total=1.0)

    @_harmless
    def downloading(self, size: int, total: int | None) -> None:
        if self._stats.enter("downloading", size):
            self._clear()
        now = self._clock()
        if now - self._drawn < REDRAW_SECONDS and size != total:
            return
        self._drawn = now
        self._draw(self._stats.downloaded(total), size, total=total)

    @_harmless
    def decoded(self, rows: int) -> None:
        self._stats.rows = rows

    @_harmless
    def message(self, text: str) -> None:
        self._clear()
        self._stats.forget()  # whatever was received, this message is the last word on it
        self._write(text)

    @_harmless
    def close(self, *, done: bool = False) -> None:
        """Take the bar away; if the export is there, show its size and speed."""
        self._clear()
        result = self._stats.result()
        if done and result:
            self._write(result)

    def _clear(self) -> None:
        """Take the bar away. It is kept until that is done: an interrupt in between leaves it to the next call."""
        self._drawn = -math.inf
        if self._bar is not None:
            self._bar.total = None  # closed before it is full, a notebook's bar would turn red and stay
            self._bar.close()
            SafeStream().clear()
            self._bar = None

    def _draw(self, text: str, n: float, *, total: float | None) -> None:
        if self._bar is None:
            # It must be known before it draws anything: one that Ctrl-C takes from us would stay on the screen.
            self._bar = self._make_bar(total)
        self._bar.n = n
        self._bar.set_description_str(f"{self._title}: {text}", refresh=False)
        self._bar.refresh()

    def _make_bar(self, total: float | None) -> Any:
        stream = SafeStream()
        width = {"ncols": stream.width - FREE_COLUMNS} if stream.width else {}
        shape = "{desc}" if total is None else "{desc} |{bar}|"
        return _tqdm()(total=total, bar_format=shape, leave=False, file=stream, delay=NOT_AT_ONCE, **width)

    def _write(self, text: str) -> None:
        _tqdm().write(f"{self._title}: {text}", file=SafeStream())


def _tqdm() -> Any:
    if in_notebook():
        try:
            import_module("ipywidgets")
        except ImportError:
            pass
        else:
            from tqdm.notebook import tqdm as notebook_bar

            return notebook_bar
    from tqdm import tqdm

    return tqdm
