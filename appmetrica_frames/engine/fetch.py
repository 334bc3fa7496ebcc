"""One export from the server into the store: the conversation, the pending mark, the file and its date."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from appmetrica_frames.cache import pending
from appmetrica_frames.cache.pending import PendingJob
from appmetrica_frames.cache.policy import build_time_lower_bound
from appmetrica_frames.client import open_connection, retry_policy
from appmetrica_frames.errors import PreparationTimeoutError, QuotaExceededError
from appmetrica_frames.logs_api.driver import run_export
from appmetrica_frames.logs_api.management import is_logs_api_enabled
from appmetrica_frames.logs_api.queue import get_queue_position
from appmetrica_frames.logs_api.steps import ResumedJob
from appmetrica_frames.util.durations import DAY, format_duration

from .ingest import ParquetIngest

if TYPE_CHECKING:
    from pathlib import Path

    from appmetrica_frames.cache.entry import Entry
    from appmetrica_frames.cache.store import PendingWrite, Store
    from appmetrica_frames.logs_api.queue import QueuePosition
    from appmetrica_frames.logs_api.steps import Part, Wait
    from appmetrica_frames.logs_api.transport import Connection
    from appmetrica_frames.progress import ProgressReporter
    from appmetrica_frames.util.clock import Clock

    from .order import Order

log = logging.getLogger("appmetrica_frames")

LONG_WAIT = 30.0
DISABLED = (
    "AppMetrica says that its Logs API is disabled at the moment. With skip_unavailable_shards=True, an export holds "
    "what is reachable (a loss of at most 1 %)."
)


class ExportFetcher:
    """One order, to be fetched into a store; or into another, should the first not take it."""

    def __init__(self, order: Order, *, clock: Clock, reporter: ProgressReporter) -> None:
        self._order = order
        self._clock = clock
        self._reporter = reporter
        self._mark: PendingJob | None = None  # a job that is ours to go on with

    def into(self, store: Store) -> tuple[Path, Entry]:
        """Fetch what is ordered, publish it, and return its file and its record."""
        request, client = self._order.request, self._order.client
        key = request.key(client.origin())
        if self._mark is None:
            self._mark = self._resumable(store.folder(request.resource, key))
        with (
            store.draft(request.resource, key) as draft,
            open_connection(client, self._clock) as link,
        ):
            wait = PreparationMonitor(self._order, draft.folder, link, self._reporter, resumed=self._mark)
            reception = ParquetIngest(request, draft, strict=self._order.strict, reporter=self._reporter)
            built_not_before = self._fetched(reception, wait)
            return self._published(draft, reception, built_not_before)

    def _fetched(self, reception: ParquetIngest, wait: PreparationMonitor) -> float:
        """Receive the export and return the earliest instant at which it can have been built."""
        wish = self._order.wish
        try:
            delivery = run_export(
                self._order.request,
                wish.cache_control,
                reception.receive,
                connection=wait.link,
                retry_policy=retry_policy(self._order.client),
                clock=self._clock,
                reporter=self._reporter,
                on_poll=wait.paused,
                resumed=self._resumed(),
            )
        except (PreparationTimeoutError, QuotaExceededError) as error:
            if wait.is_disabled():
                raise type(error)(f"{error} {DISABLED}", status=error.status) from error
            raise
        finally:
            self._mark = wait.mark
        return build_time_lower_bound(wish, requested_at=delivery.requested_at, waited=delivery.waited)

    def _published(self, draft: PendingWrite, reception: ParquetIngest, built_not_before: float) -> tuple[Path, Entry]:
        request, origin = self._order.request, self._order.client.origin()
        return draft.publish(
            built_not_before=built_not_before,
            stored_at=self._clock.now(),
            family=request.family(origin),
            origin=origin,
            request=request.described(),
            fields=request.wire_fields,
            limited=request.limited,
            as_text=reception.as_text,
            rows=reception.rows,
        )

    def _resumable(self, folder: Path) -> PendingJob | None:
        """Return the mark of the job that an interrupted call left behind, as long as the server can have its file."""
        mark, now = pending.found(folder), self._clock.now()
        if mark is None or not 0 <= now - mark.requested_at <= DAY:
            return None
        said = f"resuming the job that was asked for {format_duration(now - mark.requested_at)} ago"
        log.info("%s: %s", self._order.request.title, said)
        self._reporter.say(said)
        return mark

    def _resumed(self) -> ResumedJob | None:
        mark, wish = self._mark, self._order.wish
        if mark is None:
            return None
        if wish.refresh:  # an interrupted refresh is one refresh, whose file is taken for as long as the server has it
            max_age = DAY if mark.refresh else 0.0
        else:
            max_age = DAY if wish.max_age is None else min(wish.max_age, DAY)
        return ResumedJob(mark.requested_at, mark.parts, mark.part, max_age)


class PreparationMonitor:
    """What is done while the server prepares a file: leave a mark, look how far it is and whether it works at all."""

    def __init__(
        self, order: Order, folder: Path, link: Connection, reporter: ProgressReporter, *, resumed: PendingJob | None
    ) -> None:
        self.link = link
        self.mark = resumed
        self._reporter = reporter
        self._request = order.request
        self._folder = folder
        self._refresh = order.wish.refresh
        self._listed = reporter.is_visible
        self._unasked = ("skip_unavailable_shards", "true") not in order.request.params

    def paused(self, wait: Wait) -> QueuePosition | None:
        """Do it once for a pause; return how far the job is, if somebody looks and the server says."""
        if wait.accepted_at is not None:
            is_resumed = self.mark is not None and self.mark.requested_at == wait.accepted_at
            refresh = self.mark.refresh if self.mark is not None and is_resumed else self._refresh
            mark = PendingJob(wait.accepted_at, wait.part.count, wait.part.number, refresh)
            if mark != self.mark:
                self.mark = mark
                pending.leave(self._folder, mark)
        if wait.waited >= LONG_WAIT and self.is_disabled():
            log.warning("%s: %s", self._request.title, DISABLED)
            self._reporter.say(DISABLED)
        return self._standing(wait.part)

    def is_disabled(self) -> bool:
        """Ask once whether the server says that exports do not work."""
        unasked, self._unasked = self._unasked, False
        return unasked and not is_logs_api_enabled(self.link)

    def _standing(self, part: Part) -> QueuePosition | None:
        if not self._listed:
            return None
        found = get_queue_position(self.link, self._request.application_id, self._request.query(part))
        self._listed = found is not None  # where it cannot be had once, it is not asked for again
        return found
