"""Which exports a call needs, and which of them the cache already has.

A call is a plan of windows: one for its whole range of dates, or with `split` one for each day, week or month; for each
application.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import inf
from typing import TYPE_CHECKING

from appmetrica_frames.cache.policy import check_freshness, settling_time
from appmetrica_frames.errors import ExportWindow
from appmetrica_frames.request.windows import split_request, window_end

from .zones import find_known_zone

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from appmetrica_frames.cache.entry import CachedExport
    from appmetrica_frames.cache.policy import CachePolicy, FileTimes, Freshness
    from appmetrica_frames.cache.store import ExportStore
    from appmetrica_frames.request.export import ExportRequest

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


def plan_windows(options: ReadOptions, rejected: Collection[str] = ()) -> tuple[Window, ...]:
    """Return the windows of a call, in the order of their rows in the result.

    `rejected` are fields that the server is known to reject: a call that names no fields does without them.
    """
    return tuple(window for request in options.requests for window in _split(options, request, rejected))


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


def _split(options: ReadOptions, request: ExportRequest, rejected: Collection[str]) -> list[Window]:
    wanted = request.without(rejected) if options.all_fields and rejected else request
    if options.split is None:
        return [Window(wanted)]
    zone = find_known_zone(options.settings, request.application_id, cache=options.cache)
    by_receive_time = ("date_dimension", "receive") in request.params
    return [
        Window(window, settling_time(window_end(window, zone), options.lookback, by_receive_time=by_receive_time))
        for window in split_request(wanted, options.split)
    ]
