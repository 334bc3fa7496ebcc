"""A body cut anywhere, in every framing and format: never a wrong frame, never a published file, never a second job."""

from __future__ import annotations

import json
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

import appmetrica_frames as af
from appmetrica_frames.emulator import Emulator, faults
from appmetrica_frames.engine.call import open_exports
from appmetrica_frames.engine.options import build_options
from appmetrica_frames.integrations import polars as frames

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import polars as pl

FIELDS = ["appmetrica_device_id", "token"]
ROWS = [(2**63 + row, f"token {row}, „quoted“ }},{{ 🚀 {hash((row, 2)) ** 2}") for row in range(40)]


class InstantClock:
    """A clock on which no time passes."""

    def now(self) -> float:
        return 1_722_340_800.0

    def monotonic(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        pass


def body(wire_format: str) -> bytes:
    if wire_format == "csv":
        return "\n".join([",".join(FIELDS), *(f'{device},"{token}"' for device, token in ROWS)]).encode()
    return json.dumps(
        {"data": [{name: str(value) for name, value in zip(FIELDS, row, strict=True)} for row in ROWS]}
    ).encode()


def read(server: Emulator, cache: Path, wire_format: Any, *, retries: int) -> pl.DataFrame:
    client = af.Client(server.token, base_url=server.base_url, cache_dir=cache, retries=retries, progress=False)
    request = build_options(
        "push_tokens", application_id=server.application_id, fields=FIELDS, wire_format=wire_format, client=client
    )
    with open_exports(request, clock=InstantClock()) as exports:
        return frames.read(exports)


def size_on_the_wire(server: Emulator, wire_format: str, *, zipped: bool) -> int:
    query = f"application_id={server.application_id}&fields={','.join(FIELDS)}"
    request = urllib.request.Request(  # noqa: S310 - loopback
        f"{server.base_url}/logs/v1/export/push_tokens.{wire_format}?{query}",
        headers={"Authorization": f"OAuth {server.token}", "Accept-Encoding": "gzip" if zipped else "identity"},
    )
    with urllib.request.urlopen(request) as response:  # noqa: S310 - loopback
        return len(response.read())


def check(wire_format: str, framing: Any, tmp_path: Path, tries: Any, *, zipped: bool, places: int) -> None:
    with Emulator(bodies={}) as server:
        server.answers["push_tokens"] = body(wire_format)
        assert read(server, tmp_path / "whole", wire_format, retries=0).rows() == ROWS
        size = size_on_the_wire(server, wire_format, zipped=zipped)
        assert size > places
        server.clear_faults()
        for number in range(places):
            tries.add()
            cache = tmp_path / str(number)
            server.bodies[2 * number + 1] = faults.Cut(number * size // places, framing, gzip=zipped)
            with pytest.raises(af.DownloadError):
                read(server, cache, wire_format, retries=0)
            assert [*cache.rglob("*.parquet*"), *cache.rglob("entry.json")] == []
            assert read(server, cache, wire_format, retries=0).rows() == ROWS
        assert server.preparations == 1
        assert server.bodies.count == 2 * places


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
@pytest.mark.parametrize("wire_format", ["csv", "json"])
def test_a_gzip_body_cut_anywhere(
    wire_format: str, framing: Any, tmp_path: Path, count_tries: Callable[[str], Any]
) -> None:
    tries = count_tries("a cut gzip body is noticed, and fetched again")
    check(wire_format, framing, tmp_path, tries, zipped=True, places=20)


@pytest.mark.exhaustive
@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
@pytest.mark.parametrize("wire_format", ["csv", "json"])
def test_a_gzip_body_cut_at_200_places(
    wire_format: str, framing: Any, tmp_path: Path, count_tries: Callable[[str], Any]
) -> None:
    tries = count_tries("a cut gzip body is noticed, and fetched again")
    check(wire_format, framing, tmp_path, tries, zipped=True, places=200)


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("wire_format", ["csv", "json"])
def test_a_plain_body_cut_anywhere(
    wire_format: str, framing: Any, tmp_path: Path, count_tries: Callable[[str], Any]
) -> None:
    tries = count_tries("a cut plain body is noticed, and fetched again")
    check(wire_format, framing, tmp_path, tries, zipped=False, places=50)


def test_one_call_survives_as_many_cuts_as_it_has_retries(tmp_path: Path) -> None:
    with Emulator(bodies={number: faults.Cut(number * 50, "chunked") for number in range(1, 6)}) as server:
        server.answers["push_tokens"] = body("csv")
        assert read(server, tmp_path, "csv", retries=5).rows() == ROWS
        assert (server.preparations, server.bodies.count) == (1, 6)
