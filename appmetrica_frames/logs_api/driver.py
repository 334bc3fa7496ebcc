"""Runs the export protocol over a connection: the one place where its steps take effect."""

from __future__ import annotations

import logging
import random
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol

from appmetrica_frames.errors import AppMetricaError, DownloadError

from .places import ExportPlaces, PlaceKeeper
from .protocol import export_protocol
from .steps import (
    BodyRead,
    FetchResult,
    NoPlace,
    QueuePart,
    ReadBody,
    Response,
    RestartDownload,
    SendRequest,
    TransportFailed,
    Wait,
)
from .texts import MAX_TEXT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from appmetrica_frames.progress import ProgressReporter, QueuePosition
    from appmetrica_frames.request.export import ExportRequest
    from appmetrica_frames.request.part import Part
    from appmetrica_frames.util.clock import Clock

    from .places import QueuePlaces
    from .retry import RetryPolicy
    from .steps import Reply, ResumedJob, Step
    from .transport import Connection, HttpResponse, ResponseBody

log = logging.getLogger("appmetrica_frames")

SHORTEST_RECHECK = 0.1  # seconds
HOLD = 10.0  # seconds for which a response stays open while its body cannot be read yet


class BodyReader(Protocol):
    """Reads the bodies of an export."""

    def __call__(self, body: ResponseBody, part: Part) -> bool:
        """Read a body to its end; return False if the export has to come again from part 0.

        Raises
        ------
        DownloadError
            If the body is cut or damaged: it is requested again. Any other error ends the fetch.
        """


class OnPoll(Protocol):
    """Called once for each wait; may know better how far the job is."""

    def __call__(self, wait: Wait) -> QueuePosition | None:
        """Return how far the job is, where that is known."""


class Pace(Protocol):
    """Spreads the requests of several exports."""

    def reserve(self, now: float) -> float:
        """Reserve the next instant for a request, and return how many seconds it is until then."""


class DownloadGate(Protocol):
    """Lets only so many bodies be read at once."""

    def enter(self, timeout: float | None = None) -> bool:
        """Enter, after somebody has left if need be; return False if nobody has in so many seconds."""

    def leave(self) -> None:
        """Let the next one in."""


def run_export(
    request: ExportRequest,
    cache_control: str | None,
    receive: BodyReader,
    *,
    connection: Connection,
    retry_policy: RetryPolicy,
    clock: Clock,
    reporter: ProgressReporter,
    on_poll: OnPoll | None = None,
    resumed: ResumedJob | None = None,
    older_file_at: float | None = None,
    places: QueuePlaces | None = None,
    downloads: DownloadGate | None = None,
    pace: Pace | None = None,
) -> FetchResult:
    """Fetch one export over a connection, from the first request to the last byte read.

    Parameters
    ----------
    cache_control
        The header of the first request.
    receive
        Reads the body of each part.
    on_poll
        Called once for each wait.
    resumed
        The job that an earlier call started, if one did.
    older_file_at
        When the server is known to have had a file of the same request, which it may still have, if it is.
    places
        The places in the server's queue, shared with other exports of the application. Default: three for this one.
    downloads
        Limits how many bodies are read at once. Default: no limit.
    pace
        Limits how many requests are sent in a second, together with other exports. Default: no limit.

    Raises
    ------
    AppMetricaError
        What ended the fetch.
    """
    protocol = export_protocol(
        cache_control,
        retry_policy,
        began=clock.monotonic(),
        random=random.random,
        resumed=resumed,
        older_file_at=older_file_at,
    )
    driver = ExportDriver(
        request,
        receive,
        connection,
        PlaceKeeper(places or ExportPlaces()),
        clock,
        reporter=reporter,
        on_poll=on_poll,
        downloads=downloads,
        pace=pace,
    )
    reply: Reply = None
    try:
        while True:
            reply = driver.execute(protocol.send(reply))
    except StopIteration as done:
        result: FetchResult = done.value
        return result
    finally:
        driver.close()


