"""The windows of a range: those that the cache has, and the rest from the server, several at a time."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from appmetrica_frames.errors import IncompleteExportError, NotCachedError
from appmetrica_frames.progress import NullReporter, report_range
from appmetrica_frames.util.caller import warn_caller

from .interruption import InterruptibleClock, Interruption
from .resolve import ExportResolver
from .workers import MAX_FAILURES, Task, Workers

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from appmetrica_frames.errors import AppMetricaError, ExportWindow
    from appmetrica_frames.progress import ProgressReporter, RangeReporter
    from appmetrica_frames.util.caller import Warned

    from .context import Call
    from .plan import Window
    from .resolve import ResolvedExport

MAX_LISTED = 5  # windows in a message, or warnings of a kind


def resolve_range(windows: Sequence[Window], call: Call) -> list[ResolvedExport]:
    """Return the export of each window, in their order.

    Raises
    ------
    IncompleteExportError
        If some of the windows failed; the others are in the cache.
    KeyboardInterrupt
        With a text that says how far the range is.
    """
    interruption = Interruption()  # a call can be repeated, without a field that the server rejects
    clock = InterruptibleClock(call.clock, interruption)
    call = replace(call, is_range=True, interruption=interruption, clock=clock)
    with report_range(_title(call), windows=len(windows), wanted=call.options.settings.client.progress) as reporter:
        return _RangeResolver(windows, call, reporter).resolve()


class _RangeResolver:
    """Resolves the windows of a range."""

    def __init__(self, windows: Sequence[Window], call: Call, reporter: RangeReporter) -> None:
        self._windows = {window.dates: window for window in windows}
        self._call = call
        self._reporter = reporter
        self._exports: dict[ExportWindow, ResolvedExport] = {}
        self._outages = {window.request.application_id: _Outage() for window in windows}

    def resolve(self) -> list[ResolvedExport]:
        try:
            self._fetch(self._find_missing())
        except KeyboardInterrupt:
            raise KeyboardInterrupt(self._describe_progress()) from None
        return [self._exports[dates] for dates in self._windows]

    def _find_missing(self) -> dict[ExportWindow, ExportResolver]:
        """Look all windows up in the cache; return the resolvers of those that it does not have."""
        missing = {}
        for dates, window in self._windows.items():
            resolver = ExportResolver(window, self._call)
            export = resolver.find(NullReporter())
            if export is None:
                missing[dates] = resolver
            else:
                self._exports[dates] = export
                self._reporter.finish_window(None, cached=True)
        return missing

    def _fetch(self, missing: dict[ExportWindow, ExportResolver]) -> None:
        if not missing:
            return
        self._check_may_fetch(missing)
        tasks = [self._build_task(dates, resolver) for dates, resolver in missing.items()]
        outcomes = Workers(tasks, self._call.interruption).run()
        results = zip(missing, outcomes, strict=True)
        failed = {dates: outcome.error for dates, outcome in results if outcome.error is not None}
        try:
            _warn([warned for outcome in outcomes for warned in outcome.warnings])
        except Warning:  # made an error by a filter: it must not hide the failure
            if not failed:
                raise
        if failed:
            raise self._build_error(failed)

    def _check_may_fetch(self, missing: Iterable[ExportWindow]) -> None:
        options = self._call.options
        if options.policy.offline:
            raise NotCachedError(
                f"offline=True, and {self._describe_progress()} in {options.settings.cache_directory}; missing: "
                f"{self._list(missing)}. Make the same call once without offline."
            )
        options.settings.token()  # a missing token is reported once, and not by each thread

    def _build_task(self, dates: ExportWindow, resolver: ExportResolver) -> Task[ResolvedExport]:
        def run() -> ResolvedExport:
            reporter = self._reporter.open_window(self._describe(dates))
            try:
                export = self._outages[dates.application_id].resolve(resolver, reporter)
            except BaseException:
                if not self._call.interruption.is_stopped:
                    self._reporter.fail_window(reporter)
                raise
            self._exports[dates] = export
            self._reporter.finish_window(reporter, cached=False)
            return export

        return Task(dates.application_id, run)

    def _build_error(self, failed: dict[ExportWindow, AppMetricaError]) -> IncompleteExportError:
        completed = tuple(dates for dates in self._windows if dates in self._exports)
        not_tried = tuple(dates for dates in self._windows if dates not in self._exports and dates not in failed)
        first = next(iter(failed.values()))
        causes = "; ".join(
            f"{self._describe(dates)}: {type(error).__name__}: {error}" for dates, error in failed.items()
        )
        untried = f" {len(not_tried)} were not tried after that." if not_tried else ""
        error = IncompleteExportError(
            f"{len(failed)} of {len(self._windows)} windows failed ({causes}).{untried} {self._describe_progress()}: "
            "make the same call again, and it fetches only the rest.",
            status=first.status,
            completed=completed,
            failed=failed,
            not_tried=not_tried,
        )
        error.__cause__ = first
        return error

    def _describe_progress(self) -> str:
        kept = "in the cache" if self._call.options.cache else "done"
        return f"{len(self._exports)} of {len(self._windows)} windows are {kept}"

    def _list(self, windows: Iterable[ExportWindow]) -> str:
        named = [self._describe(dates) for dates in windows]
        more = f" and {len(named) - MAX_LISTED} more" if len(named) > MAX_LISTED else ""
        return ", ".join(named[:MAX_LISTED]) + more

    def _describe(self, dates: ExportWindow) -> str:
        of_application = f"application {dates.application_id}"
        period = self._windows[dates].request.period
        if not period or len(self._call.options.requests) == 1:
            return period or of_application
        return f"{period} of {of_application}"


class _Outage:
    """Has a server that fails again and again asked no more: the files that `stale_if_error` allows are returned."""

    def __init__(self) -> None:
        self._failures: list[AppMetricaError] = []  # in a row

    def resolve(self, resolver: ExportResolver, reporter: ProgressReporter) -> ResolvedExport:
        failures = self._failures.copy()  # other threads change them
        if len(failures) >= MAX_FAILURES:
            return resolver.fall_back(failures[-1])
        export = resolver.fetch(reporter)
        if resolver.failure is None:
            self._failures.clear()
        else:
            self._failures.append(resolver.failure)
        return export


def _warn(warned: Sequence[Warned]) -> None:
    """Issue the warnings of all windows, each once, and of one kind only some: they tell of hundreds of windows."""
    issued: Counter[type[Warning]] = Counter()
    for message, category in dict.fromkeys(warned):
        issued[category] += 1
        if issued[category] <= MAX_LISTED:
            warn_caller(message, category)
    for category, number in issued.items():
        if number > MAX_LISTED:
            warn_caller(f"There were {number - MAX_LISTED} more such warnings for other windows.", category)


def _title(call: Call) -> str:
    first, count = call.options.request, len(call.options.requests)
    if count == 1:
        return first.title
    return ", ".join(filter(None, [f"{first.resource} of {count} applications", first.period]))
