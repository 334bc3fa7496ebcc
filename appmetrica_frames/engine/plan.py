"""Which exports a call needs, and which of them the cache already has.

A call is a plan of windows; for now of one, which is its whole range of dates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from appmetrica_frames.cache.policy import check_freshness

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from appmetrica_frames.cache.entry import CachedExport
    from appmetrica_frames.cache.policy import CachePolicy, FileTimes, Freshness
    from appmetrica_frames.cache.store import ExportStore
    from appmetrica_frames.request.export import ExportRequest

    from .options import ReadOptions


@dataclass(frozen=True, slots=True)
class Window:
    """One export of a call: what is requested of the server as one file."""

    request: ExportRequest


@dataclass(frozen=True, slots=True)
class LookUp:
    """What the cache has for a window: the export that may be returned, if any, and why."""

    export: CachedExport | None
    reason: str


def plan_windows(options: ReadOptions, rejected: Collection[str] = ()) -> tuple[Window, ...]:
    """Return the windows of a call, in the order of their rows in the result.

    `rejected` are fields that the server is known to reject: a call that names no fields does without them.
    """
    request = options.request.without(rejected) if options.all_fields and rejected else options.request
    return (Window(request),)


def look_up(
    window: Window,
    options: ReadOptions,
    store: ExportStore,
    now: float,
    *,
    check: Callable[[FileTimes | None, CachePolicy, float], Freshness] = check_freshness,
    unusable: Collection[str] = (),
) -> LookUp:
    """Return the youngest cached export that the policy accepts; `unusable` versions are passed over."""
    usable = [
        export for export in store.find(window.request, options.settings.origin) if export.version not in unusable
    ]
    reasons = []
    for export in usable:
        freshness = check(export.times, options.policy, now)
        if freshness.is_fresh:
            return LookUp(export, freshness.reason)
        reasons.append(freshness.reason)
    # The youngest comes first, and says best what is missing.
    return LookUp(None, reasons[0] if reasons else check(None, options.policy, now).reason)
