"""One export from the server into the store: the conversation, the pending mark, the file and its date."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from appmetrica_frames.cache import pending
from appmetrica_frames.cache.pending import PendingJob
from appmetrica_frames.cache.policy import build_time_lower_bound, check_freshness
from appmetrica_frames.errors import PreparationTimeoutError, QuotaExceededError
from appmetrica_frames.logs_api.management import available, get_queue_position, patience
from appmetrica_frames.logs_api.transport import Connection, fetch
from appmetrica_frames.util.durations import format_duration

from .ingest import ParquetIngest

if TYPE_CHECKING:
    from pathlib import Path

    from appmetrica_frames.cache.entry import Entry
    from appmetrica_frames.cache.store import PendingWrite, Store
    from appmetrica_frames.logs_api.queue import QueuePosition
    from appmetrica_frames.logs_api.steps import Part, Wait
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
            Connection(
                client.origin(), client.token(), network_timeout=client.network_timeout, clock=self._clock
            ) as link,
        ):
            wait = PreparationMonitor(self._order, draft.folder, link, self._reporter, resumed=self._mark)
            reception = ParquetIngest(request, draft, strict=self._order.strict, reporter=self._reporter)
            built_not_before = self._fetched(reception, wait)
            return self._published(draft, reception, built_not_before)

    def _fetched(self, reception: ParquetIngest, wait: PreparationMonitor) -> float:
        """Receive the export and return the earliest instant at which it can have been built."""
        resumed, wish = self._mark, self._order.wish
        try:
            delivery = fetch(
                self._order.request,
                wish.cache_control,
                reception.receive,
                link=wait.link,
                patience=patience(self._order.client),
                clock=self._clock,
                reporter=self._reporter,
                paused=wait.paused,
                resumed_parts=resumed.parts if resumed else None,
            )
        except (PreparationTimeoutError, QuotaExceededError) as error:
            if wait.is_disabled():
                raise type(error)(f"{error} {DISABLED}", status=error.status) from error
            raise
        finally:
            self._mark = wait.mark
        if resumed and delivery.parts == resumed.parts:
            return resumed.requested_at
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
            as_text=reception.text_columns,
            rows=reception.rows,
        )

    def _resumable(self, folder: Path) -> PendingJob | None:
        """Return the mark of the job that an interrupted call left behind, if its file will be fresh enough."""
        mark, now = pending.found(folder), self._clock.now()
        if mark is None:
            return None
        verdict = check_freshness(mark.requested_at, self._order.wish, now)
        title = self._order.request.title
        if not verdict.fresh:
            log.info("%s: not resuming the job that is pending (%s)", title, verdict.reason)
            return None
        said = f"resuming the job that was asked for {format_duration(now - mark.requested_at)} ago"
        log.info("%s: %s (%s)", title, said, verdict.reason)
        self._reporter.say(said)
        return mark


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
        self._listed = reporter.is_visible
        self._unasked = ("skip_unavailable_shards", "true") not in order.request.params

    def paused(self, pause: Wait) -> QueuePosition | None:
        """Do it once for a pause; return how far the job is, if somebody looks and the server says."""
        if pause.accepted_at is not None and (self.mark is None or self.mark.parts != pause.part.count):
            self.mark = PendingJob(pause.accepted_at, pause.part.count)
            pending.leave(self._folder, self.mark)
        if pause.waited >= LONG_WAIT and self.is_disabled():
            log.warning("%s: %s", self._request.title, DISABLED)
            self._reporter.say(DISABLED)
        return self._standing(pause.part)

    def is_disabled(self) -> bool:
        """Ask once whether the server says that exports do not work."""
        unasked, self._unasked = self._unasked, False
        return unasked and not available(self.link)

    def _standing(self, part: Part) -> QueuePosition | None:
        if not self._listed:
            return None
        found = get_queue_position(self.link, self._request.application_id, self._request.query(part))
        self._listed = found is not None  # where it cannot be had once, it is not asked for again
        return found
