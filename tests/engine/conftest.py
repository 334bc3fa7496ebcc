"""A reader of windows on the clock of an emulator."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

import appmetrica_frames as af
from appmetrica_frames.cache.entry import PendingJob
from appmetrica_frames.cache.store import PENDING, LocalStore
from appmetrica_frames.emulator import Emulator, MovableClock
from appmetrica_frames.engine.call import open_exports
from appmetrica_frames.engine.options import build_options
from appmetrica_frames.engine.plan import plan_exports
from appmetrica_frames.integrations.plan import build_frame

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import polars as pl

NOON = 1_722_340_800.0  # 2024-07-30 12:00:00 UTC


@dataclass
class SharedClock:
    """The emulator's clock, as the package's: a pause takes no time, and the server sees it pass."""

    server: Emulator

    def now(self) -> float:
        return self.server.clock.now()

    def monotonic(self) -> float:
        return self.server.clock.now()

    def sleep(self, seconds: float) -> None:
        self.server.wait_until_idle()
        self.server.clock.advance(seconds)


@dataclass
class Reader:
    """Plans and reads installations, with a cache of its own, on the clock of the emulator."""

    server: Emulator
    cache: Path

    def options(self, **changes: Any) -> Any:
        client = af.Client(self.server.token, base_url=self.server.base_url, cache_dir=self.cache, progress=False)
        parameters = {"application_id": self.server.application_id, "fields": ["city"], "split": "day", **changes}
        return build_options(parameters.pop("resource", "installations"), client=client, **parameters)

    def plan(self, **changes: Any) -> pl.DataFrame:
        return build_frame(plan_exports(self.options(**changes), clock=SharedClock(self.server)))

    def states(self, **changes: Any) -> list[str]:
        return self.plan(**changes)["state"].to_list()

    def read(self, **changes: Any) -> list[tuple[str, str]]:
        """Read, and return the application and the first second of each window that the server was asked for."""
        before = len(self.server.exchanges)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", af.CacheWarning)
            with open_exports(self.options(**changes), clock=SharedClock(self.server)):
                pass
        exchanges = [dict(one.query) for one in self.server.exchanges[before:] if "/export/" in one.path]
        return sorted({(one["application_id"], one["date_since"]) for one in exchanges if "date_since" in one})

    def leave_job(self, requested_at: float, **changes: Any) -> Path:
        """Note a pending job for the first window, as an interrupted call does."""
        options = self.options(**changes)
        store = LocalStore(self.cache)
        window = plan_exports(options, clock=SharedClock(self.server))[0]
        folder = store.make_folder(store.folder(window.request, options.settings.origin))
        (folder / PENDING).write_bytes(PendingJob(requested_at).to_json({}))
        return folder / PENDING


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    with Emulator(rows_per_day=40, clock=MovableClock(start=NOON)) as server:
        yield Reader(server, tmp_path / "cache")
