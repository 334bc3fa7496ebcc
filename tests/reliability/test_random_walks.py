"""Random walks over the whole package and the emulator: how old a row can be, and what a call costs the server.

Each walk is a sequence of reads with random freshness parameters, between which time passes, jobs are lost, the export
grows or the cache is cleared, and in the middle of which Ctrl-C is pressed, the server fails or bodies are cut. Rows
say of which build they are. A seed makes a walk that goes wrong go wrong again.
"""

from __future__ import annotations

import itertools
import json
import random
import signal
import sys
import threading
import warnings
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl

import httpx
import polars as pl
import pytest

import appmetrica_frames as af
from appmetrica_frames.cache.store import PENDING, LocalStore
from appmetrica_frames.emulator import Emulator, MovableClock, faults
from appmetrica_frames.emulator.request import ApiError
from appmetrica_frames.engine.call import lease_exports, open_exports
from appmetrica_frames.engine.options import build_options
from appmetrica_frames.integrations import polars as frames

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from appmetrica_frames.cache.entry import CachedExport
    from appmetrica_frames.emulator.builder import Build
    from appmetrica_frames.emulator.faults import FaultSpec, Request

NOON = 1_722_340_800.0
MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
MOVED = "moved to the end of the queue"
MAX_PARTS = 4
NEVER = 10**9
NEEDLESS = "needless downloads (the cache had the file, and could not know how young it was)"
NEEDLESS_BUILDS = "needless preparations (of one part in one call, beyond one and one more for each loss)"
SLACK = 10 * MINUTE  # a call whose requests fail reaches the server some time after it began

POLICIES: tuple[dict[str, Any], ...] = (
    {},
    {"max_age": 0},
    {"max_age": MINUTE},
    {"max_age": HOUR},
    {"max_age": 30 * DAY},
    {"refresh": True},
    {"offline": True},
)
PAUSES = (0.0, 0.4, 59.0, 61.0, 700.0, HOUR - 1, HOUR + 1, 5000.0, 40_000.0, DAY - 5, DAY + 1, 100_000.0)
SERVERS = list(itertools.product(("shared", "separate"), ("join", "move")))


class Row(NamedTuple):
    """A build: of which part of how many, of the data of which instant, begun and finished when."""

    number: int
    count: int
    as_of: float
    finished: float

    @property
    def part(self) -> tuple[int, int]:
        return self.number, self.count


class Pending(NamedTuple):
    """What an interrupted call left behind."""

    requested_at: float
    parts: int
    part: int
    refresh: bool


class WalkClock:
    """The emulator's clock, on which Ctrl-C is pressed and jobs are lost when it is looked at so many times.

    Attributes
    ----------
    may_be_in_flight
        Whether a request can have been on its way when Ctrl-C was pressed: the server may get it afterwards.
    """

    def __init__(
        self, walk: Walk, *, interrupted_after: int = NEVER, asleep: bool = False, lost_after: int = NEVER
    ) -> None:
        self._walk = walk
        self._interrupted_after = interrupted_after
        self._asleep = asleep
        self._lost_after = lost_after
        self._looks = itertools.count(1)
        self._sleeps = itertools.count(1)
        self.may_be_in_flight = False

    def now(self) -> float:
        self._look()
        return self._walk.now

    def monotonic(self) -> float:
        return self.now()

    def sleep(self, seconds: float) -> None:
        self._walk.advance(seconds)
        if self._asleep and next(self._sleeps) == self._interrupted_after:
            raise KeyboardInterrupt

    def _look(self) -> None:
        looks = next(self._looks)
        if looks == self._lost_after:
            self._walk.lose_jobs()
        if looks == self._interrupted_after and not self._asleep:
            self.may_be_in_flight = threading.current_thread() is threading.main_thread()
            press_ctrl_c()


def press_ctrl_c() -> None:
    """Interrupt the main thread, from whatever thread: that of a download looks at the clock, too."""
    if threading.current_thread() is threading.main_thread():
        raise KeyboardInterrupt
    if sys.platform != "win32":
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


