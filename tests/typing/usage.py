"""Usages that a type checker reads and nobody runs: what users write must come out with the right type."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, assert_type

import pandas as pd
import polars as pl
import pyarrow as pa

import appmetrica_frames as af

if TYPE_CHECKING:
    from appmetrica_frames.integrations import Backend

assert_type(
    af.read_appmetrica("events", application_id=1, date_since="2024-07-01", date_until="2024-07-01"), pl.DataFrame
)
assert_type(af.read_appmetrica("push_tokens", application_id=1, backend="polars"), pl.DataFrame)
assert_type(af.read_appmetrica("push_tokens", application_id=1, backend="pandas", cache=False), pd.DataFrame)
assert_type(af.read_appmetrica("push_tokens", application_id=1, backend="pyarrow"), pa.Table)
assert_type(
    af.scan_appmetrica("clicks", application_id="1", date_since=date(2024, 7, 1), date_until=date(2024, 7, 2)),
    pl.LazyFrame,
)
assert_type(af.download_appmetrica("push_tokens", application_id=1, max_age=timedelta(hours=1)), list[Path])

assert_type(af.plan_appmetrica("push_tokens", application_id=[1, 2], lookback=None), pl.DataFrame)
assert_type(af.plan_appmetrica("push_tokens"), pl.DataFrame)  # of APPMETRICA_APPLICATION_ID

assert_type(
    af.sync_appmetrica("events", application_id=[1, 2], to=Path("dataset"), date_since="90daysAgo", dry_run=True),
    pl.DataFrame,
)

with af.iter_appmetrica("push_tokens", application_id=1, batch_size=10) as batches:
    assert_type(batches, pa.RecordBatchReader)

af.read_appmetrica(
    "events",
    application_id=1,
    date_since=datetime(2024, 7, 1, tzinfo=UTC),
    date_until=datetime(2024, 7, 2, tzinfo=UTC),
    fields=("event_name", "event_json"),
    filters={"event_name": "purchase", "application_id": 1, "is_bot": True},
    date_dimension="receive",
    limit=10,
    skip_unavailable_shards=True,
    max_age=60,
    refresh=False,
    offline=False,
    schema_overrides={"event_name": pl.Categorical},
    strict=True,
    client=af.Client("token", prepare_timeout=timedelta(hours=2), poll=(1, 10), progress=False),
)


def chosen_at_run_time(backend: Backend) -> None:
    """Get any of the three from a backend that is known at run time only."""
    assert_type(
        af.read_appmetrica("push_tokens", application_id=1, backend=backend), pl.DataFrame | pd.DataFrame | pa.Table
    )


# Misspelt words and wrong choices do not pass a type checker.
af.read_appmetrica("events", aplication_id=1)  # type: ignore[call-overload]
af.scan_appmetrica("events", application_id=1, refresh="yes")  # type: ignore[arg-type]
af.read_appmetrica("events", application_id=1, backend="spark")  # type: ignore[call-overload]

assert_type(af.list_resources(), pl.DataFrame)
assert_type(af.list_fields("events"), pl.DataFrame)
assert_type(af.Cache().exports(), list[af.CachedExport])
assert_type(af.Cache().info(), af.CacheInfo)
assert_type(af.Cache().remove(resource="events", dry_run=True), af.PruneResult)
assert_type(af.expand_json(pl.DataFrame()), pl.DataFrame)
assert_type(af.expand_json(pl.LazyFrame(), fields={"price": pl.Float64, "sku": "string"}), pl.LazyFrame)
assert_type(af.expand_json(pd.DataFrame(), "event_json", ["sku"], prefix="json_"), pd.DataFrame)
