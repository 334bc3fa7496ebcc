"""The plan of a call as a frame, or what was done: a row for each window."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from appmetrica_frames.cache.policy import State

if TYPE_CHECKING:
    from collections.abc import Iterable

    from appmetrica_frames.cache.policy import FileTimes, Freshness
    from appmetrica_frames.engine.plan import PlannedWindow
    from appmetrica_frames.engine.sync import SyncedWindow
    from appmetrica_frames.request.export import ExportRequest

SCHEMA: dict[str, pl.DataType] = {
    "application_id": pl.UInt64(),
    "since": pl.Datetime("us"),
    "until": pl.Datetime("us"),
    "state": pl.Enum([state.value for state in State]),
    "reason": pl.String(),
    "rows": pl.UInt64(),
    "bytes": pl.UInt64(),
    "age": pl.Duration("us"),
}
SYNC_SCHEMA: dict[str, pl.DataType] = {
    **SCHEMA,
    "action": pl.Enum(["written", "kept", "would write"]),
    "path": pl.String(),
}


def build_frame(windows: Iterable[PlannedWindow]) -> pl.DataFrame:
    """Return the windows of a call as rows, in their order."""
    return pl.DataFrame(list(map(_build_row, windows)), schema=SCHEMA, orient="row")


def build_sync_frame(windows: Iterable[SyncedWindow]) -> pl.DataFrame:
    """Return the windows of a sync as rows, in their order."""
    return pl.DataFrame(list(map(_build_sync_row, windows)), schema=SYNC_SCHEMA, orient="row")


def _build_row(window: PlannedWindow) -> tuple[Any, ...]:
    export = window.export
    rows, size = (None, None) if export is None else (export.rows, export.size)
    age = None if window.age is None else timedelta(seconds=window.age)
    return *_describe(window.request, window.freshness), rows, size, age


def _build_sync_row(window: SyncedWindow) -> tuple[Any, ...]:
    file = window.file
    rows, size, age = (None, None, None) if file is None else (file.rows, file.size, _age(file.times, window.now))
    return *_describe(window.request, window.freshness), rows, size, age, window.action, window.path


def _age(times: FileTimes, now: float) -> timedelta:
    return timedelta(seconds=max(0.0, now - times.built_not_before))


def _describe(request: ExportRequest, freshness: Freshness) -> tuple[Any, ...]:
    dates = dict(request.params)
    since, until = (_parse(dates.get(name)) for name in ("date_since", "date_until"))
    return request.application_id, since, until, freshness.state.value, freshness.reason


def _parse(moment: str | None) -> datetime | None:
    return None if moment is None else datetime.fromisoformat(moment)
