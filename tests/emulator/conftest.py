"""An emulator whose clock stands still, and somebody who asks it."""

from __future__ import annotations

from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import httpx
import pytest

from appmetrica_frames.emulator import Emulator, MovableClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Emulate: TypeAlias = "Callable[..., Asker]"

# 2026-11-18 15:06:40 UTC, a Wednesday.
NOW = 1_795_014_400.0
POLLS = 4_000
EVENTS = b'city,age\n"Minsk, old",3\nOmsk,\n"a ""b""\nc",5'


class Asker:
    """Sends plain HTTP requests; every poll is a real round trip, and their number is bounded."""

    def __init__(self, server: Emulator) -> None:
        self.server = server
        self.http = httpx.Client(base_url=server.base_url, headers={"Authorization": f"OAuth {server.token}"})

    def close(self) -> None:
        self.http.close()

    def query(self, **words: object) -> dict[str, str]:
        usual = {
            "application_id": self.server.application_id,
            "fields": "event_name,event_datetime",
            "date_since": "2026-11-10",
            "date_until": "2026-11-10",
        }
        return {name: str(value) for name, value in (usual | words).items() if value is not None}

    def get(self, export: str = "events.csv", headers: dict[str, str] | None = None, **words: object) -> httpx.Response:
        return self.http.get(f"/logs/v1/export/{export}", params=self.query(**words), headers=headers)

    def poll(
        self, export: str = "events.csv", headers: dict[str, str] | None = None, **words: object
    ) -> httpx.Response:
        """Ask until the answer is another than 202."""
        for _ in range(POLLS):
            answer = self.get(export, headers, **words)
            if answer.status_code != 202:
                return answer
        raise AssertionError(f"still 202 after {POLLS} polls")

    def file(self, export: str = "events.csv", **words: object) -> str:
        answer = self.poll(export, **words)
        assert answer.status_code == 200, answer.text
        return answer.text

    def jobs(self, application_id: int | None = None) -> list[dict[str, object]]:
        asked = {"application_id": str(application_id or self.server.application_id)}
        listed: list[dict[str, object]] = self.http.get("/logs/v1/export/get_active_queries", params=asked).json()
        return listed


@contextmanager
def asking(**options: Any) -> Iterator[Asker]:
    """Run an emulator with those options; its clock stands still and its population is small unless they say else."""
    words: dict[str, Any] = {"rows_per_day": 60, "clock": MovableClock(start=NOW)} | options
    with Emulator(**words) as server, closing(Asker(server)) as asker:
        yield asker


@pytest.fixture
def emulate() -> Iterator[Emulate]:
    """Start emulators with chosen options; all of them stop at the end of the test."""
    with ExitStack() as running:
        yield lambda **options: running.enter_context(asking(**options))


@pytest.fixture
def ask(emulate: Emulate) -> Asker:
    """Ask an emulator that prepares files as fast as it can."""
    return emulate()


@pytest.fixture
def slow(emulate: Emulate) -> Asker:
    """Ask an emulator that takes 100 seconds of its clock for each file."""
    return emulate(preparation=100.0)


@pytest.fixture(scope="session")
def shared() -> Iterator[Asker]:
    """Ask one emulator for many tests, none of which changes it or counts what it did."""
    with asking(rows_per_day=300) as asker:
        yield asker


@pytest.fixture(scope="session")
def misbehaving() -> Iterator[Asker]:
    with asking(faults={}) as asker:
        asker.server.answers["events"] = EVENTS
        asker.file()
        yield asker


@pytest.fixture
def prone(misbehaving: Asker) -> Asker:
    """Ask an emulator for `EVENTS`, a file that is ready; nothing is planned to go wrong yet, nothing counted."""
    misbehaving.server.clear_faults()
    return misbehaving
