"""Interrupted waits: a pending job lets the same call go on where it stopped."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

import pytest

import appmetrica_frames as af
from appmetrica_frames.cache.store import PENDING
from appmetrica_frames.emulator import Emulator, MovableClock
from appmetrica_frames.engine.call import open_exports
from appmetrica_frames.engine.options import build_options

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from appmetrica_frames.engine.resolve import ResolvedExport

NOON = 1_722_340_800.0
MINUTE = 60.0
PREPARATION = 20 * MINUTE
NO_INSTANT = b'{"requested_at": 1722340800, "parts": 1, "part": 0, "refresh": false, "older_file_at": NaN}'


@dataclass
class InterruptedClock:
    """The emulator's clock, on which Ctrl-C is pressed at an instant."""

    server: Emulator
    interrupted_at: float = float("inf")

    def now(self) -> float:
        return self.server.clock.now()

    def monotonic(self) -> float:
        return self.server.clock.now()

    def sleep(self, seconds: float) -> None:
        self.server.wait_until_idle()
        left = self.interrupted_at - self.server.clock.now()
        self.server.clock.advance(min(seconds, left))
        if left <= seconds:
            raise KeyboardInterrupt


@pytest.fixture
def server() -> Iterator[Emulator]:
    with Emulator(rows_per_day=200, preparation=PREPARATION, clock=MovableClock(start=NOON)) as emulator:
        yield emulator


def read(server: Emulator, *, interrupted_at: float = float("inf"), **changes: Any) -> ResolvedExport:
    parameters = {
        "application_id": server.application_id,
        "date_since": "2024-07-29",
        "date_until": "2024-07-29",
        "client": af.Client(server.token, base_url=server.base_url, prepare_timeout=7200, progress=False),
        **changes,
    }
    with open_exports(
        build_options(parameters.pop("resource", "installations"), **parameters),
        clock=InterruptedClock(server, interrupted_at),
    ) as exports:
        return exports[0]


def cache_controls(server: Emulator) -> list[str]:
    return [e.headers["cache-control"] for e in server.exchanges if "cache-control" in e.headers]


def assert_verified_once(headers: list[str], *, since: float, now: float) -> None:
    """Check that the file that came last was told from an older one, by the instant at which its job was requested."""
    assert headers == [f"max-age={ceil(now - since)}"]


def pending_jobs() -> list[Path]:
    return list(af.Cache().directory.rglob(PENDING))


@pytest.mark.parametrize("policy", [{}, {"max_age": 60 * MINUTE}], ids=["default", "max_age"])
def test_a_job_of_20_minutes_interrupted_at_minute_15_costs_5_more(server: Emulator, policy: dict[str, Any]) -> None:
    with pytest.raises(KeyboardInterrupt):
        read(server, interrupted_at=NOON + 15 * MINUTE, **policy)
    assert len(pending_jobs()) == 1
    export = read(server, **policy)
    assert server.clock.now() - NOON <= 20 * MINUTE * 1.1
    assert server.preparations == 1
    assert cache_controls(server) == (["max-age=3600"] if policy else [])
    assert export.cached.times.built_not_before == pytest.approx(NOON, abs=1e-5)
    assert pending_jobs() == []


def test_a_timeout_leaves_a_pending_job_too(server: Emulator) -> None:
    impatient = af.Client(server.token, base_url=server.base_url, prepare_timeout=15 * MINUTE, progress=False)
    with pytest.raises(af.PreparationTimeoutError, match="resumes this job"):
        read(server, client=impatient, max_age=60 * MINUTE)
    read(server, max_age=60 * MINUTE)
    assert server.clock.now() - NOON <= 20 * MINUTE * 1.1
    assert cache_controls(server) == ["max-age=3600"]


def test_a_job_that_is_still_being_built_is_waited_for_whatever_max_age(server: Emulator) -> None:
    with pytest.raises(KeyboardInterrupt):
        read(server, interrupted_at=NOON + 5 * MINUTE, max_age=60 * MINUTE)
    export = read(server, max_age=4 * MINUTE)
    assert cache_controls(server) == ["max-age=3600"]
    assert server.preparations == 1
    assert export.cached.times.built_not_before == pytest.approx(NOON, abs=1e-5)