@dataclass
class Trouble:
    """What goes wrong on the way: everything while the server is down, else some responses and some bodies."""

    rng: random.Random
    is_down: bool = False
    share: float = 0.0

    def fault(self, _: Request) -> FaultSpec:
        is_hit = self.is_down or self.rng.random() < self.share / 3
        return faults.Answer(503) if is_hit else ()

    def fault_of_body(self, _: Request) -> FaultSpec:
        return faults.Cut(20) if self.rng.random() < self.share else ()


class Figures:
    """What all calls of the walks cost."""

    def __init__(self) -> None:
        names = (
            "calls",
            "frames",
            "preparations",
            "jobs moved that no call had noted",
            "losses",
            NEEDLESS_BUILDS,
            "downloads",
            NEEDLESS,
        )
        self.counts = {f"random walks, {name}": 0 for name in names}

    def add(self, name: str, number: int = 1) -> None:
        self.counts[f"random walks, {name}"] += number


@dataclass
class Call:
    """A call, and the state of things when it began."""

    policy: dict[str, Any]
    stale_if_error: float | None
    began: float
    pending: Pending | None
    files: dict[tuple[int, int], Row]
    jobs: set[tuple[int, int]]
    builds: int
    exchanges: int
    downloads: int
    is_troubled: bool
    losses: int

    @property
    def slack(self) -> float:
        return SLACK if self.is_troubled else 0.0

    @property
    def max_age(self) -> float:
        """How old a file on the server may be."""
        if self.policy.get("refresh"):
            return -1.0
        return float(min(self.policy.get("max_age", DAY), DAY))

    @property
    def max_age_of_job(self) -> float:
        """How long ago a pending job may have been requested for its file to be taken."""
        if self.policy.get("refresh"):
            return DAY if self.pending and self.pending.refresh else -1.0
        return self.max_age

    def is_resumed(self, parts: int) -> bool:
        """Return whether the call goes on with the pending job, by DESIGN 4.7."""
        pending = self.pending
        if pending is None or pending.parts != parts or self.began - pending.requested_at > DAY - self.slack:
            return False
        if self.policy.get("refresh") and not pending.refresh and pending.part > 0:
            return False  # parts of it can be older than the call
        file = self.files.get((pending.part, parts))
        is_being_built = file is None or file.finished > self.began + self.slack
        age = self.began + self.slack - pending.requested_at
        return is_being_built or age <= self.max_age_of_job - (parts > 1)


