"""``read`` over a real socket: what the library returns, printed or written."""

from __future__ import annotations

import re
import stat
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from appmetrica_frames import Cache, Client, read_appmetrica
from appmetrica_frames.emulator import Emulator, faults

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Command = Callable[..., Any]

DAYS = ("--application-id", 1111, "--date-since", "2024-07-28", "--date-until", "2024-07-29")
COLUMNS = ["event_name", "event_timestamp", "event_json", "appmetrica_device_id"]
TITLE = "events of 1111, 2024-07-28 to 2024-07-29"
READ = ("read", "events", *DAYS, "--fields", ",".join(COLUMNS[:2]), "--fields", ",".join(COLUMNS[2:]))


@pytest.fixture
def expected(client: Client) -> pl.DataFrame:
    """Read with the library what the commands read, into the same cache."""
    return read_appmetrica(
        "events",
        application_id=1111,
        date_since="2024-07-28",
        date_until="2024-07-29",
        fields=COLUMNS,
        client=client,
    )


def test_without_a_file_the_frame_is_printed(
    command: Command, server_environment: dict[str, str], server: Emulator
) -> None:
    result = command(*READ, "--no-progress", **server_environment)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("shape: (")
    assert "event_name" in result.stdout
    assert server.downloads == 1


def test_outside_a_terminal_progress_is_a_few_lines(command: Command, server_environment: dict[str, str]) -> None:
    result = command("download", *READ[1:], **server_environment)
    assert result.returncode == 0
    assert len(result.stdout.splitlines()) == 1
    assert "\r" not in result.stderr
    waiting, downloading, ready = result.stderr.splitlines()
    assert waiting.startswith(f"{TITLE}: waiting 0 s")
    assert downloading.startswith(f"{TITLE}: downloading ")
    summary = ready.removeprefix(f"{TITLE}: ")
    assert re.fullmatch(r"ready in \d+ s, [\d.]+ kB downloaded(, .+B/s)?, [\d,]+ rows(, [\d,]+ rows/s)?", summary)


def test_a_parquet_file_holds_what_the_library_reads(
    command: Command, server_environment: dict[str, str], expected: pl.DataFrame, tmp_path: Path
) -> None:
    target = tmp_path / "out.parquet"
    result = command(*READ, "-o", target, **server_environment)
    assert (result.returncode, result.stdout) == (0, "")
    assert f"{expected.height:,} rows in {target}" in result.stderr
    assert_frame_equal(pl.read_parquet(target), expected)


def test_a_csv_file_holds_what_the_library_reads(
    command: Command, server_environment: dict[str, str], expected: pl.DataFrame, tmp_path: Path
) -> None:
    target = tmp_path / "out.CSV"
    assert command(*READ, "-o", target, **server_environment).returncode == 0
    assert_frame_equal(pl.read_csv(target, schema_overrides=expected.schema), expected)


