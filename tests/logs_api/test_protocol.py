"""The conversation without a network: what the flow does next, told what came back."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import TypeAlias

import pytest

from appmetrica_frames import (
    AppMetricaError,
    AuthenticationError,
    DownloadError,
    PreparationTimeoutError,
    QuotaExceededError,
    RequestRejectedError,
    ServerError,
)
from appmetrica_frames.logs_api.protocol import RetryPolicy, export_protocol, fraction, retry_after
from appmetrica_frames.logs_api.steps import (
    BodyRead,
    FetchResult,
    ReadBody,
    Reply,
    Response,
    RestartDownload,
    SendRequest,
    Step,
    TransportFailed,
    Wait,
)

Server: TypeAlias = Callable[["Stage", Step], Reply]
BROKEN = DownloadError("broken")


@dataclass
class Stage:
    """Drives a conversation against a server that is a function, on a clock that only pauses move."""

    server: Server
    cache_control: str | None = None
    patience: RetryPolicy = field(default_factory=RetryPolicy)
    now: float = 0.0
    asked: list[tuple[float, str | None]] = field(default_factory=list)
    pauses: list[Wait] = field(default_factory=list)

    def play(self) -> FetchResult:
        flow: Generator[Step, Reply, FetchResult] = export_protocol(
            self.cache_control, self.patience, began=self.now, random=lambda: 1.0
        )
        reply: Reply = None
        while True:
            try:
                step = flow.send(reply)
            except StopIteration as done:
                delivery: FetchResult = done.value
                return delivery
            reply = self._reply(step)

    def _reply(self, step: Step) -> Reply:
        if isinstance(step, Wait):
            self.pauses.append(step)
            self.now += step.seconds
            return None
        if isinstance(step, SendRequest):
            self.asked.append((self.now, step.cache_control))
        return self.server(self, step)

    def answer(self, status: int, text: str = "", **headers: str) -> Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return Response(status, named, text, sent_at=1000.0 + self.now, at=self.now)


def ready_after(seconds: float) -> Server:
    """Prepare for so long, then give the file."""

    def server(stage: Stage, step: Step) -> Reply:
        if isinstance(step, ReadBody):
            return BodyRead(stage.now)
        return stage.answer(200) if stage.now >= seconds else stage.answer(202, "Wait for result")

    return server


def script(*replies: object) -> Server:
    """Answer from a list: a status, a text with its status, or a reply itself."""
    left = list(replies)

    def server(stage: Stage, step: Step) -> Reply:
        said = left.pop(0)
        if isinstance(said, int):
            return stage.answer(said)
        if isinstance(said, tuple):
            return stage.answer(*said)
        if isinstance(said, dict):
            return stage.answer(**said)
        assert said is None or isinstance(said, (Response, TransportFailed, BodyRead, RestartDownload))
        return said

    return server


def fault(_: Stage, __: Step) -> Reply:
    return TransportFailed(BROKEN, at=0.0)


@pytest.mark.parametrize("header", [None, "no-cache", "max-age=60"])
def test_the_header_goes_with_the_first_request_only(header: str | None) -> None:
    stage = Stage(ready_after(100), header)
    stage.play()
    assert [said for _, said in stage.asked] == [header] + [None] * (len(stage.asked) - 1)
    assert len(stage.asked) > 5


def test_a_file_that_is_there_at_once_is_one_request() -> None:
    stage = Stage(ready_after(0), "max-age=60")
    assert stage.play() == FetchResult(requested_at=1000.0, waited=False, parts=1)
    assert stage.asked == [(0.0, "max-age=60")]
    assert stage.pauses == []


def test_delivery_is_dated_by_the_first_request() -> None:
    assert Stage(ready_after(500)).play() == FetchResult(requested_at=1000.0, waited=True, parts=1)


def test_the_wait_is_a_tenth_of_the_time_waited_between_two_and_thirty_seconds() -> None:
    stage = Stage(ready_after(1000))
    stage.play()
    for at, pause in zip([at for at, _ in stage.asked], stage.pauses, strict=False):
        assert pause.seconds == pytest.approx(min(30.0, max(2.0, at / 10)))


@pytest.mark.parametrize("preparation", [25, 60, 250, 299])
def test_a_ready_file_is_noticed_within_a_tenth_of_its_preparation(preparation: float) -> None:
    stage = Stage(ready_after(preparation))
    stage.play()
    assert stage.now <= preparation * 1.1


def test_an_hour_of_preparation_takes_at_most_200_polls() -> None:
    stage = Stage(ready_after(3590), patience=RetryPolicy(prepare_timeout=4000))
    stage.play()
    assert len(stage.asked) <= 200
    assert stage.now <= 3590 * 1.1


def test_preparation_timeout_asks_once_more_at_the_deadline_and_says_how_to_go_on() -> None:
    stage = Stage(ready_after(10_000), patience=RetryPolicy(prepare_timeout=100))
    with pytest.raises(PreparationTimeoutError, match="same call again") as caught:
        stage.play()
    assert stage.asked[-1][0] == 100
    assert isinstance(caught.value, TimeoutError)


def test_a_file_ready_at_the_deadline_is_taken() -> None:
    assert Stage(ready_after(100), patience=RetryPolicy(prepare_timeout=100)).play().waited


def test_202_is_waiting_whatever_its_text() -> None:
    moved = "Your query is moved to the end of the queue due to provided Cache-Control restriction."
    stage = Stage(script((202, moved), (202, "Progress is 35%"), (202, ""), 200, BodyRead(0.0)))
    stage.play()
    assert [pause.fraction for pause in stage.pauses] == [None, 0.35, None]


def test_a_broken_download_starts_again_from_the_file_without_the_header() -> None:
    stage = Stage(script(200, TransportFailed(BROKEN, 0.0), 200, BodyRead(0.0)), "no-cache")
    assert stage.play().waited is False
    assert [said for _, said in stage.asked] == ["no-cache", None]


def test_a_download_that_always_breaks_ends_in_its_error() -> None:
    def server(stage: Stage, step: Step) -> Reply:
        return stage.answer(200) if isinstance(step, SendRequest) else TransportFailed(BROKEN, stage.now)

    stage = Stage(server, patience=RetryPolicy(retries=3))
    with pytest.raises(DownloadError):
        stage.play()
    assert len(stage.asked) == 4


def test_the_file_is_asked_for_again_at_once_when_its_reader_needs_it_again() -> None:
    stage = Stage(script(200, RestartDownload(), 200, BodyRead(0.0)), "no-cache")
    stage.play()
    assert stage.pauses == []
    assert [said for _, said in stage.asked] == ["no-cache", None]


@pytest.mark.parametrize("trouble", [500, 502, 503, 504, 429, 420, TransportFailed(BROKEN, 0.0)])
def test_the_header_is_kept_until_the_server_accepts_the_request(trouble: object) -> None:
    """A request that failed queued nothing: without the header, the next would be given an old file."""
    stage = Stage(script(trouble, 202, 200, BodyRead(0.0)), "no-cache")
    delivery = stage.play()
    assert [said for _, said in stage.asked] == ["no-cache", "no-cache", None]
    assert delivery.requested_at > 1000.0


@pytest.mark.parametrize("status", [500, 502, 503, 504, 599])
def test_server_faults_back_off_and_end_typed(status: int) -> None:
    stage = Stage(lambda stage, _: stage.answer(status, "out of order"))
    with pytest.raises(ServerError, match="out of order") as caught:
        stage.play()
    assert caught.value.status == status
    assert [pause.seconds for pause in stage.pauses] == [1, 2, 4, 8, 16]


def test_faults_that_pass_are_forgiven() -> None:
    """Five tries in a row are allowed, however many there were before."""
    rounds = [reply for _ in range(10) for reply in (503, TransportFailed(BROKEN, 0.0), 202)]
    Stage(script(*rounds, 200, BodyRead(0.0))).play()


def test_network_faults_end_in_the_fault_itself() -> None:
    with pytest.raises(DownloadError) as caught:
        Stage(fault, patience=RetryPolicy(retries=0)).play()
    assert caught.value is BROKEN


def test_a_quota_waits_as_long_as_told() -> None:
    stage = Stage(script({"status": 429, "retry_after": "17"}, 202, 200, BodyRead(0.0)))
    stage.play()
    assert stage.pauses[0].seconds == 17


@pytest.mark.parametrize("status", [429, 420])
def test_a_quota_without_a_word_backs_off_to_a_minute(status: int) -> None:
    stage = Stage(script(*[status] * 10, 200, BodyRead(0.0)))
    stage.play()
    assert [pause.seconds for pause in stage.pauses] == [2, 4, 8, 16, 32, 60, 60, 60, 60, 60]


def test_a_quota_that_stays_ends_typed_within_the_time_allowed() -> None:
    stage = Stage(lambda stage, _: stage.answer(429, "There are already 3"), patience=RetryPolicy(prepare_timeout=300))
    with pytest.raises(QuotaExceededError, match="already 3"):
        stage.play()
    assert stage.now == 300


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, AuthenticationError),
        (403, AuthenticationError),
        (400, RequestRejectedError),
        (404, RequestRejectedError),
        (302, RequestRejectedError),
        (204, RequestRejectedError),
    ],
)
def test_refusals_fail_at_once_with_the_servers_words(status: int, error: type[AppMetricaError]) -> None:
    stage = Stage(lambda stage, _: stage.answer(status, '{"code": 1, "message": "no such luck"}'))
    with pytest.raises(error, match="no such luck") as caught:
        stage.play()
    assert caught.value.status == status
    assert len(stage.asked) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [("Progress is 35%", 0.35), ("Progress is 7.5 %", 0.075), ("Progress is 250%", 1.0), ("Wait for result", None)],
)
def test_progress_text(text: str, expected: float | None) -> None:
    assert fraction(text) == expected


@pytest.mark.parametrize(("text", "expected"), [("3", 3.0), ("", None), ("soon", None), ("-1", None)])
def test_retry_after(text: str, expected: float | None) -> None:
    assert retry_after({"retry-after": text}, 0.0) == expected