@dataclass
class Walk:
    """A server, a cache and what is known of both."""

    server: Emulator
    directory: Path
    rng: random.Random
    preparation: float
    is_shared: bool
    trouble: Trouble
    figures: Figures
    wanted: int = 1
    builds: list[Row] = field(default_factory=list)
    alive: list[Row] = field(default_factory=list)
    received: set[frozenset[Row]] = field(default_factory=set)
    losses: int = 0
    is_settled: bool = True

    def __post_init__(self) -> None:
        self.server.answers["push_tokens"] = self.build

    @property
    def now(self) -> float:
        return self.server.clock.now()

    def advance(self, seconds: float) -> None:
        self.server.wait_until_idle()
        self.server.clock.advance(seconds)

    def lose_jobs(self) -> None:
        """Lose what the server has yet to build, and sometimes what it has built.

        The files that lost jobs were to replace stay, and a request without a header gets them. Only where the cache
        knows of no file are they lost as well: then nothing tells them from those that were waited for.
        """
        self.server.wait_until_idle()
        is_unknown = self.known_file_at() is None and not self.jobs().isdisjoint(self.alive_parts())
        files = self.rng.random() < 0.3 or is_unknown
        self.server.lose_jobs(files=files)
        self.alive = [row for row in self.alive if row.finished <= self.now and not files]
        self.losses += 1

    def build(self, build: Build) -> bytes:
        """Return the rows of a build, which say of which build they are."""
        number, count = build.request.part
        if count < self.wanted:
            raise ApiError(400, "The export is too large. Try to use more parts.")
        row = Row(number, count, build.as_of, build.started_at + build.preparation)
        # A job that was moved is built anew; a file is replaced once the next one is ready.
        begun = row.finished - self.preparation
        others = (other for other in self.alive if other.part != row.part or other.finished <= begun)
        self.alive = [*others, row]
        self.builds.append(row)
        cell = f"{number} {count} {row.as_of!r} {row.finished!r}"
        return f"appmetrica_device_id,token\n1,{cell}\n2,{cell}".encode()

    def jobs(self) -> set[tuple[int, int]]:
        """Return the parts of which the server has an unfinished job."""
        headers = {"Authorization": f"OAuth {self.server.token}"}
        address = f"{self.server.base_url}/logs/v1/export/get_active_queries?application_id=1111"
        queries = [dict(parse_qsl(job["query"])) for job in httpx.get(address, headers=headers).json()]
        return {(int(query.get("part_number", 0)), int(query.get("parts_count", 1))) for query in queries}

    def alive_parts(self) -> set[tuple[int, int]]:
        return {row.part for row in self.alive if row.finished <= self.now}

    def files(self) -> dict[tuple[int, int], Row]:
        """Return the builds that the server has not lost: files, and files to be."""
        rows = [row for row in self.alive if self.now - row.finished <= DAY]
        if self.is_shared:  # a part that is built again makes the others outdated
            latest = {count: max(row.as_of for row in rows if row.count == count) for count in {r.count for r in rows}}
            rows = [row for row in rows if row.count == 1 or row.as_of == latest[row.count]]
        return {row.part: row for row in rows}

    def pending(self) -> Pending | None:
        job = next((json.loads(path.read_text()) for path in self.directory.rglob(PENDING)), None)
        return None if job is None else Pending(job["requested_at"], job["parts"], job["part"], job["refresh"])

    def known_file_at(self) -> float | None:
        """Return the latest instant at which the server had a file, as far as the cache knows."""
        noted = [json.loads(path.read_text())["older_file_at"] for path in self.directory.rglob(PENDING)]
        fetched = [export.times.fetched_at for export in LocalStore(self.directory).exports()]
        instants = (instant for instant in (*noted, *fetched) if instant is not None and self.now - instant <= DAY)
        return max(instants, default=None)

    def moved_since(self, number: int) -> int:
        return sum(MOVED in exchange.text for exchange in self.server.exchanges if exchange.number > number)

    def step(self) -> None:
        """Let something happen, and make a call."""
        self.advance(self.rng.choice(PAUSES))
        event = self.rng.random()
        if event < 0.1:
            self.lose_jobs()
        elif event < 0.15:
            self.wanted = min(MAX_PARTS, 2 * self.wanted)
        elif event < 0.2:
            af.Cache(self.directory).clear()
            self.received.clear()
        self.trouble.share = self.rng.choice((0.0, 0.0, 0.3))
        self.trouble.is_down = self.rng.random() < 0.1
        clock = WalkClock(
            self,
            interrupted_after=self.rng.choice((NEVER, self.rng.randrange(1, 20), self.rng.randrange(1, 100))),
            asleep=self.rng.random() < 0.5,
            lost_after=self.rng.choice((*[NEVER] * 2, self.rng.randrange(1, 200))),
        )
        self.call(self.rng.choice(POLICIES), clock, prepare_timeout=self.rng.choice((100.0, 1000.0, 1e6)))

    def call(self, policy: dict[str, Any], clock: WalkClock, *, prepare_timeout: float) -> bool:
        """Make a call and check what it returned and what it cost; return whether it had an answer."""
        stale_if_error = None if "offline" in policy else self.rng.choice((None, 600.0, 2 * DAY))
        call = Call(
            policy,
            stale_if_error,
            self.now,
            self.pending(),
            self.files(),
            self.jobs(),
            len(self.builds),
            self.server.exchanges[-1].number if self.server.exchanges else 0,
            self.server.downloads,
            is_troubled=self.trouble.is_down or self.trouble.share > 0,
            losses=self.losses,
        )
        self.figures.add("calls")
        client = af.Client(
            self.server.token,
            base_url=self.server.base_url,
            cache_dir=self.directory,
            prepare_timeout=prepare_timeout,
            retries=3,
            progress=False,
        )
        parameters = {"application_id": 1111, "fields": ["token"], "client": client, "stale_if_error": stale_if_error}
        try:
            with warnings.catch_warnings(record=True) as warned:
                warnings.simplefilter("always")
                export, rows = self.read(build_options("push_tokens", **parameters, **policy), clock)
        except (KeyboardInterrupt, af.AppMetricaError):
            self.server.wait_until_idle()
            self.check_builds(call)
            self.is_settled = not clock.may_be_in_flight
            return False
        self.server.wait_until_idle()
        is_fallback = any("is returned instead" in str(warning.message) for warning in warned)
        assert is_fallback or not warned
        self.figures.add("frames")
        self.check_rows(call, export, rows, is_fallback=is_fallback)
        self.check_builds(call)
        self.is_settled = True
        self.count_downloads(call, rows)
        return True

    def read(self, options: Any, clock: WalkClock) -> tuple[CachedExport, frozenset[Row]]:
        """Read as `read_appmetrica` does, or as `download_appmetrica` does."""
        if self.rng.random() < 0.5:
            with open_exports(options, clock=clock) as exports:
                frame, cached = frames.read(exports), exports[0].cached
        else:
            (export,) = lease_exports(options, clock=clock)
            frame, cached = pl.read_parquet(export.path), export.cached
        rows = frozenset(_parse_row(text) for text in frame["token"])
        assert {row.part for row in rows} == {(number, len(rows)) for number in range(len(rows))}
        assert frame.height == 2 * len(rows)
        return cached, rows

    def built(self, row: Row) -> float:
        return row.as_of + self.preparation if self.is_shared and row.count > 1 else row.finished

    def check_rows(self, call: Call, export: CachedExport, rows: frozenset[Row], *, is_fallback: bool) -> None:
        built, times, policy = min(map(self.built, rows)), export.times, call.policy
        assert times.built_not_before <= built + 1e-3, "the cache takes the file to be younger than it is"
        stale = (call.stale_if_error or 0.0) if is_fallback else 0.0
        limits = [call.began - call.max_age - stale] if not policy.get("refresh") else [call.began - stale]
        if not policy.get("refresh") and "max_age" in policy:
            limits = [call.began - policy["max_age"] - stale]
        rounding = 1.0 if len(rows) > 1 else 0.0
        if call.pending is not None and (policy.get("refresh") is None or call.pending.refresh):
            is_kept = not policy.get("refresh") or call.began - call.pending.requested_at <= DAY
            # One file that is still being built is younger than the call; of several, some can be there already.
            if is_kept and (len(rows) > 1 or policy.get("refresh")):
                limits.append(call.pending.requested_at)
        if policy.get("offline"):
            return
        if "max_age" in policy or policy.get("refresh"):
            assert built >= min(limits) - rounding - 1e-3, f"built {call.began - built} s before the call"
        elif self.server.downloads == call.downloads:
            assert times.fetched_at >= call.began - DAY - stale
        else:
            assert built >= min(limits) - rounding - 1e-3

    def check_builds(self, call: Call) -> None:
        """Check that the server had no work that it need not have had."""
        # A job that was ordered before is built lazily by the emulator, and dated by the time of its turn.
        begun = [row.part for row in self.builds[call.builds :] if row.finished - self.preparation >= call.began - 1e-3]
        new = list((Counter(begun) - Counter(call.jobs)).elements())
        moved = self.moved_since(call.exchanges)
        self.figures.add("preparations", len(new))
        self.figures.add("jobs moved that no call had noted", moved)
        if not self.is_settled:
            return
        losses = self.losses - call.losses
        needless = sum(max(0, builds - 1 - losses) for builds in Counter(new).values())
        self.figures.add(NEEDLESS_BUILDS, needless)
        if losses:
            self.figures.add("losses", losses)
            assert moved or not needless, "built again although nothing was lost"
            return
        resumed = call.is_resumed(self.wanted)
        assert not (resumed and moved), "a job that is known was sent to the end of the queue"
        if moved:  # nobody had noted that job: the call that requested it was interrupted at once
            return
        assert len(new) == len(set(new)), "built twice in one call"
        if resumed and call.pending is not None:
            ordered = {part for part, row in call.files.items() if row.finished >= call.pending.requested_at - 1}
            if (first := (0, call.pending.parts)) in call.jobs:  # the others are ordered once it is there
                ordered &= {first}
            assert not ordered.intersection(new), "built again although the call resumes the job"
        if self.wanted == 1 and not resumed:
            file = call.files.get((0, 1))
            age = self.now - file.finished if file else DAY + 1
            is_acceptable = 0 <= age <= call.max_age and file is not None and file.finished <= call.began
            assert not (is_acceptable and new), "built although there was a file"

    def count_downloads(self, call: Call, rows: frozenset[Row]) -> None:
        downloads = self.server.downloads - call.downloads
        self.figures.add("downloads", downloads)
        self.figures.add(NEEDLESS, bool(downloads) and rows in self.received)
        self.received.add(rows)


