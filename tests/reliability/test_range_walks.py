"""Random walks over ranges: after each call its rows are right or its error is typed, and nothing stays behind.

Two applications, calls side by side in threads, overlapping ranges, several ways to read. In the middle of them the
server fails, cuts bodies, rejects a field or works for others; Ctrl-C is pressed; a small ``max_bytes`` removes what
was fetched. A seed makes a walk that goes wrong go wrong again, but for the order of its threads.
"""

from __future__ import annotations

import random
import re
import signal
import sys
import tempfile
import threading
import warnings
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from filelock import FileLock

import appmetrica_frames as af
from appmetrica_frames.emulator import Emulator, faults
from appmetrica_frames.engine.schedule import _SHARED
from appmetrica_frames.errors import ExportWindow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from appmetrica_frames.emulator.builder import Build
    from appmetrica_frames.emulator.faults import FaultSpec, Request

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")

FIRST = date(2024, 7, 1)
DAYS = 14
ROWS = 20
REJECTED = "city"
NAMED = ["event_name", "appmetrica_device_id", REJECTED]
HOW_FAR = re.compile(r"(\d+) of (\d+) windows are (in the cache|done)")
END = 60.0  # seconds, after which a thread hangs


@dataclass(frozen=True)
class Plan:
    """A call: which days of which applications, in which way, with which parameters."""

    first: int
    last: int
    applications: tuple[int, ...]
    way: str
    parameters: dict[str, Any]

    @property
    def days(self) -> list[date]:
        return [FIRST + timedelta(days=number) for number in range(self.first, self.last + 1)]

    @property
    def windows(self) -> set[ExportWindow]:
        return {
            ExportWindow(application, f"{day} 00:00:00", f"{day} 23:59:59")
            for application in self.applications
            for day in self.days
        }

    @property
    def rows(self) -> list[str]:
        """The names of the events, in their order."""
        return [
            name for application in self.applications for day in self.days for name in name_events(application, day)
        ]

    def read(self, client: af.Client) -> list[str]:
        """Make the call and return the names of the events."""
        given = {
            "application_id": list(self.applications),
            "date_since": self.days[0],
            "date_until": self.days[-1],
            "split": "day",
            "client": client,
            **self.parameters,
        }
        if self.way == "download":
            given.pop("cache", None)
            paths = af.download_appmetrica("events", **given)
            return [name for path in paths for name in pl.read_parquet(path)["event_name"]]
        if self.way == "iter":
            with af.iter_appmetrica("events", batch_size=7, **given) as batches:
                return [name for batch in batches for name in batch.column("event_name").to_pylist()]
        return list(af.read_appmetrica("events", **given)["event_name"])


def name_events(application: int, day: date) -> list[str]:
    return [f"{application} {day} {number}" for number in range(ROWS)]


@dataclass
class Trouble:
    """What goes wrong on the way, in random responses; and when Ctrl-C is pressed."""

    rng: random.Random
    failing: float = 0.0
    cutting: float = 0.0
    interrupted_after: int = 0
    may_interrupt: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def is_calm(self) -> bool:
        return not (self.failing or self.cutting)

    def fault(self, _: Request) -> FaultSpec:
        with self.lock:
            self.interrupted_after -= 1
            if self.interrupted_after == 0:
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            return faults.json_error(500, "broken shard") if self.rng.random() < self.failing else None

    def fault_of_body(self, _: Request) -> FaultSpec:
        with self.lock:
            return faults.Cut(20) if self.rng.random() < self.cutting else None

    def press_ctrl_c(self, *_: object) -> None:
        if self.may_interrupt:
            raise KeyboardInterrupt

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """Let the main thread be interrupted during the block."""
        self.may_interrupt = True
        try:
            yield
        finally:
            self.may_interrupt = False


