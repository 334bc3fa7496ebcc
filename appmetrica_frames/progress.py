"""What people see while they wait: bars in a terminal or a notebook, nothing elsewhere."""

from __future__ import annotations

import math
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from .durations import spoken

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .standing import Standing


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


class Bars:
    """One line that shows the stage: preparing, then downloading."""

    looks = True
    tick = 1.0

    def __init__(self, title: str) -> None:
        self._title = title
        self._bar: Any = None
        self._stage = ""

    def preparing(self, waited: float, fraction: float | None, standing: Standing | None = None) -> None:
        if self._enter("preparing"):
            self._bar = _tqdm()(total=100, bar_format="{desc} {bar} {postfix}", leave=False, file=sys.stderr)
        known = standing.fraction if standing else fraction
        ahead = f", {standing.ahead} before it in the queue" if standing and standing.ahead else ""
        self._bar.n = round(100 * (known or 0))
        self._bar.set_description_str(f"{self._title}: preparing", refresh=False)
        self._bar.set_postfix_str(spoken(waited) + ("" if known is None else f", {known:.0%} prepared") + ahead)

    def downloading(self, size: int, total: int | None) -> None:
        if self._enter("downloading") or size < self._bar.n:
            self._close()
            self._bar = _tqdm()(
                total=total, desc=f"{self._title}: downloading", unit="B", unit_scale=True, leave=True, file=sys.stderr
            )
        self._bar.update(size - self._bar.n)

    def say(self, text: str) -> None:
        _tqdm().write(f"{self._title}: {text}", file=sys.stderr)

    def close(self) -> None:
        self._enter("")

    def _enter(self, stage: str) -> bool:
        if stage == self._stage:
            return False
        self._close()
        self._stage = stage
        return True

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


@contextmanager
def watching(title: str, *, wanted: bool | None) -> Iterator[Watcher]:
    """Give a watcher as the user wants it; by default bars where somebody can see them."""
    if not (somebody_looks() if wanted is None else wanted):
        yield Silent()
        return
    bars = Bars(title)
    try:
        yield bars
    finally:
        bars.close()


def somebody_looks() -> bool:
    """Tell whether standard error is a terminal, or this is a notebook."""
    return in_notebook() or (sys.stderr is not None and sys.stderr.isatty())


def in_notebook() -> bool:
    """Tell whether a Jupyter kernel runs this, without importing IPython."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(shell).__name__ == "ZMQInteractiveShell"


def _tqdm() -> Any:
    if in_notebook():
        from importlib.util import find_spec

        if find_spec("ipywidgets"):
            from tqdm.notebook import tqdm as notebook_bar

            return notebook_bar
    from tqdm import tqdm

    return tqdm
