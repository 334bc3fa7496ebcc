"""The list of the jobs in the server's queue: how far an export is, and how many jobs are ahead of it."""

from __future__ import annotations

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
    try:
        queue = sorted(listing, key=lambda job: (job["create_time"], int(job["request_id"])))
        places = [place for place, job in enumerate(queue) if sorted(parse_qsl(job["query"])) == wanted]
        if not places:
            return None
        return QueuePosition(places[0], min(1.0, max(0.0, float(queue[places[0]]["total_progress"]))))
    except (KeyError, TypeError, ValueError):
        return None
