"""Interrupted waits: a small mark lets the same call go on with the same job."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

import appmetrica_frames as af
from appmetrica_frames.cache.pending import PENDING
from appmetrica_frames.emulator import Emulator, MovableClock
from appmetrica_frames.engine.options import order
from appmetrica_frames.engine.resolve import obtained

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from appmetrica_frames.engine.resolve import Export

NOON = 1_722_340_800.0
MINUTE = 60.0
PREPARATION = 20 * MINUTE


@dataclass
class Impatient:
    """The emulator's clock, on which somebody presses Ctrl-C at an instant."""

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


def read(server: Emulator, *, interrupted_at: float = float("inf"), **words: Any) -> Export:
    asked = {
        "application_id": server.application_id,
        "date_since": "2024-07-29",
        "date_until": "2024-07-29",
        "client": af.Client(server.token, base_url=server.base_url, prepare_timeout=7200, progress=False),
        **words,
    }
    with obtained(
        order(asked.pop("resource", "installations"), **asked), clock=Impatient(server, interrupted_at)
    ) as export:
        return export


def cache_controls(server: Emulator) -> list[str]:
    return [e.headers["cache-control"] for e in server.exchanges if "cache-control" in e.headers]


def marks() -> list[Path]:
    return list(af.Cache().directory.rglob(PENDING))


@pytest.mark.parametrize("words", [{}, {"max_age": 60 * MINUTE}], ids=["no word", "max_age"])
def test_a_job_of_20_minutes_interrupted_at_minute_15_costs_5_more(server: Emulator, words: dict[str, Any]) -> None:
    with pytest.raises(KeyboardInterrupt):
        read(server, interrupted_at=NOON + 15 * MINUTE, **words)
    assert len(marks()) == 1
    export = read(server, **words)
    assert server.clock.now() - NOON <= 20 * MINUTE * 1.1
    assert server.preparations == 1
    assert cache_controls(server) == (["max-age=3600"] if words else [])
    assert export.entry.built_not_before == NOON
    assert marks() == []


def test_a_timeout_leaves_the_mark_too(server: Emulator) -> None:
    patience = af.Client(server.token, base_url=server.base_url, prepare_timeout=15 * MINUTE, progress=False)
    with pytest.raises(af.PreparationTimeoutError, match="resumes this job"):
        read(server, client=patience, max_age=60 * MINUTE)
    read(server, max_age=60 * MINUTE)
    assert server.clock.now() - NOON <= 20 * MINUTE * 1.1
    assert cache_controls(server) == ["max-age=3600"]


def test_a_mark_too_old_for_the_asked_freshness_is_no_mark(server: Emulator) -> None:
    with pytest.raises(KeyboardInterrupt):
        read(server, interrupted_at=NOON + 5 * MINUTE, max_age=60 * MINUTE)
    read(server, max_age=4 * MINUTE)
    assert cache_controls(server) == ["max-age=3600", "max-age=240"]


def test_refresh_begins_anew(server: Emulator) -> None:
    with pytest.raises(KeyboardInterrupt):
        read(server, interrupted_at=NOON + 5 * MINUTE, refresh=True)
    export = read(server, refresh=True)
    assert cache_controls(server) == ["no-cache", "no-cache"]
    assert export.entry.built_not_before == NOON + 5 * MINUTE


def test_a_mark_outlives_the_server_that_forgot_the_job(server: Emulator) -> None:
    """The same call then simply has it prepared again, and its file is dated by the old mark."""
    with pytest.raises(KeyboardInterrupt):
        read(server, interrupted_at=NOON + 5 * MINUTE)
    server.clock.advance(23 * 60 * MINUTE)
    assert read(server).entry.built_not_before == NOON


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"null", b"\xff", b'{"requested_at": "soon", "parts": 1}'])
def test_a_damaged_mark_is_no_mark(server: Emulator, content: bytes) -> None:
    with pytest.raises(KeyboardInterrupt):
        read(server, interrupted_at=NOON + 5 * MINUTE, max_age=60 * MINUTE)
    marks()[0].write_bytes(content)
    read(server, max_age=60 * MINUTE)
    assert cache_controls(server) == ["max-age=3600"] * 2


def test_a_parted_export_goes_on_in_its_parts() -> None:
    with Emulator(
        rows_per_day=2_000, max_rows_per_file=700, preparation=PREPARATION, clock=MovableClock(start=NOON)
    ) as server:
        words: dict[str, Any] = {"max_age": 24 * 60 * MINUTE, "resource": "events"}
        with pytest.raises(KeyboardInterrupt):
            read(server, interrupted_at=NOON + 70 * MINUTE, **words)
        mark = json.loads(marks()[0].read_text())
        assert mark["parts"] > 1
        said, asked = len(cache_controls(server)), len(server.exchanges)
        assert read(server, **words).entry.built_not_before == mark["requested_at"]
        assert len(cache_controls(server)) == said
        assert dict(server.exchanges[asked].query)["parts_count"] == str(mark["parts"])


CALL = """
import appmetrica_frames as af
client = af.Client("{token}", base_url="{base_url}", cache_dir=r"{cache}", poll=(0.01, 0.01), progress=False)
print("called", flush=True)
af.read_appmetrica("installations", application_id={app}, date_since="2024-07-29", date_until="2024-07-29",
                   max_age=3600, client=client)
"""


def test_a_killed_process_leaves_the_mark() -> None:
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
        assert len(marks()) == 1
        server.wait_until_idle()
        server.clock.advance(PREPARATION)
        client = af.Client(server.token, base_url=server.base_url, poll=(0.01, 0.01), progress=False)
        words: dict[str, Any] = {"date_since": "2024-07-29", "date_until": "2024-07-29", "max_age": 3600}
        af.read_appmetrica("installations", application_id=server.application_id, client=client, **words)
        assert cache_controls(server) == ["max-age=3600"]
        assert server.preparations == 1
