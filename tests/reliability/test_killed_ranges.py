"""A process that reads a range is killed or interrupted at a random moment, and the next one goes on.

The same call is made again and again, each time by a new process, until one succeeds. The server counts what each
window costs it; some windows come in parts. The moment is that of a random request, or a little later: it can be any.
"""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

import appmetrica_frames as af
from appmetrica_frames.cache.store import LocalStore, load_pending_job
from appmetrica_frames.emulator import Emulator
from appmetrica_frames.emulator.request import ApiError
from appmetrica_frames.engine.options import build_options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from appmetrica_frames.cache.entry import PendingJob
    from appmetrica_frames.emulator.builder import Build
    from appmetrica_frames.emulator.faults import FaultSpec, Request

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")

WINDOWS, ROWS = 12, 30
FIRST, LAST = date(2024, 7, 1), date(2024, 7, WINDOWS)
IN_PARTS = {"2024-07-02": 2, "2024-07-05": 4, "2024-07-06": 2}
REQUESTS = 60  # of a call that nothing disturbs, more or less
EXIT_SECONDS = 2.0
KEPT = re.compile(r"KeyboardInterrupt: (\d+) of 12 windows are in the cache")

FORK_READERS = """
import os, sys, traceback
import httpx, pyarrow.parquet
import appmetrica_frames as af
from appmetrica_frames.engine import fetch, range
from appmetrica_frames.integrations import arrow

def read():
    client = af.Client("{token}", base_url="{base_url}", cache_dir=r"{cache}", poll=(0.02, 0.1), progress=False)
    return af.read_appmetrica(
        "events", application_id={app}, date_since="2024-07-01", date_until="2024-07-12", split="day",
        fields=["appmetrica_device_id", "event_name"], max_age={max_age}, backend="pyarrow", client=client,
    ).num_rows

def say(text):
    print(text.strip().rpartition(chr(10))[2], flush=True)

for _ in sys.stdin:
    child = os.fork()
    if not child:
        try:
            text = str(read())
        except BaseException:
            text = traceback.format_exc()
        say(text)
        os._exit(0)
    say(str(child))
    os.waitpid(child, 0)
    say("ended")
"""


class File(NamedTuple):
    """What the server prepares: a window, or a part of it."""

    day: str
    number: int
    count: int


def file_of(query: dict[str, str]) -> File:
    return File(query["date_since"][:10], int(query.get("part_number", 0)), int(query.get("parts_count", 1)))


@dataclass
class Moment:
    """A request, and how many seconds after it a process gets a signal."""

    request: int
    delay: float


@dataclass
class Watch:
    """Makes up the rows of a server, counts what each window costs it, and says when the moment has come."""

    builds: Counter[File] = field(default_factory=Counter)
    requests: list[File] = field(default_factory=list)
    countdown: int = 0
    has_come: threading.Event = field(default_factory=threading.Event)

    def build(self, build: Build) -> bytes:
        query = dict(build.request.pairs)
        file = file_of(query)
        is_window = query["date_since"][:10] == query["date_until"][:10]
        if is_window and file.count < IN_PARTS.get(file.day, 1):
            raise ApiError(400, "Try to use more parts.")
        self.builds[file] += 1
        first, last = (date.fromisoformat(query[name][:10]) for name in ("date_since", "date_until"))
        days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
        rows = [f"{number},{day} {number}" for day in days for number in range(ROWS)]
        return "\n".join(["appmetrica_device_id,event_name", *rows[file.number :: file.count]]).encode()

    def on_request(self, request: Request) -> FaultSpec:
        self.requests.append(file_of(dict(request.query)))
        self.countdown -= 1
        if self.countdown == 0:
            self.has_come.set()
        return None

    def expect(self, requests: int) -> None:
        self.has_come.clear()
        self.countdown = requests