def test_a_job_that_ended_too_long_ago_for_max_age_is_ordered_again(server: Emulator) -> None:
    with pytest.raises(KeyboardInterrupt):
        read(server, interrupted_at=NOON + 5 * MINUTE, max_age=60 * MINUTE)
    server.clock.advance(60 * MINUTE)
    export = read(server, max_age=4 * MINUTE)
    assert cache_controls(server)[:2] == ["max-age=3600", "max-age=240"]
    assert_verified_once(cache_controls(server)[2:], since=NOON + 65 * MINUTE, now=server.clock.now())
    assert server.preparations == 2
    assert export.cached.times.built_not_before == pytest.approx(NOON + 65 * MINUTE, abs=1e-5)


@pytest.mark.parametrize("pause", [0.0, 60 * MINUTE, 23 * 60 * MINUTE])
def test_an_interrupted_refresh_is_one_refresh(server: Emulator, pause: float) -> None:
    with pytest.raises(KeyboardInterrupt):
        read(server, interrupted_at=NOON + 5 * MINUTE, refresh=True)
    server.wait_until_idle()
    server.clock.advance(pause)
    export = read(server, refresh=True)
    assert cache_controls(server) == ["no-cache"]
    assert server.preparations == 1
    assert export.cached.times.built_not_before == pytest.approx(NOON, abs=1e-5)


def test_a_refresh_does_not_take_the_file_of_an_earlier_read(server: Emulator) -> None:
    with pytest.raises(KeyboardInterrupt):
        read(server, interrupted_at=NOON + 5 * MINUTE)
    server.wait_until_idle()
    server.clock.advance(60 * MINUTE)
    export = read(server, refresh=True)
    assert cache_controls(server)[0] == "no-cache"
    assert_verified_once(cache_controls(server)[1:], since=NOON + 65 * MINUTE, now=server.clock.now())
    assert export.cached.times.built_not_before == pytest.approx(NOON + 65 * MINUTE, abs=1e-5)


def test_a_refresh_stays_one_refresh_when_another_read_resumes_it(server: Emulator) -> None:
    for interrupted_at, policy in [(NOON + 5 * MINUTE, {"refresh": True}), (NOON + 10 * MINUTE, {})]:
        with pytest.raises(KeyboardInterrupt):
            read(server, interrupted_at=interrupted_at, **policy)
    server.wait_until_idle()
    server.clock.advance(60 * MINUTE)
    read(server, refresh=True)
    assert cache_controls(server) == ["no-cache"]
    assert server.preparations == 1


def test_a_refresh_after_a_day_begins_anew(server: Emulator) -> None:
    with pytest.raises(KeyboardInterrupt):
        read(server, interrupted_at=NOON + 5 * MINUTE, refresh=True)
    server.wait_until_idle()
    server.clock.advance(24 * 60 * MINUTE)
    read(server, refresh=True)
    assert cache_controls(server) == ["no-cache", "no-cache"]


@pytest.mark.parametrize("policy", [{"max_age": MINUTE}, {"refresh": True}], ids=["max_age", "refresh"])
def test_calls_that_time_out_again_and_again_cost_one_preparation(server: Emulator, policy: dict[str, Any]) -> None:
    impatient = af.Client(server.token, base_url=server.base_url, prepare_timeout=3 * MINUTE, progress=False)
    for _ in range(12):
        try:
            read(server, client=impatient, **policy)
        except af.PreparationTimeoutError:
            continue
        break
    else:
        pytest.fail("no call got the file")
    assert len(cache_controls(server)) == 1
    assert server.preparations == 1


