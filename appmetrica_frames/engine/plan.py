"""Which exports a call needs, and which of them the cache already has.

A call is a plan of windows: one for its whole range of dates, or with `split` one for each day, week or month; for each
application.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from math import inf
from typing import TYPE_CHECKING

from appmetrica_frames.cache.policy import Freshness, State, check_freshness, settling_time
from appmetrica_frames.cache.store import LocalStore, load_pending_job
from appmetrica_frames.errors import ExportWindow
from appmetrica_frames.request.windows import split_request, window_end
from appmetrica_frames.util.clock import SystemClock
from appmetrica_frames.util.durations import format_duration

from .zones import find_known_zone

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from appmetrica_frames.cache.entry import CachedExport
    from appmetrica_frames.cache.policy import CachePolicy, FileTimes
    from appmetrica_frames.cache.store import ExportStore
    from appmetrica_frames.request.export import ExportRequest
    from appmetrica_frames.util.clock import Clock

    from .options import ReadOptions


@dataclass(frozen=True, slots=True)
class Window:
    """One export of a call: what is requested of the server as one file.

    Attributes
    ----------
    settled_at
        The instant, in UNIX seconds, from which a file of the window is final.
    """

    request: ExportRequest
    settled_at: float = inf

    def without(self, names: Collection[str]) -> Window:
        """Return the window without some of its fields."""
        return replace(self, request=self.request.without(names))

    @property
    def dates(self) -> ExportWindow:
        """The application and the dates, which tell the windows of a call apart."""
        params = dict(self.request.params)
        return ExportWindow(self.request.application_id, params.get("date_since", ""), params.get("date_until", ""))


@dataclass(frozen=True, slots=True)
class LookUp:
    """What the cache has for a window: the youngest export that may be returned, or else the youngest, and why.

    Attributes
    ----------
    export
        The export that may be returned, if there is one.
    stale
        Otherwise the youngest of those that may not be.
    """

    freshness: Freshness
    export: CachedExport | None = None
    stale: CachedExport | None = None

    @property
    def reason(self) -> str:
        """Why the export may be returned, or why there is none."""
        return self.freshness.reason


@dataclass(frozen=True, slots=True)
class PlannedWindow:
    """One export of a call that is not made: whether the cache would answer, and why.

    Attributes
    ----------
    export
        The file that would be returned, or else the youngest that is too old, if there is one.
    age
        The seconds since that file was built, at the most.
    """

    request: ExportRequest
    freshness: Freshness
    export: CachedExport | None = None
    age: float | None = None


def plan_windows(options: ReadOptions) -> list[Window]:
    """Return the windows of a call, in the order of their rows in the result."""
    return [window for request in options.requests for window in _split(options, request)]


def leave_out_rejected(windows: Sequence[Window], options: ReadOptions, rejected: Collection[str]) -> list[Window]:
    """Return windows without the fields that the server is known to reject, if the call names no fields."""
    if not (rejected and options.all_fields):
        return list(windows)
    return [window.without(rejected) for window in windows]


def look_up(
    window: Window,
    options: ReadOptions,
    store: ExportStore,
    now: float,
    *,
    check: Callable[[FileTimes | None, CachePolicy, float], Freshness] | None = None,
    unusable: Collection[str] = (),
) -> LookUp:
    """Return the youngest cached export that the policy accepts; `unusable` versions are passed over.

    Parameters
    ----------
    check
        Decides whether a file may be returned. Default: whether it is fresh.
    """
    check = check or partial(check_freshness, settled_at=window.settled_at)
    usable = [
        export for export in store.find(window.request, options.settings.origin) if export.version not in unusable
    ]
    stale = []
    for export in usable:
        freshness = check(export.times, options.policy, now)
        if freshness.is_fresh:
            return LookUp(freshness, export)
        stale.append(LookUp(freshness, stale=export))
    # The youngest comes first, and says best what is missing.
    return stale[0] if stale else LookUp(check(None, options.policy, now))


def plan_exports(options: ReadOptions, *, clock: Clock | None = None) -> list[PlannedWindow]:
    """Return what a call would find in the cache and what it would fetch; nothing is sent, and nothing is written."""
    now = (clock or SystemClock()).now()
    store = LocalStore(options.settings.cache_directory, read_only=True)
    memory = store.rejected_fields(options.request.resource, options.settings.origin)
    rejected = memory.load(now, any_age=options.policy.offline)
    options = options.at(now)
    windows = leave_out_rejected(plan_windows(options), options, rejected)
    return [_plan_window(window, options, store, now) for window in windows]


def _plan_window(window: Window, options: ReadOptions, store: LocalStore, now: float) -> PlannedWindow:
    found = _look_up_whole(window, options, store, now)
    export = found.export or found.stale
    age = None if export is None else max(0.0, now - export.times.built_not_before)
    pending = None if found.freshness.is_fresh else _check_pending(window, options, store, now)
    return PlannedWindow(window.request, pending or found.freshness, export, age)


def _look_up_whole(window: Window, options: ReadOptions, store: LocalStore, now: float) -> LookUp:
    """Look up a window; files that are gone, or not of their size, are passed over as a read would do."""
    unusable: set[str] = set()
    while True:
        found = look_up(window, options, store, now, unusable=unusable)
        export = found.export or found.stale
        if export is None and unusable:
            return LookUp(Freshness(State.MISSING, "the cached file is damaged or gone"))
        if export is None or _has_its_size(export):
            return found
        unusable.add(export.version)


def _has_its_size(export: CachedExport) -> bool:
    try:
        return export.path.stat().st_size == export.size
    except OSError:
        return False


def _check_pending(window: Window, options: ReadOptions, store: LocalStore, now: float) -> Freshness | None:
    """Return since when the server prepares a window, if a call that was interrupted has requested it."""
    if options.policy.offline:
        return None
    job = load_pending_job(store.folder(window.request, options.settings.origin))
    if job is None or not job.is_resumable(now):
        return None
    return Freshness(
        State.PENDING, f"requested {format_duration(now - job.requested_at)} ago; the same call resumes it"
    )


def _split(options: ReadOptions, request: ExportRequest) -> list[Window]:
    if options.split is None:
        return [Window(request)]
    zone = find_known_zone(options.settings, request.application_id, cache=options.cache)
    by_receive_time = ("date_dimension", "receive") in request.params
    return [
        Window(window, settling_time(window_end(window, zone), options.lookback, by_receive_time=by_receive_time))
        for window in split_request(request, options.split)
    ]