@dataclass
class Walk:
    """A server, a cache, and what is random."""

    server: Emulator
    cache: Path
    rng: random.Random
    trouble: Trouble
    calls: int = 0
    outcomes: list[BaseException | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.server.answers["events"] = self.build

    def build(self, build: Build) -> bytes:
        """Return the rows of a build."""
        query, application = dict(build.request.pairs), build.request.application.id
        first, last = (date.fromisoformat(query[name][:10]) for name in ("date_since", "date_until"))
        lines = [",".join(build.request.fields)]
        for day in (first + timedelta(days=number) for number in range((last - first).days + 1)):
            for number, name in enumerate(name_events(application, day)):
                cells = {"event_name": name, "appmetrica_device_id": str(number)}
                lines.append(",".join(cells.get(column, "") for column in build.request.fields))
        return "\n".join(lines).encode()

    def step(self) -> None:
        """Let something happen, and make some calls side by side."""
        rng, trouble = self.rng, self.trouble
        self.server.clock.advance(rng.choice((0.0, 0.0, 3600.0, 100_000.0)))
        self.server.rejected_fields.clear()
        if rng.random() < 0.2:
            self.server.rejected_fields.add(REJECTED)
        if rng.random() < 0.15:
            with suppress(ValueError):  # the queue is full
                self.server.add_foreign_jobs(rng.randrange(1, 4))
        if rng.random() < 0.1:
            af.Cache(self.cache).clear()
        with trouble.lock:
            trouble.failing, trouble.cutting = rng.choice((0.0, 0.0, 0.05, 0.3)), rng.choice((0.0, 0.0, 0.1))
            trouble.interrupted_after = rng.choice((0, 0, rng.randrange(1, 40)))
        plans = [self.plan() for _ in range(rng.choice((1, 1, 2, 3)))]
        max_bytes = rng.choice((None, None, 1, 20_000))
        self.call(plans, max_bytes)
        self.check_nothing_stays(plans, max_bytes)

    def plan(self) -> Plan:
        rng = self.rng
        first = rng.randrange(DAYS)
        applications = (self.server.application_id, self.server.other_application_id)
        way = rng.choice(("read", "read", "iter", "download"))
        return Plan(
            first,
            min(DAYS - 1, first + rng.choice((0, 1, 3, 7, DAYS))),
            rng.choice((applications[:1], applications[:1], applications[1:], applications)),
            way,
            {
                "fields": rng.choice((NAMED, NAMED, NAMED[:2], None)),
                **rng.choice(({}, {}, {"refresh": True}, {"max_age": 1800}, {"stale_if_error": 10**6})),
                **({"cache": False} if rng.random() < 0.15 and way != "download" else {}),
            },
        )

    def call(self, plans: list[Plan], max_bytes: int | None) -> None:
        """Make the first call here, where Ctrl-C is pressed, and the others in threads."""
        self.outcomes = []
        is_contested = max_bytes is not None and len(plans) > 1
        others = [threading.Thread(target=self.judge, args=(plan, max_bytes, is_contested)) for plan in plans[1:]]
        for thread in others:
            thread.start()
        self.judge(plans[0], max_bytes, is_contested)
        for thread in others:
            thread.join(END)
            assert not thread.is_alive(), "a call hangs"
        wrong = next((error for error in self.outcomes if error is not None), None)
        if wrong is not None:
            raise wrong

    def judge(self, plan: Plan, max_bytes: int | None, is_contested: bool) -> None:  # noqa: FBT001
        """Make a call, and keep what is wrong with its outcome."""
        self.calls += 1
        client = af.Client(
            self.server.token,
            base_url=self.server.base_url,
            cache_dir=self.cache,
            max_bytes=max_bytes,
            poll=(0.005, 0.02),
            retries=self.rng.choice((0, 0, 1)),
            progress=False,
        )
        try:
            self.check(plan, client, is_contested=is_contested)
        except BaseException as error:  # noqa: BLE001 - raised where the test ends
            self.outcomes.append(error)

    def check(self, plan: Plan, client: af.Client, *, is_contested: bool) -> None:
        is_main = threading.current_thread() is threading.main_thread()
        try:
            with self.trouble.interrupting() if is_main else nullcontext():
                rows = plan.read(client)
        except KeyboardInterrupt as interrupt:
            text = str(interrupt)
            assert is_main
            assert says_how_far(text, len(plan.windows))
        except af.IncompleteExportError as error:
            parts = [set(error.completed), set(error.failed), set(error.not_tried)]
            assert set.union(*parts) == plan.windows
            assert sum(map(len, parts)) == len(plan.windows)
            assert parts[1]
            assert not self.trouble.is_calm
        except af.RequestRejectedError:
            assert self.server.rejected_fields
            assert plan.parameters["fields"] is not None
        except af.DownloadError:
            assert is_contested or not self.trouble.is_calm
        except af.AppMetricaError:
            assert not self.trouble.is_calm
        else:
            assert rows == plan.rows

    def check_nothing_stays(self, plans: list[Plan], max_bytes: int | None) -> None:
        context = f"{plans}, max_bytes={max_bytes}"
        ours = [thread for thread in threading.enumerate() if thread.name.startswith("appmetrica-frames")]
        for thread in ours:
            thread.join(0.2)  # it has said that it ends
        assert not any(thread.is_alive() for thread in ours), context
        assert not any(queue._taken for queue in _SHARED.queues.values()), context
        assert _SHARED.downloads._value == _SHARED.downloads._initial_value, context
        for path in self.cache.rglob("*.lock"):
            with FileLock(path, blocking=False):
                pass
        left = [*self.cache.rglob("*.tmp"), *self.cache.parent.joinpath("temporary").iterdir()]
        assert not left, f"{left} after {context}"


def says_how_far(text: str, windows: int) -> bool:
    """Tell whether an interrupt says how far the range is, or came before it began or after it ended."""
    found = HOW_FAR.fullmatch(text)
    return not text or (found is not None and int(found[1]) <= int(found[2]) == windows)


@contextmanager
def handling(press: Callable[..., None]) -> Iterator[None]:
    before = signal.signal(signal.SIGINT, press)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def walk(seed: int, steps: int, directory: Path) -> int:
    """Walk so many steps, make a call that nothing disturbs, and return how many calls there were."""
    rng = random.Random(seed)  # noqa: S311 - not for secrets
    trouble = Trouble(random.Random(seed))  # noqa: S311
    with (
        warnings.catch_warnings(),
        Emulator(preparation=0.01, faults=trouble.fault, bodies=trouble.fault_of_body) as server,
        handling(trouble.press_ctrl_c),
    ):
        warnings.simplefilter("ignore")
        taken = Walk(server, directory / "cache", rng, trouble)
        for _ in range(steps):
            taken.step()
        trouble.failing = trouble.cutting = trouble.interrupted_after = 0
        server.rejected_fields.clear()
        both = (server.application_id, server.other_application_id)
        last = Plan(0, DAYS - 1, both, "read", {"fields": NAMED})
        taken.call([last], None)
        taken.check_nothing_stays([last], None)
        return taken.calls


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return tmp_path


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.exhaustive) for seed in (2, 3))])
def test_short_walks_over_ranges(seed: int, directory: Path, count_tries: Callable[[str], Any]) -> None:
    tries = count_tries("a range has its rows or a typed error, and leaves nothing behind: random walks")
    tries.add(walk(seed, 12, directory))


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", range(100, 110))
def test_long_walks_over_ranges(seed: int, directory: Path, count_tries: Callable[[str], Any]) -> None:
    tries = count_tries("a range has its rows or a typed error, and leaves nothing behind: random walks")
    tries.add(walk(seed, 60, directory))
