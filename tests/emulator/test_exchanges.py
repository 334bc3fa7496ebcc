"""The log of exchanges."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx
from starlette.responses import PlainTextResponse

from appmetrica_frames.emulator.exchanges import MAX_EXCHANGES, Recorder

if TYPE_CHECKING:
    from conftest import ApiClient

    from appmetrica_frames.emulator import Exchange


def test_exchanges_are_recorded(api: ApiClient) -> None:
    api.get(headers={"Cache-Control": "no-cache"})
    api.poll()
    first, *_, last = api.server.exchanges
    assert (first.number, first.method, first.path) == (1, "GET", "/logs/v1/export/events.csv")
    assert ("date_since", "2026-11-10") in first.query
    assert first.headers["cache-control"] == "no-cache"
    assert (first.status, first.text, last.status, last.text) == (202, "Wait for result", 200, "")
    assert api.server.downloads == 1


def test_the_log_keeps_the_last_exchanges_only() -> None:
    exchanges: list[Exchange] = []
    transport = httpx.ASGITransport(Recorder(PlainTextResponse("text"), exchanges, limit=3))

    async def send_requests() -> None:
        async with httpx.AsyncClient(transport=transport, base_url="http://emulator") as client:
            for number in range(5):
                await client.get(f"/{number}")

    asyncio.run(send_requests())
    assert [(exchange.number, exchange.path) for exchange in exchanges] == [(3, "/2"), (4, "/3"), (5, "/4")]
    assert MAX_EXCHANGES == 10_000
