"""How far a job is and how many are before it, out of the list of the server's queue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import Iterable

PATH = "/logs/v1/export/get_active_queries"


@dataclass(frozen=True, slots=True)
class QueuePosition:
    """How far a job is.

    Attributes
    ----------
    ahead
        The number of jobs before it in the queue.
    fraction
        How much of it is prepared, from 0 to 1.
    """

    ahead: int
    fraction: float


def standing(listed: Any, query: Iterable[tuple[str, str]]) -> QueuePosition | None:
    """Find the job with this query string in the answer of ``get_active_queries``, in whatever order its pairs stand.

    Returns None where the answer has another shape than the documented one, or the job is not listed.
    """
    wanted = sorted(query)
    try:
        queue = sorted(listed, key=lambda job: (job["create_time"], int(job["request_id"])))
        places = [place for place, job in enumerate(queue) if sorted(parse_qsl(job["query"])) == wanted]
        if not places:
            return None
        return QueuePosition(places[0], min(1.0, max(0.0, float(queue[places[0]]["total_progress"]))))
    except (KeyError, TypeError, ValueError):
        return None
