"""The limits on what is read from the network and from files: named, listed here, and none of them larger than this."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

import appmetrica_frames

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
    "logs_api.protocol.MAX_LOST_JOBS": 3,
    "logs_api.transport.MAX_CONNECTIONS": 10,
    "logs_api.management.MAX_ID": 1 << 64,
    "logs_api.management.MAX_OFFSET": 86_400,
    "logs_api.masking.LONGEST_SPELLING": 16,
    "util.excerpts.MARGIN": 16 << 10,
    # The file.
    "decode.body.MAX_INPUT_BYTES": 64 << 10,
    "decode.body.MAX_SILENT_BYTES": MIB,
    "decode.rows.MAX_HEADER_BYTES": MIB,
    "decode.rows.MAX_ROW_BYTES": 64 * MIB,
    "decode.csv.BLOCK_BYTES": 2 * MIB,
    "decode.csv.MAX_REPEATED": 100,
    "decode.parse_errors.MAX_NAMES": 10,
    "decode.json.records.MAX_HEAD_BYTES": 64 << 10,
    "decode.json.records.MAX_LEAD_CHARACTERS": 1000,
    "decode.json.python.MAX_UNKNOWN_NAMES": 10,
    "decode.json.python._MAX_CUT": 12,
    "decode.json.scan.RUN": 1000,
    "decode.json.decoder.BLOCK_BYTES": 4 * MIB,
    "decode.json.decoder.MAX_FAST_BYTES": 8 * MIB,
    "engine.pipeline.MAX_WORKERS": 4,
    "engine.ingest.PIECES_AHEAD": 8,
    "engine.parquet.GROUP_BYTES": 32 * MIB,
    # The cache.
    "cache.entry.MAX_RECORD_BYTES": 4 * MIB,
    "cache.rejected.MAX_BYTES": MIB,
    "cache.time_zones.MAX_BYTES": MIB,
    "cache.time_zones.MAX_INSTANT": 253_402_300_800,
    "cache.leases.MAX_LEASE_BYTES": 200,
    "cache.index.PAGE_ROWS": 100,
    "engine.schedule.MAX_WINDOWS_AHEAD": 5,
    "engine.workers.MAX_FAILURES": 3,
    "engine.range.MAX_LISTED": 5,
    "engine.call.ATTEMPTS": 3,
    # What a caller passes.
    "request.export.MAX_ID_DIGITS": 20,
    "request.export.MAX_EXCERPT": 100,
    "request.dates.MAX_DAYS_AGO": 36_525,
}


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_is_there_and_is_no_larger(name: str) -> None:
    module, _, constant = name.rpartition(".")
    assert 0 < getattr(import_module(f"appmetrica_frames.{module}"), constant) <= LIMITS[name]


def test_every_maximum_is_listed() -> None:
    """Of the modules that read what comes from the network, from files or from callers."""
    root = Path(str(appmetrica_frames.__file__)).parent
    found = {
        f"{'.'.join(path.relative_to(root).with_suffix('').parts)}.{match[1]}"
        for folder in ("cache", "decode", "engine", "logs_api", "request")
        for path in (root / folder).rglob("*.py")
        for match in re.finditer(r"^(_?MAX_\w+)(?:: \w+)? = ", path.read_text("utf-8"), re.MULTILINE)
    }
    assert found
    assert found - set(LIMITS) == set()


def test_a_slow_server_is_one_below_256_bytes_a_second() -> None:
    from appmetrica_frames.logs_api.network import MIN_SPEED

    assert MIN_SPEED >= 256
