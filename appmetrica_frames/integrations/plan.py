"""The plan of a call as a frame: a row for each window."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from appmetrica_frames.cache.policy import State

if TYPE_CHECKING:
    from collections.abc import Iterable

    from appmetrica_frames.engine.plan import PlannedWindow

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


def build_frame(windows: Iterable[PlannedWindow]) -> pl.DataFrame:
    """Return the windows of a call as rows, in their order."""
    return pl.DataFrame(list(map(_build_row, windows)), schema=SCHEMA, orient="row")


def _build_row(window: PlannedWindow) -> tuple[Any, ...]:
    dates = dict(window.request.params)
    since, until = (_parse(dates.get(name)) for name in ("date_since", "date_until"))
    state, export = window.freshness.state.value, window.export
    rows, size = (None, None) if export is None else (export.rows, export.size)
    age = None if window.age is None else timedelta(seconds=window.age)
    return window.request.application_id, since, until, state, window.freshness.reason, rows, size, age


def _parse(moment: str | None) -> datetime | None:
    return None if moment is None else datetime.fromisoformat(moment)