def test_a_pending_job_outlives_the_job_on_the_server(server: Emulator) -> None:
    """The same call then has the file prepared again, and dates it by the pending job."""
    with pytest.raises(KeyboardInterrupt):
        read(server, interrupted_at=NOON + 5 * MINUTE)
    server.clock.advance(23 * 60 * MINUTE)
    assert read(server).cached.times.built_not_before == pytest.approx(NOON, abs=1e-5)


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b"null", b"\xff", b'{"requested_at": "soon", "parts": 1}', NO_INSTANT]
)
def test_a_damaged_pending_job_is_ignored(server: Emulator, content: bytes) -> None:
    with pytest.raises(KeyboardInterrupt):
        read(server, interrupted_at=NOON + 5 * MINUTE, max_age=60 * MINUTE)
    pending_jobs()[0].write_bytes(content)
    read(server, max_age=60 * MINUTE)
    assert cache_controls(server) == ["max-age=3600"] * 2


def test_a_pending_job_of_an_earlier_version_is_resumed(server: Emulator) -> None:
    """One that says nothing of older files."""
    with pytest.raises(KeyboardInterrupt):
        read(server, interrupted_at=NOON + 5 * MINUTE, max_age=60 * MINUTE)
    (path,) = pending_jobs()
    job = json.loads(path.read_text())
    assert job.pop("older_file_at") is None
    path.write_text(json.dumps(job))
    read(server, max_age=60 * MINUTE)
    assert cache_controls(server) == ["max-age=3600"]


def test_a_pending_job_says_whether_there_is_an_older_file(server: Emulator) -> None:
    read(server)
    fetched_at = server.clock.now()
    server.clock.advance(60 * MINUTE)
    with pytest.raises(KeyboardInterrupt):
        read(server, interrupted_at=fetched_at + 65 * MINUTE, refresh=True)
    (path,) = pending_jobs()
    assert json.loads(path.read_text())["older_file_at"] == pytest.approx(fetched_at, abs=1e-5)
    server.lose_jobs()
    read(server, refresh=True)
    assert len(cache_controls(server)) == 3  # no-cache, the one that found the job lost, the one that took the file


def test_an_export_in_parts_resumes_in_the_same_parts() -> None:
    with Emulator(
        rows_per_day=2_000, max_rows_per_file=700, preparation=PREPARATION, clock=MovableClock(start=NOON)
    ) as server:
        policy: dict[str, Any] = {"max_age": 24 * 60 * MINUTE, "resource": "events"}
        with pytest.raises(KeyboardInterrupt):
            read(server, interrupted_at=NOON + 70 * MINUTE, **policy)
        job = json.loads(pending_jobs()[0].read_text())
        assert job["parts"] > 1
        requests = len(server.exchanges)
        assert job["requested_at"] - 1 <= read(server, **policy).cached.times.built_not_before <= job["requested_at"]
        assert "no-cache" not in [e.headers.get("cache-control") for e in server.exchanges[requests:]]
        assert dict(server.exchanges[requests].query)["parts_count"] == str(job["parts"])
        assert dict(server.exchanges[requests].query)["part_number"] == str(job["part"])


CALL = """
import appmetrica_frames as af
client = af.Client("{token}", base_url="{base_url}", cache_dir=r"{cache}", poll=(0.01, 0.01), progress=False)
print("called", flush=True)
af.read_appmetrica("installations", application_id={app}, date_since="2024-07-29", date_until="2024-07-29",
                   max_age=3600, client=client)
"""


def test_a_killed_process_leaves_a_pending_job() -> None:
    with Emulator(rows_per_day=200, preparation=PREPARATION) as server:
        code = CALL.format(
            token=server.token, base_url=server.base_url, cache=af.Cache().directory, app=server.application_id
        )
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            while len(server.exchanges) < 3:
                assert process.poll() is None
            process.send_signal(signal.SIGKILL)
        assert len(pending_jobs()) == 1
        server.wait_until_idle()
        server.clock.advance(PREPARATION)
        client = af.Client(server.token, base_url=server.base_url, poll=(0.01, 0.01), progress=False)
        policy: dict[str, Any] = {"date_since": "2024-07-29", "date_until": "2024-07-29", "max_age": 3600}
        af.read_appmetrica("installations", application_id=server.application_id, client=client, **policy)
        assert cache_controls(server) == ["max-age=3600"]
        assert server.preparations == 1
