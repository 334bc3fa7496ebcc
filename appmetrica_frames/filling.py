"""One export from the server into the store: the conversation, the pending mark, the file and its date."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from .durations import spoken
from .errors import PreparationTimeoutError, QuotaExceededError
from .flow import Patience
from .freshness import earliest_build, judge
from .management import available, place_in_queue
from .reception import Reception
from .steps import WHOLE
from .store import note_pending, pending
from .transport import Link, fetch

if TYPE_CHECKING:
    from pathlib import Path

    from .clock import Clock
    from .entry import Entry
    from .order import Order
    from .progress import Watcher
    from .standing import Standing
    from .steps import Delivery, Pause
    from .store import Draft, Store

log = logging.getLogger("appmetrica_frames")

LONG_WAIT = 30.0
DISABLED = (
    "AppMetrica says that its Logs API is disabled at the moment. With skip_unavailable_shards=True, an export holds "
    "what is reachable (a loss of at most 1 %)."
)


def fill(order: Order, store: Store, *, clock: Clock, watcher: Watcher) -> tuple[Path, Entry]:
    """Fetch what is ordered, publish it, and return its file and its record."""
    request, client = order.request, order.client
    key = request.key(client.origin())
    resumed = _resumable(order, store.folder(request.resource, key), clock.now(), watcher)
    with (
        store.draft(request.resource, key) as draft,
        Link(client.origin(), client.token(), network_timeout=client.network_timeout, clock=clock) as link,
    ):
        reception = Reception(request, draft, strict=order.strict)
        delivery = _fetched(
            order, reception, _Wait(order, draft.folder, link, watcher), clock, resumed=resumed is not None
        )
        built = earliest_build(order.wish, requested_at=delivery.requested_at, waited=delivery.waited)
        return _published(order, draft, reception, built if resumed is None else resumed, clock.now())


def _fetched(order: Order, reception: Reception, wait: _Wait, clock: Clock, *, resumed: bool) -> Delivery:
    client = order.client
    try:
        return fetch(
            order.request,
            None if resumed else order.wish.cache_control,
            reception.receive,
            link=wait.link,
            patience=Patience(client.prepare_timeout, client.poll, client.retries),
            clock=clock,
            watcher=wait.watcher,
            paused=wait.paused,
        )
    except (PreparationTimeoutError, QuotaExceededError) as error:
        if wait.is_disabled():
            raise type(error)(f"{error} {DISABLED}", status=error.status) from error
        raise


def _published(order: Order, draft: Draft, reception: Reception, built: float, now: float) -> tuple[Path, Entry]:
    request, origin = order.request, order.client.origin()
    return draft.publish(
        built_not_before=built,
        stored_at=now,
        family=request.family(origin),
        origin=origin,
        request=request.described(),
        fields=request.wire_fields,
        limited=request.limited,
        as_text=reception.as_text,
        rows=reception.rows,
    )


def _resumable(order: Order, folder: Path, now: float, watcher: Watcher) -> float | None:
    """Return when the job was asked for that an interrupted call left behind, if its file will be fresh enough.

    That job is asked for without ``Cache-Control``, which would begin it anew.
    """
    requested_at = pending(folder)
    if requested_at is None:
        return None
    verdict = judge(requested_at, order.wish, now)
    log.info("%s: a job is pending (%s)", order.request.title, verdict.reason)
    if not verdict.fresh:
        return None
    watcher.say(f"resuming the job that was asked for {spoken(now - requested_at)} ago")
    return requested_at


class _Wait:
    """What is done while the server prepares a file: leave a mark, look how far it is and whether it works at all."""

    def __init__(self, order: Order, folder: Path, link: Link, watcher: Watcher) -> None:
        self.link = link
        self.watcher = watcher
        self._request = order.request
        self._folder = folder
        self._noted: float | None = pending(folder)
        self._listed = watcher.looks
        self._unasked = ("skip_unavailable_shards", "true") not in order.request.params

    def paused(self, pause: Pause) -> Standing | None:
        """Do it once for a pause; return how far the job is, if somebody looks and the server says."""
        if pause.accepted_at is not None and self._noted is None:
            note_pending(self._folder, pause.accepted_at)
            self._noted = pause.accepted_at
        if pause.waited >= LONG_WAIT and self.is_disabled():
            log.warning("%s: %s", self._request.title, DISABLED)
            self.watcher.say(DISABLED)
        return self._standing()

    def is_disabled(self) -> bool:
        """Ask once whether the server says that exports do not work."""
        unasked, self._unasked = self._unasked, False
        return unasked and not available(self.link)

    def _standing(self) -> Standing | None:
        if not self._listed:
            return None
        found = place_in_queue(self.link, self._request.application_id, self._request.query(WHOLE))
        self._listed = found is not None  # where it cannot be had once, it is not asked for again
        return found
