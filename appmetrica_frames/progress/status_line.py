"""One line that is redrawn in place, beside those of other exports, in a terminal or in a notebook."""

from __future__ import annotations

import logging
import math
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar

from appmetrica_frames.util.terminal import escape_controls

from .stream import SafeStream
from .tqdm_bars import bar_class
from .wording import cut_line, fit_line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .wording import Detail

log = logging.getLogger("appmetrica_frames")

MARGIN = 3  # columns at the end of a line, where a terminal echoes Ctrl-C
NOTEBOOK_WIDTH = 100  # columns of text beside a notebook's bar, and where the width of a terminal is unknown
MIN_BAR = 8  # columns of the shortest bar, with its frame
NOT_YET = 1e-9  # seconds; any delay keeps tqdm from drawing a bar while it creates it
BAR_LAYOUT, TEXT_LAYOUT = "{desc} |{bar}|", "{desc}"


class Display(Protocol):
    """What is drawn, and may fail to be drawn."""

    is_visible: bool
    interval: float


Drawn = TypeVar("Drawn", bound=Display)
Arguments = ParamSpec("Arguments")


def never_fail(report: Callable[Concatenate[Drawn, Arguments], None]) -> Callable[Concatenate[Drawn, Arguments], None]:
    """Keep a failing display from failing the export: after the first error, nothing is shown any more."""

    @wraps(report)
    def call(display: Drawn, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        if not display.is_visible:
            return
        try:
            report(display, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - a stream, a terminal or a notebook may fail in any way
            display.is_visible, display.interval = False, math.inf
            log.debug("progress cannot be shown: %r", error)

    return call


class StatusLine:
    """A line with a bar. Each of several at once has a row of its own."""

    def __init__(self, title: str) -> None:
        self._title = escape_controls(title)
        self._bar: Any = None

    def draw(self, details: Sequence[Detail], n: float, *, total: float | None) -> None:
        """Draw the line, or draw it anew; with a bar if there is a total and the line is wide enough."""
        text, layout = self._fit(details, has_total=total is not None)
        if self._bar is None:
            # Created first and drawn afterwards: a bar that Ctrl-C interrupts while it is drawn can then be cleared.
            self._bar = _create_bar(text, n, total)
        self._bar.n, self._bar.bar_format = n, layout
        if columns := SafeStream().width:
            self._bar.ncols = columns - MARGIN
        self._bar.set_description_str(text, refresh=False)
        with self._bar.get_lock():  # an interrupted refresh() would never release it
            self._bar.refresh(nolock=True)

    def clear(self) -> None:
        """Remove the line. Until that has succeeded it is kept, so that an interrupted call can be repeated."""
        if self._bar is None:
            return
        self._bar.total = None  # a notebook's bar that is closed before it is full would turn red and stay
        self._bar.delay = 0  # tqdm does not clear what it believes not to be drawn yet
        self._bar.disable = False  # nor what it began to close
        with self._bar.get_lock(), self._bar.others_cleared():
            self._bar.close()
            SafeStream().clear()
        self._bar = None

    def write(self, text: str) -> None:
        """Write a line that stays, above all that are redrawn."""
        bars = bar_class()
        with bars.get_lock():  # write() would release it before it is taken, if interrupted there
            bars.write(f"{self._title}: {escape_controls(text)}\n", file=SafeStream(), end="", nolock=True)

    def _fit(self, details: Sequence[Detail], *, has_total: bool) -> tuple[str, str]:
        """Return the text of the line, and its layout."""
        width = SafeStream().width
        if not width:
            text = cut_line(self._title, details, NOTEBOOK_WIDTH)
            return text, BAR_LAYOUT if has_total else TEXT_LAYOUT
        beside_bar = fit_line(self._title, details, width - MARGIN - MIN_BAR) if has_total else None
        if beside_bar is not None:
            return beside_bar, BAR_LAYOUT
        return cut_line(self._title, details, width - MARGIN), TEXT_LAYOUT


def _create_bar(text: str, n: float, total: float | None) -> Any:
    """Return a bar that is not drawn yet."""
    return bar_class()(
        desc=text, initial=n, total=total, bar_format=BAR_LAYOUT, leave=False, file=SafeStream(), delay=NOT_YET
    )
