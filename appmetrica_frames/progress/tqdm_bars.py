"""tqdm's bars, made to stand Ctrl-C and each other: rows of a terminal, or widgets of a notebook."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .stream import SafeStream, in_notebook

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

LINE_UP = "\x1b[A"
NON_BREAKING_HYPHEN = "\u2011"


def bar_class() -> Any:
    """Return the class of bars for where this runs: a subclass of tqdm's, which knows the user's own bars, too."""
    if in_notebook():
        try:
            import_module("ipywidgets")
        except ImportError:
            pass
        else:
            from tqdm.notebook import tqdm as notebook_bar

            return _widget_class(notebook_bar)
    from tqdm import tqdm

    return _row_class(tqdm, _thread_lock(tqdm.get_lock()))  # type: ignore[no-untyped-call]


def _thread_lock(lock: Any) -> Any:
    """Return the one lock of tqdm's default pair that threads need: Ctrl-C cannot leave it half taken."""
    return getattr(lock, "th_lock", lock)


# Neither class has tqdm's monitor thread, whose half-created bars cannot be deleted silently.


@cache
def _widget_class(base: Any) -> Any:
    return type("WidgetBar", (_Widget, base), {"monitor_interval": 0, "pos": 0})


@cache
def _row_class(base: Any, lock: Any) -> Any:
    return type("RowBar", (_Row, base), {"monitor_interval": 0, "pos": 0, "_lock": lock})


class _Widget:
    """How a bar is drawn as a widget."""

    def set_description_str(self, desc: str, *, refresh: bool) -> None:
        """Set the text. Its spaces are made non-breaking by tqdm; with its hyphens, it stays on one line."""
        super().set_description_str(desc.replace("-", NON_BREAKING_HYPHEN), refresh=refresh)  # type: ignore[misc]

    def others_cleared(self) -> AbstractContextManager[None]:
        """Do nothing: no widget is in the way of another."""
        return nullcontext()


class _Row:
    """How a bar is drawn in its row of a terminal: `pos` rows below the cursor."""

    _lock: Any
    _widest = 0
    _instances: Any
    pos: int
    disable: bool
    fp: Any

    def display(self, msg: str | None = None, pos: int | None = None) -> bool:
        """Draw the bar, or a text instead of it, unless its row is below the end of the screen."""
        row = abs(self.pos if pos is None else pos)
        if row and row >= SafeStream().height:
            return False
        text = str(self) if msg is None else msg
        self._widest = max(self._widest, len(text))
        # In one piece: neither Ctrl-C nor another thread finds the cursor in a row below.
        self.fp.write("\n" * row + "\r" + text.ljust(self._widest) + LINE_UP * row + ("" if text else "\r"))
        self.fp.flush()
        return True

    def clear(self, nolock: bool = False) -> None:  # noqa: FBT001, FBT002, ARG002 - tqdm's signature
        """Clear the row; the lock is taken already."""
        if not self.disable:
            self.display("")

    @contextmanager
    def others_cleared(self) -> Iterator[None]:
        """Clear all rows; after the block, draw those that are left, without a gap between them."""
        with self.external_write_mode(file=SafeStream(), nolock=True):  # type: ignore[attr-defined]
            yield
            self._close_gaps()

    def _close_gaps(self) -> None:
        rows = [bar for bar in self._instances if isinstance(bar, _Row)]
        for bar in sorted(rows, key=lambda bar: bar.pos):
            bar.pos = min(bar.pos, self._get_free_pos(bar))  # type: ignore[attr-defined]
