"""The cache as a frame: a row for each cached export and for each pending job."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from appmetrica_frames.request.export import MAX_ID_DIGITS, RESERVED_PARAMETERS
from appmetrica_frames.schema import catalog

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from .entry import CachedExport, PendingExport
    from .store import LocalStore

UINT64_END = 1 << 64
CACHED, PENDING = "cached", "pending"
OPTIONS = ("date_dimension", "limit", "skip_unavailable_shards", "wire_format")
USUAL = {"date_dimension=default", "wire_format=csv"}
NO_FILTERS = RESERVED_PARAMETERS | {"resource", "wire_format"}


def build_rows(store: LocalStore, resource: str | None, now: float) -> list[dict[str, Any]]:
    """Return the exports, the latest fetched first, and then the jobs, the latest requested first."""
    name = None if resource is None else catalog.resource(resource).name
    exports = sorted(store.exports(name), key=lambda export: export.fetched_at, reverse=True)
    pending = sorted(store.pending_exports(name, now), key=lambda export: export.job.requested_at, reverse=True)
    return [_build_cached_row(export, now) for export in exports] + [_build_job_row(job, now) for job in pending]


def build_frame(store: LocalStore, resource: str | None, now: float) -> pl.DataFrame:
    """Return the same as a frame."""
    import polars as pl

    from appmetrica_frames.util.whole_frame import Listing

    schema = {
        "key": pl.String(),
        "resource": pl.String(),
        "application_id": pl.UInt64(),
        "since": pl.Datetime("us"),
        "until": pl.Datetime("us"),
        "state": pl.Enum([CACHED, PENDING]),
        "rows": pl.UInt64(),
        "bytes": pl.UInt64(),
        "age": pl.Duration("us"),
        "fields": pl.List(pl.String()),
        "filters": pl.List(pl.String()),
        "options": pl.List(pl.String()),
        "fetched_at": pl.Datetime("us", "UTC"),
        "path": pl.String(),
    }
    return Listing(build_rows(store, resource, now), schema=schema)


def _build_cached_row(export: CachedExport, now: float) -> dict[str, Any]:
    return {
        **_describe(export.request),
        "resource": export.resource,
        "state": CACHED,
        "rows": export.rows,
        "bytes": export.size,
        "age": _age(export.built_not_before.timestamp(), now),
        "fields": list(export.fields),
        "fetched_at": export.fetched_at,
        "key": export.key,
        "path": str(export.path),
    }


def _build_job_row(export: PendingExport, now: float) -> dict[str, Any]:
    unknown = dict.fromkeys(("rows", "bytes", "fetched_at", "path"))
    age = _age(export.job.requested_at, now)
    own = {"resource": export.resource, "state": PENDING, "age": age, "key": export.key}
    return {**_describe(export.request), **own, **unknown}


def _age(instant: float, now: float) -> timedelta:
    return timedelta(seconds=max(0.0, now - instant))


def _describe(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a request says, told apart; a record may lack any of it."""
    filters = [f"{name}={value}" for name, value in request.items() if name not in NO_FILTERS]
    options = [f"{name}={request[name]}" for name in OPTIONS if name in request]
    return {
        "application_id": _parse_number(request.get("application_id")),
        "since": _parse_moment(request.get("date_since")),
        "until": _parse_moment(request.get("date_until")),
        "fields": _parse_names(request.get("fields")),
        "filters": filters,
        "options": [option for option in options if option not in USUAL],
    }


def _parse_names(value: Any) -> list[str] | None:
    return [str(name) for name in value] if isinstance(value, list) else None


def _parse_number(value: Any) -> int | None:
    is_number = isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= MAX_ID_DIGITS
    return int(value) if is_number and int(value) < UINT64_END else None


def _parse_moment(value: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
