"""What every test stands on: an environment of its own, and fixtures for the emulator and the client."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from appmetrica_frames import Client
from appmetrica_frames.emulator import Emulator, MovableClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOON = 1_722_340_800.0  # 2024-07-30 12:00:00 UTC


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees the token, the server or the store of whoever runs it."""
    for name in ("APPMETRICA_TOKEN", "APPMETRICA_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("APPMETRICA_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def server() -> Iterator[Emulator]:
    with Emulator(rows_per_day=500, clock=MovableClock(start=NOON)) as emulator:
        yield emulator


@pytest.fixture
def client(server: Emulator) -> Client:
    return Client(server.token, base_url=server.base_url, poll=(0.01, 0.05), progress=False)
