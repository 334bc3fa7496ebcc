"""`Emulator`: its options, starting and stopping."""

from __future__ import annotations

import math
import tempfile
import threading
from typing import TYPE_CHECKING, Any

import pytest

from appmetrica_frames.emulator import Emulator
from appmetrica_frames.schema.catalog import resources

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import ApiClient, StartEmulator


def test_stopping_leaves_no_thread_and_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start_emulator: StartEmulator
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = threading.active_count()
    api = start_emulator(rows_per_day=4_000)
    big = api.download(fields=",".join(resources()["events"].fields), date_since="2026-10-20")
    assert len(big) > 30 << 20
    assert [path.suffix for path in tmp_path.rglob("*") if path.is_file()] == [".gz"]
    api.http.close()
    api.server.stop()
    assert threading.active_count() == before
    assert list(tmp_path.iterdir()) == []


def test_stopping_does_not_wait_for_a_build(start_emulator: StartEmulator) -> None:
    api = start_emulator(rows_per_day=200_000)
    api.get(date_since="2025-01-01")
    api.server.stop()
    assert api.server.preparations == 0


def test_a_busy_port_is_an_error_and_leaves_nothing_open(shared_api: ApiClient) -> None:
    port = int(shared_api.server.base_url.rpartition(":")[2])
    with pytest.raises(OSError, match=f"Cannot listen on port {port} of 127.0.0.1: Address already in use"):
        Emulator(port=port).start()


@pytest.mark.parametrize(
    ("option", "value", "allowed"),
    [
        ("port", 99_999, "from 0 to 65535"),
        ("port", -1, "from 0 to 65535"),
        ("seed", -1, "from 0 to 18446744073709551615"),
        ("seed", 2**64, "from 0 to 18446744073709551615"),
        ("rows_per_day", -5, "1 or more"),
        ("rows_per_day", 0, "1 or more"),
        ("preparation", -1.0, "0 or more"),
        ("preparation", math.nan, "0 or more"),
        ("preparation", math.inf, "0 or more"),
        ("preparation_per_day", -1.0, "0 or more"),
        ("max_rows_per_file", 0, "1 or more"),
        ("max_days", 0, "1 or more"),
        ("part_builds", "both", "'shared' or 'separate'"),
        ("repeated_max_age", "stay", "'join' or 'move'"),
    ],
)
def test_an_option_out_of_range_is_an_error_with_its_name(option: str, value: object, allowed: str) -> None:
    options: dict[str, Any] = {option: value}
    with pytest.raises(ValueError, match=f"{option} must be {allowed}, not"):
        Emulator(**options)
