"""What `Cache.ls` says of each export and of each pending job."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest

import appmetrica_frames as af
from appmetrica_frames.cache.store import PENDING
from appmetrica_frames.emulator import Emulator, MovableClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from appmetrica_frames import Client

DAY = {"application_id": 1111, "date_since": "2024-07-29", "date_until": "2024-07-29"}


def test_dates_fields_filters_and_options_are_told_apart(client: Client) -> None:
    af.download_appmetrica(
        "events",
        **DAY,
        fields=["event_name", "city"],
        filters={"country_iso_code": "RU"},
        date_dimension="receive",
        limit=10,
        client=client,
    )
    (row,) = af.Cache().ls().rows(named=True)
    (export,) = af.Cache().exports()
    assert (row["resource"], row["application_id"], row["state"]) == ("events", 1111, "cached")
    assert (row["since"], row["until"]) == (datetime(2024, 7, 29), datetime(2024, 7, 29, 23, 59, 59))  # noqa: DTZ001 - wall time
    assert row["fields"] == ["city", "event_name"]
    assert row["filters"] == ["country_iso_code=RU"]
    assert row["options"] == ["date_dimension=receive", "limit=10"]
    assert (row["rows"], row["bytes"], row["path"]) == (export.rows, export.size, str(export.path))
    assert row["fetched_at"] == export.fetched_at
    assert timedelta() <= row["age"] < timedelta(days=2)


def wait_in_vain(server: Emulator, **parameters: object) -> None:
    hasty = af.Client(server.token, base_url=server.base_url, poll=(0.01, 0.01), prepare_timeout=0.05)
    with pytest.raises(af.PreparationTimeoutError):
        af.read_appmetrica("events", **DAY, client=hasty, **parameters)


@pytest.fixture
def slow() -> Iterator[Emulator]:
    with Emulator(rows_per_day=10, preparation=1000.0, clock=MovableClock()) as emulator:
        yield emulator


def test_a_pending_job_has_a_row_with_its_request(slow: Emulator) -> None:
    wait_in_vain(slow, fields=["event_name", "city"])
    (row,) = af.Cache().ls(resource="events").rows(named=True)
    assert (row["resource"], row["application_id"], row["state"]) == ("events", 1111, "pending")
    assert (row["since"], row["fields"]) == (datetime(2024, 7, 29), ["city", "event_name"])  # noqa: DTZ001 - wall time
    assert (row["rows"], row["bytes"], row["fetched_at"], row["path"]) == (None, None, None, None)
    assert row["age"] >= timedelta()
    assert af.Cache().exports() == []
    assert af.Cache().ls(resource="installations").is_empty()


@pytest.mark.parametrize(
    "request_of_the_record",
    [
        None,
        7,
        {"application_id": [], "date_since": 5, "fields": None},
        {"application_id": "9" * 20, "date_since": "soon", "fields": [1, None], "resource": 3, "city": [[]]},
        {"fields": ["\ud800"], "resource": "ev\ud800"},
    ],
)
def test_a_pending_job_without_a_sane_request_is_listed_by_its_key(
    slow: Emulator, request_of_the_record: object
) -> None:
    wait_in_vain(slow)
    (path,) = af.Cache().directory.rglob(PENDING)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"request": request_of_the_record}))
    (row,) = af.Cache().ls().rows(named=True)
    assert (row["resource"], row["state"], row["since"], row["application_id"]) == ("events", "pending", None, None)
    assert row["key"] == f"{path.parent.parent.name}-{path.parent.name}"


def test_an_empty_cache_has_the_columns_of_a_full_one(client: Client) -> None:
    empty = af.Cache().ls()
    af.download_appmetrica("push_tokens", application_id=1111, client=client)
    full = af.Cache().ls()
    assert (empty.height, full.height) == (0, 1)
    assert empty.schema == full.schema
    assert full.schema["age"] == pl.Duration("us")


def test_another_resource_is_refused() -> None:
    with pytest.raises(af.InvalidRequestError, match="Did you mean 'events'"):
        af.Cache().ls(resource="evnts")
