"""The driver: what a step does on the wire, and which places in the server's queue it takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

import appmetrica_frames as af
from appmetrica_frames.logs_api.driver import ExportDriver, run_export
from appmetrica_frames.logs_api.places import ExportPlaces, PlaceKeeper
from appmetrica_frames.logs_api.retry import RetryPolicy
from appmetrica_frames.logs_api.steps import Wait
from appmetrica_frames.logs_api.transport import Connection
from appmetrica_frames.progress import NullReporter
from appmetrica_frames.request.export import ExportRequest
from appmetrica_frames.request.part import Part
from appmetrica_frames.util.config import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from appmetrica_frames.logs_api.driver import DownloadGate, Pace
    from appmetrica_frames.logs_api.places import QueuePlaces
    from appmetrica_frames.logs_api.steps import FetchResult
    from appmetrica_frames.logs_api.transport import ResponseBody

REQUEST = ExportRequest(resource="push_tokens", params=(("application_id", "1"),), fields=("token", "city"))


class ManualClock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return 1_722_340_800.0 + self.time

    def monotonic(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


@dataclass
class CountedPlaces:
    """So many places, with a log of what happens to them."""

    free: int
    required: bool = False
    log: list[tuple[str, CountedPlace | None]] = field(default_factory=list)

    def take(self) -> CountedPlace | None:
        place = CountedPlace(self) if self.free else None
        self.free -= place is not None
        self.log.append(("take" if place else "refuse", place))
        return place

    def wait(self) -> None:
        pass

    def stop_waiting(self) -> None:
        pass


@dataclass(eq=False)
class CountedPlace:
    """A place that was taken."""

    places: CountedPlaces
    is_first: bool = True
    is_last: bool = True

    def reuse(self) -> None:
        self.places.log.append(("reuse", self))

    def release(self) -> None:
        self.places.free += 1
        self.places.log.append(("release", self))


class PartsAnswers:
    """A server that wants two, four, … parts, and has each ready after some requests."""

    def __init__(self, wanted: int, *, polls: int = 2) -> None:
        self.wanted = wanted
        self.polls = polls
        self.seen: dict[Part, int] = {}
        self.parts: list[Part] = []

    def __call__(self, _: int, request: bytes) -> bytes:
        part = part_of(request)
        self.parts.append(part)
        if part.count < self.wanted:
            return response("400 Bad Request", b"Try to use more parts.")
        self.seen[part] = self.seen.get(part, 0) + 1
        return response("200 OK" if self.seen[part] > self.polls else "202 Accepted", b"body")


def part_of(request: bytes) -> Part:
    target = request.split(b" ")[1].decode()
    query = dict(pair.split("=") for pair in target.split("?")[1].split("&"))
    return Part(int(query.get("part_number", 0)), int(query.get("parts_count", 1)))


def response(status: str, body: bytes) -> bytes:
    return f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def run(
    server: Any,
    *,
    places: QueuePlaces | None = None,
    receive: Callable[[ResponseBody, Part], bool] | None = None,
    retries: int = 0,
    clock: ManualClock | None = None,
    downloads: DownloadGate | None = None,
    cache_control: str | None = None,
    older_file_at: float | None = None,
    pace: Pace | None = None,
) -> FetchResult:
    def drain(body: ResponseBody, part: Part) -> bool:
        return b"".join(body) == b"body"

    clock = clock or ManualClock()
    with Connection(server.base_url, Secret("canary-token"), network_timeout=5, clock=clock) as connection:
        return run_export(
            REQUEST,
            cache_control,
            receive or drain,
            connection=connection,
            retry_policy=RetryPolicy(retries=retries),
            clock=clock,
            reporter=NullReporter(),
            places=places,
            downloads=downloads,
            older_file_at=older_file_at,
            pace=pace,
        )


def held(log: list[tuple[str, CountedPlace | None]]) -> list[int]:
    """Return how many places were taken after each event."""
    counts, taken = [], 0
    for event, _ in log:
        taken += {"take": 1, "release": -1}.get(event, 0)
        counts.append(taken)
    return counts


@pytest.mark.parametrize("free", [1, 2, 3, 8])
def test_parts_take_the_places_there_are_and_give_them_all_back(free: int, raw_server: Any) -> None:
    places = CountedPlaces(free)
    assert run(raw_server(PartsAnswers(4)), places=places).parts == 4
    assert places.free == free
    assert max(held(places.log)) == min(free, 3)  # the first part comes alone
    assert min(held(places.log)) == 0


def test_a_place_is_given_back_when_the_200_comes(raw_server: Any) -> None:
    places, received = CountedPlaces(1), []

    def receive(body: ResponseBody, part: Part) -> bool:
        received.append((part, places.free))
        return b"".join(body) == b"body"

    run(raw_server(PartsAnswers(2)), places=places, receive=receive)
    assert received == [(Part(0, 2), 1), (Part(1, 2), 1)]


def test_a_part_without_a_place_is_not_requested_ahead_of_its_turn(raw_server: Any) -> None:
    answers = PartsAnswers(2)
    run(raw_server(answers), places=CountedPlaces(1))
    assert answers.parts.index(Part(1, 2)) == max(n for n, part in enumerate(answers.parts) if part == Part(0, 2)) + 1


def test_an_export_without_a_place_is_requested_all_the_same(raw_server: Any) -> None:
    """Its turn has come, and the server has the last word."""
    places = CountedPlaces(0)
    assert run(raw_server(PartsAnswers(2)), places=places).parts == 2
    assert {event for event, _ in places.log} == {"refuse"}


@pytest.mark.parametrize("status", ["429 Too Many Requests", "500 Internal Server Error"])
def test_a_part_that_the_server_does_not_queue_gives_its_place_back(status: str, raw_server: Any) -> None:
    places, answers, before = CountedPlaces(3), PartsAnswers(4), []

    def server(number: int, request: bytes) -> bytes:
        if part_of(request) == Part(2, 4) and Part(2, 4) not in answers.seen:
            answers.seen[Part(2, 4)] = 0
            before.extend(places.log)
            return response(status, b"")
        return answers(number, request)

    run(raw_server(server), places=places)
    event, place = before[-1]
    assert event == "take"
    assert places.log[len(before)] == ("release", place)
    assert places.free == 3


@pytest.mark.parametrize("end", ["rejected", "interrupted", "broken"])
def test_all_places_are_given_back_however_the_export_ends(end: str, raw_server: Any) -> None:
    places, answers = CountedPlaces(3), PartsAnswers(4)

    def server(number: int, request: bytes) -> bytes:
        if part_of(request) == Part(1, 4) and answers.seen.get(Part(1, 4), 0) == 1 and end == "rejected":
            return response("403 Forbidden", b"")
        return answers(number, request)

    def receive(body: ResponseBody, part: Part) -> bool:
        if part.number == 2:
            raise KeyboardInterrupt if end == "interrupted" else af.DecodeError("broken")
        return b"".join(body) == b"body"

    expected = {"rejected": af.AuthenticationError, "interrupted": KeyboardInterrupt, "broken": af.DecodeError}[end]
    with pytest.raises(expected):
        run(raw_server(server), places=places, receive=receive)
    assert places.free == 3
    assert max(held(places.log)) > 1


def test_all_places_are_given_back_although_ctrl_c_comes_again() -> None:
    """While one of them is given back."""
    places = CountedPlaces(3)
    keeper = PlaceKeeper(places)
    assert all(keeper.take(Part(number, 4)) for number in range(3))
    first = next(place for _, place in places.log if place is not None)
    release = first.release

    def release_interrupted() -> None:
        release()
        raise KeyboardInterrupt

    first.release = release_interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        keeper.release_all()
    assert places.free == 3


def test_by_default_an_export_has_three_places() -> None:
    places = PlaceKeeper(ExportPlaces())
    assert [places.take(Part(number, 8)) for number in range(4)] == [True, True, True, False]
    places.release(Part(1, 8))
    assert places.take(Part(3, 8))


def test_a_job_is_behind_those_that_were_queued_before_it() -> None:
    places = PlaceKeeper(ExportPlaces())
    assert [places.take(Part(number, 8)) for number in (0, 1, 2)] == [True] * 3
    assert [places.is_behind(Part(number, 8)) for number in range(4)] == [False, True, True, False]
    places.release(Part(0, 8))
    assert [places.is_behind(Part(number, 8)) for number in (1, 2)] == [False, True]


def test_a_job_of_a_range_is_followed_by_those_that_were_queued_after_it() -> None:
    class PlacesOfARange(ExportPlaces):
        required = True

    places = PlaceKeeper(PlacesOfARange())
    assert [places.take(Part(number, 8)) for number in (0, 1)] == [True] * 2
    assert [places.is_followed(Part(number, 8)) for number in range(3)] == [True, False, False]
    places.release(Part(1, 8))
    assert not places.is_followed(Part(0, 8))


def test_an_export_of_its_own_is_asked_for_as_if_nobody_came_after_it() -> None:
    """Another call of this process may have queued one: this call must not wait longer for that."""
    places = PlaceKeeper(ExportPlaces())
    assert [places.take(Part(number, 8)) for number in (0, 1)] == [True] * 2
    assert not places.is_followed(Part(0, 8))


def test_requests_keep_the_pace_of_all_windows(raw_server: Any) -> None:
    clock = ManualClock()
    began = clock.time

    class SlowPace:
        def reserve(self, now: float) -> float:
            assert now == began
            return 3.0

    server = raw_server(lambda *_: b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
    with pytest.raises(af.RequestRejectedError):
        run(server, clock=clock, pace=SlowPace())
    assert clock.time == began + 3.0


def test_a_wait_behind_others_ends_when_they_are_done(raw_server: Any) -> None:
    """The server is asked again as soon as the place of the job before is given back."""
    places, clock = CountedPlaces(1), ManualClock()
    asked: list[float] = []

    def server(number: int, _: bytes) -> bytes:
        asked.append(clock.time)
        return response("202 Accepted" if number == 1 else "200 OK", b"body")

    class Clock(ManualClock):
        def sleep(self, seconds: float) -> None:
            clock.time = self.time = self.time + seconds
            for _, place in places.log:
                if place is not None:
                    place.is_first = self.time >= 50.0

    take = places.take

    def take_behind() -> CountedPlace | None:
        place = take()
        if place is not None:
            place.is_first = False
        return place

    places.take = take_behind  # type: ignore[method-assign]
    run(raw_server(server), places=places, clock=Clock())
    assert asked == [0.0, 50.0]


def test_where_a_place_is_required_nothing_is_requested_without_one(raw_server: Any) -> None:
    places, answers = CountedPlaces(0, required=True), PartsAnswers(2)
    free_after = iter(range(3))

    class Clock(ManualClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            if next(free_after, None) == 2:
                assert answers.parts == []
                places.free = 1

    assert run(raw_server(answers), places=places, clock=Clock()).parts == 2
    assert max(held(places.log)) == 1
    assert [event for event, _ in places.log[:4]] == ["refuse", "refuse", "refuse", "take"]


@pytest.mark.parametrize("losses", [0, 1, 3])
def test_a_job_keeps_its_place_until_its_file_is_told_from_an_older_one(losses: int, raw_server: Any) -> None:
    """Another export would take the place meanwhile, and this one wait for it with its file ready."""
    places, statuses, headers = CountedPlaces(1, required=True), ["202", "200"] * (1 + losses) + ["200"], []
    log_at_body: list[list[str]] = []

    def server(number: int, request: bytes) -> bytes:
        headers.append(b"max-age" in request)
        assert places.free == 0
        return response(f"{statuses[len(headers) - 1]} Any", b"body")

    def receive(body: ResponseBody, _: Part) -> bool:
        log_at_body.append([event for event, _ in places.log])
        return b"".join(body) == b"body"

    older_file_at = ManualClock().now() - 60
    run(raw_server(server), places=places, receive=receive, cache_control="max-age=5", older_file_at=older_file_at)
    assert headers == [True, False] * (1 + losses) + [True]
    assert log_at_body == [["take", *["reuse"] * (1 + losses), "release"]]  # a new job is behind those queued before
    assert places.free == 1


def test_a_place_that_was_kept_is_given_back_when_the_verification_fails(raw_server: Any) -> None:
    places, statuses = CountedPlaces(1, required=True), iter(["202", "200", "403"])
    server = raw_server(lambda *_: response(f"{next(statuses)} Any", b""))
    with pytest.raises(af.AuthenticationError):
        run(server, places=places, cache_control="no-cache", older_file_at=ManualClock().now() - 60)
    assert places.free == 1


def test_an_export_that_has_a_place_does_not_wait_for_another() -> None:
    """Two that each have a place for a part that is being built, and need one for a part that is there."""
    places = CountedPlaces(2, required=True)
    exports = [PlaceKeeper(places), PlaceKeeper(places)]
    assert all(export.may_request(Part(1, 2)) for export in exports)
    assert not PlaceKeeper(places).may_request(Part(0, 2))
    assert all(export.may_request(Part(0, 2)) for export in exports)
    assert places.free == 0


def test_the_next_job_of_an_export_has_the_place_of_the_one_that_the_server_dropped() -> None:
    """Given back, it would be taken by another export, while the jobs that are abandoned are with the server still."""
    places = CountedPlaces(3)
    export = PlaceKeeper(places)
    assert all(export.take(Part(number, 4)) for number in (1, 2))
    export.drop(Part(1, 4))
    assert places.take()
    assert export.take(Part(0, 8))
    assert not export.take(Part(1, 8))
    assert held(places.log)[-1] == 3
    export.finish(Part(0, 8))
    assert places.free == 2, "the abandoned job was prepared before this one"


def test_a_place_that_is_used_again_is_behind_the_others() -> None:
    places = PlaceKeeper(ExportPlaces())
    assert all(places.take(Part(number, 4)) for number in (1, 2))
    places.drop(Part(1, 4))
    assert not places.is_behind(Part(1, 4))
    assert places.take(Part(0, 8))
    assert places.is_behind(Part(0, 8))


def test_a_wait_for_a_place_ends_and_is_logged_once(raw_server: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Another process can have the places and not come to an end."""
    caplog.set_level("INFO", logger="appmetrica_frames")
    answers, clock = PartsAnswers(1), ManualClock()
    with pytest.raises(af.QuotaExceededError, match="taken all places in the server's queue for 4 h"):
        run(raw_server(answers), places=CountedPlaces(0, required=True), clock=clock)
    assert answers.parts == []
    assert clock.time == pytest.approx(4 * 3600, abs=60)
    assert len(caplog.messages) == 1


