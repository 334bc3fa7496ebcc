"""One window, resolved: from the cache where it is fresh enough, else from the server into the cache."""

from __future__ import annotations

import atexit
import logging
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from appmetrica_frames.cache.eviction import evict
from appmetrica_frames.cache.policy import check_freshness, check_stale_if_error
from appmetrica_frames.cache.store import LocalStore
from appmetrica_frames.errors import (
    AppMetricaError,
    CacheWarning,
    DownloadError,
    NotCachedError,
    PreparationTimeoutError,
    QuotaExceededError,
    RequestRejectedError,
    SchemaError,
    SchemaWarning,
    ServerError,
)
from appmetrica_frames.progress import report_progress
from appmetrica_frames.schema import catalog
from appmetrica_frames.util.caller import warn_caller
from appmetrica_frames.util.clock import SystemClock
from appmetrica_frames.util.durations import format_duration
from appmetrica_frames.util.temporary import make_temporary_directory

from .plan import look_up, plan_windows
from .schedule import run_schedule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from appmetrica_frames.cache.entry import CachedExport
    from appmetrica_frames.cache.policy import CachePolicy, FileTimes, Freshness
    from appmetrica_frames.progress import ProgressReporter
    from appmetrica_frames.request.export import ExportRequest
    from appmetrica_frames.util.clock import Clock

    from .fetch import ExportFetcher
    from .options import ReadOptions
    from .plan import Window

log = logging.getLogger("appmetrica_frames")

Result = TypeVar("Result")

ATTEMPTS = 3  # to open a file that other processes keep removing


class _LockTimeoutError(PreparationTimeoutError):
    """Another process fetches the export, and does not come to an end."""


@dataclass(frozen=True, slots=True)
class ResolvedExport:
    """A cached export, and the columns that the call wants, in that order.

    Attributes
    ----------
    missing
        Columns that the server rejects: they are null.
    """

    cached: CachedExport
    fields: tuple[str, ...]
    missing: Mapping[str, pa.DataType] = field(default_factory=dict)

    @property
    def present(self) -> list[str]:
        """The columns that the file has."""
        return [name for name in self.fields if name not in self.missing]

    @property
    def path(self) -> Path:
        """The Parquet file."""
        return self.cached.path


@contextmanager
def open_exports(options: ReadOptions, *, clock: Clock | None = None) -> Iterator[list[ResolvedExport]]:
    """Yield the exports of a call, in the order of their rows, to be read at once."""
    with ExitStack() as scope:
        yield _resolve(options, scope, clock or SystemClock())


def lease_exports(options: ReadOptions, *, clock: Clock | None = None) -> list[ResolvedExport]:
    """Return the exports of a call, in the order of their rows, whose files are read later by their paths."""
    return _resolve(options.leasing(), _until_exit, clock or SystemClock())


def retry_if_evicted(attempt: Callable[[], Result]) -> Result:
    """Try again if another process removes the file between its look-up and its opening."""
    for _ in range(ATTEMPTS - 1):
        with suppress(FileNotFoundError):
            return attempt()
    try:
        return attempt()
    except FileNotFoundError as error:
        raise DownloadError(
            f"Other processes keep removing the export before it can be read ({error}). Make the same call again, "
            "with another cache_dir or a larger max_bytes."
        ) from error


def _resolve(options: ReadOptions, scope: ExitStack, clock: Clock) -> list[ResolvedExport]:
    dated = options.at(clock.now())
    memory = LocalStore(options.settings.cache_directory).rejected_fields(
        options.request.resource, options.settings.origin
    )
    rejected = memory.load(clock.now(), any_age=options.policy.offline) if options.cache else frozenset()
    while True:
        try:
            exports = _resolve_windows(dated, rejected, scope, clock)
        except RequestRejectedError as error:
            newly = rejected_fields(error, dated, rejected)
            if not newly:
                raise
            rejected |= newly
            if options.cache:
                memory.add(newly, clock.now())
        else:
            break
    _report_columns(exports, strict=options.strict)
    return exports


def _resolve_windows(
    options: ReadOptions, rejected: frozenset[str], scope: ExitStack, clock: Clock
) -> list[ResolvedExport]:
    def resolve(window: Window) -> ResolvedExport:
        title, wanted = window.request.title, options.settings.client.progress
        with report_progress(title, wanted=wanted) as reporter:
            return ExportResolver(window, options, scope, clock, reporter).resolve()

    return run_schedule(plan_windows(options, rejected), resolve)


