"""JSON on the wire: the same frames as from CSV, whether the server quotes every value or none."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

import appmetrica_frames as af
from appmetrica_frames.emulator import Emulator, MovableClock

NOON = 1_722_340_800.0


@pytest.mark.parametrize("native", [False, True], ids=["text", "native"])
def test_every_resource_is_the_same_frame_from_json(native: bool) -> None:  # noqa: FBT001
    with Emulator(rows_per_day=1_500, clock=MovableClock(start=NOON), native_json=native) as server:
        client = af.Client(server.token, base_url=server.base_url, poll=(0.01, 0.05), progress=False)
        for name, dates in af.list_resources().select("resource", "dates").iter_rows():
            words: dict[str, Any] = {"application_id": server.application_id, "client": client, "strict": True}
            if dates:
                words |= {"date_since": "2024-07-25", "date_until": "2024-07-29"}
            by_csv = af.read_appmetrica(name, **words)
            by_json = af.read_appmetrica(name, wire_format="json", **words)
            assert by_json.schema == by_csv.schema
            assert by_json.sort(pl.all()).equals(by_csv.sort(pl.all()))
            assert by_csv.height > 0


def test_the_format_is_in_the_path_and_the_key(server: Emulator, client: af.Client) -> None:
    words: dict[str, Any] = {"application_id": server.application_id, "client": client, "fields": ["token", "city"]}
    af.read_appmetrica("push_tokens", wire_format="json", **words)
    af.read_appmetrica("push_tokens", **words)
    assert {e.path for e in server.exchanges} == {"/logs/v1/export/push_tokens.json", "/logs/v1/export/push_tokens.csv"}
    assert server.preparations == 2


def test_an_unknown_format_is_refused(server: Emulator, client: af.Client) -> None:
    with pytest.raises(af.InvalidRequestError, match="wire_format is one of 'csv', 'json'"):
        af.read_appmetrica("push_tokens", application_id=1, wire_format="parquet", client=client)  # type: ignore[call-overload]
    assert len(server.exchanges) == 0