class OneAtATime:
    """A gate that somebody else has entered."""

    def __init__(self, *, is_free: bool) -> None:
        self.is_free = is_free
        self.log: list[str] = []

    def enter(self, timeout: float | None = None) -> bool:
        self.log.append("enter" if timeout is None else "try")
        return timeout is None or self.is_free

    def leave(self) -> None:
        self.log.append("leave")


@pytest.mark.parametrize("is_free", [True, False])
def test_a_body_is_read_inside_the_gate(is_free: bool, raw_server: Any) -> None:  # noqa: FBT001
    """While others are inside, the response is closed; afterwards the file is requested again."""
    gate, answers = OneAtATime(is_free=is_free), PartsAnswers(1)
    seen: list[list[str]] = []

    def receive(body: ResponseBody, _: Part) -> bool:
        seen.append(list(gate.log))
        return b"".join(body) == b"body"

    run(raw_server(answers), receive=receive, downloads=gate)
    assert seen == [["try"] if is_free else ["try", "enter"]]
    assert gate.log[-1] == "leave"
    assert len(answers.parts) == (3 if is_free else 4)


def test_a_file_that_is_lost_before_the_gate_is_prepared_again(raw_server: Any) -> None:
    gate, answers = OneAtATime(is_free=False), PartsAnswers(1, polls=1)

    def server(number: int, request: bytes) -> bytes:
        answer = answers(number, request)
        return response("202 Accepted", b"") if len(answers.parts) == 3 else answer  # after the first 200

    run(raw_server(server), downloads=gate, retries=1)
    assert gate.log.count("enter") == gate.log.count("leave") == 2


