"""A clock, queues of a server and downloads, in which an event follows the other and no time passes."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Hashable, Mapping

    from appmetrica_frames.emulator.queue import Queue
    from appmetrica_frames.logs_api.steps import Response

    Process = Generator[float, None, None]  # yields the seconds that it lets pass

START = 1_722_470_400.0  # 2024-08-01 00:00:00 UTC, when the quota of a day begins


class Simulation:
    """Lets time pass from one event to the next; the clock of all that takes part."""

    def __init__(self) -> None:
        self._now = START
        self._events: list[tuple[float, int, Process]] = []
        self._numbers = count()

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        raise NotImplementedError(f"a pause of {seconds} s is an event here")

    def start(self, process: Process) -> None:
        self._schedule(0.0, process)

    def run(self) -> float:
        """Run all processes to their end, and return how many seconds that took."""
        while self._events:
            self._now, _, process = heapq.heappop(self._events)
            pause = next(process, None)
            if pause is not None:
                self._schedule(pause, process)
        return self._now - START

    def _schedule(self, pause: float, process: Process) -> None:
        heapq.heappush(self._events, (self._now + pause, next(self._numbers), process))


class SimulatedServer:
    """The queue of one application behind the interface of a connection."""

    def __init__(
        self, clock: Simulation, preparations: Mapping[Hashable, float], note: Callable[[float, int], None]
    ) -> None:
        from appmetrica_frames.emulator.queue import Queue

        self.clock = clock
        self._queue: Queue[bytes] = Queue(preparations.__getitem__)
        self._note = note

    def open(self, _path: str, query: Any, *, cache_control: str | None, sent_at: float) -> SimulatedResponse:
        from appmetrica_frames.emulator.queue import ANY_AGE, Full, Ready

        if cache_control is not None:
            raise NotImplementedError("only requests without a header are simulated")
        self._build(sent_at)
        found = self._queue.request(tuple(query), ANY_AGE, sent_at)
        self._build(sent_at)
        status = 200 if isinstance(found, Ready) else 429 if isinstance(found, Full) else 202
        self._note(sent_at, status)
        return SimulatedResponse(status, sent_at)

    def get_json(self, _path: str) -> object:
        """Answer whether exports work at all."""
        self._note(self.clock.now(), 200)
        return {"logs_api_availability_status": "enabled"}

    def _build(self, now: float) -> None:
        """Have the content of each job ready as soon as the job starts: the queue counts its time."""
        self._queue.advance(now)
        while (job := self._queue.get_current_job()) is not None and job.file is None and job.started_at is not None:
            self._queue.set_content(job.number, b"", job.started_at)
            self._queue.advance(now)


@dataclass(frozen=True)
class SimulatedResponse:
    status: int
    at: float

    def with_text(self, _limit: int) -> Response:
        return self.without_text()

    def without_text(self) -> Response:
        from appmetrica_frames.logs_api.steps import Response

        return Response(self.status, {}, "", self.at, self.at)

    def body(self, _reporter: object) -> bytes:
        return b""

    def close(self) -> None:
        pass


class Downloads:
    """So many downloads at once; the others wait in their order."""

    def __init__(self, clock: Simulation, seconds: float, at_once: int) -> None:
        self._clock = clock
        self._seconds = seconds
        self._free_at = [START] * at_once

    def take(self) -> float:
        """Take the next turn, and return how long it is until the file is read."""
        begin = max(self._clock.now(), heapq.heappop(self._free_at))
        heapq.heappush(self._free_at, begin + self._seconds)
        return begin + self._seconds - self._clock.now()
