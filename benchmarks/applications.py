"""How long a sync of many applications takes, and how many requests, on a simulated clock.

``python -m benchmarks.applications`` fetches thirty daily windows of each of a hundred applications. The protocol, its
driver, and the places in each application's queue are the package's; the queues of the server are the emulator's.
Threads, sockets and files are left out, and no time passes: an event follows the other. So the figures are those of the
schedule alone, and the same on every machine.

The bound is the longest queue of an application: the server prepares its windows one after another, and those of
different applications side by side. Each application has a preparation time of its own.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter, deque
from dataclasses import dataclass, field, replace
from datetime import UTC, date, timedelta
from typing import TYPE_CHECKING, Any, cast

from .simulated import START, Downloads, SimulatedServer, Simulation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from appmetrica_frames.cache.entry import PendingJob
    from appmetrica_frames.engine.schedule import ApplicationQueue
    from appmetrica_frames.logs_api.driver import ExportDriver
    from appmetrica_frames.logs_api.places import PlaceKeeper
    from appmetrica_frames.request.export import ExportRequest
    from appmetrica_frames.request.windows import Split

    from .simulated import Process

FIRST_DAY = date(2024, 7, 1)
DAY = 86_400.0
LIMIT = 1.1  # times the bound
DAILY_QUOTA = 5_000  # requests of a login
IP_QUOTA = 30  # requests a second
UNSETTLED = 8  # days that a sync fetches again: yesterday and the lookback


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What is synced: so many days of so many applications.

    Attributes
    ----------
    shortest, longest
        The seconds that the server takes for a window of the quickest and of the slowest application, on average.
    spread
        A window takes so much less or more than the average of its application, as a share.
    download
        The seconds that the download of a file takes.
    downloads
        How many files are downloaded and decoded at once.
    """

    applications: int = 100
    days: int = 30
    split: Split = "day"
    shortest: float = 5.0
    longest: float = 300.0
    spread: float = 0.5
    download: float = 0.5
    downloads: int = 2

    def preparations(self, application: int) -> list[float]:
        """Return the seconds of each window; the applications are spaced evenly by their ratio."""
        share = application / max(1, self.applications - 1)
        average = self.shortest * (self.longest / self.shortest) ** share
        numbers = random.Random(application)  # noqa: S311 - a server is not the same each day
        return [average * numbers.uniform(1 - self.spread, 1 + self.spread) for _ in self.plan(application)]

    @property
    def bound(self) -> float:
        """The seconds of the longest queue."""
        return max(sum(self.preparations(application)) for application in range(self.applications))

    @property
    def windows(self) -> int:
        return self.applications * len(self.plan(0))

    def plan(self, application: int) -> tuple[ExportRequest, ...]:
        """Return the windows of an application, as a sync plans them."""
        from appmetrica_frames.request.export import build_request
        from appmetrica_frames.request.windows import split_request

        last = FIRST_DAY + timedelta(days=self.days - 1)
        request = build_request(
            "events",
            application_id=application + 1,
            date_since=FIRST_DAY,
            date_until=last,
            fields=["event_name"],
            now=START,
            zone=lambda _: UTC,
        )
        return split_request(request, self.split)


