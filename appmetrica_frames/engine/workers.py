"""Threads that fetch windows side by side: those of an application in their order, those of several independently."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from math import inf
from threading import Condition, Thread, current_thread
from time import monotonic
from typing import TYPE_CHECKING, Generic, TypeVar

from appmetrica_frames.errors import (
    AppMetricaError,
    AuthenticationError,
    InvalidRequestError,
    MissingTokenError,
    NotCachedError,
    RequestRejectedError,
)
from appmetrica_frames.util.caller import collect_warnings

from .interruption import StoppedError
from .schedule import MAX_WINDOWS_AHEAD

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from appmetrica_frames.util.caller import Warned

    from .interruption import Interruption

Result = TypeVar("Result")

MAX_FAILURES = 3  # in a row, after which no further window of the application is tried
TICK = 0.5  # seconds; some systems do not interrupt a longer wait
PATIENCE = 5.0  # seconds for the threads to end
FATAL = (
    AuthenticationError,
    InvalidRequestError,
    MissingTokenError,
    NotCachedError,
    RequestRejectedError,
)  # what fails for one window fails for all


@dataclass(frozen=True, slots=True)
class Task(Generic[Result]):
    """What is done for one window.

    Attributes
    ----------
    group
        The application: each has threads of its own.
    """

    group: Hashable
    run: Callable[[], Result]


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Result]):
    """What became of a task: a result, an error that concerns this window alone, or neither if it was not tried."""

    result: Result | None = None
    error: AppMetricaError | None = None
    warnings: Sequence[Warned] = ()


class Workers(Generic[Result]):
    """Runs tasks in threads, none of which outlives `run` unless it hangs in the operating system."""

    def __init__(self, tasks: Sequence[Task[Result]], interruption: Interruption) -> None:
        self.outcomes: list[Outcome[Result]] = [Outcome() for _ in tasks]
        self._tasks = tasks
        self._interruption = interruption
        self._changed = Condition()
        self._ended: list[Thread] = []
        self._waiting: dict[Hashable, deque[int]] = {}
        for number, task in enumerate(tasks):
            self._waiting.setdefault(task.group, deque()).append(number)
        self._failures: Counter[Hashable] = Counter()  # in a row, for each group
        self._fatal: BaseException | None = None

    def run(self) -> list[Outcome[Result]]:
        """Run the tasks and return their outcomes, in the order of the tasks.

        Raises
        ------
        AppMetricaError
            An error that concerns all windows.
        """
        threads: list[Thread] = []
        try:
            for group, numbers in self._waiting.items():
                self._start(group, min(MAX_WINDOWS_AHEAD, len(numbers)), threads)
            self._wait(threads)
        except BaseException:
            self._end(threads)
            raise
        if self._fatal is not None:
            raise self._fatal
        return self.outcomes

    def _start(self, group: Hashable, wanted: int, threads: list[Thread]) -> None:
        """Start threads for a group: as many as are wanted, or as the system allows if that is at least one."""
        for number in range(wanted):
            threads.append(Thread(target=self._work, args=(group,), name="appmetrica-frames-window", daemon=True))
            try:
                threads[-1].start()
            except RuntimeError:  # no more threads are to be had
                if number == 0:
                    raise
                return

    def _wait(self, threads: list[Thread], deadline: float = inf) -> None:
        # Thread.join is not for this: interrupted by Ctrl-C, Python 3.11 takes the thread to have ended.
        with self._changed:
            while any(thread.is_alive() and thread not in self._ended for thread in threads):
                left = deadline - monotonic()
                if left <= 0:
                    return
                self._changed.wait(min(TICK, left))
        for thread in self._ended:
            thread.join()

    def _end(self, threads: list[Thread]) -> None:
        self._interruption.stop()
        self._wait(threads, monotonic() + PATIENCE)

    def _work(self, group: Hashable) -> None:
        """Run tasks of a group until there are no more: the life of a thread."""
        while (number := self._next(group)) is not None:
            try:
                self._run(number)
            except StoppedError:
                break
            except BaseException as error:  # noqa: BLE001 - raised again in the thread of the call
                self._stop(error)
                break
        with self._changed:
            self._ended.append(current_thread())
            self._changed.notify_all()

    def _next(self, group: Hashable) -> int | None:
        with self._changed:
            is_over = self._interruption.is_stopped or self._failures[group] >= MAX_FAILURES
            return None if is_over or not self._waiting[group] else self._waiting[group].popleft()

    def _run(self, number: int) -> None:
        with collect_warnings() as collected:
            try:
                outcome = Outcome(self._tasks[number].run(), warnings=collected)
            except FATAL:
                raise
            except AppMetricaError as error:
                if self._interruption.is_stopped:  # that is why it failed
                    raise StoppedError from error
                outcome = Outcome(error=error, warnings=collected)
        with self._changed:
            self.outcomes[number] = outcome
            group = self._tasks[number].group
            self._failures[group] = 0 if outcome.error is None else self._failures[group] + 1

    def _stop(self, error: BaseException) -> None:
        with self._changed:
            if self._fatal is None and not self._interruption.is_stopped:
                self._fatal = error
        self._interruption.stop()
