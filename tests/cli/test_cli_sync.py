"""``sync`` prints one line for a scheduler's log, and its exit codes are those of the other commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from appmetrica_frames.cli.sync import summarize
from appmetrica_frames.emulator import Emulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from appmetrica_frames.emulator.faults import Request

    Command = Callable[..., Any]

DATES = ("--date-since", "2024-07-01", "--date-until", "2024-07-03", "--fields", "city,event_datetime")
EVENTS = ("sync", "events", "--application-id", 1111, *DATES)


def test_a_sync_prints_one_line_and_nothing_else(
    command: Command, server_environment: dict[str, str], tmp_path: Path
) -> None:
    to = tmp_path / "dataset"
    first = command(*EVENTS, "--to", to, **server_environment)
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout == f"events of 1111: 3 of 3 windows written, 0 kept, in {to}\n"
    assert len(list(to.rglob("data.parquet"))) == 3
    again = command(*EVENTS, "--to", to, **server_environment)
    assert again.stdout == f"events of 1111: 0 of 3 windows written, 3 kept, in {to}\n"


def test_a_dry_run_prints_the_plan_and_writes_nothing(
    command: Command, server_environment: dict[str, str], server: Emulator, tmp_path: Path
) -> None:
    result = command(*EVENTS, "--to", tmp_path / "dataset", "--dry-run", **server_environment)
    assert result.returncode == 0, result.stderr
    heading, *lines, summary = result.stdout.splitlines()
    assert heading.split()[:3] == ["application", "action", "dates"]
    assert [" ".join(line.split()[1:5]) for line in lines] == [
        f"would write 2024-07-0{day} missing" for day in (1, 2, 3)
    ]
    assert summary == f"events of 1111: 3 of 3 windows to write, 0 kept, in {tmp_path / 'dataset'}"
    assert not (tmp_path / "dataset").exists()


def test_a_sync_of_several_applications_as_json(
    command: Command, server_environment: dict[str, str], server: Emulator, tmp_path: Path
) -> None:
    numbers = [server.application_id, server.other_application_id]
    result = command(
        *("sync", "events", "--application-id", ",".join(map(str, numbers)), *DATES),
        *("--to", tmp_path / "dataset", "--split", "month", "--json"),
        **server_environment,
    )
    assert (result.returncode, result.stderr) == (0, "")
    rows = json.loads(result.stdout)
    assert [(row["application_id"], row["action"], row["state"]) for row in rows] == [
        (number, "written", "missing") for number in numbers
    ]
    assert all(row["path"].endswith("month=2024-07-01/data.parquet") and row["rows"] > 0 for row in rows)


def test_other_columns_are_a_wrong_request_that_names_the_option(
    command: Command, server_environment: dict[str, str], tmp_path: Path
) -> None:
    to = ("--to", tmp_path / "dataset")
    command(*EVENTS, *to, **server_environment)
    wider = (*EVENTS[:-1], "city,event_datetime,event_name")
    result = command(*wider, *to, **server_environment)
    assert result.returncode == 2
    assert result.stdout == ""
    assert "--add-columns" in result.stderr
    assert result.stderr.count("\n") == 1
    assert command(*wider, *to, "--add-columns", **server_environment).returncode == 0


def test_a_failed_window_is_an_error_in_one_line(
    command: Command, server_environment: dict[str, str], tmp_path: Path
) -> None:
    result = command(*EVENTS, "--to", tmp_path / "dataset", **server_environment | {"APPMETRICA_TOKEN": "wrong"})
    assert result.returncode == 1
    assert result.stderr.startswith("appmetrica-frames: AuthenticationError: ")
    assert result.stderr.count("\n") == 1


@contextmanager
def syncing(server: Emulator, to: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a sync as a scheduler does: without a terminal."""
    command = [sys.executable, "-m", "appmetrica_frames", *map(str, EVENTS), "--to", str(to)]
    variables = {"APPMETRICA_TOKEN": server.token, "APPMETRICA_BASE_URL": server.base_url, "PYTHONUTF8": "1"}
    pipes: Any = dict.fromkeys(("stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, env={**os.environ, **variables}, text=True, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def test_of_two_syncs_at_once_the_second_waits_and_keeps_what_the_first_has_written(tmp_path: Path) -> None:
    to = tmp_path / "dataset"
    with (
        Emulator(rows_per_day=100, preparation=0.5) as server,
        syncing(server, to) as one,
        syncing(server, to) as other,
    ):
        said = [process.communicate(timeout=60) for process in (one, other)]
        assert server.preparations == 3
    assert [one.returncode, other.returncode] == [0, 0]
    assert sorted(said) == [
        (f"events of 1111: 0 of 3 windows written, 3 kept, in {to}\n", ""),
        (f"events of 1111: 3 of 3 windows written, 0 kept, in {to}\n", ""),
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM is no signal there")
def test_a_sync_that_is_told_to_end_leaves_nothing_half_done(tmp_path: Path) -> None:
    asked = threading.Event()

    def note(_: Request) -> None:
        asked.set()

    to = tmp_path / "dataset"
    with Emulator(rows_per_day=100, preparation=60.0, faults=note) as server, syncing(server, to) as process:
        assert asked.wait(60)
        process.terminate()
        assert process.communicate(timeout=30) == ("", "")
        assert process.returncode == 143
    assert [path.name for path in to.rglob("*") if path.is_file() and path.suffix != ".lock"] == []


@pytest.mark.parametrize(
    ("written", "kept", "applications", "line"),
    [
        (3, 87, 1, "events of 1: 3 of 90 windows written, 87 kept, in there"),
        (1, 0, 1, "events of 1: 1 of 1 window written, 0 kept, in there"),
        (1_000, 2_000, 3, "events of 3 applications: 1,000 of 3,000 windows written, 2,000 kept, in there"),
    ],
)
def test_the_summary_counts_what_was_written_and_kept(written: int, kept: int, applications: int, line: str) -> None:
    actions = ["written"] * written + ["kept"] * kept
    rows = [{"application_id": number % applications + 1, "action": action} for number, action in enumerate(actions)]
    assert summarize("events", rows, "there", dry_run=False) == line
