"""One export, obtained: out of the store where it is fresh enough, else from the server into the store."""

from __future__ import annotations

import atexit
import logging
import warnings
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from appmetrica_frames.cache.eviction import evict
from appmetrica_frames.cache.policy import check_freshness, check_stale_if_error
from appmetrica_frames.cache.store import Store, drop, is_sound, parquet_path, use
from appmetrica_frames.errors import (
    AppMetricaError,
    CacheWarning,
    DownloadError,
    NotCachedError,
    QuotaExceededError,
    SchemaError,
    SchemaWarning,
    ServerError,
)
from appmetrica_frames.progress import report_progress
from appmetrica_frames.util.clock import SystemClock
from appmetrica_frames.util.durations import format_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from appmetrica_frames.cache.entry import Entry
    from appmetrica_frames.cache.policy import CachePolicy, Freshness
    from appmetrica_frames.progress import ProgressReporter
    from appmetrica_frames.util.clock import Clock

    from .fetch import ExportFetcher
    from .order import Order

log = logging.getLogger("appmetrica_frames")

# Files whose paths were given away, though they could not be stored: they stay until the interpreter goes.
_until_exit = ExitStack()
atexit.register(_until_exit.close)


@dataclass(frozen=True, slots=True)
class Export:
    """A Parquet file, and the columns of it that were asked for, in the order asked."""

    path: Path
    entry: Entry
    fields: tuple[str, ...]


@contextmanager
def obtained(order: Order, *, store: bool = True, clock: Clock | None = None) -> Iterator[Export]:
    """Give the export that answers an order, to be read at once; with ``store=False`` it passes the store by."""
    with ExitStack() as scope:
        yield _obtain(order, scope, clock or SystemClock(), store=store)


def lent(order: Order, *, clock: Clock | None = None) -> Export:
    """Return the export that answers an order, for somebody who reads its file later."""
    return _obtain(order.lending(), _until_exit, clock or SystemClock(), store=True)


def _obtain(order: Order, scope: ExitStack, clock: Clock, *, store: bool) -> Export:
    with report_progress(order.request.title, wanted=order.client.progress) as reporter:
        visit = _Visit(order.at(clock.now()), scope, clock, reporter)
        export = visit.stored_or_fetched() if store else visit.past_the_store()
    _speak_of_text(export, strict=order.strict)
    return export


class _Visit:
    """One call on its way to its export."""

    def __init__(self, order: Order, scope: ExitStack, clock: Clock, reporter: ProgressReporter) -> None:
        self._order = order
        self._scope = scope
        self._clock = clock
        self._reporter = reporter
        self._store = Store(order.client.directory())
        self._unusable: set[str] = set()
        self._missed = ""

    def stored_or_fetched(self) -> Export:
        return self._look_up() or self._fetched()

    def past_the_store(self) -> Export:
        return self._temporary(self._filling())

    def _look_up(
        self, judged: Callable[[float | None, CachePolicy, float], Freshness] = check_freshness
    ) -> Export | None:
        """Return the youngest stored file that the wish accepts and that is, bit for bit, what was stored."""
        order, now = self._order, self._clock.now()
        reason = judged(None, order.wish, now).reason
        for folder, entry in self._store.candidates(order.request, order.client.origin()):
            verdict = judged(entry.built_not_before, order.wish, now)
            reason = verdict.reason
            if not verdict.fresh:
                break  # the youngest comes first
            if entry.generation in self._unusable:
                continue
            use(folder, entry, lend=order.lend)  # before it is looked at: nobody may evict it from now on
            if is_sound(folder, entry):
                log.info("%s: from the store (%s)", order.request.title, reason)
                self._reporter.say(
                    f"from the store, built at most {format_duration(max(0.0, now - entry.built_not_before))} ago"
                )
                return Export(parquet_path(folder, entry), entry, order.request.fields)
            drop(folder, entry)
            self._unusable.add(entry.generation)
        if reason != self._missed:  # it is looked up again once nobody else can fetch it
            log.info("%s: not from the store (%s)", order.request.title, reason)
        self._missed = reason
        return None

    def _fetched(self) -> Export:
        order = self._order
        if order.wish.offline:
            raise NotCachedError(
                f"offline=True, and the store in {self._store.directory} holds no such export of "
                f"{order.request.resource}. Make the same call once without offline."
            )
        order.client.token()  # a missing token is said before a lock is waited for
        filling = self._filling()
        try:
            return self._kept_if_possible(filling)
        except (DownloadError, ServerError, QuotaExceededError) as error:
            return self._stale(error)

    def _kept_if_possible(self, filling: ExportFetcher) -> Export:
        try:
            return self._claimed(filling)
        except AppMetricaError:
            raise  # some of them are an OSError, too
        except OSError as error:
            export = self._temporary(filling)
            warnings.warn(
                f"The store in {self._store.directory} cannot be written to ({error}); this export is not kept. "
                "Free some space, or name another directory with Client(cache_dir=...) or APPMETRICA_CACHE_DIR.",
                CacheWarning,
                stacklevel=2,
            )
            return export

    def _claimed(self, filling: ExportFetcher) -> Export:
        key = self._order.request.key(self._order.client.origin())
        with self._store.claim(key, waiting=self._say_that_another_fetches):
            export = self._look_up() or self._export(*filling.into(self._store))
            use(export.path.parent, export.entry, lend=self._order.lend)
        self._make_room(export)
        return export

    def _say_that_another_fetches(self) -> None:
        said = "another process is fetching the same export; waiting for it"
        log.info("%s: %s", self._order.request.title, said)
        self._reporter.say(said)

    def _make_room(self, export: Export) -> None:
        limit = self._order.client.max_bytes
        if limit is not None:
            with suppress(OSError):  # another time, then
                evict(self._store, max_bytes=limit, now=self._clock.now(), keep=export.path.parent)

    def _stale(self, error: AppMetricaError) -> Export:
        export = self._look_up(check_stale_if_error)
        if export is None:
            raise error
        age = format_duration(max(0.0, self._clock.now() - export.entry.built_not_before))
        warnings.warn(f"{error} A stored file is returned instead, built up to {age} ago.", CacheWarning, stacklevel=2)
        return export

    def _temporary(self, filling: ExportFetcher) -> Export:
        directory = self._scope.enter_context(TemporaryDirectory(prefix="appmetrica_frames-"))
        return self._export(*filling.into(Store(Path(directory))))

    def _filling(self) -> ExportFetcher:
        # Not at the top: a read that the store answers needs neither an HTTP client nor Arrow.
        from .fetch import ExportFetcher

        return ExportFetcher(self._order, clock=self._clock, reporter=self._reporter)

    def _export(self, path: Path, entry: Entry) -> Export:
        return Export(path, entry, self._order.request.fields)


def _speak_of_text(export: Export, *, strict: bool) -> None:
    for column in export.fields:
        said = export.entry.as_text.get(column)
        if said and strict:
            raise SchemaError(f"strict=True: {said}", column=column)
        if said:
            warnings.warn(said, SchemaWarning, stacklevel=2)