@dataclass
class Outcome:
    """How a scenario went: the seconds of the whole, and its requests by second and by window."""

    scenario: Scenario
    seconds: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    by_second: Counter[int] = field(default_factory=Counter)
    by_day: Counter[int] = field(default_factory=Counter)

    @property
    def requests(self) -> int:
        return self.statuses.total()

    @property
    def a_window(self) -> float:
        """Requests for each window."""
        return self.requests / self.scenario.windows

    @property
    def times_bound(self) -> float:
        return self.seconds / self.scenario.bound

    def note(self, now: float, status: int) -> None:
        self.statuses[status] += 1
        self.by_second[int(now)] += 1
        self.by_day[int((now - START) // DAY)] += 1


class SimulatedCall:
    """What the windows of all applications share."""

    def __init__(self, scenario: Scenario) -> None:
        from appmetrica_frames.engine.pace import RequestPace, StatusChecks

        self.outcome, self.clock = Outcome(scenario), Simulation()
        self.downloads = Downloads(self.clock, scenario.download, scenario.downloads)
        self.pace, self.status_checks = RequestPace(), StatusChecks()


class NoWrite:
    """Keeps no pending job."""

    def save_pending_job(self, job: PendingJob) -> None:
        pass


class Application:
    """Fetches the windows of one application as `engine.workers` does: a few at a time, in their order."""

    def __init__(self, number: int, call: SimulatedCall) -> None:
        from appmetrica_frames.engine.schedule import ApplicationQueue

        windows = call.outcome.scenario.plan(number)
        seconds = call.outcome.scenario.preparations(number)
        preparations = {window.query(): each for window, each in zip(windows, seconds, strict=True)}
        self._call = call
        self._clock = call.clock
        self._server = SimulatedServer(call.clock, preparations, call.outcome.note)
        self._queue: ApplicationQueue = ApplicationQueue(str(number))
        self._windows = deque(windows)
        self._random = random.Random(number)  # noqa: S311 - spreads retries

    def workers(self) -> Iterator[Process]:
        from appmetrica_frames.engine.schedule import MAX_WINDOWS_AHEAD

        for _ in range(min(MAX_WINDOWS_AHEAD, len(self._windows))):
            yield self._work()

    def _work(self) -> Process:
        while self._windows:
            yield from self._fetch(self._windows.popleft())

    def _fetch(self, window: ExportRequest) -> Process:
        """Run the protocol as `run_export` does, with each pause and each download an event."""
        from appmetrica_frames.engine.schedule import SharedPlaces
        from appmetrica_frames.logs_api.places import PlaceKeeper
        from appmetrica_frames.logs_api.protocol import export_protocol
        from appmetrica_frames.logs_api.retry import RetryPolicy
        from appmetrica_frames.logs_api.steps import ReadBody, Reply, SendRequest, Wait

        places = PlaceKeeper(SharedPlaces(self._queue, None, required=True))
        driver = self._driver(window, places)
        now = self._clock.monotonic()
        protocol = export_protocol(None, RetryPolicy(), began=now, random=self._random.random)
        reply: Reply = None
        try:
            while True:
                step = protocol.send(reply)
                if isinstance(step, Wait):
                    driver.report_wait(step)
                    yield from driver.pauses(step)
                    reply = None
                    continue
                if isinstance(step, ReadBody):
                    yield self._call.downloads.take()
                if isinstance(step, SendRequest) and places.may_request(step.part):
                    yield self._call.pace.reserve(self._clock.now())
                reply = driver.execute(step)
        except StopIteration:
            pass
        finally:
            driver.close()

    def _driver(self, window: ExportRequest, places: PlaceKeeper) -> ExportDriver:
        from appmetrica_frames.engine.fetch import PreparationMonitor
        from appmetrica_frames.logs_api.driver import ExportDriver
        from appmetrica_frames.progress import NullReporter

        connection = cast("Any", self._server)
        monitor = PreparationMonitor(
            window,
            cast("Any", NoWrite()),
            connection,
            NullReporter(),
            job=None,
            status_checks=self._call.status_checks,
            is_refresh=False,
        )
        return ExportDriver(
            window,
            lambda _body, _part: True,
            connection,
            places,
            self._clock,
            reporter=NullReporter(),
            on_poll=monitor.on_poll,
            downloads=None,
        )


def simulate(scenario: Scenario) -> Outcome:
    """Return how long the windows of all applications take, and what is requested for them."""
    call = SimulatedCall(scenario)
    for number in range(scenario.applications):
        for worker in Application(number, call).workers():
            call.clock.start(worker)
    call.outcome.seconds = call.clock.run()
    return call.outcome


SCENARIOS = {
    "the first sync, a file a day": Scenario(),
    "the first sync, a file a week": Scenario(split="week"),
    "the sync of each day after that": Scenario(days=UNSETTLED),
}


def main() -> None:
    given = parse_arguments()
    for name, scenario in SCENARIOS.items():
        adapted = replace(scenario, applications=given.applications, shortest=given.shortest, longest=given.longest)
        print_outcome(name, simulate(adapted))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.applications", description=__doc__)
    usual = Scenario()
    parser.add_argument("--applications", type=int, default=usual.applications, help="(default: %(default)s)")
    for name in ("shortest", "longest"):
        text = f"seconds of a window of the {name} queue (default: %(default)s)"
        parser.add_argument(f"--{name}", type=float, default=getattr(usual, name), help=text)
    return parser.parse_args()


def print_outcome(name: str, outcome: Outcome) -> None:
    scenario, requests = outcome.scenario, max(outcome.by_day.values())
    print(
        f"{name}: {scenario.windows:,} windows of {scenario.applications} applications\n"
        f"  {outcome.seconds / 60:.0f} minutes, {outcome.times_bound:.3f} times the longest queue; at most {LIMIT}\n"
        f"  {requests:,} requests in a day, {outcome.a_window:.1f} a window; {DAILY_QUOTA:,} are documented, "
        f"2 a window are needed\n"
        f"  {max(outcome.by_second.values())} requests in the busiest second; {IP_QUOTA} are documented",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
