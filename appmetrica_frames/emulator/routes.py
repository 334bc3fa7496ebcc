"""The addresses of the Logs API and of the Management API's three calls that belong to it."""

from __future__ import annotations

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
from .queue import ANY_AGE, NO_AGE, Full, Moved, Ready
from .request import Refusal, invalid, missing, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.requests import Request

    from .applications import Application
    from .builder import Bench
    from .clock import Clock
    from .files import PreparedFile
    from .queue import Job
    from .request import ExportRequest


WAIT = "Wait for result"
MOVED = "Your query is moved to the end of the queue due to provided Cache-Control restriction."
FULL = "There are already 3 enqueued queries for given application_id. Wait until they are completed."
MAX_AGE = re.compile(r"max-age=(\d+)")


class Api:
    """Reads requests, asks the benches, words the answers."""

    def __init__(self, token: str, clock: Clock, benches: dict[int, Bench]) -> None:
        self.enabled = True
        self.downloads = 0
        self._token = token
        self._clock = clock
        self._benches = benches

    def app(self, *middleware: Middleware) -> Starlette:
        """Return the ASGI application; it answers nobody who calls it by a name that is not this machine's."""
        routes = [
            Route("/logs/v1/export/get_active_queries", self._guarded(self.active_queries)),
            Route("/logs/v1/export/{file_name}", self._guarded(self.export)),
            Route("/management/v1/applications", self._guarded(self.applications)),
            Route("/management/v1/application/{id}", self._guarded(self.application)),
            Route("/management/v1/logsapi/status", self._guarded(self.status)),
        ]
        local = Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"], www_redirect=False)
        errors: Any = {Refusal: refused, HTTPException: unknown_address}
        return Starlette(routes=routes, middleware=[*middleware, local], exception_handlers=errors)

    def export(self, request: Request) -> Response:
        pairs = tuple(request.query_params.multi_items())
        asked = parse(request.path_params["file_name"], pairs, visible(request.query_params.get("application_id")))
        bench = self._benches[asked.application.id]
        answer = bench.ask(asked, oldest(request.headers.get("cache-control", "")))
        if isinstance(answer, Ready):
            return self._file(answer.file.content, zipped=accepts_gzip(request.headers.get("accept-encoding", "")))
        if isinstance(answer, Moved):
            return plain(MOVED, 202)
        if isinstance(answer, Full):
            return plain(FULL, 429)
        percent = int(100 * bench.progress(answer))
        return plain(f"Progress is {min(percent, 99)}%" if percent else WAIT, 202)

    def active_queries(self, request: Request) -> Response:
        application = visible(request.query_params.get("application_id"))
        return JSONResponse([listed(*entry) for entry in self._benches[application.id].unfinished()])

    def applications(self, request: Request) -> Response:  # noqa: ARG002 - every handler takes the request
        return JSONResponse({"applications": [known.described(self._clock.now()) for known in APPLICATIONS]})

    def application(self, request: Request) -> Response:
        return JSONResponse({"application": visible(request.path_params["id"]).described(self._clock.now())})

    def status(self, request: Request) -> Response:  # noqa: ARG002 - every handler takes the request
        return JSONResponse({"logs_api_availability_status": "enabled" if self.enabled else "disabled"})

    def _guarded(self, answer: Callable[[Request], Response]) -> Callable[[Request], Any]:
        async def guarded(request: Request) -> Response:
            self._authorise(request.headers.get("authorization"))
            return answer(request)

        return guarded

    def _authorise(self, header: str | None) -> None:
        if header is None:
            raise Refusal(401, "Authorization is required: send the header Authorization: OAuth <token>")
        if header != f"OAuth {self._token}":
            raise Refusal(401, "Invalid oauth_token")

    def _file(self, file: PreparedFile, *, zipped: bool) -> Response:
        length = file.packed_length if zipped else file.plain_length
        headers = {"Content-Type": file.media_type, "Content-Length": str(length), "Vary": "Accept-Encoding"}
        if zipped:
            headers["Content-Encoding"] = "gzip"
        chunks = file.gzip_chunks() if zipped else file.plain_chunks()
        body = self._counted(chunks, length, file.status)
        return StreamingResponse(_served(body), file.status, headers)

    def _counted(self, chunks: Iterator[bytes], length: int, status: int) -> Iterator[bytes]:
        for chunk in chunks:
            length -= len(chunk)
            # Counted just before the last bytes leave: who has them all must find them counted.
            self.downloads += length == 0 and status == 200  # noqa: PLR2004
            yield chunk


async def _served(chunks: Iterator[bytes]) -> Any:
    for chunk in chunks:
        yield chunk


def plain(text: str, status: int) -> Response:
    """Return a text whose type is worded as in the documentation: without a charset."""
    return Response(text, status, {"Content-Type": "text/plain"})


def visible(application_id: str | None) -> Application:
    """Return the application of that id, if there is one and the token may see it."""
    if not application_id:
        raise missing("application_id")
    if not (application_id.isascii() and application_id.isdigit()):
        raise invalid("application_id", application_id, "expected a whole number")
    for known in APPLICATIONS:
        if known.id == int(application_id):
            return known
    if int(application_id) == FORBIDDEN_ID:
        raise Refusal(403, f"Access to application {application_id} is denied")
    raise Refusal(404, f"Application {application_id} is not found")


def oldest(cache_control: str) -> float:
    """Return the age in seconds up to which a file will do for the asker."""
    words = cache_control.lower()
    if "no-cache" in words:
        return NO_AGE
    limit = MAX_AGE.search(words)
    return float(limit[1]) if limit else ANY_AGE


def accepts_gzip(header: str) -> bool:
    codings = [coding.replace(" ", "").lower().partition(";") for coding in header.split(",")]
    return any(name in {"gzip", "x-gzip"} and not re.fullmatch(r"q=0(\.0*)?", quality) for name, _, quality in codings)


async def refused(request: Request, refusal: Exception) -> Response:  # noqa: ARG001 - starlette's signature
    if not isinstance(refusal, Refusal):
        raise refusal
    return Response(refusal.body(), refusal.status, media_type="application/json")


async def unknown_address(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    described = Refusal(status, f"{request.method} {request.url.path} is not an address of this API")
    return await refused(request, described)


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