@pytest.mark.parametrize("error", [af.DecodeError("broken"), KeyboardInterrupt()])
def test_the_gate_is_left_however_the_body_ends(error: BaseException, raw_server: Any) -> None:
    gate = OneAtATime(is_free=True)

    def receive(_: ResponseBody, __: Part) -> bool:
        raise error

    with pytest.raises(type(error)):
        run(raw_server(PartsAnswers(1)), receive=receive, downloads=gate)
    assert gate.log == ["try", "leave"]


def test_a_wait_behind_others_ends_as_soon_where_the_shortest_pause_is_zero() -> None:
    places = PlaceKeeper(CountedPlaces(0, required=True))
    connection: Any = SimpleNamespace(notify=None)
    driver = ExportDriver(
        REQUEST,
        lambda _, __: True,
        connection,
        places,
        ManualClock(),
        reporter=NullReporter(),
        on_poll=None,
        downloads=None,
    )
    pauses = driver.pauses(Wait(600.0, "behind others", 0.0, recheck=0.0))
    assert next(pauses) < 1.0


def test_only_a_job_is_shown_as_preparing() -> None:
    """A window of a range that waits for a place has none."""
    shown: list[float] = []

    class Reporter(NullReporter):
        def preparing(self, waited: float, *_: Any) -> None:
            shown.append(waited)

    connection: Any = SimpleNamespace(notify=None)
    clock, places = ManualClock(), PlaceKeeper(ExportPlaces())
    driver = ExportDriver(
        REQUEST, lambda _, __: True, connection, places, clock, reporter=Reporter(), on_poll=None, downloads=None
    )
    driver.execute(Wait(2.0, "all places are taken", 0.0, has_place=False))
    assert shown == []
    driver.execute(Wait(2.0, "preparing", 7.0))
    assert shown[0] == 7.0