class ExportDriver:
    """Executes the steps of one export, and keeps the response that is open."""

    def __init__(
        self,
        request: ExportRequest,
        receive: BodyReader,
        connection: Connection,
        places: PlaceKeeper,
        clock: Clock,
        *,
        reporter: ProgressReporter,
        on_poll: OnPoll | None,
        downloads: DownloadGate | None,
        pace: Pace | None = None,
    ) -> None:
        self._request = request
        self._receive = receive
        self._connection = connection
        self._places = places
        self._clock = clock
        self._reporter = reporter
        self._on_poll = on_poll
        self._downloads = downloads
        self._pace = pace
        self._response: HttpResponse | None = None
        self._reason = ""  # of the last wait
        connection.notify = self._notify

    def execute(self, step: Step) -> Reply:
        """Execute a step and return the reply to it."""
        if isinstance(step, Wait):
            self._wait(step)
            return None
        try:
            return self._exchange(step)
        except DownloadError as error:
            self._close_response()
            return TransportFailed(error, self._clock.monotonic())

    def close(self) -> None:
        """Close the response that is open, and give back the places that are taken."""
        try:
            self._close_response()
        finally:
            self._places.release_all()

    def _exchange(self, step: SendRequest | QueuePart | ReadBody) -> Reply:
        if isinstance(step, ReadBody):
            return self._read_body(step.part)
        if isinstance(step, QueuePart):
            return self._queue(step.request)
        if not self._places.may_request(step.part):
            return NoPlace(self._clock.monotonic())
        return self._send(step)

    def _queue(self, request: SendRequest) -> Response | NoPlace:
        if not self._places.take(request.part):
            return NoPlace(self._clock.monotonic())
        response = None
        try:
            response = self._send(request)
        finally:
            if response is None or response.status != HTTPStatus.ACCEPTED:
                self._places.release(request.part)
        return response

    def _send(self, request: SendRequest) -> Response:
        self._close_response()
        self._keep_pace()
        sent_at, query = self._clock.now(), self._request.query(request.part)
        opened = self._connection.open(
            self._request.path, query, cache_control=request.header_at(sent_at), sent_at=sent_at
        )
        self._response = opened
        log.debug("%s %s: HTTP %s", self._request.title, request.part, opened.status)
        if opened.status == HTTPStatus.BAD_REQUEST:
            self._places.drop(request.part)
        if opened.status != HTTPStatus.OK:
            return replace(
                opened.with_text(MAX_TEXT),
                is_behind=self._places.is_behind(request.part),
                is_followed=self._places.is_followed(request.part),
            )
        (self._places.drop if request.keeps_place else self._places.finish)(request.part)
        return opened.without_text()

    def _keep_pace(self) -> None:
        pause = self._pace.reserve(self._clock.monotonic()) if self._pace is not None else 0.0
        if pause > 0:
            self._clock.sleep(pause)

    def _read_body(self, part: Part) -> Reply:
        if self._downloads is None:
            return self._receive_body(part)
        is_open = self._downloads.enter(timeout=HOLD)
        if not is_open:
            self._close_response()  # the server keeps the file, but not an idle connection
            self._downloads.enter()
        try:
            return (None if is_open else self._reopen(part)) or self._receive_body(part)
        finally:
            self._downloads.leave()

    def _reopen(self, part: Part) -> TransportFailed | None:
        """Request a file again that was ready; return a failure if it is not there any more."""
        response = self._send(SendRequest(None, part))
        if response.status == HTTPStatus.OK:
            return None
        error = DownloadError(f"The file was ready, and now the server answers HTTP {response.status}.")
        return TransportFailed(error, response.at)

    def _receive_body(self, part: Part) -> BodyRead | RestartDownload:
        if self._response is None:
            raise TypeError("there is no response whose body could be read")
        try:
            is_done = self._receive(self._response.body(self._reporter), part)
        except AppMetricaError as error:  # it can quote the body
            self._connection.mask.error(error)
            raise
        self._close_response()
        return BodyRead(self._clock.monotonic()) if is_done else RestartDownload()

    def _wait(self, wait: Wait) -> None:
        position, waited = self.report_wait(wait), wait.waited
        for seconds in self.pauses(wait):
            if wait.has_place:
                self._reporter.preparing(waited, wait.fraction, position)
            self._clock.sleep(seconds)
            waited += seconds

    def report_wait(self, wait: Wait) -> QueuePosition | None:
        """Do what is done once for a pause, and return how far the job is, where that is known."""
        self._close_response()
        # While the server prepares an accepted job, the progress reporter logs how far it is, less often.
        is_news = wait.accepted_at is None and wait.reason != self._reason
        level, self._reason = logging.INFO if is_news else logging.DEBUG, wait.reason
        log.log(level, "%s: %s; next request in %.1f s", self._request.title, wait.reason, wait.seconds)
        if wait.notice:
            self._notify(wait.notice)
        return self._on_poll(wait) if self._on_poll else None

    def pauses(self, wait: Wait) -> Iterator[float]:
        """Yield the seconds of one pause after the other, each of which the caller lets pass."""
        left = wait.seconds
        step = left if wait.recheck is None else max(SHORTEST_RECHECK, wait.recheck)
        while left > 0:
            seconds = min(self._reporter.interval, left, step)
            yield seconds
            left -= seconds
            if wait.recheck is not None and not self._places.must_wait(wait.part):
                return

    def _notify(self, text: str) -> None:
        """Tell the user: where progress is visible, else by a warning in the log."""
        level = logging.INFO if self._reporter.is_visible else logging.WARNING
        log.log(level, "%s: %s", self._request.title, text)
        self._reporter.message(text)

    def _close_response(self) -> None:
        if self._response is not None:
            self._response.close()
            self._response = None
