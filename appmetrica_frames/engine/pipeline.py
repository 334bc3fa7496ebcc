"""The threads of a download; no other module of reading starts any.

``prefetch`` runs a source in a thread of its own, a bounded number of items ahead of whoever takes them. ``map`` runs a
step on the items of a source in several threads and yields the results in the order of the items.
"""

from __future__ import annotations

import os
from collections import deque
from contextlib import suppress
from threading import Condition, Thread
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Item = TypeVar("Item")
Result = TypeVar("Result")

MAX_WORKERS = 4


def count_workers() -> int:
    """Return how many threads may parse at once: one core is left to the download and to Parquet."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, min(MAX_WORKERS, cores - 1))


class Pipeline:
    """The threads of one pipeline; none of them outlives the ``with`` block.

    Parameters
    ----------
    abort
        Called if the block is left with an error, to wake a thread that waits for the network.
    """

    def __init__(self, abort: Callable[[], None]) -> None:
        self._abort = abort
        self._queues: list[BoundedQueue[Any]] = []
        self._threads: list[Thread] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self._end(abort=kind is not None)
        except BaseException:  # an interrupt while the threads were ending
            self._end(abort=True)
            raise

    def prefetch(self, source: Iterable[Item], *, depth: int, name: str) -> Iterator[Item]:
        """Yield the items of a source that runs in a thread of its own, at most `depth` of them ahead.

        An error of the source is raised here, unchanged, after the items that came before it.
        """
        queue: BoundedQueue[Item] = self._open_queue(depth)
        self._start(queue.feed, source, name=name)
        return iter(queue)

    def map(
        self, build_step: Callable[[], Callable[[Item], Result]], source: Iterable[Item], *, workers: int, name: str
    ) -> Iterator[Result]:
        """Yield the result of a step for each item, in the order of the items, at most ``workers + 1`` of them ahead.

        Each worker builds a step of its own, so that a step may reuse memory. The source runs in the thread that takes
        the results. An error of the source or of a step is raised in its turn.
        """
        tasks: BoundedQueue[_Task[Item, Result]] = self._open_queue(workers + 1)
        for number in range(workers):
            self._start(_work, build_step(), tasks, name=f"{name}-{number}")
        return _in_order(source, tasks, workers)

    def _open_queue(self, depth: int) -> BoundedQueue[Any]:
        queue: BoundedQueue[Any] = BoundedQueue(depth)
        self._queues.append(queue)
        return queue

    def _start(self, target: Callable[..., None], *args: object, name: str) -> None:
        thread = Thread(target=target, args=args, name=f"appmetrica-frames-{name}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _end(self, *, abort: bool) -> None:
        for queue in self._queues:
            queue.stop()
        if abort:
            self._abort()
        for thread in self._threads:
            # An interrupt may have come before the thread started. Should it start now, it finds its queue stopped.
            with suppress(RuntimeError):
                thread.join()


class _StoppedError(Exception):
    """The pipeline is ending."""


class BoundedQueue(Generic[Item]):
    """A bounded queue between threads that either end can stop."""

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._items: deque[Item] = deque()
        self._changed = Condition()
        self._ended = False
        self._stopped = False
        self._error: BaseException | None = None

    def feed(self, source: Iterable[Item]) -> None:
        """Put all items of a source, and then its end or its error: the life of a thread."""
        error = None
        try:
            for item in source:
                self.put(item)
        except _StoppedError:
            pass
        except BaseException as raised:  # noqa: BLE001 - it is raised again where the items are taken
            error = raised
        finally:
            close = getattr(source, "close", None)
            if close is not None:
                with suppress(Exception):  # the first error counts
                    close()
            self.end(error)

    def put(self, item: Item) -> None:
        with self._changed:
            self._wait_for(lambda: len(self._items) < self._depth)
            self._items.append(item)
            self._changed.notify_all()

    def end(self, error: BaseException | None = None) -> None:
        """Say that no item follows, and which error ended them."""
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify_all()

    def stop(self) -> None:
        """Release all threads that wait here."""
        with self._changed:
            self._stopped = True
            self._items.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[Item]:
        while True:
            with self._changed:
                self._wait_for(lambda: self._items or self._ended)
                if not self._items:
                    break
                item = self._items.popleft()
                self._changed.notify_all()
            yield item
        if self._error is not None:
            raise self._error

    def wait_for(self, condition: Callable[[], object]) -> None:
        """Wait until `notify` finds that a condition holds."""
        with self._changed:
            self._wait_for(condition)

    def notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _wait_for(self, condition: Callable[[], object]) -> None:
        self._changed.wait_for(lambda: self._stopped or condition())
        if self._stopped:
            raise _StoppedError


class _Task(Generic[Item, Result]):
    """An item and, once a worker is done with it, the result."""

    def __init__(self, item: Item | None, error: Exception | None = None) -> None:
        self._item = item
        self._result: Result | None = None
        self._error: BaseException | None = error
        self.is_done = error is not None

    def run(self, step: Callable[[Item], Result]) -> None:
        try:
            self._result = step(self._item)  # type: ignore[arg-type]  # it is there until the task has run
        except BaseException as error:  # noqa: BLE001 - it is raised again where the results are taken
            self._error = error
        self._item = None
        self.is_done = True

    def result(self) -> Result:
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]


def _work(step: Callable[[Item], Result], tasks: BoundedQueue[_Task[Item, Result]]) -> None:
    """Run tasks until there are no more: the life of a worker."""
    with suppress(_StoppedError):
        for task in tasks:
            task.run(step)
            tasks.notify()


def _in_order(source: Iterable[Item], tasks: BoundedQueue[_Task[Item, Result]], workers: int) -> Iterator[Result]:
    """Hand out the items of a source as tasks, and yield their results."""
    pending: deque[_Task[Item, Result]] = deque()
    for task in _tasks(source):
        if not task.is_done:
            tasks.put(task)
        pending.append(task)
        if len(pending) > workers:
            yield _next_result(pending, tasks)
    tasks.end()
    while pending:
        yield _next_result(pending, tasks)


def _tasks(source: Iterable[Item]) -> Iterator[_Task[Item, Any]]:
    """Yield a task for each item, and a failed one for an error of the source, so that it is raised in its turn."""
    try:
        for item in source:
            yield _Task(item)
    except Exception as error:  # noqa: BLE001 - raised again with the results
        yield _Task(None, error)


def _next_result(pending: deque[_Task[Item, Result]], tasks: BoundedQueue[_Task[Item, Result]]) -> Result:
    task = pending.popleft()
    tasks.wait_for(lambda: task.is_done)
    return task.result()
