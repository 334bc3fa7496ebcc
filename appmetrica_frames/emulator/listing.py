"""The unfinished jobs as `get_active_queries` words them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

if TYPE_CHECKING:
    from .files import PreparedFile
    from .queue import Job
    from .request import ExportRequest

ENTITIES = {
    "clicks": 0,
    "installations": 1,
    "events": 2,
    "postbacks": 3,
    "errors": 4,
    "crashes": 5,
    "push_tokens": 6,
    "sessions_starts": 7,
    "deeplinks": 9,
    "revenue_events": 10,
    "profiles": 12,
    "profiles_v2": 12,
    "ad_revenue_events": 13,
    "ecommerce_events": 14,
}
CREATED = 0


def listed(job: Job[PreparedFile], request: ExportRequest, progress: float) -> dict[str, Any]:
    """Return one object of the list; every unfinished job has the one status that the documentation shows."""
    asked = datetime.fromtimestamp(job.asked, UTC).astimezone(request.application.zone)
    return {
        "application_id": request.application.id,
        "create_time": asked.strftime("%Y-%m-%d %H:%M:%S"),
        "entity": ENTITIES[request.resource.name],
        "output_format": 0 if request.wire_format == "csv" else 1,
        "query": urlencode(request.pairs),
        "request_id": str(job.number),
        "shards_unavailable": 0,
        "status": CREATED,
        "total_progress": round(progress, 6),
        "total_rows_loaded": 0,
    }
