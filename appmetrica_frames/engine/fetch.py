"""One export from the server into the cache: the conversation, the pending job, the file and its age."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from appmetrica_frames.cache.entry import PendingJob
from appmetrica_frames.cache.policy import build_time_lower_bound, latest_file_at, max_age_of_job
from appmetrica_frames.errors import PreparationTimeoutError, QuotaExceededError
from appmetrica_frames.logs_api.driver import run_export
from appmetrica_frames.logs_api.management import is_logs_api_enabled
from appmetrica_frames.logs_api.queue import get_queue_position
from appmetrica_frames.logs_api.steps import ResumedJob
from appmetrica_frames.util.durations import format_duration

from . import parquet
from .ingest import ParquetIngest
from .schedule import SharedPlaces, application_queue, download_gate

if TYPE_CHECKING:
    from appmetrica_frames.cache.entry import CachedExport
    from appmetrica_frames.cache.store import ExportStore, PendingWrite
    from appmetrica_frames.logs_api.steps import Wait
    from appmetrica_frames.logs_api.transport import Connection
    from appmetrica_frames.progress import ProgressReporter, QueuePosition
    from appmetrica_frames.request.export import ExportRequest
    from appmetrica_frames.request.part import Part

    from .context import Call
    from .pace import StatusChecks
    from .plan import Window

log = logging.getLogger("appmetrica_frames")

LONG_WAIT = 30.0
DISABLED = (
    "AppMetrica says that its Logs API is disabled at the moment. With skip_unavailable_shards=True, an export has "
    "what is reachable (a loss of at most 1 %)."
)


class ExportFetcher:
    """Fetches one window into a cache; or into another, should the first not take it."""

    def __init__(self, window: Window, call: Call, *, reporter: ProgressReporter) -> None:
        self._request = window.request
        self._call = call
        self._options = call.options
        self._policy = call.options.policy.for_window(window.settled_at)
        self._clock = call.clock
        self._reporter = reporter
        self._job: PendingJob | None = None  # one that the server works on, to be resumed
        self._older_file_at: float | None = None  # when the server had a file of the request that it can still have

    def fetch(self, store: ExportStore) -> CachedExport:
        """Fetch the export, publish it, and return it."""
        settings = self._options.settings
        with (
            store.open_write(self._request, settings.origin) as write,
            settings.connect(self._clock) as connection,
            self._call.interruption.aborting(connection.abort),
        ):
            if self._job is None:
                self._job = self._find_resumable(write)
            self._older_file_at = self._find_older_file(write)
            monitor = PreparationMonitor(
                self._request,
                write,
                connection,
                self._reporter,
                job=self._job,
                status_checks=self._call.status_checks,
                is_refresh=self._policy.refresh,
            )
            ingest = ParquetIngest(
                self._request, write, strict=self._options.strict, reporter=self._reporter, redact=connection.mask.text
            )
            built_not_before = self._receive(ingest, monitor)
            if self._call.is_range:
                # Once more, now that the threads have ended: else the memory of many windows would add up. It takes a
                # tenth of a second, for which a single export has no use.
                parquet.release_memory()
            return write.commit(
                built_not_before=built_not_before,
                fetched_at=self._clock.now(),
                text_columns=ingest.text_columns,
                rows=ingest.rows,
            )

    def _receive(self, ingest: ParquetIngest, monitor: PreparationMonitor) -> float:
        """Receive the export and return the earliest instant at which it can have been built."""
        settings = self._options.settings
        try:
            result = run_export(
                self._request,
                self._policy.cache_control,
                ingest.receive,
                connection=monitor.connection,
                retry_policy=settings.retry_policy(),
                clock=self._clock,
                reporter=self._reporter,
                on_poll=monitor.on_poll,
                resumed=self._resumed_job(),
                older_file_at=self._older_file_at,
                places=self._places(),
                downloads=download_gate(self._call.interruption) if self._call.is_range else None,
                pace=self._call.pace if self._call.is_range else None,
            )
        except (PreparationTimeoutError, QuotaExceededError) as error:
            if monitor.is_disabled():
                raise type(error)(f"{error} {DISABLED}", status=error.status) from error
            raise
        finally:
            self._job = monitor.job
        return build_time_lower_bound(self._policy, requested_at=result.requested_at, waited=result.waited)

    def _places(self) -> SharedPlaces:
        queue = application_queue(self._options.settings.origin, self._request.application_id)
        locks = self._call.store.locks if self._options.cache else None
        return SharedPlaces(queue, locks, required=self._call.is_range)

    def _find_resumable(self, write: PendingWrite) -> PendingJob | None:
        """Return the job that an interrupted call left behind, for as long as the server can have its file."""
        job, now = write.load_pending_job(), self._clock.now()
        if job is None or not job.is_resumable(now):
            return None
        message = f"resuming the job that was requested {format_duration(now - job.requested_at)} ago"
        log.info("%s: %s", self._request.title, message)
        self._reporter.message(message)
        return job

    def _find_older_file(self, write: PendingWrite) -> float | None:
        """Return when the server had a file of exactly this request, as far as the cache knows."""
        current = write.load_current()
        fetched_at = None if current is None else current.times.fetched_at
        noted_at = None if self._job is None else self._job.older_file_at
        return latest_file_at((self._older_file_at, fetched_at, noted_at), self._clock.now())

    def _resumed_job(self) -> ResumedJob | None:
        job = self._job
        if job is None:
            return None
        max_age = max_age_of_job(self._policy, is_refresh=job.refresh)
        return ResumedJob(job.requested_at, job.parts, job.part, max_age)


class PreparationMonitor:
    """What is done while the server prepares a file: keep the job, ask how far it is and whether exports work."""

    def __init__(
        self,
        request: ExportRequest,
        write: PendingWrite,
        connection: Connection,
        reporter: ProgressReporter,
        *,
        job: PendingJob | None,
        status_checks: StatusChecks,
        is_refresh: bool,
    ) -> None:
        self.connection = connection
        self.job = job
        self._request = request
        self._write = write
        self._reporter = reporter
        self._status_checks = status_checks
        self._is_refresh = is_refresh
        self._shows_position = reporter.is_visible
        self._may_ask_status = ("skip_unavailable_shards", "true") not in request.params

    def on_poll(self, wait: Wait) -> QueuePosition | None:
        """Do it once for a pause; return how far the job is, if somebody looks and the server says."""
        if wait.accepted_at is not None:
            self._keep_job(wait.accepted_at, wait.part, wait.older_file_at)
        if self._is_check_due(wait) and self.is_disabled():
            log.warning("%s: %s", self._request.title, DISABLED)
            self._reporter.message(DISABLED)
        return self._find_position(wait.part)

    def _keep_job(self, accepted_at: float, part: Part, older_file_at: float | None) -> None:
        is_resumed = self.job is not None and self.job.requested_at == accepted_at
        refresh = self.job.refresh if self.job is not None and is_resumed else self._is_refresh
        job = PendingJob(accepted_at, part.count, part.number, refresh, older_file_at)
        if job != self.job:
            self.job = job
            self._write.save_pending_job(job)

    def _is_check_due(self, wait: Wait) -> bool:
        may_ask = wait.waited >= LONG_WAIT and self._may_ask_status
        return may_ask and self._status_checks.is_due(self.connection.clock.monotonic())

    def is_disabled(self) -> bool:
        """Ask once whether the server says that exports do not work."""
        may_ask, self._may_ask_status = self._may_ask_status, False
        return may_ask and not is_logs_api_enabled(self.connection)

    def _find_position(self, part: Part) -> QueuePosition | None:
        if not self._shows_position:
            return None
        position = get_queue_position(self.connection, self._request.application_id, self._request.query(part))
        self._shows_position = position is not None  # where it is not to be had once, it is not asked for again
        return position
