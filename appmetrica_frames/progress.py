"""What people see while they wait: bars in a terminal or a notebook, nothing elsewhere."""

from __future__ import annotations

import logging
import math
import sys
import time
from contextlib import contextmanager
from functools import wraps
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from .durations import spoken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TextIO

    from .standing import Standing

log = logging.getLogger("appmetrica_frames")

UNITS = ("B", "kB", "MB", "GB", "TB")
SPEED_AFTER = 0.1  # seconds; before that, a speed says nothing
REDRAWN = 0.1  # seconds between two pictures of a download


class Watcher(Protocol):
    """Whom the package tells how far it is.

    Attributes
    ----------
    looks
        Whether anybody looks.
    tick
        Seconds after which it wants to be told again that a wait goes on.
    """

    looks: bool
    tick: float

    def preparing(self, waited: float, fraction: float | None, standing: Standing | None = None) -> None:
        """Show that the server prepares the file; `waited` in seconds, `fraction` from 0 to 1.

        Where the server's queue could be asked, `standing` knows better than `fraction`.
        """

    def downloading(self, size: int, total: int | None) -> None:
        """Show that so many bytes of the body have come, of so many if that is known."""

    def say(self, text: str) -> None:
        """Show a text once."""


class Silent:
    """Tells nobody."""

    looks = False
    tick = math.inf

    def preparing(self, waited: float, fraction: float | None, standing: Standing | None = None) -> None:
        pass

    def downloading(self, size: int, total: int | None) -> None:
        pass

    def say(self, text: str) -> None:
        pass


def _harmless(show: Callable[..., None]) -> Callable[..., None]:
    """Let what cannot be shown cost no export: after the first failure, nothing is shown any more."""

    @wraps(show)
    def shown(bars: Bars, *args: Any, **kwargs: Any) -> None:
        if not bars.looks:
            return
        try:
            show(bars, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - a stream, a terminal or a notebook may fail in any way
            bars.looks, bars.tick = False, math.inf
            log.debug("progress cannot be shown: %r", error)

    return shown


class Bars:
    """One line that shows the stage, waiting or downloading, and a line at the end that stays."""

    def __init__(self, title: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.looks = True
        self.tick = 1.0
        self._title = title
        self._clock = clock
        self._began = clock()
        self._bar: Any = None
        self._stage = ""
        self._stage_began = self._drawn = 0.0
        self._size = 0  # bytes of this body
        self._received = 0  # bytes of the bodies before it
        self._receiving = 0.0  # seconds that those took

    @_harmless
    def preparing(self, waited: float, fraction: float | None, standing: Standing | None = None) -> None:
        if self._stage != "waiting":
            self._enter("waiting")
        known = standing.fraction if standing else fraction
        said = [f"waiting {spoken(waited)}"]
        if standing and standing.ahead:
            said.append(f"{standing.ahead} {'job' if standing.ahead == 1 else 'jobs'} before it")
        elif known is not None:
            said.append(f"{known:.0%} prepared")
        self._draw(", ".join(said), known or 0.0, total=1.0)

    @_harmless
    def downloading(self, size: int, total: int | None) -> None:
        if self._stage != "downloading" or size < self._size:
            self._enter("downloading")
        now, self._size = self._clock(), size
        if now - self._drawn < REDRAWN and size != total:
            return
        self._drawn = now
        of = "" if total is None else f" of {spoken_size(total)}"
        self._draw(f"downloading {spoken_size(size)}{of}{_speed(size, now - self._stage_began)}", size, total=total)

    @_harmless
    def say(self, text: str) -> None:
        self._leave()
        self._received = 0  # whatever was received, this text is the last word on it
        self._write(text)

    @_harmless
    def close(self, *, done: bool = False) -> None:
        """Take the bar away; if the export is there, say so."""
        self._leave()
        if done and self._received:
            size = f"{spoken_size(self._received)} downloaded{_speed(self._received, self._receiving)}"
            self._write(f"ready in {spoken(self._clock() - self._began)}, {size}")

    def _enter(self, stage: str) -> None:
        self._leave()
        self._stage, self._stage_began, self._drawn = stage, self._clock(), -math.inf

    def _leave(self) -> None:
        if self._stage == "downloading":
            self._received += self._size
            self._receiving += self._clock() - self._stage_began
        self._stage, self._size = "", 0
        bar, self._bar = self._bar, None
        if bar is not None:
            bar.close()

    def _draw(self, text: str, n: float, *, total: float | None) -> None:
        said = f"{self._title}: {text}"
        if self._bar is None:
            shape = "{desc}" if total is None else "{desc} |{bar}|"
            file = _Stream(_stream())
            self._bar = _tqdm()(desc=said, initial=n, total=total, bar_format=shape, leave=False, file=file)
            return
        self._bar.n = n
        self._bar.set_description_str(said, refresh=False)
        self._bar.refresh()

    def _write(self, text: str) -> None:
        _tqdm().write(f"{self._title}: {text}", file=_Stream(_stream()))


@contextmanager
def watching(title: str, *, wanted: bool | None) -> Iterator[Watcher]:
    """Give a watcher as the user wants it; by default bars where somebody can see them."""
    if not (somebody_looks() if wanted is None else wanted):
        yield Silent()
        return
    bars = Bars(title)
    try:
        yield bars
        bars.close(done=True)
    finally:
        bars.close()


def somebody_looks() -> bool:
    """Tell whether standard error is a terminal, or this is a notebook."""
    try:
        return in_notebook() or (sys.stderr is not None and sys.stderr.isatty())
    except ValueError:  # it is closed
        return False


def in_notebook() -> bool:
    """Tell whether a Jupyter kernel runs this, without importing IPython."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return any(kind.__name__ == "ZMQInteractiveShell" for kind in type(shell).__mro__)


def spoken_size(size: float) -> str:
    """Say a number of bytes in the unit that a person would choose, as in ``4.7 MB``."""
    units = iter(UNITS)
    unit = next(units)
    while size >= 999.5 and unit != UNITS[-1]:  # noqa: PLR2004 - what would be rounded to 1000
        size, unit = size / 1000, next(units)
    return f"{size:.0f} {unit}" if unit == UNITS[0] else f"{size:.3g} {unit}"


def _speed(size: float, seconds: float) -> str:
    return f", {spoken_size(size / seconds)}/s" if seconds >= SPEED_AFTER else ""


def _stream() -> TextIO | None:
    # A notebook paints what comes on standard error red, as if something had gone wrong.
    return sys.stdout if in_notebook() else sys.stderr


class _Stream:
    """A stream that may be closed or gone: what cannot be written there is lost."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        try:
            if self._stream is not None:
                self._stream.write(text)
        except (OSError, ValueError):
            self._stream = None

    def flush(self) -> None:
        try:
            if self._stream is not None:
                self._stream.flush()
        except (OSError, ValueError):
            self._stream = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __eq__(self, other: object) -> bool:  # tqdm compares: other bars on the same stream make room for a text
        return self._stream is getattr(other, "_stream", other)

    def __hash__(self) -> int:
        return hash(self._stream)


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