def rejected_fields(error: RequestRejectedError, options: ReadOptions, known: frozenset[str]) -> frozenset[str]:
    """Return the fields that the server rejects and that the call did not name: it can do without them."""
    documented = frozenset(options.request.fields) - frozenset(options.request.overrides)
    newly = documented.intersection(error.fields) - known
    return newly if options.all_fields and documented - known - newly else frozenset()


class ExportResolver:
    """Resolves one window of one call."""

    def __init__(
        self, window: Window, options: ReadOptions, scope: ExitStack, clock: Clock, reporter: ProgressReporter
    ) -> None:
        self._window = window
        self._options = options
        self._scope = scope
        self._clock = clock
        self._reporter = reporter
        self._store = LocalStore(options.settings.cache_directory)
        self._unusable: set[str] = set()
        self._logged_reason = ""

    def resolve(self) -> ResolvedExport:
        """Return the export, from the cache or the server."""
        if not self._options.cache:
            return self._fetch_without_cache(self._fetcher())
        return self._find() or self._fetch()

    @property
    def _title(self) -> str:
        return self._window.request.title

    def _find(
        self, check: Callable[[FileTimes | None, CachePolicy, float], Freshness] = check_freshness
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

    def _fetch(self) -> ResolvedExport:
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
            return self._fall_back(error)

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
        self._make_room(export)
        return export

    @contextmanager
    def _lock(self, key: str) -> Iterator[None]:
        """Hold the right to fetch the export; a process that holds it for too long counts as a busy server."""
        timeout = self._options.settings.client.prepare_timeout
        with ExitStack() as scope:
            try:
                scope.enter_context(self._store.lock(key, timeout=timeout, on_wait=self._report_lock))
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

    def _make_room(self, export: ResolvedExport) -> None:
        limit = self._options.settings.client.max_bytes
        if limit is not None:
            with suppress(OSError):  # another time, then
                evict(self._store, max_bytes=limit, now=self._clock.now(), keep=export.path.parent)

    def _fall_back(self, error: AppMetricaError) -> ResolvedExport:
        export = self._find(check_stale_if_error)
        if export is None:
            raise error
        age = format_duration(max(0.0, self._clock.now() - export.cached.times.built_not_before))
        warn_caller(f"{error} A cached file is returned instead, built up to {age} ago.", CacheWarning)
        return export

    def _fetch_without_cache(self, fetcher: ExportFetcher) -> ResolvedExport:
        directory = make_temporary_directory(self._scope)
        return self._resolved(fetcher.fetch(LocalStore(directory)))

    def _fetcher(self) -> ExportFetcher:
        # Not at the top: a read that the cache answers needs neither an HTTP client nor Arrow.
        from .fetch import ExportFetcher

        return ExportFetcher(self._window, self._options, clock=self._clock, reporter=self._reporter)

    def _resolved(self, export: CachedExport) -> ResolvedExport:
        request = self._options.request
        missing = [name for name in request.fields if name not in export.fields]
        return ResolvedExport(export, request.fields, _null_columns(request, missing) if missing else {})


def _null_columns(request: ExportRequest, names: list[str]) -> dict[str, pa.DataType]:
    from appmetrica_frames.schema.types import get_arrow_type

    resource = catalog.resource(request.resource)
    return {name: request.overrides.get(name, get_arrow_type(resource.wire_type(name))) for name in names}


def _report_columns(exports: Sequence[ResolvedExport], *, strict: bool) -> None:
    """Warn once of null columns, and of each column that is kept as text."""
    missing = list(dict.fromkeys(name for export in exports for name in export.missing))
    if missing:
        resource = exports[0].cached.resource
        warn_caller(
            f"The server rejects {', '.join(map(repr, missing))}, which the documentation of {resource} names: null "
            "here. Name the fields that you need with fields=[...].",
            SchemaWarning,
        )
    for export in exports:
        _report_text_columns(export, strict=strict)


def _report_text_columns(export: ResolvedExport, *, strict: bool) -> None:
    for column in export.fields:
        reason = export.cached.text_columns.get(column)
        if reason and strict:
            raise SchemaError(f"strict=True: {reason}", column=column)
        if reason:
            warn_caller(reason, SchemaWarning)


# Files whose paths were handed out although they could not be cached: they stay until the interpreter exits.
_until_exit = ExitStack()
atexit.register(_until_exit.close)
