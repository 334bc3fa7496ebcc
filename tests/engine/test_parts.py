"""Exports too big for one file: more parts, never mixed, queued ahead, one cached file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import appmetrica_frames as af
from appmetrica_frames.emulator import Emulator, MovableClock
from appmetrica_frames.logs_api.places import ExportPlaces, PlaceKeeper
from appmetrica_frames.logs_api.protocol import export_protocol
from appmetrica_frames.logs_api.retry import RetryPolicy
from appmetrica_frames.logs_api.steps import (
    BodyRead,
    FetchResult,
    NoPlace,
    QueuePart,
    ReadBody,
    Response,
    RestartDownload,
    ResumedJob,
    SendRequest,
    TransportFailed,
    Wait,
)
from appmetrica_frames.request.part import Part

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from appmetrica_frames.logs_api.steps import Reply, Step

MORE = "Too much data. Try to use more parts."
NOON = 1_722_340_800.0


class PartsServer:
    """A server that prepares one part after another, queues up to three, and wants some number of parts."""

    def __init__(
        self,
        wanted: int,
        *,
        cache_control: str | None = None,
        preparation: float = 100.0,
        resumed: ResumedJob | None = None,
    ) -> None:
        self.wanted = wanted
        self.preparation = preparation
        self.now = 0.0
        self.ready: dict[Part, float] = {}
        self.requests: list[SendRequest] = []
        self.built_since: dict[Part, list[float | None]] = {}
        self.latency = 0.0
        self.received: list[Part] = []
        self.places = PlaceKeeper(ExportPlaces())
        self.faults: dict[int, Reply] = {}
        self.longest_queue = 0
        self.protocol = export_protocol(cache_control, RetryPolicy(), began=0.0, random=lambda: 0.0, resumed=resumed)

    def run(self) -> FetchResult:
        reply: Reply = None
        while True:
            try:
                step = self.protocol.send(reply)
            except StopIteration as done:
                result: FetchResult = done.value
                return result
            reply = self._reply(step)

    def _reply(self, step: Step) -> Reply:
        if isinstance(step, Wait):
            self.now += step.seconds
            return None
        if isinstance(step, ReadBody):
            return self._receive(step.part)
        if isinstance(step, QueuePart):
            return self._queue(step.request)
        self.places.take(step.part)
        self.requests.append(step)
        return self._send(step)

    def _queue(self, request: SendRequest) -> Reply:
        return self._send(request) if self.places.take(request.part) else NoPlace(self.now)

    def _send(self, request: SendRequest) -> Reply:
        self.built_since.setdefault(request.part, []).append(request.built_since)
        reply = self._answer(request.part)
        self.now += self.latency
        return reply

    def _receive(self, part: Part) -> Reply:
        if fault := self.faults.pop(len(self.received), None):
            return fault
        if part.number == 0:
            self.received.clear()
        self.received.append(part)
        return BodyRead(self.now)

    def _answer(self, part: Part) -> Reply:
        if part.count < self.wanted:
            self.places.release(part)
            return self._response(400, MORE)
        if part not in self.ready:
            queue = [at for at in self.ready.values() if at > self.now]
            if len(queue) == 3:
                return self._response(429, "There are already 3 enqueued queries")
            self.ready[part] = max([self.now, *queue]) + self.preparation
            self.longest_queue = max(self.longest_queue, len(queue) + 1)
        if self.ready[part] > self.now:
            return self._response(202)
        self.places.finish(part)
        return self._response(200)

    def _response(self, status: int, text: str = "") -> Response:
        return Response(status, {}, text, sent_at=1000.0 + self.now, at=self.now)


@pytest.mark.parametrize("wanted", [1, 2, 4, 8, 16, 32, 64])
def test_parts_double_until_the_server_accepts(wanted: int) -> None:
    server = PartsServer(wanted)
    result = server.run()
    assert result.parts == wanted
    assert server.received == [Part(number, wanted) for number in range(wanted)]


def test_more_than_64_parts_are_an_error_that_says_what_to_do() -> None:
    with pytest.raises(af.RequestRejectedError, match="fewer days"):
        PartsServer(128).run()


@pytest.mark.parametrize("header", ["no-cache", "max-age=60", None])
def test_the_first_part_is_built_anew_whatever_the_policy(header: str | None) -> None:
    """A part that is there at once is of a build that nobody knows."""
    server = PartsServer(4, cache_control=header)
    server.run()
    headers = [(request.part, request.cache_control) for request in server.requests if request.part.number == 0]
    assert headers[:3] == [(Part(0, 1), header), (Part(0, 2), "no-cache"), (Part(0, 4), "no-cache")]
    assert {header for _, header in headers[3:]} == {None}


def test_the_other_parts_are_as_young_as_the_first() -> None:
    server = PartsServer(4, cache_control="max-age=60")
    server.run()
    for number in range(1, 4):
        first, *rest = server.built_since[Part(number, 4)]
        assert first == 1000.0
        assert set(rest) <= {None}


def test_the_export_is_as_old_as_its_oldest_part() -> None:
    """The max-age of the other parts is rounded up to whole seconds."""
    server = PartsServer(2)
    server.ready = {Part(0, 2): 0.0, Part(1, 2): 0.0}
    server.latency = 0.25
    result = server.run()
    sent_at = 1000.5  # after a 400, and the 200 of part 0
    assert result == FetchResult(sent_at - 1.0, waited=True, parts=2)


@pytest.mark.parametrize(
    ("resumed_parts", "headers"),
    [
        (1, {Part(0, 2): "no-cache", Part(0, 4): "no-cache"}),
        (2, {Part(0, 4): "no-cache"}),
        (4, {}),
        (8, {}),
    ],
)
def test_a_resumed_job_is_requested_without_the_header(resumed_parts: int, headers: dict[Part, str]) -> None:
    """An export in another number of parts is another job, of which the server may have an old file."""
    server = PartsServer(4, cache_control="no-cache", resumed=ResumedJob(1000.0, resumed_parts))
    assert server.run().parts == max(4, resumed_parts)
    assert {request.part: request.cache_control for request in server.requests if request.cache_control} == headers


def test_up_to_three_parts_are_queued_at_once() -> None:
    server = PartsServer(8)
    server.run()
    assert server.longest_queue == 3
    assert server.now <= 8 * server.preparation * 1.1


def test_too_few_parts_are_noticed_late_too() -> None:
    """The server may notice while it prepares a later part; nothing of the smaller count is kept."""
    server = PartsServer(2)
    server.faults[1] = None
    answer = server._answer

    def unsteady(part: Part) -> Reply:
        if part == Part(1, 2) and server.now > 50:
            server.wanted = 4
        return answer(part)

    server._answer = unsteady  # type: ignore[method-assign]
    assert server.run().parts == 4
    assert server.received == [Part(number, 4) for number in range(4)]


def test_only_a_broken_part_is_requested_again() -> None:
    server = PartsServer(4)
    server.faults[2] = TransportFailed(af.DownloadError("cut"), 0.0)
    server.run()
    assert server.received == [Part(number, 4) for number in range(4)]


def test_a_restarted_download_gets_all_parts_without_another_header() -> None:
    server = PartsServer(2, cache_control="no-cache")
    server.faults[1] = RestartDownload()
    server.run()
    assert server.received == [Part(0, 2), Part(1, 2)]
    assert [request.cache_control for request in server.requests if request.part.count == 2].count("no-cache") == 1


@pytest.fixture
def server() -> Iterator[Emulator]:
    with Emulator(rows_per_day=2_000, max_rows_per_file=700, clock=MovableClock(start=NOON)) as emulator:
        yield emulator


def parameters(server: Emulator) -> dict[str, Any]:
    client = af.Client(server.token, base_url=server.base_url, poll=(0.01, 0.02), progress=False)
    return {
        "application_id": server.application_id,
        "date_since": "2024-07-29",
        "date_until": "2024-07-29",
        "client": client,
    }


def test_the_parts_are_one_export(server: Emulator, tmp_path: Path) -> None:
    parted = af.read_appmetrica("events", refresh=True, **parameters(server))
    with Emulator(rows_per_day=2_000, clock=MovableClock(start=NOON)) as plain:
        client = af.Client(plain.token, base_url=plain.base_url, poll=(0.01, 0.02), progress=False, cache_dir=tmp_path)
        whole = af.read_appmetrica("events", **{**parameters(plain), "client": client})
    assert parted.height == whole.height > 1_400
    assert parted.sort(pl.all()).equals(whole.sort(pl.all()))
    counts = {dict(e.query).get("parts_count", "1") for e in server.exchanges if e.status == 200}
    assert len(counts - {"1"}) == 1
    counts = [dict(e.query).get("parts_count", "1") for e in server.exchanges]
    headers = [(dict(e.query).get("part_number"), e.headers.get("cache-control")) for e in server.exchanges]
    last = [header for count, header in zip(counts, headers, strict=True) if count == counts[-1] and header[1]]
    assert sorted(number or "" for number, _ in last) == [str(number) for number in range(int(counts[-1]))]
    assert {header for number, header in last if number == "0"} == {"no-cache"}
    assert all(header and header.startswith("max-age=") for number, header in last if number != "0")


def test_one_file_is_cached_and_no_part_is_left(server: Emulator) -> None:
    (path,) = af.download_appmetrica("events", **parameters(server))
    assert {file.suffix for file in path.parent.iterdir()} == {".parquet", ".json", ".lease"}
    requests = len(server.exchanges)
    assert af.read_appmetrica("events", **parameters(server)).height == pl.read_parquet(path).height
    assert len(server.exchanges) == requests
