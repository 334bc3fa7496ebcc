"""One line that is drawn again and again, where somebody looks."""

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

    from appmetrica_frames.logs_api.queue import QueuePosition

log = logging.getLogger("appmetrica_frames")

REDRAWN = 0.1  # seconds between two pictures of a download
ROOM = 3  # columns at the end of a line, where a terminal shows that Ctrl-C was pressed


def _harmless(show: Callable[..., None]) -> Callable[..., None]:
    """Let what cannot be shown cost no export: after the first failure, nothing is shown any more."""

    @wraps(show)
    def shown(bars: ProgressBar, *args: Any, **kwargs: Any) -> None:
        if not bars.is_visible:
            return
        try:
            show(bars, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - a stream, a terminal or a notebook may fail in any way
            bars.is_visible, bars.interval = False, math.inf
            log.debug("progress cannot be shown: %r", error)

    return shown


class ProgressBar:
    """One line that shows the stage, waiting or downloading, and a line at the end that stays."""

    def __init__(self, title: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.is_visible = True
        self.interval = 1.0
        self._title = title
        self._clock = clock
        self._stats = TransferStats(clock=clock)
        self._bar: Any = None
        self._drawn = -math.inf

    @_harmless
    def preparing(self, waited: float, fraction: float | None, standing: QueuePosition | None = None) -> None:
        if self._stats.enter("waiting"):
            self._clear()
        said = format_wait(waited, fraction, standing)
        self._draw(said, known_fraction(fraction, standing) or 0.0, total=1.0)

    @_harmless
    def downloading(self, size: int, total: int | None) -> None:
        if self._stats.enter("downloading", size):
            self._clear()
        now = self._clock()
        if now - self._drawn < REDRAWN and size != total:
            return
        self._drawn = now
        self._draw(self._stats.downloaded(total), size, total=total)

    @_harmless
    def decoded(self, rows: int) -> None:
        self._stats.rows = rows

    @_harmless
    def say(self, text: str) -> None:
        self._clear()
        self._stats.forget()  # whatever was received, this text is the last word on it
        self._write(text)

    @_harmless
    def close(self, *, done: bool = False) -> None:
        """Take the bar away; if the export is there, say so."""
        self._clear()
        result = self._stats.result()
        if done and result:
            self._write(result)

    def _clear(self) -> None:
        self._drawn = -math.inf
        bar, self._bar = self._bar, None
        if bar is not None:
            bar.total = None  # closed before it is full, a notebook's bar would turn red and stay
            bar.close()
            SafeStream().clear()

    def _draw(self, text: str, n: float, *, total: float | None) -> None:
        said = f"{self._title}: {text}"
        if self._bar is None:
            shape = "{desc}" if total is None else "{desc} |{bar}|"
            screen = SafeStream()
            width = {"ncols": screen.width - ROOM} if screen.width else {}
            self._bar = _tqdm()(desc=said, initial=n, total=total, bar_format=shape, leave=False, file=screen, **width)
            return
        self._bar.n = n
        self._bar.set_description_str(said, refresh=False)
        self._bar.refresh()

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
