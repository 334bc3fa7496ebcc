"""The routes of the Logs API, and of the three Management API calls that go with it."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from .applications import APPLICATIONS, FORBIDDEN_ID
from .queue import ANY_AGE, NO_AGE, Full, Moved, Ready, Waiting
from .request import ApiError, invalid_parameter, is_integer, missing_parameter, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.requests import Request

    from .applications import Application
    from .builder import AppQueue
    from .clock import Clock
    from .files import PreparedFile
    from .queue import Job
    from .request import ExportRequest, RequestLimits


WAIT = "Wait for result"
ADDED = "Your query is added to the queue."
MOVED = "Your query is moved to the end of the queue due to provided Cache-Control restriction."
FULL = "There are already 3 enqueued queries for given application_id. Wait until they are completed."
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
MAX_AGE = re.compile(r"max-age=(\d+)")


class Api:
    """Parses requests, passes them to the queues, and formats the responses."""

    def __init__(
        self,
        token: str,
        clock: Clock,
        queues: dict[int, AppQueue],
        limits: RequestLimits,
        *,
        announce_jobs: bool,
    ) -> None:
        self._limits = limits
        self._announce_jobs = announce_jobs
        self.enabled = True
        self.downloads = 0
        self._token = token
        self._clock = clock
        self._queues = queues

    def app(self, *middleware: Middleware) -> Starlette:
        """Return the ASGI application; it responses nobody who calls it by a name that is not this machine's."""
        routes = [
            Route("/logs/v1/export/get_active_queries", self._require_token(self.active_queries)),
            Route("/logs/v1/export/{file_name}", self._require_token(self.export)),
            Route("/management/v1/applications", self._require_token(self.applications)),
            Route("/management/v1/application/{id}", self._require_token(self.application)),
            Route("/management/v1/logsapi/status", self._require_token(self.status)),
        ]
        local = Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"], www_redirect=False)
        errors: Any = {ApiError: error_response, HTTPException: not_found_response}
        return Starlette(routes=routes, middleware=[*middleware, local], exception_handlers=errors)

    def export(self, request: Request) -> Response:
        pairs = tuple(request.query_params.multi_items())
        application = find_application(request.query_params.get("application_id"))
        export = parse(request.path_params["file_name"], pairs, application, self._limits)
        queue = self._queues[application.id]
        response = queue.request(export, parse_cache_control(request.headers.get("cache-control", "")))
        if isinstance(response, Ready):
            return self._file(response.file.content, gzipped=accepts_gzip(request.headers.get("accept-encoding", "")))
        if isinstance(response, Moved):
            return text_response(MOVED, 202)
        if isinstance(response, Full):
            return text_response(FULL, 429)
        return text_response(self._format_progress(response, queue), 202)

    def _format_progress(self, waiting: Waiting[PreparedFile], queue: AppQueue) -> str:
        if waiting.is_new and self._announce_jobs:
            return ADDED
        percent = min(int(100 * queue.progress(waiting)), 99)
        return f"{WAIT}. Progress is {percent}%." if percent else WAIT

    def active_queries(self, request: Request) -> Response:
        application = find_application(request.query_params.get("application_id"))
        return JSONResponse([describe_job(*entry) for entry in self._queues[application.id].list_unfinished()])

    def applications(self, request: Request) -> Response:  # noqa: ARG002 - every handler takes the request
        return JSONResponse({"applications": [known.to_json(self._clock.now(), listed=True) for known in APPLICATIONS]})

    def application(self, request: Request) -> Response:
        return JSONResponse({"application": find_application(request.path_params["id"]).to_json(self._clock.now())})

    def status(self, request: Request) -> Response:  # noqa: ARG002 - every handler takes the request
        return JSONResponse({"logs_api_availability_status": "enabled" if self.enabled else "disabled"})

    def _require_token(self, handler: Callable[[Request], Response]) -> Callable[[Request], Any]:
        async def respond(request: Request) -> Response:
            self._check_token(request.headers.get("authorization"))
            return handler(request)

        return respond

    def _check_token(self, header: str | None) -> None:
        if header is None:
            raise ApiError(401, "Authorization is required: send the header Authorization: OAuth <token>")
        if header != f"OAuth {self._token}":
            raise ApiError(401, "Invalid oauth_token")

    def _file(self, file: PreparedFile, *, gzipped: bool) -> Response:
        length = file.gzipped_length if gzipped else file.plain_length
        headers = {"Content-Type": file.media_type, "Content-Length": str(length), "Vary": "Accept-Encoding"}
        if gzipped:
            headers["Content-Encoding"] = "gzip"
        chunks = file.gzip_chunks() if gzipped else file.plain_chunks()
        body = self._count_download(chunks, length, file.status)
        return StreamingResponse(_stream(body), file.status, headers)

    def _count_download(self, chunks: Iterator[bytes], length: int, status: int) -> Iterator[bytes]:
        for chunk in chunks:
            length -= len(chunk)
            # Counted just before the last bytes are sent, so that a client that has them all sees them counted.
            self.downloads += length == 0 and status == 200  # noqa: PLR2004
            yield chunk


async def _stream(chunks: Iterator[bytes]) -> Any:
    for chunk in chunks:
        yield chunk
        await asyncio.sleep(0)  # so that a client that has gone is noticed, and nothing is written to its socket


def text_response(text: str, status: int) -> Response:
    """Return a response whose content type is the documented one, without a charset."""
    return Response(text, status, {"Content-Type": "text/plain"})


def find_application(application_id: str | None) -> Application:
    """Return the application with this id, if it exists and the token has access."""
    if not application_id:
        raise missing_parameter("application_id")
    if not is_integer(application_id):
        raise invalid_parameter("application_id", application_id, "expected an integer")
    for known in APPLICATIONS:
        if known.id == int(application_id):
            return known
    if int(application_id) == FORBIDDEN_ID:
        raise ApiError(403, f"Access to application {application_id} is denied")
    raise ApiError(404, f"Application {application_id} is not found")


def parse_cache_control(header: str) -> float:
    """Return the greatest age in seconds of a file that the request accepts."""
    directives = header.lower()
    if "no-cache" in directives:
        return NO_AGE
    limit = MAX_AGE.search(directives)
    return float(limit[1]) if limit else ANY_AGE


def accepts_gzip(header: str) -> bool:
    codings = [coding.replace(" ", "").lower().partition(";") for coding in header.split(",")]
    return any(name in {"gzip", "x-gzip"} and not re.fullmatch(r"q=0(\.0*)?", quality) for name, _, quality in codings)


async def error_response(request: Request, error: Exception) -> Response:  # noqa: ARG001 - starlette's signature
    if not isinstance(error, ApiError):
        raise error
    return Response(error.body(), error.status, media_type="application/json")


async def not_found_response(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    not_found = ApiError(status, f"{request.method} {request.url.path} is not a path of this API")
    return await error_response(request, not_found)


def describe_job(job: Job[PreparedFile], request: ExportRequest, progress: float) -> dict[str, Any]:
    """Return one object of `get_active_queries`; unfinished jobs have the status that the documentation shows."""
    created = datetime.fromtimestamp(job.requested_at, UTC).astimezone(request.application.zone)
    return {
        "application_id": request.application.id,
        "create_time": created.strftime("%Y-%m-%d %H:%M:%S"),
        "entity": ENTITIES[request.resource.name],
        "output_format": 0 if request.wire_format == "csv" else 1,
        "query": urlencode(request.pairs),
        "request_id": str(job.number),
        "shards_unavailable": 0,
        "status": CREATED,
        "total_progress": round(progress, 6),
        "total_rows_loaded": 0,
    }
