"""The list of the jobs in the server's queue: how far an export is, and how many jobs are ahead of it."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from appmetrica_frames.errors import AppMetricaError
from appmetrica_frames.progress.reporter import QueuePosition

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .transport import Connection

QUEUE_PATH = "/logs/v1/export/get_active_queries"


def get_queue_position(
    connection: Connection, application_id: int, query: Iterable[tuple[str, str]]
) -> QueuePosition | None:
    """Return how far a job is, without touching the address of its export; None where that is not known.

    This is a hint for the progress display: one try, and never an error.
    """
    try:
        listing = connection.get_json(QUEUE_PATH, (("application_id", str(application_id)),))
    except AppMetricaError:
        return None
    return find_queue_position(listing, query)


def find_queue_position(listing: Any, query: Iterable[tuple[str, str]]) -> QueuePosition | None:
    """Find the job with this query string, in whatever order its parameters are, in the listing of the queue.

    Returns None where the listing has another shape than the documented one, or the job is not listed.
    """
    wanted = sorted(query)
    entries = listing if isinstance(listing, list) else []
    queue = sorted((job for job in map(_parse_job, entries) if job is not None), key=lambda job: job.order)
    return next(
        (
            QueuePosition(place, job.fraction)
            for place, job in enumerate(queue)
            if job.query == wanted and job.fraction is not None
        ),
        None,
    )


@dataclass(frozen=True, slots=True)
class _Job:
    order: tuple[str, int]
    query: list[tuple[str, str]]
    fraction: float | None


def _parse_job(entry: Any) -> _Job | None:
    """Return an entry of the listing; None where it has another shape than the documented one."""
    try:
        created, number, query = entry["create_time"], int(entry["request_id"]), entry["query"]
        if not isinstance(created, str) or not isinstance(query, str):
            return None
        return _Job((created, number), sorted(parse_qsl(query)), _parse_fraction(entry.get("total_progress")))
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError):
        return None


def _parse_fraction(value: Any) -> float | None:
    try:
        fraction = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return min(1.0, max(0.0, fraction)) if isfinite(fraction) else None
