"""What people see while they wait: bars in a terminal or a notebook, plain lines elsewhere and in the log."""

from __future__ import annotations

import logging
import math
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from .bars import Bars
from .lines import Lines, Logged
from .screen import Screen, somebody_looks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from appmetrica_frames.logs_api.queue import Standing

log = logging.getLogger("appmetrica_frames")


class Watcher(Protocol):
    """Whom the package tells how far it is."""

    @property
    def looks(self) -> bool:
        """Whether anybody looks."""

    @property
    def tick(self) -> float:
        """Seconds after which it wants to be told again that a wait goes on."""

    def preparing(self, waited: float, fraction: float | None, standing: Standing | None = None) -> None:
        """Show that the server prepares the file; `waited` in seconds, `fraction` from 0 to 1.

        Where the server's queue could be asked, `standing` knows better than `fraction`.
        """

    def downloading(self, size: int, total: int | None) -> None:
        """Show that so many bytes of the body have come, of so many if that is known."""

    def decoded(self, rows: int) -> None:
        """Show that so many rows of the export have been decoded."""

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

    def decoded(self, rows: int) -> None:
        pass

    def say(self, text: str) -> None:
        pass


class Several:
    """Tells several at once."""

    def __init__(self, watchers: Sequence[Watcher]) -> None:
        self._watchers = watchers

    @property
    def looks(self) -> bool:
        return any(watcher.looks for watcher in self._watchers)

    @property
    def tick(self) -> float:
        return min(watcher.tick for watcher in self._watchers)

    def preparing(self, waited: float, fraction: float | None, standing: Standing | None = None) -> None:
        for watcher in self._watchers:
            watcher.preparing(waited, fraction, standing)

    def downloading(self, size: int, total: int | None) -> None:
        for watcher in self._watchers:
            watcher.downloading(size, total)

    def decoded(self, rows: int) -> None:
        for watcher in self._watchers:
            watcher.decoded(rows)

    def say(self, text: str) -> None:
        for watcher in self._watchers:
            watcher.say(text)


@contextmanager
def watching(title: str, *, wanted: bool | None, clock: Callable[[], float] = time.monotonic) -> Iterator[Watcher]:
    """Give a watcher as the user wants it; by default bars where somebody can see them. The log is told in any case."""
    shown: list[Bars | Lines] = []
    if log.isEnabledFor(logging.INFO):
        shown.append(Logged(title, log.info, clock=clock))
    if wanted is not False and somebody_looks():
        shown.append(Bars(title, clock=clock))
    elif wanted:
        shown.append(Lines(title, Screen().tell, clock=clock))
    try:
        yield shown[0] if len(shown) == 1 else Several(shown) if shown else Silent()
        for watcher in shown:
            watcher.close(done=True)
    finally:
        for watcher in shown:
            watcher.close()
