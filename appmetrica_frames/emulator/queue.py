"""The job queue of one application as a pure state machine: no threads, no sockets, time is an argument.

Jobs are prepared one after another, and each leaves a file that is kept for 24 hours. A job is done when its
preparation time has passed on the caller's clock and the caller has set its content.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from typing import TYPE_CHECKING, Generic, Literal, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable


Content = TypeVar("Content")
RepeatedMaxAge: TypeAlias = Literal["join", "move"]

FILE_LIFETIME = 24 * 3600.0
MAX_JOBS = 3
ANY_AGE = inf
NO_AGE = -inf


@dataclass(frozen=True, slots=True)
class File(Generic[Content]):
    content: Content
    created_at: float

    def age(self, now: float) -> float:
        return now - self.created_at


@dataclass(frozen=True, slots=True)
class Job(Generic[Content]):
    """An export to prepare; every attempt has a new number, so that a late build is recognised."""

    key: Hashable
    number: int
    requested_at: float
    preparation: float
    started_at: float | None = None
    file: File[Content] | None = None


@dataclass(frozen=True, slots=True)
class Ready(Generic[Content]):
    file: File[Content]


@dataclass(frozen=True, slots=True)
class Waiting(Generic[Content]):
    job: Job[Content]
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class Moved:
    pass


@dataclass(frozen=True, slots=True)
class Full:
    pass


Response: TypeAlias = Ready[Content] | Waiting[Content] | Moved | Full


class Queue(Generic[Content]):
    """At most three unfinished jobs, prepared one after another, and the files of finished ones.

    Parameters
    ----------
    preparation
        Returns the seconds that the preparation of a key takes.
    repeated_max_age
        Whether a repeated ``max-age`` joins a job that is young enough, or moves it to the end of the queue. It is not
        known which one AppMetrica does; only a repeated ``no-cache`` is known to move the job.
    """

    def __init__(self, preparation: Callable[[Hashable], float], repeated_max_age: RepeatedMaxAge = "join") -> None:
        self._preparation = preparation
        self._repeated_max_age = repeated_max_age
        self.jobs: list[Job[Content]] = []
        self.files: dict[Hashable, File[Content]] = {}
        self.dropped: list[Content] = []
        self._last_number = 0

    def request(self, key: Hashable, max_age: float, now: float) -> Response[Content]:
        """Return the response to a request that accepts a file of at most `max_age` seconds."""
        self.advance(now)
        file = self._find_file(key, max_age, now)
        job = self._find_job(key)
        if job is not None:
            return Waiting(job) if file is not None or self._is_joinable(job, max_age, now) else self._move(job, now)
        if file is not None:
            return Ready(file)
        if len(self.jobs) >= MAX_JOBS:
            return Full()
        return Waiting(self._enqueue(key, now, requested_at=now), is_new=True)

    def advance(self, now: float) -> None:
        """Move to `now`: finish and start jobs, drop expired files."""
        while self.jobs and self._finish(self.jobs[0], now):
            pass
        for key in [key for key, file in self.files.items() if file.age(now) > FILE_LIFETIME]:
            self.dropped.append(self.files.pop(key).content)

    def set_content(self, number: int, content: Content, created_at: float) -> None:
        """Set the content of the current job; the content of a cancelled attempt is dropped."""
        if self.jobs and self.jobs[0].number == number:
            self.jobs[0] = replace(self.jobs[0], file=File(content, created_at))
        else:
            self.dropped.append(content)

    def drop(self, key: Hashable) -> None:
        """Drop a file before it expires."""
        if key in self.files:
            self.dropped.append(self.files.pop(key).content)

    def lose_jobs(self, *, files: bool) -> None:
        """Lose the unfinished jobs, and the files as well if wanted."""
        self.dropped.extend(job.file.content for job in self.jobs if job.file is not None)
        self.jobs.clear()
        for key in tuple(self.files) if files else ():
            self.drop(key)

    def get_current_job(self) -> Job[Content] | None:
        return self.jobs[0] if self.jobs else None

    def progress(self, job: Job[Content], now: float) -> float:
        """Return the share of the preparation time that has passed, from 0 to 1."""
        if job.started_at is None:
            return 0.0
        return 1.0 if job.preparation <= 0 else min(1.0, max(0.0, now - job.started_at) / job.preparation)

    def _find_file(self, key: Hashable, max_age: float, now: float) -> File[Content] | None:
        file = self.files.get(key)
        return file if file is not None and file.age(now) <= min(max_age, FILE_LIFETIME) else None

    def _find_job(self, key: Hashable) -> Job[Content] | None:
        return next((job for job in self.jobs if job.key == key), None)

    def _is_joinable(self, job: Job[Content], max_age: float, now: float) -> bool:
        if max_age in {ANY_AGE, NO_AGE} or self._repeated_max_age == "move":
            return max_age == ANY_AGE
        # The data of a job are those of its start: one that still waits will be younger than any limit.
        return job.started_at is None or now - job.started_at <= max_age

    def _move(self, job: Job[Content], now: float) -> Moved:
        if job.file is not None:
            self.dropped.append(job.file.content)
        self.jobs.remove(job)
        self._enqueue(job.key, now, requested_at=job.requested_at)
        return Moved()

    def _enqueue(self, key: Hashable, now: float, *, requested_at: float) -> Job[Content]:
        self._last_number += 1
        self.jobs.append(Job(key, self._last_number, requested_at, self._preparation(key)))
        self._start_next(now)
        return self.jobs[-1]

    def _start_next(self, now: float) -> None:
        if self.jobs and self.jobs[0].started_at is None:
            self.jobs[0] = replace(self.jobs[0], started_at=now)

    def _finish(self, job: Job[Content], now: float) -> bool:
        if job.started_at is None or job.file is None or now < job.started_at + job.preparation:
            return False
        file = replace(job.file, created_at=max(job.file.created_at, job.started_at + job.preparation))
        if job.key in self.files:
            self.dropped.append(self.files[job.key].content)
        self.files[job.key] = file
        del self.jobs[0]
        self._start_next(file.created_at)
        return True
