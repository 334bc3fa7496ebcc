"""The demonstration, as a newcomer runs it."""

from __future__ import annotations

import re
import tempfile
import time
from typing import TYPE_CHECKING, Any

import pytest

from appmetrica_frames.cli import demo

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Command = Callable[..., Any]


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """Return an empty temporary directory for the demonstration to live in."""
    directory = tmp_path / "tmp"
    directory.mkdir()
    return directory


def test_the_demo_shows_a_whole_journey_in_under_a_minute(command: Command, room: Path) -> None:
    began = time.monotonic()
    ran = command("demo", TMPDIR=str(room), APPMETRICA_TOKEN="canary", APPMETRICA_BASE_URL="https://nowhere.invalid")
    assert ran.returncode == 0, ran.stderr
    assert time.monotonic() - began < 60
    shapes = [int(rows.replace("_", "")) for rows in re.findall(r"shape: \(([\d_]+), \d+\)", ran.stdout)]
    assert shapes[0] > 0
    assert shapes[1] >= 200_000
    assert "appmetrica_device_id  UInt64" in ran.stdout
    assert "The same frame, 0 requests to the server." in ran.stdout
    assert re.search(r"From the server +\d+\.\d\d s\nFrom the cache +\d+\.\d\d s", ran.stdout)
    assert len(re.findall(rf"{re.escape(str(room))}\S+\.parquet", ran.stdout)) == 2
    assert re.search(r"events: waiting \d s, \d+% prepared", ran.stderr)
    assert re.search(r"events: ready in \d+ s, [\d.]+ MB downloaded, [\d.]+ [kM]B/s, [\d,]+ rows", ran.stderr)
    assert list(room.iterdir()) == []


@pytest.mark.parametrize("keep", [True, False])
def test_the_store_of_the_demo_is_kept_if_asked(room: Path, monkeypatch: pytest.MonkeyPatch, *, keep: bool) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(room))
    with demo._temporary_cache(keep=keep) as directory:
        assert directory.parent == room
    assert directory.exists() is keep
