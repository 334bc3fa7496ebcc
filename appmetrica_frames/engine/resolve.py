"""One window, resolved: from the cache where it is fresh enough, else from the server into the cache."""

from __future__ import annotations

import logging
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from appmetrica_frames.cache.eviction import evict
from appmetrica_frames.cache.policy import check_stale_if_error
from appmetrica_frames.cache.store import LocalStore
from appmetrica_frames.errors import (
    AppMetricaError,
    CacheWarning,
    DownloadError,
    NotCachedError,
    PreparationTimeoutError,
    QuotaExceededError,
    ServerError,
)
from appmetrica_frames.progress import NullReporter
from appmetrica_frames.util.caller import warn_caller
from appmetrica_frames.util.durations import format_duration
from appmetrica_frames.util.temporary import make_temporary_directory

from .plan import look_up
from .schedule import MAX_WINDOWS_AHEAD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    import pyarrow as pa

    from appmetrica_frames.cache.entry import CachedExport
    from appmetrica_frames.cache.policy import CachePolicy, FileTimes, Freshness
    from appmetrica_frames.progress import ProgressReporter

    from .context import Call
    from .fetch import ExportFetcher
    from .plan import Window

log = logging.getLogger("appmetrica_frames")


class _LockTimeoutError(PreparationTimeoutError):
    """Another process fetches the export, and does not come to an end."""


@dataclass(frozen=True, slots=True)
class ResolvedExport:
    """A cached export, and the columns that the call wants, in that order.

    Attributes
    ----------
    missing
        Columns that the server rejects: they are null.
    as_text
        Columns that fit their type here and not in another window of the call: all of the result has them as text.
    """

    cached: CachedExport
    fields: tuple[str, ...]
    missing: Mapping[str, pa.DataType] = field(default_factory=dict)
    as_text: frozenset[str] = frozenset()

    @property
    def present(self) -> list[str]:
        """The columns that the file has."""
        return [name for name in self.fields if name not in self.missing]

    @property
    def path(self) -> Path:
        """The Parquet file."""
        return self.cached.path