def test_a_file_is_replaced_whole_and_nothing_is_left_beside_it(
    command: Command, server_environment: dict[str, str], expected: pl.DataFrame, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    target = folder / "out.parquet"
    target.write_bytes(b"the one before")
    assert command(*READ, "--output", target, **server_environment).returncode == 0
    assert list(folder.iterdir()) == [target]
    assert pl.read_parquet(target).height == expected.height
    assert stat.S_IMODE(target.stat().st_mode) & stat.S_IRUSR


def test_download_prints_the_paths_of_the_cached_files(
    command: Command, server_environment: dict[str, str], expected: pl.DataFrame
) -> None:
    result = command("download", *READ[1:], **server_environment)
    assert result.returncode == 0
    assert re.fullmatch(rf"{TITLE}: from the cache, built at most \d+ s ago\n", result.stderr)
    assert result.stdout.splitlines() == [str(export.path) for export in Cache().exports()]
    assert_frame_equal(pl.read_parquet(result.stdout.splitlines(), columns=COLUMNS), expected, check_column_order=False)


def test_a_stale_file_is_used_when_the_quota_is_used_up(command: Command) -> None:
    parameters: dict[str, Any] = {"application_id": 1111, "fields": ["token"]}
    arguments = ("read", "push_tokens", "--application-id", 1111, "--fields", "token", "--max-age", 0)
    with Emulator(rows_per_day=100, faults={}) as server:
        client = Client(server.token, base_url=server.base_url, poll=(0.01, 0.05), progress=False)
        frame = read_appmetrica("push_tokens", client=client, **parameters)
        server.faults[1:] = faults.Answer(429, retry_after=86_400)
        variables = {"APPMETRICA_TOKEN": server.token, "APPMETRICA_BASE_URL": server.base_url}
        refused = command(*arguments, **variables)
        result = command(*arguments, "--stale-if-error", 3600, "--max-bytes", 10**9, **variables)
    assert refused.returncode == 1
    assert "appmetrica-frames: QuotaExceededError: " in refused.stderr
    assert result.returncode == 0
    assert result.stdout.startswith(f"shape: ({frame.height:_}, 1)")
    progress, warning = result.stderr.splitlines()
    assert progress.startswith("push_tokens of 1111: from the cache, built at most")
    assert warning.startswith("appmetrica-frames: CacheWarning: ")
    assert "A cached file is returned instead" in warning


def test_a_second_read_needs_no_server(
    command: Command, server_environment: dict[str, str], expected: pl.DataFrame
) -> None:
    result = command(*READ, "--offline", "--base-url", server_environment["APPMETRICA_BASE_URL"])
    assert result.returncode == 0, result.stderr
    assert f"shape: ({expected.height:_}, 4)" in result.stdout


def test_filters_overrides_and_flags_reach_the_server(
    command: Command, server_environment: dict[str, str], server: Emulator, tmp_path: Path
) -> None:
    target = tmp_path / "out.parquet"
    result = command(
        *("read", "events", *DAYS, "--fields", "event_name,session_id", "--limit", 7, "--refresh", "--strict"),
        *("--filters", "event_name=app_open", "--filters", "os_name=android", "--date-dimension", "receive"),
        *("--schema-overrides", "session_id=string", "--skip-unavailable-shards", "-o", target),
        *("--cache-dir", tmp_path / "elsewhere", "--prepare-timeout", 50, "--base-url", server.base_url),
        APPMETRICA_TOKEN=server_environment["APPMETRICA_TOKEN"],
    )
    assert result.returncode == 0, result.stderr
    sent = dict(server.exchanges[0].query)
    del sent["fields"], sent["date_since"], sent["date_until"]
    assert sent == {
        "application_id": "1111",
        "date_dimension": "receive",
        "event_name": "app_open",
        "limit": "7",
        "os_name": "android",
        "skip_unavailable_shards": "true",
    }
    assert server.exchanges[0].headers["cache-control"] == "no-cache"
    assert (tmp_path / "elsewhere").is_dir()
    frame = pl.read_parquet(target)
    assert frame.schema == {"event_name": pl.String, "session_id": pl.String}
    assert frame.height <= 7
    assert set(frame["event_name"]) == {"app_open"}


def test_the_token_is_in_no_output(command: Command, server: Emulator) -> None:
    result = command(*READ, APPMETRICA_TOKEN="canary-token", APPMETRICA_BASE_URL=server.base_url)
    assert result.returncode == 1
    assert "canary-token" not in result.stdout + result.stderr


def test_a_warning_is_one_line(command: Command, server_environment: dict[str, str], server: Emulator) -> None:
    server.answers["events"] = b"event_name,session_id\nbuy,twelve\n"
    result = command(
        "read", "events", *DAYS, "--fields", "event_name,session_id", "--no-progress", **server_environment
    )
    assert result.returncode == 0, result.stderr
    (line,) = result.stderr.splitlines()
    assert line.startswith("appmetrica-frames: SchemaWarning: ")
    assert "session_id" in line


def test_relative_dates_are_days_of_the_application(
    command: Command, server_environment: dict[str, str], server: Emulator
) -> None:
    dates = ("--date-since", "7DAYSAGO", "--date-until", "yesterday")
    before = today_in_moscow()
    result = command("download", "events", *READ[2:4], *dates, **server_environment)
    after = today_in_moscow()
    assert result.returncode == 0
    query = dict(server.exchanges[-1].query)
    assert (query["date_since"], query["date_until"]) in [
        (f"{today - timedelta(days=7)} 00:00:00", f"{today - timedelta(days=1)} 23:59:59") for today in (before, after)
    ]


def today_in_moscow() -> date:
    return datetime.now(ZoneInfo("Europe/Moscow")).date()


def test_standard_output_is_no_file_for_a_reason_that_is_said(command: Command) -> None:
    result = command(*READ, "-o", "-")
    assert result.returncode == 2
    assert "could not tell an export that broke off from a whole one" in result.stderr
