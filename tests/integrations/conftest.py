"""Syncs installations into a dataset, on the clock of an emulator, each time with a cache as empty as wanted."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import appmetrica_frames as af
from appmetrica_frames.emulator import Emulator, MovableClock
from appmetrica_frames.engine.dataset import check_partitions
from appmetrica_frames.engine.options import build_options
from appmetrica_frames.engine.sync import sync_exports
from appmetrica_frames.integrations.dataset import ParquetDataset
from appmetrica_frames.integrations.plan import build_sync_frame
from appmetrica_frames.integrations.storage import open_storage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOON = 1_722_340_800.0  # 2024-07-30 12:00:00 UTC
DAY = 86_400.0


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
class Syncer:
    """Syncs into a directory; the rows are those of the last days of July."""

    server: Emulator
    folder: Path

    @property
    def to(self) -> Path:
        return self.folder / "dataset"

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    def client(self, cache: Path | None = None) -> af.Client:
        return af.Client(
            self.server.token,
            base_url=self.server.base_url,
            cache_dir=cache or self.cache,
            poll=(0.001, 0.01),
            retries=0,
            progress=False,
        )

    def sync(
        self,
        *,
        to: Any = None,
        patience: float = 60.0,
        add_columns: bool = False,
        **changes: Any,
    ) -> pl.DataFrame:
        parameters = {
            "application_id": self.server.application_id,
            "date_since": "2024-07-27",
            "date_until": "2024-07-29",
            "fields": ["install_datetime", "city", "appmetrica_device_id"],
            "split": "day",
            **changes,
        }
        dry_run = parameters.pop("dry_run", False)
        resource = parameters.pop("resource", "installations")
        check_partitions(resource, parameters["split"], parameters["fields"], parameters.get("schema_overrides"))
        clock = SharedClock(self.server)
        options = build_options(resource, client=self.client(), clock=clock, **parameters)
        dataset = ParquetDataset(open_storage(to or self.to), resource, parameters["split"], patience=patience)
        return build_sync_frame(sync_exports(options, dataset, add_columns=add_columns, dry_run=dry_run, clock=clock))

    def requested(self, **changes: Any) -> list[str]:
        """Sync, and return the first day of each window that the server was asked for."""
        before = len(self.server.exchanges)
        self.sync(**changes)
        exchanges = [dict(one.query) for one in self.server.exchanges[before:] if "/export/" in one.path]
        return sorted({one["date_since"][:10] for one in exchanges})

    def forget_cache(self) -> None:
        """Go on as a machine that has nothing but the dataset."""
        shutil.rmtree(self.cache, ignore_errors=True)

    def path(self, partition: str = "date=2024-07-28") -> Path:
        application = f"application_id={self.server.application_id}"
        return self.to / "installations" / application / partition / "data.parquet"

    def read(self) -> pl.DataFrame:
        return pl.scan_parquet(self.to / "installations", hive_partitioning=True, missing_columns="insert").collect()

    def files(self) -> list[str]:
        return sorted(str(path.relative_to(self.to)) for path in self.to.rglob("*.parquet"))

    def export(self, **changes: Any) -> pl.DataFrame:
        """Read the same rows without a dataset."""
        parameters = {
            "application_id": self.server.application_id,
            "date_since": "2024-07-27",
            "date_until": "2024-07-29",
            "fields": ["install_datetime", "city", "appmetrica_device_id"],
            "client": self.client(self.folder / "other-cache"),
            **changes,
        }
        return af.read_appmetrica(parameters.pop("resource", "installations"), **parameters)


@pytest.fixture
def syncer(tmp_path: Path) -> Iterator[Syncer]:
    with Emulator(rows_per_day=2_000, clock=MovableClock(start=NOON), faults={}) as server:
        yield Syncer(server, tmp_path)
