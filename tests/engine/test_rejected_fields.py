"""Documented fields that the live server rejects: left out where no fields were named, an error where they were."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pytest

import appmetrica_frames as af
from appmetrica_frames.emulator import Emulator, MovableClock
from appmetrica_frames.engine.call import open_exports
from appmetrica_frames.engine.options import build_options
from appmetrica_frames.integrations import polars as frames

if TYPE_CHECKING:
    from collections.abc import Iterator

NOON = 1_722_340_800.0
DAY = 86_400.0
REJECTED = {"city", "mcc"}


class SharedClock:
    """The emulator's clock, which a call waits on, too."""

    def __init__(self, server: Emulator) -> None:
        self._clock = server.clock

    def now(self) -> float:
        return self._clock.now()

    def monotonic(self) -> float:
        return self._clock.now()

    def sleep(self, seconds: float) -> None:
        self._clock.advance(seconds)


@pytest.fixture
def server() -> Iterator[Emulator]:
    with Emulator(rows_per_day=200, rejected_fields=REJECTED, clock=MovableClock(start=NOON)) as emulator:
        yield emulator


@pytest.fixture
def parameters(server: Emulator) -> dict[str, Any]:
    client = af.Client(server.token, base_url=server.base_url, poll=(0.01, 0.05), progress=False)
    return {"application_id": server.application_id, "client": client}


def statuses(server: Emulator) -> list[int]:
    return [exchange.status for exchange in server.exchanges]


def read_after(server: Emulator, seconds: float, parameters: dict[str, Any]) -> pl.DataFrame:
    server.clock.advance(seconds)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", af.SchemaWarning)
        with open_exports(build_options("push_tokens", **parameters), clock=SharedClock(server)) as exports:
            return frames.read(exports)


def test_they_are_null_columns_with_one_warning(parameters: dict[str, Any]) -> None:
    with pytest.warns(af.SchemaWarning, match="rejects 'city', 'mcc'") as caught:
        frame = af.read_appmetrica("push_tokens", **parameters)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert frame.height > 0
    documented = af.list_fields("push_tokens").filter("default")
    assert frame.columns == documented["field"].to_list()
    assert {name: str(dtype) for name, dtype in frame.schema.items()} == dict(
        documented.select("field", "dtype").rows()
    )
    assert set(frame.columns) - {name for name in frame.columns if frame[name].null_count() == frame.height} >= {
        "token"
    }
    assert {name for name in REJECTED if frame[name].null_count() == frame.height} == REJECTED


@pytest.mark.filterwarnings("ignore::appmetrica_frames.SchemaWarning")
def test_every_way_to_read_has_the_same_columns(parameters: dict[str, Any]) -> None:
    frame = af.read_appmetrica("push_tokens", **parameters)
    table = af.read_appmetrica("push_tokens", backend="pyarrow", **parameters)
    assert pl.DataFrame(pl.from_arrow(table)).equals(frame)
    assert af.scan_appmetrica("push_tokens", **parameters).collect().equals(frame)
    assert list(af.read_appmetrica("push_tokens", backend="pandas", **parameters).columns) == frame.columns
    with af.iter_appmetrica("push_tokens", batch_size=50, **parameters) as batches:
        assert pa.Table.from_batches(list(batches), batches.schema).equals(table)


def test_they_are_remembered_for_a_day(server: Emulator, parameters: dict[str, Any]) -> None:
    for changes, requests in [({}, len(REJECTED)), ({"refresh": True}, 0), ({"limit": 5}, 0)]:
        before = statuses(server).count(400)
        read_after(server, 60.0, {**parameters, **changes})
        assert statuses(server).count(400) - before == requests
    before = statuses(server).count(400)
    read_after(server, DAY, {**parameters, "refresh": True})
    assert statuses(server).count(400) - before == len(REJECTED)


def test_a_field_that_is_accepted_again_is_back_after_a_day(server: Emulator, parameters: dict[str, Any]) -> None:
    assert read_after(server, 0.0, parameters)["city"].null_count() > 0
    server.rejected_fields.clear()
    frame = read_after(server, DAY + 60.0, parameters)
    assert frame["city"].null_count() < frame.height


def test_offline_finds_the_export_without_them(server: Emulator, parameters: dict[str, Any]) -> None:
    frame = read_after(server, 0.0, parameters)
    assert read_after(server, 3 * DAY, {**parameters, "offline": True}).equals(frame)


def test_named_fields_are_an_error(parameters: dict[str, Any]) -> None:
    with pytest.raises(af.RequestRejectedError, match="city") as caught:
        af.read_appmetrica("push_tokens", fields=["token", "city"], **parameters)
    assert caught.value.fields == ("city",)


@pytest.mark.filterwarnings("ignore::appmetrica_frames.SchemaWarning")
def test_without_the_cache_nothing_is_remembered(server: Emulator, parameters: dict[str, Any]) -> None:
    for _ in range(2):
        assert af.read_appmetrica("push_tokens", cache=False, **parameters)["city"].null_count() > 0
    assert statuses(server).count(400) == 2 * len(REJECTED)  # the server names one at a time
    assert not af.Cache().directory.exists()


@pytest.mark.filterwarnings("ignore::appmetrica_frames.SchemaWarning")
@pytest.mark.parametrize(
    "content",
    [
        *("", "[]", "{", '{"x": 1}', '{"x": {"city": "soon"}}', '{"x": {"city": NaN}}'),
        pytest.param(f'{{"x": {{"city": 1{"0" * 400}}}}}', id="a huge number"),
    ],
)
def test_a_damaged_memory_is_as_good_as_none(content: str, server: Emulator, parameters: dict[str, Any]) -> None:
    af.read_appmetrica("push_tokens", **parameters)
    (memory,) = af.Cache().directory.rglob("rejected_fields.json")
    memory.write_text(content.replace("x", server.base_url))
    assert af.read_appmetrica("push_tokens", refresh=True, **parameters).height > 0
    assert statuses(server).count(400) == 2 * len(REJECTED)  # the server names one at a time