@dataclass
class RangeRun:
    """A server, a cache, and the processes that read one range, one after another."""

    server: Emulator
    watch: Watch
    cache: Path
    max_age: int | None
    finished: set[str] = field(default_factory=set)
    unnoted: set[File] = field(default_factory=set)
    slowest_exit: float = 0.0

    def __post_init__(self) -> None:
        code = FORK_READERS.format(
            token=self.server.token,
            base_url=self.server.base_url,
            cache=self.cache,
            app=self.server.application_id,
            max_age=self.max_age,
        )
        pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout"), subprocess.PIPE)
        self._parent = subprocess.Popen([sys.executable, "-c", code], text=True, bufsize=1, **pipes)

    def close(self) -> None:
        self._parent.communicate(timeout=30)

    def end_at(self, moment: Moment, number: int) -> str | None:
        """Send a signal to a reading process; return what it said of that, or None if it had succeeded before."""
        seen = len(self.watch.requests)
        self.watch.expect(moment.request)
        pid, said = self._start()
        while not self.watch.has_come.wait(0.01) and self._is_running:
            pass
        time.sleep(moment.delay)
        began = time.monotonic()
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        self._listener.join(60)
        assert not self._is_running, "it did not end"
        self.slowest_exit = max(self.slowest_exit, time.monotonic() - began)
        self.check_requests(seen)
        self.note_state()
        text = "".join(said)
        return None if text == f"{WINDOWS * ROWS}\n" else text

    def _start(self) -> tuple[int, list[str]]:
        """Have a process read; return its id, and a list that will have what it says."""
        stdin, stdout = self._parent.stdin, self._parent.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write("read\n")
        pid, said = int(stdout.readline()), list[str]()
        self._listener = threading.Thread(target=lambda: said.extend(iter(stdout.readline, "ended\n")))
        self._listener.start()
        return pid, said

    @property
    def _is_running(self) -> bool:
        return self._listener.is_alive()

    def check_requests(self, seen: int) -> None:
        """Check that nothing was requested of windows that an earlier process had finished."""
        again = [file for file in self.watch.requests[seen:] if file.day in self.finished]
        assert not again, f"{again[0]} was in the cache"

    def note_state(self) -> None:
        """Note which windows are finished, and which jobs the process had no time to note."""
        self.finished = {export.request["date_since"][:10] for export in af.Cache(self.cache).exports()}
        under_way = {file.day: file for file in self.watch.requests if file.day not in self.finished}
        for day, file in under_way.items():
            job = self._load_pending_job(day)
            if job is None or job.parts != file.count:
                self.unnoted |= {file._replace(number=number) for number in range(file.count)}

    def _load_pending_job(self, day: str) -> PendingJob | None:
        client = af.Client(self.server.token, base_url=self.server.base_url, cache_dir=self.cache)
        options = build_options(
            "events",
            application_id=self.server.application_id,
            date_since=day,
            date_until=day,
            fields=["event_name", "appmetrica_device_id"],
            client=client,
        )
        return load_pending_job(LocalStore(self.cache).folder(options.request, options.settings.origin))

    def check_builds(self) -> None:
        """Check that each file was prepared once; or again, if the job could not be noted before the kill."""
        assert {file.day for file in self.watch.builds} == {str(FIRST + timedelta(days=n)) for n in range(WINDOWS)}
        again = {file for file, builds in self.watch.builds.items() if builds > 1}
        assert again <= self.unnoted, f"prepared again: {again - self.unnoted}"

    def read(self, **more: Any) -> list[tuple[int, str]]:
        client = af.Client(
            self.server.token, base_url=self.server.base_url, cache_dir=self.cache, poll=(0.02, 0.1), progress=False
        )
        frame = af.read_appmetrica(
            "events",
            application_id=self.server.application_id,
            date_since=FIRST,
            date_until=LAST,
            fields=["event_name", "appmetrica_device_id"],
            client=client,
            **more,
        )
        return sorted(frame.rows())


@contextmanager
def running(cache: Path, max_age: int | None) -> Iterator[RangeRun]:
    watch = Watch()
    with Emulator(preparation=0.05, repeated_max_age="move", faults=watch.on_request) as server:
        server.answers["events"] = watch.build
        with closing(RangeRun(server, watch, cache, max_age)) as run:
            yield run


def kill_until_done(run: RangeRun, rng: random.Random, signal_number: int) -> Iterator[str]:
    """Yield what each process said before it ended, until one has succeeded."""
    while True:
        moment = Moment(rng.randrange(1, REQUESTS), rng.choice((0.0, rng.uniform(0, 0.1))))
        said = run.end_at(moment, signal_number)
        if said is None:
            break
        yield said
    run.check_builds()
    assert run.read(split="day", offline=True) == run.read(), "the rows are those of a single request"


@pytest.mark.parametrize("times", [3, pytest.param(50, marks=pytest.mark.exhaustive)])
@pytest.mark.parametrize("max_age", [None, 3600])
def test_a_killed_range_goes_on_where_it_was(
    times: int, max_age: int | None, tmp_path: Path, count_tries: Callable[[str], Any]
) -> None:
    tries = count_tries("no finished window is asked for again: ranges killed at a random moment")
    rng, numbers = random.Random(times), count()  # noqa: S311 - not for secrets
    while tries.count < times:
        with running(tmp_path / f"cache-{next(numbers)}", max_age) as run:
            for said in kill_until_done(run, rng, signal.SIGKILL):
                assert not said
                tries.add()


@pytest.mark.parametrize("times", [3, pytest.param(50, marks=pytest.mark.exhaustive)])
def test_an_interrupted_range_says_how_far_it_is(times: int, tmp_path: Path, count_tries: Callable[[str], Any]) -> None:
    tries = count_tries("an interrupted range ends within 2 s and says how far it is")
    rng, numbers = random.Random(times), count()  # noqa: S311 - not for secrets
    while tries.count < times:
        with running(tmp_path / f"cache-{next(numbers)}", None) as run:
            for said in kill_until_done(run, rng, signal.SIGINT):
                tries.add()
                found = KEPT.search(said)
                assert found, said
                assert int(found[1]) == len(run.finished)
                assert not list(run.cache.rglob("*.tmp"))
            assert run.slowest_exit < EXIT_SECONDS
