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
def folder(tmp_path: Path) -> Path:
    """Return an empty directory for the temporary files of the demonstration."""
    directory = tmp_path / "tmp"
    directory.mkdir()
    return directory


def test_the_demo_shows_a_whole_export_in_under_a_minute(command: Command, folder: Path) -> None:
    began = time.monotonic()
    result = command(
        "demo", TMPDIR=str(folder), APPMETRICA_TOKEN="canary", APPMETRICA_BASE_URL="https://nowhere.invalid"
    )
    assert result.returncode == 0, result.stderr
    assert time.monotonic() - began < 60
    shapes = [int(rows.replace("_", "")) for rows in re.findall(r"shape: \(([\d_]+), \d+\)", result.stdout)]
    assert shapes[0] > 0
    assert shapes[1] >= 200_000
    assert "appmetrica_device_id  UInt64" in result.stdout
    assert "The same frame, 0 requests to the server." in result.stdout
    assert re.search(r"From the server +\d+\.\d\d s\nFrom the cache +\d+\.\d\d s", result.stdout)
    assert len(re.findall(rf"{re.escape(str(folder))}\S+\.parquet", result.stdout)) == 2
    assert re.search(r"events of \d+, [\d-]+: waiting \d s, \d+% prepared", result.stderr)
    summary = r"events of \d+, [\d-]+: ready in \d+ s, [\d.]+ MB downloaded(, [\d.]+ [kM]B/s)?, [\d,]+ rows"
    assert re.search(summary, result.stderr)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("keep", [True, False])
def test_the_cache_of_the_demo_is_kept_on_request(folder: Path, monkeypatch: pytest.MonkeyPatch, *, keep: bool) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    with demo._temporary_cache(keep=keep) as directory:
        assert directory.parent == folder
    assert directory.exists() is keep
