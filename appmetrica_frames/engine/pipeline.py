"""Stages of a pipeline: each runs in a thread of its own, a bounded number of items ahead of the next."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from threading import Condition, Thread
from typing import TYPE_CHECKING, Generic, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Item = TypeVar("Item")


class Pipeline:
    """The threads of one pipeline; none of them outlives the ``with`` block.

    Parameters
    ----------
    abort
        Called where the block is left early, to wake a stage that waits for the world outside.
    """

    def __init__(self, abort: Callable[[], None]) -> None:
        self._abort = abort
        self._belts: list[BoundedQueue[object]] = []
        self._threads: list[Thread] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for belt in self._belts:
            belt.stop()
        if kind is not None:
            self._abort()
        for thread in self._threads:
            thread.join()

    def ahead(self, source: Iterable[Item], *, depth: int, name: str) -> Iterator[Item]:
        """Yield the items of a source that runs in a thread of its own, at most `depth` of them ahead.

        What the source raises comes out here, unchanged.
        """
        belt: BoundedQueue[Item] = BoundedQueue(depth)
        self._belts.append(belt)  # type: ignore[arg-type]
        thread = Thread(target=belt.feed, args=(source,), name=f"appmetrica-frames-{name}", daemon=True)
        self._threads.append(thread)
        thread.start()
        return iter(belt)


class _StoppedError(Exception):
    """Nobody takes any more."""


class BoundedQueue(Generic[Item]):
    """A bounded queue between two threads that either end can stop."""

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._items: deque[Item] = deque()
        self._changed = Condition()
        self._ended = False
        self._stopped = False
        self._error: BaseException | None = None

    def feed(self, source: Iterable[Item]) -> None:
        """Put everything of a source on the belt; the thread's whole life."""
        try:
            for item in source:
                self._put(item)
        except _StoppedError:
            pass
        except BaseException as error:  # noqa: BLE001 - it is raised again where the items are taken
            self._error = error
        finally:
            close = getattr(source, "close", None)
            if close is not None:
                with suppress(Exception):  # the first error is the one that is told
                    close()
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._items.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[Item]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._items or self._ended or self._stopped)
                if self._stopped:
                    raise _StoppedError
                if not self._items:
                    break
                item = self._items.popleft()
                self._changed.notify_all()
            yield item
        if self._error is not None:
            raise self._error

    def _put(self, item: Item) -> None:
        with self._changed:
            self._changed.wait_for(lambda: len(self._items) < self._depth or self._stopped)
            if self._stopped:
                raise _StoppedError
            self._items.append(item)
            self._changed.notify_all()