class ExportResolver:
    """Resolves one window of one call.

    Attributes
    ----------
    failure
        The error in place of which a cached file was returned that is too old, if there was one.
    """

    def __init__(self, window: Window, call: Call) -> None:
        self._window = window
        self.failure: AppMetricaError | None = None
        self._call = call
        self._options = call.options
        self._clock = call.clock
        self._store = call.store
        self._reporter: ProgressReporter = NullReporter()
        self._unusable: set[str] = set()
        self._logged_reason = ""

    def find(self, reporter: ProgressReporter) -> ResolvedExport | None:
        """Return the export if the cache has it and the policy accepts it."""
        self._reporter = reporter
        export = self._find() if self._options.cache else None
        if export is not None:
            self._hand_over(export)
        return export

    def fetch(self, reporter: ProgressReporter) -> ResolvedExport:
        """Return the export from the server, or from whoever fetches it at the same time."""
        self._reporter = reporter
        export = self._fetch()
        self._hand_over(export)
        return export

    def _hand_over(self, export: ResolvedExport) -> None:
        if self._call.on_window is not None:
            self._call.on_window(self._window, export)

    def _fetch(self) -> ResolvedExport:
        if not self._options.cache:
            return self._fetch_without_cache(self._fetcher())
        settings = self._options.settings
        if self._options.policy.offline:
            raise NotCachedError(
                f"offline=True, and the cache in {settings.cache_directory} has no such export of "
                f"{self._window.request.resource}. Make the same call once without offline."
            )
        settings.token()  # a missing token is reported before a lock is waited for
        fetcher = self._fetcher()
        try:
            return self._fetch_into_cache(fetcher)
        except (DownloadError, ServerError, QuotaExceededError, _LockTimeoutError) as error:
            self._call.interruption.check()  # otherwise that may be why it failed
            return self.fall_back(error)

    def fall_back(self, error: AppMetricaError) -> ResolvedExport:
        """Return the cached file that `stale_if_error` allows; raise the error if there is none."""
        export = self._find(check_stale_if_error)
        if export is None:
            raise error
        self.failure = error
        age = format_duration(max(0.0, self._clock.now() - export.cached.times.built_not_before))
        warn_caller(f"{error} A cached file is returned instead, built up to {age} ago.", CacheWarning)
        return export

    @property
    def _title(self) -> str:
        return self._window.request.title

    def _find(
        self, check: Callable[[FileTimes | None, CachePolicy, float], Freshness] | None = None
    ) -> ResolvedExport | None:
        """Return the youngest cached export that the policy accepts and that is, bit for bit, what was fetched."""
        while True:
            now = self._clock.now()
            found = look_up(self._window, self._options, self._store, now, check=check, unusable=self._unusable)
            if found.export is None:
                self._log_miss(found.reason)
                return None
            # It is touched before it is checked: from now on nobody evicts it.
            self._store.touch(found.export, lease=self._options.lease)
            if self._store.check(found.export, lease=self._options.lease):
                self._report_hit(found.export, found.reason, now)
                return self._resolved(found.export)
            self._store.discard_damaged(found.export)
            self._unusable.add(found.export.version)

    def _report_hit(self, export: CachedExport, reason: str, now: float) -> None:
        log.info("%s: from the cache (%s)", self._title, reason)
        age = format_duration(max(0.0, now - export.times.built_not_before))
        self._reporter.message(f"from the cache, built at most {age} ago")

    def _log_miss(self, reason: str) -> None:
        if reason != self._logged_reason:  # the look-up is repeated once nobody else can fetch the export
            log.info("%s: not from the cache (%s)", self._title, reason)
        self._logged_reason = reason

    def _fetch_into_cache(self, fetcher: ExportFetcher) -> ResolvedExport:
        try:
            return self._fetch_locked(fetcher)
        except AppMetricaError:
            raise  # some of them are an OSError, too
        except OSError as error:
            export = self._fetch_without_cache(fetcher)
            warn_caller(
                f"The cache in {self._store.directory} cannot be written to ({error}); this export is not kept. "
                "Free some space, or name another directory with Client(cache_dir=...) or APPMETRICA_CACHE_DIR.",
                CacheWarning,
            )
            return export

    def _fetch_locked(self, fetcher: ExportFetcher) -> ResolvedExport:
        key = self._window.request.key(self._options.settings.origin)
        with self._lock(key):
            export = self._find() or self._resolved(fetcher.fetch(self._store))
            self._store.touch(export.cached, lease=self._options.lease)
        self._make_room()
        return export

    @contextmanager
    def _lock(self, key: str) -> Iterator[None]:
        """Hold the right to fetch the export; a process that holds it for too long counts as a busy server."""
        # A process that fetches a range holds locks of windows that it has queued behind others.
        patience = MAX_WINDOWS_AHEAD if self._call.is_range else 1
        timeout = patience * self._options.settings.client.prepare_timeout
        with ExitStack() as scope:
            try:
                scope.enter_context(
                    self._store.lock(
                        key, timeout=timeout, on_wait=self._report_lock, check=self._call.interruption.check
                    )
                )
            except TimeoutError as error:
                raise _LockTimeoutError(
                    f"Another process has been fetching the same export for {format_duration(timeout)}. Make the same "
                    "call again later, or wait longer with Client(prepare_timeout=...)."
                ) from error
            yield

    def _report_lock(self) -> None:
        message = "another process is fetching the same export; waiting for it"
        log.info("%s: %s", self._title, message)
        self._reporter.message(message)

    def _make_room(self) -> None:
        limit = self._options.settings.client.max_bytes
        if limit is not None:
            with suppress(OSError):  # another time, then
                # The set itself and no copy: other threads add what they have fetched meanwhile.
                evict(self._store, max_bytes=limit, now=self._clock.now(), keep=self._call.folders)

    def _fetch_without_cache(self, fetcher: ExportFetcher) -> ResolvedExport:
        directory = make_temporary_directory(self._call.scope)
        return self._resolved(fetcher.fetch(LocalStore(directory)))

    def _fetcher(self) -> ExportFetcher:
        # Not at the top: a read that the cache answers needs neither an HTTP client nor Arrow.
        from .fetch import ExportFetcher

        return ExportFetcher(self._window, self._call, reporter=self._reporter)

    def _resolved(self, export: CachedExport) -> ResolvedExport:
        self._call.folders.add(export.path.parent)
        request = self._options.request  # as the call wants it: the window's may do without rejected fields
        missing = {name: request.arrow_type(name) for name in request.fields if name not in export.fields}
        return ResolvedExport(export, request.fields, missing)
