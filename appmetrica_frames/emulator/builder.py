"""Where jobs become files: acts on what the queues decide, with one worker thread for each application."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import TYPE_CHECKING

from .export import Abandoned, Export
from .files import PreparedFile, Shelf, whole_file
from .queue import ANY_AGE, CAPACITY, KEPT, Queue, Waiting
from .request import Refusal, parse

if TYPE_CHECKING:
    from collections.abc import Hashable

    from .applications import Application
    from .clock import Clock
    from .queue import Answer, Job
    from .request import ExportRequest
    from .simulation.population import Population


@dataclass(frozen=True, slots=True)
class Rules:
    """How this emulator deviates from the plain case."""

    preparation: float
    parts_above: int | None
    native_json: bool
    answers: dict[str, bytes]


@dataclass(slots=True)
class Build:
    """One attempt at a job: what it is for, how far it is, and whether it is still wanted."""

    number: int
    request: ExportRequest
    started: float
    as_of: float
    stop: Event = field(default_factory=Event)
    done: float = 0.0

    def advanced(self, share: float) -> None:
        if self.stop.is_set():
            raise Abandoned
        self.done = share


class Bench:
    """The jobs of one application: its queue, its worker thread, the requests behind the queue's keys."""

    def __init__(self, population: Population, rules: Rules, clock: Clock) -> None:
        self.queue: Queue[PreparedFile] = Queue(rules.preparation)
        self.preparations = 0
        self._population = population
        self._rules = rules
        self._clock = clock
        self._shelf = Shelf()
        self._lock = Lock()
        self._requests: dict[object, ExportRequest] = {}
        self._build: Build | None = None
        self._snapshots = Snapshots()
        self._foreign: set[object] = set()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="emulator-build")

    def ask(self, request: ExportRequest, oldest: float) -> Answer[PreparedFile]:
        with self._lock:
            self._requests.setdefault(request.key, request)
            answer = self.queue.ask(request.key, oldest, self._clock.now())
            self._follow()
            return answer

    def occupy(self, jobs: int) -> None:
        """Enqueue small exports that nobody here asked for; they are no preparations."""
        with self._lock:
            now = self._clock.now()
            self.queue.advance(now)
            if len(self.queue.jobs) + jobs > CAPACITY:
                raise ValueError(f"The queue holds {CAPACITY} jobs, {len(self.queue.jobs)} are there.")
            for _ in range(jobs):
                request = foreign(self._population.application, len(self._foreign) + 1)
                self._foreign.add(request.key)
                self._requests[request.key] = request
                self.queue.ask(request.key, ANY_AGE, now)
            self._follow()

    def unfinished(self) -> list[tuple[Job[PreparedFile], ExportRequest, float]]:
        """Return the unfinished jobs with their requests and progress, as `get_active_queries` lists them."""
        with self._lock:
            self.queue.advance(self._clock.now())
            self._follow()
            return [(job, self._requests[job.key], self._progress(job)) for job in self.queue.jobs]

    def progress(self, waiting: Waiting[PreparedFile]) -> float:
        with self._lock:
            return self._progress(waiting.job)

    def settle(self) -> None:
        """Wait until the build under way, if any, is done: the worker takes one thing after another."""
        self._worker.submit(int).result()

    def close(self) -> None:
        """Give up what is being built, wait for the worker thread, remove every file."""
        with self._lock:
            self.queue.jobs.clear()
            if self._build is not None:
                self._build.stop.set()
        self._worker.shutdown(wait=True, cancel_futures=True)
        self._shelf.clear()

    def _progress(self, job: Job[PreparedFile]) -> float:
        if self._build is None or self._build.number != job.number:
            return self.queue.progress(job, self._clock.now()) if job.built else 0.0
        return min(self._build.done, self.queue.progress(job, self._clock.now()))

    def _follow(self) -> None:
        """Start building what the queue has at its head, give up what it has not, remove dropped files."""
        while self.queue.dropped:
            self.queue.dropped.pop().discard()
        job = self.queue.being_prepared()
        if self._build is not None and (job is None or job.number != self._build.number):
            self._build.stop.set()
            self._build = None
        if job is not None and job.built is None and self._build is None and job.started is not None:
            self._build = self._begun(job.number, self._requests[job.key], job.started)
            self._worker.submit(self._run, self._build)

    def _begun(self, number: int, request: ExportRequest, started: float) -> Build:
        if request.part[1] == 1:
            return Build(number, request, started, as_of=started)
        as_of, outdated = self._snapshots.take(request, started)
        for key in outdated:
            self.queue.forget(key)
        return Build(number, request, started, as_of)

    def _run(self, build: Build) -> None:
        begun = time.monotonic()
        try:
            content = self._outcome(build)
        except Abandoned:
            return
        with self._lock:
            # A build that keeps within its time is created on schedule, however far the clock was moved meanwhile.
            late = time.monotonic() - begun > self._rules.preparation
            self.preparations += content.status == 200 and build.request.key not in self._foreign  # noqa: PLR2004
            self.queue.built(build.number, content, self._clock.now() if late else build.started)
            if self._build is build:
                self._build = None
            self.queue.advance(self._clock.now())
            self._follow()

    def _outcome(self, build: Build) -> PreparedFile:
        try:
            return self._content(build)
        except Refusal as refusal:
            return whole_file(self._shelf, refusal.status, "application/json", refusal.body())
        except Abandoned:
            raise
        except Exception as fault:  # noqa: BLE001 - a fault must end the job, or its askers would wait for ever
            described = Refusal(500, f"The emulator failed to build the file: {fault!r}")
            return whole_file(self._shelf, 500, "application/json", described.body())

    def _content(self, build: Build) -> PreparedFile:
        override = self._rules.answers.get(build.request.resource.name)
        if override is not None:
            return whole_file(self._shelf, 200, "text/csv", override)
        export = Export(
            build.request,
            self._population,
            as_of=build.as_of,
            parts_above=self._rules.parts_above,
            native_json=self._rules.native_json,
        )
        return export.build(self._shelf, build.advanced)


def foreign(application: Application, number: int) -> ExportRequest:
    """Return somebody else's request, other than all before it."""
    words = {
        "application_id": str(application.id),
        "fields": "city",
        "date_since": "2020-01-01",
        "date_until": "2020-01-01",
        "limit": "1",
        "version": f"somebody-else-{number}",
    }
    return parse("installations.csv", tuple(words.items()), application)


@dataclass(slots=True)
class Snapshot:
    """The data of one instant, and the parts that were made of them."""

    as_of: float
    made: set[Hashable] = field(default_factory=set)


class Snapshots:
    """One snapshot for each export that was asked for in parts."""

    def __init__(self) -> None:
        self._known: dict[Hashable, Snapshot] = {}

    def take(self, request: ExportRequest, started: float) -> tuple[float, set[Hashable]]:
        """Return the instant whose data a build uses, and the keys of the parts that are outdated by it.

        A part that was made before asks for new data, and with them all other parts.
        """
        known = self._known.get(request.family)
        outdated: set[Hashable] = set()
        if known is None or request.key in known.made or started - known.as_of > KEPT:
            outdated = known.made - {request.key} if known else set()
            known = self._known[request.family] = Snapshot(started)
        known.made.add(request.key)
        return known.as_of, outdated
