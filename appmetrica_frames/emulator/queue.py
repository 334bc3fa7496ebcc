"""The job queue of one application, decided purely: no threads, no sockets, and time is an argument.

A job waits, is prepared alone, and leaves a file that is kept for 24 hours from its creation. Preparing takes
`preparation` seconds of the caller's clock and, besides, until the caller reports the job's content as built.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable


Content = TypeVar("Content")

KEPT = 24 * 3600.0
CAPACITY = 3
ANY_AGE = inf
NO_AGE = -inf


@dataclass(frozen=True, slots=True)
class File(Generic[Content]):
    content: Content
    created: float

    def age(self, now: float) -> float:
        return now - self.created


@dataclass(frozen=True, slots=True)
class Job(Generic[Content]):
    """One export to be prepared; each attempt at it has a number of its own, so that a late build is recognised."""

    key: Hashable
    number: int
    asked: float
    started: float | None = None
    built: File[Content] | None = None


@dataclass(frozen=True, slots=True)
class Ready(Generic[Content]):
    file: File[Content]


@dataclass(frozen=True, slots=True)
class Waiting(Generic[Content]):
    job: Job[Content]


@dataclass(frozen=True, slots=True)
class Moved:
    pass


@dataclass(frozen=True, slots=True)
class Full:
    pass


Answer: TypeAlias = Ready[Content] | Waiting[Content] | Moved | Full


class Queue(Generic[Content]):
    """At most three unfinished jobs, worked off one after another, and the files they left."""

    def __init__(self, preparation: float) -> None:
        self.preparation = preparation
        self.jobs: list[Job[Content]] = []
        self.files: dict[Hashable, File[Content]] = {}
        self.dropped: list[Content] = []
        self._numbers = 0

    def ask(self, key: Hashable, oldest: float, now: float) -> Answer[Content]:
        """Decide what a request is answered, where a file of at most `oldest` seconds would do for it."""
        self.advance(now)
        file = self._acceptable(key, oldest, now)
        job = self._unfinished(key)
        if job is not None:
            return self._join(job, restricted=oldest < ANY_AGE and file is None, now=now)
        if file is not None:
            return Ready(file)
        return Full() if len(self.jobs) >= CAPACITY else Waiting(self._enqueue(key, now, asked=now))

    def advance(self, now: float) -> None:
        """Let time pass: finish what is ready, start what is next, drop what is too old."""
        while self.jobs and self._finish(self.jobs[0], now):
            pass
        for key in [key for key, file in self.files.items() if file.age(now) > KEPT]:
            self.dropped.append(self.files.pop(key).content)

    def built(self, number: int, content: Content, created: float) -> None:
        """Take the content of the job that is being prepared; content of an attempt given up is dropped."""
        if self.jobs and self.jobs[0].number == number:
            self.jobs[0] = replace(self.jobs[0], built=File(content, created))
        else:
            self.dropped.append(content)

    def forget(self, key: Hashable) -> None:
        """Drop a file before its time."""
        if key in self.files:
            self.dropped.append(self.files.pop(key).content)

    def being_prepared(self) -> Job[Content] | None:
        return self.jobs[0] if self.jobs else None

    def progress(self, job: Job[Content], now: float) -> float:
        """Return the share of the preparation time that has passed, from 0 to 1."""
        if job.started is None:
            return 0.0
        return 1.0 if self.preparation <= 0 else min(1.0, max(0.0, now - job.started) / self.preparation)

    def _acceptable(self, key: Hashable, oldest: float, now: float) -> File[Content] | None:
        file = self.files.get(key)
        return file if file is not None and file.age(now) <= min(oldest, KEPT) else None

    def _unfinished(self, key: Hashable) -> Job[Content] | None:
        return next((job for job in self.jobs if job.key == key), None)

    def _join(self, job: Job[Content], *, restricted: bool, now: float) -> Answer[Content]:
        if not restricted:
            return Waiting(job)
        if job.built is not None:
            self.dropped.append(job.built.content)
        self.jobs.remove(job)
        self._enqueue(job.key, now, asked=job.asked)
        return Moved()

    def _enqueue(self, key: Hashable, now: float, *, asked: float) -> Job[Content]:
        self._numbers += 1
        self.jobs.append(Job(key, self._numbers, asked))
        self._start_next(now)
        return self.jobs[-1]

    def _start_next(self, now: float) -> None:
        if self.jobs and self.jobs[0].started is None:
            self.jobs[0] = replace(self.jobs[0], started=now)

    def _finish(self, job: Job[Content], now: float) -> bool:
        if job.started is None or job.built is None or now < job.started + self.preparation:
            return False
        file = replace(job.built, created=max(job.built.created, job.started + self.preparation))
        if job.key in self.files:
            self.dropped.append(self.files[job.key].content)
        self.files[job.key] = file
        del self.jobs[0]
        self._start_next(file.created)
        return True