def _parse_row(text: str) -> Row:
    number, count, as_of, finished = text.split()
    return Row(int(number), int(count), float(as_of), float(finished))


def walk(seed: int, steps: int, server: tuple[Any, Any], directory: Path, figures: Figures) -> None:
    """Walk so many steps; in the end, a call that nothing disturbs gets its rows."""
    rng, trouble = random.Random(seed), Trouble(random.Random(seed))  # noqa: S311 - not for secrets
    preparation = rng.choice((5.0, 90.0, 20 * MINUTE))
    part_builds, repeated_max_age = server
    with Emulator(
        rows_per_day=50,
        preparation=preparation,
        part_builds=part_builds,
        repeated_max_age=repeated_max_age,
        clock=MovableClock(start=NOON + 0.5),
        faults=trouble.fault,
        bodies=trouble.fault_of_body,
    ) as emulator:
        taken = Walk(emulator, directory, rng, preparation, part_builds == "shared", trouble, figures)
        taken.wanted = rng.choice((1, 1, 2, 4))
        for _ in range(steps):
            taken.step()
        trouble.share, trouble.is_down = 0.0, False
        assert taken.call({"refresh": True}, WalkClock(taken), prepare_timeout=1e6)


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Figures:
    """Count what the calls of a test cost, for the lines at the end of the run."""
    counted = Figures()
    request.node.user_properties.append(("figures", counted.counts))  # read when the test has ended
    return counted


@pytest.mark.parametrize("server", SERVERS, ids="-".join)
@pytest.mark.parametrize("seed", [1, 4, 8, 10])  # 10 takes an old file for that of a lost job, unless it is verified
def test_short_walks(
    seed: int, server: tuple[str, str], tmp_path: Path, figures: Figures, count_tries: Callable[[str], Any]
) -> None:
    tries = count_tries("no row is older than allowed, no preparation needless: random walks")
    walk(seed, 12, server, tmp_path / "walk", figures)
    tries.add(figures.counts["random walks, calls"])


@pytest.mark.exhaustive
@pytest.mark.parametrize("server", SERVERS, ids="-".join)
@pytest.mark.parametrize("seed", range(100, 105))
def test_long_walks(
    seed: int, server: tuple[str, str], tmp_path: Path, figures: Figures, count_tries: Callable[[str], Any]
) -> None:
    tries = count_tries("no row is older than allowed, no preparation needless: random walks")
    walk(seed, 60, server, tmp_path / "walk", figures)
    tries.add(figures.counts["random walks, calls"])
