"""A warning points at the line of the user, whichever public function it comes from."""

from __future__ import annotations

import warnings
from datetime import datetime
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import appmetrica_frames as af

if TYPE_CHECKING:
    from collections.abc import Callable

    from appmetrica_frames import Client

MIDNIGHT: dict[str, Any] = {
    "application_id": 1111,
    "date_since": "2024-07-01",
    "date_until": datetime.fromisoformat("2024-07-02 00:00:00"),
    "fields": ["event_name", "city"],
}
CALLS: dict[str, Callable[[Client], object]] = {
    "read": lambda client: af.read_appmetrica("events", **MIDNIGHT, client=client),
    "scan": lambda client: af.scan_appmetrica("events", **MIDNIGHT, client=client),
    "iterate": lambda client: af.iter_appmetrica("events", **MIDNIGHT, client=client).close(),
    "download": lambda client: af.download_appmetrica("events", **MIDNIGHT, client=client),
    "plan": lambda client: af.plan_appmetrica("events", **MIDNIGHT, client=client),
    "sync": lambda client: af.sync_appmetrica("events", **MIDNIGHT, to="dataset", dry_run=True, client=client),
    "expand_json": lambda _: af.expand_json(pl.DataFrame({"event_json": ["{", "{}"]})),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_warning_points_at_the_line_of_the_user(
    call: Callable[[Client], object], client: Client, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call(client)
    assert [(warning.filename, warning.lineno) for warning in caught] == [(__file__, call.__code__.co_firstlineno)]  # type: ignore[attr-defined]


def test_a_damaged_record_is_said_at_the_line_that_lists_the_cache(client: Client) -> None:
    af.read_appmetrica("push_tokens", application_id=1111, client=client)
    (export,) = af.Cache().exports()
    (export.path.parent / "entry.json").write_text("{", "utf-8")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        af.Cache().ls()
    assert {warning.filename for warning in caught} == {__file__}
