"""Exports too big for one file: more parts, never mixed, queued ahead, one stored file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import appmetrica_frames as af
from appmetrica_frames.emulator import Emulator, MovableClock
from appmetrica_frames.logs_api.protocol import RetryPolicy, export_protocol
from appmetrica_frames.logs_api.steps import (
    BodyRead,
    FetchResult,
    Part,
    ReadBody,
    Response,
    RestartDownload,
    SendRequest,
    TransportFailed,
    Wait,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from appmetrica_frames.logs_api.steps import Reply, Step

MORE = "Too much data. Try to use more parts."
NOON = 1_722_340_800.0


class Parted:
    """A server that prepares part after part, has room for three jobs, and wants some number of parts."""

    def __init__(
        self,
        wanted: int,
        *,
        cache_control: str | None = None,
        preparation: float = 100.0,
        resumed_parts: int | None = None,
    ) -> None:
        self.wanted = wanted
        self.preparation = preparation
        self.now = 0.0
        self.ready: dict[Part, float] = {}
        self.asked: list[SendRequest] = []
        self.received: list[Part] = []
        self.faults: dict[int, Reply] = {}
        self.longest_queue = 0
        self.flow = export_protocol(
            cache_control, RetryPolicy(), began=0.0, random=lambda: 0.0, resumed_parts=resumed_parts
        )

    def play(self) -> FetchResult:
        reply: Reply = None
        while True:
            try:
                step = self.flow.send(reply)
            except StopIteration as done:
                delivery: FetchResult = done.value
                return delivery
            reply = self._reply(step)

    def _reply(self, step: Step) -> Reply:
        if isinstance(step, Wait):
            self.now += step.seconds
            return None
        if isinstance(step, ReadBody):
            return self._receive(step.part)
        self.asked.append(step)
        return self._answer(step.part)

    def _receive(self, part: Part) -> Reply:
        if fault := self.faults.pop(len(self.received), None):
            return fault
        if part.number == 0:
            self.received.clear()
        self.received.append(part)
        return BodyRead(self.now)

    def _answer(self, part: Part) -> Reply:
        if part.count < self.wanted:
            return self._said(400, MORE)
        if part not in self.ready:
            queue = [at for at in self.ready.values() if at > self.now]
            if len(queue) == 3:
                return self._said(429, "There are already 3 enqueued queries")
            self.ready[part] = max([self.now, *queue]) + self.preparation
            self.longest_queue = max(self.longest_queue, len(queue) + 1)
        return self._said(200 if self.ready[part] <= self.now else 202)

    def _said(self, status: int, text: str = "") -> Response:
        return Response(status, {}, text, sent_at=1000.0 + self.now, at=self.now)


@pytest.mark.parametrize("wanted", [1, 2, 4, 8, 16, 32, 64])
def test_parts_double_until_the_server_is_content(wanted: int) -> None:
    server = Parted(wanted)
    delivery = server.play()
    assert delivery.parts == wanted
    assert server.received == [Part(number, wanted) for number in range(wanted)]


def test_more_than_64_parts_are_an_error_that_says_what_to_do() -> None:
    with pytest.raises(af.RequestRejectedError, match="fewer days"):
        Parted(128).play()


@pytest.mark.parametrize("header", ["no-cache", "max-age=60"])
def test_only_the_first_request_of_part_0_carries_the_header(header: str) -> None:
    server = Parted(4, cache_control=header)
    server.play()
    said = {ask.part: ask.cache_control for ask in server.asked if ask.cache_control}
    assert said == {Part(0, 1): header, Part(0, 2): header, Part(0, 4): header}
    assert sum(ask.cache_control is not None for ask in server.asked) == 3


@pytest.mark.parametrize(
    ("resumed_parts", "said"),
    [
        (1, {Part(0, 2): "no-cache", Part(0, 4): "no-cache"}),
        (2, {Part(0, 4): "no-cache"}),
        (4, {}),
        (8, {}),
    ],
)
def test_a_job_of_an_earlier_call_is_asked_for_without_the_header(resumed_parts: int, said: dict[Part, str]) -> None:
    """An export in other parts is another job, of which the server may have an old file."""
    server = Parted(4, cache_control="no-cache", resumed_parts=resumed_parts)
    assert server.play().parts == max(4, resumed_parts)
    assert {ask.part: ask.cache_control for ask in server.asked if ask.cache_control} == said


def test_up_to_three_parts_are_queued_at_once() -> None:
    server = Parted(8)
    server.play()
    assert server.longest_queue == 3
    assert server.now <= 8 * server.preparation * 1.1


def test_too_few_parts_are_noticed_late_too() -> None:
    """The server may find out while it prepares a later part; nothing of the smaller count is kept."""
    server = Parted(2)
    server.faults[1] = None
    answer = server._answer

    def moody(part: Part) -> Reply:
        if part == Part(1, 2) and server.now > 50:
            server.wanted = 4
        return answer(part)

    server._answer = moody  # type: ignore[method-assign]
    assert server.play().parts == 4
    assert server.received == [Part(number, 4) for number in range(4)]


def test_a_broken_part_is_asked_for_again_alone() -> None:
    server = Parted(4)
    server.faults[2] = TransportFailed(af.DownloadError("cut"), 0.0)
    server.play()
    assert server.received == [Part(number, 4) for number in range(4)]


def test_a_reader_that_needs_the_export_again_gets_all_parts_without_a_header() -> None:
    server = Parted(2, cache_control="no-cache")
    server.faults[1] = RestartDownload()
    server.play()
    assert server.received == [Part(0, 2), Part(1, 2)]
    assert [ask.cache_control for ask in server.asked if ask.part.count == 2].count("no-cache") == 1


@pytest.fixture
def server() -> Iterator[Emulator]:
    with Emulator(rows_per_day=2_000, max_rows_per_file=700, clock=MovableClock(start=NOON)) as emulator:
        yield emulator


def words(server: Emulator) -> dict[str, Any]:
    client = af.Client(server.token, base_url=server.base_url, poll=(0.01, 0.02), progress=False)
    return {
        "application_id": server.application_id,
        "date_since": "2024-07-29",
        "date_until": "2024-07-29",
        "client": client,
    }


def test_the_parts_are_one_export(server: Emulator, tmp_path: Path) -> None:
    parted = af.read_appmetrica("events", refresh=True, **words(server))
    with Emulator(rows_per_day=2_000, clock=MovableClock(start=NOON)) as plain:
        client = af.Client(plain.token, base_url=plain.base_url, poll=(0.01, 0.02), progress=False, cache_dir=tmp_path)
        whole = af.read_appmetrica("events", **{**words(plain), "client": client})
    assert parted.height == whole.height > 1_400
    assert parted.sort(pl.all()).equals(whole.sort(pl.all()))
    counts = {dict(e.query).get("parts_count", "1") for e in server.exchanges if e.status == 200}
    assert len(counts - {"1"}) == 1
    headers = [(dict(e.query).get("part_number"), e.headers.get("cache-control")) for e in server.exchanges]
    assert {number for number, header in headers if header} <= {None, "0"}


def test_one_file_is_stored_and_no_part_is_left(server: Emulator) -> None:
    (path,) = af.download_appmetrica("events", **words(server))
    assert {file.suffix for file in path.parent.iterdir()} == {".parquet", ".json", ".lent"}
    asked = len(server.exchanges)
    assert af.read_appmetrica("events", **words(server)).height == pl.read_parquet(path).height
    assert len(server.exchanges) == asked
