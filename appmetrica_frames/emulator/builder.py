"""Builds the files of the queued jobs, with one worker thread for each application."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from math import inf
from threading import Event, Lock
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from .export import BuildCancelled, Export
from .files import FileStore, PreparedFile, write_file
from .queue import ANY_AGE, FILE_LIFETIME, MAX_JOBS, Moved, Queue, RepeatedMaxAge, Waiting
from .request import ApiError, parse
from .validation import check_choice, check_number

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from .applications import Application
    from .clock import Clock
    from .queue import Job, Response
    from .request import ExportRequest
    from .simulation.population import Population


PartBuilds: TypeAlias = Literal["shared", "separate"]


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """How jobs are queued and files are built; see `Emulator` for what each option means."""

    preparation: float = 0.0
    preparation_per_day: float = 0.0
    max_rows_per_file: int | None = None
    part_builds: PartBuilds = "shared"
    repeated_max_age: RepeatedMaxAge = "join"
    native_json: bool = False
    answers: dict[str, bytes | Callable[[Build], bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_number("preparation", self.preparation)
        check_number("preparation_per_day", self.preparation_per_day)
        check_number("max_rows_per_file", self.max_rows_per_file, minimum=1)
        check_choice("part_builds", self.part_builds, get_args(PartBuilds))
        check_choice("repeated_max_age", self.repeated_max_age, get_args(RepeatedMaxAge))

    def get_preparation(self, request: ExportRequest) -> float:
        """Return the seconds that an export takes; a part takes its share of those for the days."""
        return self.preparation + self.preparation_per_day * request.days / request.part[1]


@dataclass(slots=True)
class Build:
    """One attempt at a job, with its progress; `stop` cancels it."""

    number: int
    request: ExportRequest
    started_at: float
    as_of: float
    preparation: float
    stop: Event = field(default_factory=Event)
    progress: float = 0.0

    def report_progress(self, share: float) -> None:
        if self.stop.is_set():
            raise BuildCancelled
        self.progress = share


@dataclass(slots=True)
class Snapshot:
    """An instant of the data, and the parts that were built from it."""

    as_of: float
    parts: set[Hashable] = field(default_factory=set)


class Snapshots:
    """One snapshot for each export that is requested in parts."""

    def __init__(self) -> None:
        self._by_export: dict[Hashable, Snapshot] = {}

    def assign(self, request: ExportRequest, started_at: float, not_before: float) -> tuple[float, set[Hashable]]:
        """Return the instant whose data a build uses, and the keys of the parts that it makes outdated.

        Building a part for a second time renews the snapshot, and with it all other parts; so does a part that was
        requested with data not before an instant.
        """
        # A part may be built a lifetime after its snapshot and kept for another one.
        self._by_export = {
            key: snapshot
            for key, snapshot in self._by_export.items()
            if started_at - snapshot.as_of <= 2 * FILE_LIFETIME
        }
        snapshot = self._by_export.get(request.export_key)
        outdated: set[Hashable] = set()
        oldest = max(not_before, started_at - FILE_LIFETIME)
        if snapshot is None or request.key in snapshot.parts or snapshot.as_of < oldest:
            outdated = snapshot.parts - {request.key} if snapshot else set()
            snapshot = self._by_export[request.export_key] = Snapshot(started_at)
        snapshot.parts.add(request.key)
        return snapshot.as_of, outdated


class AppQueue:
    """The jobs of one application: its queue, its worker thread, and the requests by their key."""

    def __init__(self, population: Population, options: BuildOptions, clock: Clock) -> None:
        self.queue: Queue[PreparedFile] = Queue(self._get_preparation, options.repeated_max_age)
        self.preparations = 0
        self._population = population
        self._options = options
        self._clock = clock
        self._store = FileStore()
        self._lock = Lock()
        self._requests: dict[Hashable, ExportRequest] = {}
        self._not_before: dict[Hashable, float] = {}
        self._build: Build | None = None
        self._snapshots = Snapshots()
        self._foreign: set[Hashable] = set()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="emulator-build")

    def request(self, request: ExportRequest, max_age: float) -> Response[PreparedFile]:
        with self._lock:
            self._requests.setdefault(request.key, request)
            now = self._clock.now()
            response = self.queue.request(request.key, max_age, now)
            if isinstance(response, Moved) or (isinstance(response, Waiting) and response.is_new):
                self._not_before[request.key] = now - max(max_age, 0.0)
            self._sync_with_queue()
            return response

    def add_foreign_jobs(self, jobs: int) -> None:
        """Enqueue small exports of other clients, which `preparations` does not count."""
        with self._lock:
            now = self._clock.now()
            self.queue.advance(now)
            if len(self.queue.jobs) + jobs > MAX_JOBS:
                raise ValueError(f"The queue holds at most {MAX_JOBS} jobs and has {len(self.queue.jobs)} already.")
            for _ in range(jobs):
                request = build_foreign_request(self._population.application, len(self._foreign) + 1)
                self._foreign.add(request.key)
                self._requests[request.key] = request
                self.queue.request(request.key, ANY_AGE, now)
            self._sync_with_queue()

    def lose_jobs(self, *, files: bool) -> None:
        """Lose the unfinished jobs, and the files as well if wanted."""
        with self._lock:
            self.queue.advance(self._clock.now())
            self.queue.lose_jobs(files=files)
            if files:
                self._snapshots = Snapshots()
            self._sync_with_queue()

    def list_unfinished(self) -> list[tuple[Job[PreparedFile], ExportRequest, float]]:
        """Return the unfinished jobs, each with its request and its progress."""
        with self._lock:
            self.queue.advance(self._clock.now())
            self._sync_with_queue()
            return [(job, self._requests[job.key], self._progress(job)) for job in self.queue.jobs]

    def progress(self, waiting: Waiting[PreparedFile]) -> float:
        with self._lock:
            return self._progress(waiting.job)

    def wait_until_idle(self) -> None:
        """Wait for the current build, if any; the worker runs one task after another."""
        self._worker.submit(int).result()

    def close(self) -> None:
        """Cancel the current build, wait for the worker thread, and remove all files."""
        with self._lock:
            self.queue.jobs.clear()
            if self._build is not None:
                self._build.stop.set()
        self._worker.shutdown(wait=True, cancel_futures=True)
        self._store.clear()

    def _progress(self, job: Job[PreparedFile]) -> float:
        if self._build is None or self._build.number != job.number:
            return self.queue.progress(job, self._clock.now()) if job.file else 0.0
        return min(self._build.progress, self.queue.progress(job, self._clock.now()))

    def _sync_with_queue(self) -> None:
        """Build the queue's first job, cancel any other build, and remove dropped files."""
        while self.queue.dropped:
            self.queue.dropped.pop().discard()
        # Only jobs need their request; a map of all requests would grow without end.
        self._requests = {job.key: self._requests[job.key] for job in self.queue.jobs}
        self._not_before = {job.key: self._not_before.get(job.key, -inf) for job in self.queue.jobs}
        job = self.queue.get_current_job()
        if self._build is not None and (job is None or job.number != self._build.number):
            self._build.stop.set()
            self._build = None
        if job is not None and job.file is None and self._build is None and job.started_at is not None:
            self._build = self._new_build(job, job.started_at)
            self._worker.submit(self._run, self._build)

    def _get_preparation(self, key: Hashable) -> float:
        return self._options.get_preparation(self._requests[key])

    def _new_build(self, job: Job[PreparedFile], started_at: float) -> Build:
        request = self._requests[job.key]
        return Build(job.number, request, started_at, self._get_as_of(request, started_at), job.preparation)

    def _get_as_of(self, request: ExportRequest, started_at: float) -> float:
        """Return the instant of the data, and drop the files of parts that do not fit to them."""
        if request.part[1] == 1 or self._options.part_builds == "separate":
            return started_at
        as_of, outdated = self._snapshots.assign(request, started_at, self._not_before[request.key])
        for key in outdated:
            self.queue.drop(key)
        return as_of

    def _run(self, build: Build) -> None:
        start = time.monotonic()
        try:
            content = self._build_file(build)
        except BuildCancelled:
            return
        with self._lock:
            # The clock may have been moved during the build: a file built in time is dated by its schedule.
            late = time.monotonic() - start > build.preparation
            self.preparations += content.status == 200 and build.request.key not in self._foreign  # noqa: PLR2004
            self.queue.set_content(build.number, content, self._clock.now() if late else build.started_at)
            if self._build is build:
                self._build = None
            self.queue.advance(self._clock.now())
            self._sync_with_queue()

    def _build_file(self, build: Build) -> PreparedFile:
        try:
            return self._build_content(build)
        except ApiError as error:
            return write_file(self._store, error.status, "application/json", error.body())
        except BuildCancelled:
            raise
        except Exception as failure:  # noqa: BLE001 - any failure must end the job, or its clients would wait for ever
            failed = ApiError(500, f"The emulator failed to build the file: {failure!r}")
            return write_file(self._store, 500, "application/json", failed.body())

    def _build_content(self, build: Build) -> PreparedFile:
        override = self._options.answers.get(build.request.resource.name)
        if override is not None:
            return write_file(self._store, 200, "text/csv", override(build) if callable(override) else override)
        export = Export(
            build.request,
            self._population,
            as_of=build.as_of,
            max_rows_per_file=self._options.max_rows_per_file,
            native_json=self._options.native_json,
        )
        return export.build(self._store, build.report_progress)


def build_foreign_request(application: Application, number: int) -> ExportRequest:
    """Return a request of another client, different from those before it."""
    parameters = {
        "application_id": str(application.id),
        "fields": "city",
        "date_since": "2020-01-01",
        "date_until": "2020-01-01",
        "limit": "1",
        "version": f"somebody-else-{number}",
    }
    return parse("installations.csv", tuple(parameters.items()), application)
