"""The export protocol without a network: which step follows which reply."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
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
from appmetrica_frames.logs_api.protocol import export_protocol, parse_progress
from appmetrica_frames.logs_api.retry import RetryPolicy, retry_after
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

Server: TypeAlias = Callable[["Simulation", Step], Reply]
BROKEN = DownloadError("broken")


@dataclass
class Simulation:
    """Runs the protocol against a server that is a function, on a clock that only waits move."""

    server: Server
    cache_control: str | None = None
    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)
    now: float = 0.0
    requests: list[tuple[float, str | None]] = field(default_factory=list)
    pauses: list[Wait] = field(default_factory=list)

    def run(self) -> FetchResult:
        protocol: Generator[Step, Reply, FetchResult] = export_protocol(
            self.cache_control, self.retry_policy, began=self.now, random=lambda: 1.0
        )
        reply: Reply = None
        while True:
            try:
                step = protocol.send(reply)
            except StopIteration as done:
                result: FetchResult = done.value
                return result
            reply = self._reply(step)

    def _reply(self, step: Step) -> Reply:
        if isinstance(step, Wait):
            self.pauses.append(step)
            self.now += step.seconds
            return None
        if isinstance(step, SendRequest):
            self.requests.append((self.now, step.cache_control))
        return self.server(self, step)

    def answer(self, status: int, text: str = "", **headers: str) -> Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return Response(status, named, text, sent_at=1000.0 + self.now, at=self.now)


def ready_after(seconds: float) -> Server:
    """Prepare for so long, then give the file."""

    def server(simulation: Simulation, step: Step) -> Reply:
        if isinstance(step, ReadBody):
            return BodyRead(simulation.now)
        return simulation.answer(200) if simulation.now >= seconds else simulation.answer(202, "Wait for result")

    return server


def script(*replies: object) -> Server:
    """Answer from a list: a status, a text with its status, or a reply itself."""
    left = list(replies)

    def server(simulation: Simulation, step: Step) -> Reply:
        reply = left.pop(0)
        if isinstance(reply, int):
            return simulation.answer(reply)
        if isinstance(reply, tuple):
            return simulation.answer(*reply)
        if isinstance(reply, dict):
            return simulation.answer(**reply)
        assert reply is None or isinstance(reply, (Response, TransportFailed, BodyRead, RestartDownload))
        return reply

    return server


def fault(_: Simulation, __: Step) -> Reply:
    return TransportFailed(BROKEN, at=0.0)


@pytest.mark.parametrize("header", [None, "no-cache", "max-age=60"])
def test_only_the_first_request_carries_the_header(header: str | None) -> None:
    simulation = Simulation(ready_after(100), header)
    simulation.run()
    assert [header for _, header in simulation.requests] == [header] + [None] * (len(simulation.requests) - 1)
    assert len(simulation.requests) > 5


def test_a_ready_file_takes_one_request() -> None:
    simulation = Simulation(ready_after(0), "max-age=60")
    assert simulation.run() == FetchResult(requested_at=1000.0, waited=False, parts=1)
    assert simulation.requests == [(0.0, "max-age=60")]
    assert simulation.pauses == []


def test_the_result_is_dated_by_the_first_request() -> None:
    assert Simulation(ready_after(500)).run() == FetchResult(requested_at=1000.0, waited=True, parts=1)


def test_the_wait_is_a_tenth_of_the_time_waited_between_two_and_thirty_seconds() -> None:
    simulation = Simulation(ready_after(1000))
    simulation.run()
    for at, pause in zip([at for at, _ in simulation.requests], simulation.pauses, strict=False):
        assert pause.seconds == pytest.approx(min(30.0, max(2.0, at / 10)))


@pytest.mark.parametrize("preparation", [25, 60, 250, 299])
def test_a_ready_file_is_noticed_within_a_tenth_of_its_preparation(preparation: float) -> None:
    simulation = Simulation(ready_after(preparation))
    simulation.run()
    assert simulation.now <= preparation * 1.1


@pytest.mark.parametrize("preparation", [60.0, 900.0, 1500.0, 3000.0])
def test_a_ready_file_is_noticed_within_an_eighth_where_short_ones_come_next(preparation: float) -> None:
    """What comes next may be done long before: a range must not take much longer than its preparations."""
    alone = ready_after(preparation)

    def followed(simulation: Simulation, step: Step) -> Reply:
        reply = alone(simulation, step)
        return replace(reply, is_followed=True) if isinstance(reply, Response) else reply

    simulation = Simulation(followed)
    simulation.run()
    assert simulation.now <= max(preparation + 2.0, preparation * 1.125)


@pytest.mark.parametrize(
    ("queue", "waited", "pause"),
    [
        ({"is_followed": True}, 3.0, 2.0),
        ({"is_followed": True}, 400.0, 50.0),
        ({"is_followed": True}, 1_600.0, 200.0),
        ({"is_followed": True}, 8_000.0, 600.0),
        ({"is_behind": True}, 3.0, 600.0),
        ({"is_behind": True, "is_followed": True}, 900.0, 600.0),
    ],
)
def test_a_job_among_others_of_ours_is_asked_for_less_often(
    queue: dict[str, bool], waited: float, pause: float
) -> None:
    """The server has something to go on with, and a job cannot be done before those that it is behind."""
    protocol = export_protocol(None, RetryPolicy(prepare_timeout=20_000.0), began=0.0, random=lambda: 1.0)
    next(protocol)
    wait = protocol.send(Response(202, {}, "", sent_at=1000.0 + waited, at=waited, **queue))
    assert isinstance(wait, Wait)
    assert wait.seconds == pytest.approx(pause)
    assert wait.recheck == (2.0 if "is_behind" in queue else None)


def test_an_hour_of_preparation_takes_at_most_200_polls() -> None:
    simulation = Simulation(ready_after(3590), retry_policy=RetryPolicy(prepare_timeout=4000))
    simulation.run()
    assert len(simulation.requests) <= 200
    assert simulation.now <= 3590 * 1.1


def test_preparation_timeout_polls_once_more_at_the_deadline_and_explains_how_to_go_on() -> None:
    simulation = Simulation(ready_after(10_000), retry_policy=RetryPolicy(prepare_timeout=100))
    with pytest.raises(PreparationTimeoutError, match="same call again") as caught:
        simulation.run()
    assert simulation.requests[-1][0] == 100
    assert isinstance(caught.value, TimeoutError)


def test_a_file_ready_at_the_deadline_is_taken() -> None:
    assert Simulation(ready_after(100), retry_policy=RetryPolicy(prepare_timeout=100)).run().waited


def test_202_is_waiting_whatever_its_text() -> None:
    moved = "Your query is moved to the end of the queue due to provided Cache-Control restriction."
    simulation = Simulation(script((202, moved), (202, "Progress is 35%"), (202, ""), 200, BodyRead(0.0)))
    simulation.run()
    assert [pause.fraction for pause in simulation.pauses] == [None, 0.35, None]


def test_a_broken_download_starts_again_from_the_file_without_the_header() -> None:
    simulation = Simulation(script(200, TransportFailed(BROKEN, 0.0), 200, BodyRead(0.0)), "no-cache")
    assert simulation.run().waited is False
    assert [header for _, header in simulation.requests] == ["no-cache", None]


def test_a_download_that_always_breaks_ends_in_its_error() -> None:
    def server(simulation: Simulation, step: Step) -> Reply:
        return simulation.answer(200) if isinstance(step, SendRequest) else TransportFailed(BROKEN, simulation.now)

    simulation = Simulation(server, retry_policy=RetryPolicy(retries=3))
    with pytest.raises(DownloadError):
        simulation.run()
    assert len(simulation.requests) == 4


def test_a_restarted_download_requests_the_file_again_at_once() -> None:
    simulation = Simulation(script(200, RestartDownload(), 200, BodyRead(0.0)), "no-cache")
    simulation.run()
    assert simulation.pauses == []
    assert [header for _, header in simulation.requests] == ["no-cache", None]


@pytest.mark.parametrize("trouble", [500, 502, 503, 504, 429, 420, TransportFailed(BROKEN, 0.0)])
def test_the_header_is_kept_until_the_server_accepts_the_request(trouble: object) -> None:
    """A request that failed queued nothing: without the header, the next would be given an old file."""
    simulation = Simulation(script(trouble, 202, 200, BodyRead(0.0)), "no-cache")
    result = simulation.run()
    assert [header for _, header in simulation.requests] == ["no-cache", "no-cache", None]
    assert result.requested_at > 1000.0


@pytest.mark.parametrize("status", [500, 502, 503, 504, 599])
def test_server_errors_back_off_and_end_in_a_typed_error(status: int) -> None:
    simulation = Simulation(lambda simulation, _: simulation.answer(status, "out of order"))
    with pytest.raises(ServerError, match="out of order") as caught:
        simulation.run()
    assert caught.value.status == status
    assert [pause.seconds for pause in simulation.pauses] == [1, 2, 4, 8, 16]


def test_temporary_faults_are_forgiven() -> None:
    """Five tries in a row are allowed, however many there were before."""
    rounds = [reply for _ in range(10) for reply in (503, TransportFailed(BROKEN, 0.0), 202)]
    Simulation(script(*rounds, 200, BodyRead(0.0))).run()


def test_network_faults_end_in_the_fault_itself() -> None:
    with pytest.raises(DownloadError) as caught:
        Simulation(fault, retry_policy=RetryPolicy(retries=0)).run()
    assert caught.value is BROKEN


def test_a_quota_waits_for_retry_after() -> None:
    simulation = Simulation(script({"status": 429, "retry_after": "17"}, 202, 200, BodyRead(0.0)))
    simulation.run()
    assert simulation.pauses[0].seconds == 17


@pytest.mark.parametrize("status", [429, 420])
def test_a_quota_without_retry_after_backs_off_to_a_minute(status: int) -> None:
    simulation = Simulation(script(*[status] * 10, 200, BodyRead(0.0)))
    simulation.run()
    assert [pause.seconds for pause in simulation.pauses] == [2, 4, 8, 16, 32, 60, 60, 60, 60, 60]


def test_a_lasting_quota_ends_in_a_typed_error_after_prepare_timeout() -> None:
    simulation = Simulation(
        lambda simulation, _: simulation.answer(429, "There are already 3"),
        retry_policy=RetryPolicy(prepare_timeout=300),
    )
    with pytest.raises(QuotaExceededError, match="already 3"):
        simulation.run()
    assert simulation.now == 300


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
def test_rejections_fail_at_once_with_the_message_of_the_server(status: int, error: type[AppMetricaError]) -> None:
    simulation = Simulation(lambda simulation, _: simulation.answer(status, '{"code": 1, "message": "no such luck"}'))
    with pytest.raises(error, match="no such luck") as caught:
        simulation.run()
    assert caught.value.status == status
    assert len(simulation.requests) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [("Progress is 35%", 0.35), ("Progress is 7.5 %", 0.075), ("Progress is 250%", 1.0), ("Wait for result", None)],
)
def test_progress_text(text: str, expected: float | None) -> None:
    assert parse_progress(text) == expected


@pytest.mark.parametrize(("text", "expected"), [("3", 3.0), ("", None), ("soon", None), ("-1", None)])
def test_retry_after(text: str, expected: float | None) -> None:
    assert retry_after({"retry-after": text}, 0.0) == expected


def queue_is_full_until(seconds: float, preparation: float) -> Server:
    """Answer 429 for so long, and then prepare for so long."""

    def server(simulation: Simulation, step: Step) -> Reply:
        if isinstance(step, ReadBody):
            return BodyRead(simulation.now)
        if simulation.now < seconds:
            return simulation.answer(429, "There are already 3 enqueued queries for given application_id.")
        return simulation.answer(202 if simulation.now < seconds + preparation else 200)

    return server


def test_time_behind_the_limit_of_the_queue_does_not_count_as_preparation() -> None:
    simulation = Simulation(queue_is_full_until(900, 900), "no-cache", RetryPolicy(prepare_timeout=1000))
    assert simulation.run().waited
    assert simulation.now > 1800 - 60


def test_either_wait_ends_after_prepare_timeout() -> None:
    with pytest.raises(QuotaExceededError):
        Simulation(queue_is_full_until(1100, 10), retry_policy=RetryPolicy(prepare_timeout=1000)).run()
    with pytest.raises(PreparationTimeoutError, match="within 16 min 40 s"):
        Simulation(queue_is_full_until(900, 1100), retry_policy=RetryPolicy(prepare_timeout=1000)).run()


def test_the_reason_of_a_wait_tells_the_queue_from_the_preparation() -> None:
    simulation = Simulation(queue_is_full_until(400, 300))
    simulation.run()
    queued = [pause for pause in simulation.pauses if "waiting for a place" in pause.reason]
    preparing = [pause for pause in simulation.pauses if pause.reason.startswith("preparing")]
    assert len(queued) + len(preparing) == len(simulation.pauses)
    assert "There are already 3" in queued[-1].reason
    assert queued[-1].waited > 300
    assert preparing[0].waited < 60
    assert queued[-1].accepted_at is None


def test_a_quota_while_the_server_works_on_the_job_counts_as_preparation() -> None:
    def server(simulation: Simulation, _: Step) -> Reply:
        return simulation.answer(202 if simulation.now == 0 else 429, "too many requests")

    simulation = Simulation(server, retry_policy=RetryPolicy(prepare_timeout=300))
    with pytest.raises(QuotaExceededError, match="too many requests"):
        simulation.run()
    assert simulation.now == 300


def test_faults_do_not_reset_the_time_behind_the_limit() -> None:
    def server(simulation: Simulation, _: Step) -> Reply:
        return simulation.answer(503 if len(simulation.requests) in {5, 10} else 429)

    simulation = Simulation(server, retry_policy=RetryPolicy(prepare_timeout=300))
    with pytest.raises(QuotaExceededError):
        simulation.run()
    assert simulation.now < 400
