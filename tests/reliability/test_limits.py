"""The limits on what is read from the network and from files: named, listed here, and none of them larger than this."""

from __future__ import annotations

from importlib import import_module

import pytest

MIB = 1 << 20
LIMITS = {
    # What a server sends beside the file.
    "logs_api.texts.MAX_TEXT": 64 << 10,
    "logs_api.texts.MAX_JSON": 4 * MIB,
    "logs_api.network.MAX_HEAD": 256 << 10,
    "logs_api.responses.MAX_MESSAGE": 500,
    "logs_api.responses.MAX_FIELDS": 100,
    "logs_api.retry.MAX_BACKOFF": 60.0,
    "logs_api.retry.MAX_RETRY_AFTER": 64,
    "request.part.MAX_PARTS": 64,
    "logs_api.steps.MAX_QUEUED_JOBS": 3,
    # The file.
    "decode.body.MAX_INPUT_BYTES": 64 << 10,
    "decode.body.MAX_SILENT_BYTES": MIB,
    "decode.rows.MAX_HEADER_BYTES": MIB,
    "decode.rows.MAX_ROW_BYTES": 64 * MIB,
    "decode.csv.BLOCK_BYTES": 2 * MIB,
    "decode.csv.MAX_REPEATED": 100,
    "decode.json.records.MAX_HEAD_BYTES": 64 << 10,
    "decode.json.decoder.BLOCK_BYTES": 4 * MIB,
    "decode.json.decoder.MAX_FAST_BYTES": 8 * MIB,
    "engine.pipeline.MAX_WORKERS": 4,
    # The cache.
    "cache.entry.MAX_RECORD_BYTES": 4 * MIB,
    "cache.rejected.MAX_BYTES": MIB,
    "cache.time_zones.MAX_BYTES": MIB,
}


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_is_there_and_is_no_larger(name: str) -> None:
    module, _, constant = name.rpartition(".")
    assert 0 < getattr(import_module(f"appmetrica_frames.{module}"), constant) <= LIMITS[name]


def test_a_slow_server_is_one_below_256_bytes_a_second() -> None:
    from appmetrica_frames.logs_api.network import MIN_SPEED

    assert MIN_SPEED >= 256
