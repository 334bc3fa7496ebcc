"""``plan`` shows what a read would fetch; options of a range reach the library from every command."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from appmetrica_frames.cli.output import explain_resuming
from appmetrica_frames.cli.plan import _summarize

if TYPE_CHECKING:
    from collections.abc import Callable

    from appmetrica_frames.emulator import Emulator

    Command = Callable[..., Any]

APPLICATION = ("--application-id", 1111)
FIELDS = ("--fields", "city,application_id")
RANGE = (*APPLICATION, "--date-since", "2024-07-01", "--date-until", "2024-07-03", *FIELDS)


def test_a_plan_is_a_table_and_a_summary(
    command: Command, server_environment: dict[str, str], server: Emulator
) -> None:
    assert command("download", "events", *RANGE, "--split", "day", **server_environment).returncode == 0
    requests = len(server.exchanges)
    result = command(
        *("plan", "events", *RANGE[:4], "--date-until", "2024-07-04 11:59:59", *FIELDS, "--split", "day"),
        **server_environment,
    )
    assert result.returncode == 0, result.stderr
    heading, *lines = result.stdout.splitlines()
    assert heading.split() == ["dates", "state", "rows", "size", "age", "reason"]
    dates = ["2024-07-01", "2024-07-02", "2024-07-03", "2024-07-04 00:00:00 .. 11:59:59"]
    assert [line.partition("  ")[0] for line in lines] == dates
    assert [line.split()[1] for line in lines[:3]] == ["settled"] * 3
    assert " ".join(lines[3].split()[4:]) == "missing the cache has no such export"
    assert result.stderr == "appmetrica-frames: 3 of 4 windows are in the cache; 1 to fetch\n"
    assert len(server.exchanges) == requests


def test_a_plan_of_several_applications_names_them(command: Command, server: Emulator) -> None:
    numbers = [server.application_id, server.other_application_id]
    result = command("plan", "events", *RANGE[2:], "--application-id", ",".join(map(str, numbers)))
    heading, *lines = result.stdout.splitlines()
    assert heading.split()[:2] == ["application", "dates"]
    assert [int(line.split()[0]) for line in lines] == numbers
    assert "2024-07-01 .. 2024-07-03" in lines[0]


def test_a_plan_as_json_has_every_column(command: Command, server_environment: dict[str, str]) -> None:
    assert command("download", "events", *RANGE, **server_environment).returncode == 0
    result = command("plan", "events", *RANGE, "--max-age", 0, "--json", **server_environment)
    assert result.stderr == ""
    (row,) = json.loads(result.stdout)
    assert row.pop("rows") > 0
    assert row.pop("bytes") > 0
    assert row.pop("age") >= 0
    assert row.pop("reason").startswith("built up to ")
    assert row == {
        "application_id": 1111,
        "since": "2024-07-01T00:00:00",
        "until": "2024-07-03T23:59:59",
        "state": "stale",
    }


@pytest.mark.parametrize("columns", [60, 100])
def test_a_plan_fits_the_terminal(command: Command, server_environment: dict[str, str], columns: int) -> None:
    command("download", "events", *RANGE, "--split", "day", **server_environment)
    result = command("plan", "events", *RANGE, "--split", "day", **{**server_environment, "COLUMNS": str(columns)})
    lines = result.stdout.splitlines()
    assert len(lines) == 4
    assert max(map(len, lines)) <= columns
    assert (columns == 60) == lines[1].endswith("…")


@pytest.mark.parametrize(
    ("states", "summary"),
    [
        ({"cached": 50, "settled": 33, "missing": 5, "stale": 2}, "83 of 90 windows are in the cache; 7 to fetch"),
        ({"settled": 2, "pending": 1, "stale": 1}, "2 of 4 windows are in the cache; 2 to fetch, 1 already requested"),
        ({"cached": 1}, "1 of 1 window is in the cache"),
        ({"missing": 1_200}, "0 of 1,200 windows are in the cache; 1,200 to fetch"),
    ],
)
def test_the_summary_counts_what_there_is_and_what_there_is_to_fetch(states: dict[str, int], summary: str) -> None:
    assert _summarize(states) == summary


def test_a_lookback_of_none_reaches_the_library(command: Command, server_environment: dict[str, str]) -> None:
    split = (*RANGE, "--split", "day", "--max-age", 0)
    command("download", "events", *split, **server_environment)
    for lookback, states in [("7d", {"settled"}), ("none", {"stale"})]:
        result = command("plan", "events", *split, "--lookback", lookback, "--json", **server_environment)
        assert {row["state"] for row in json.loads(result.stdout)} == states


def test_a_lookback_without_a_unit_is_a_wrong_command(command: Command) -> None:
    result = command("plan", "events", *RANGE, "--split", "day", "--lookback", 7)
    assert result.returncode == 2
    assert "'7' is not a number of days or hours, such as 7d or 36h" in result.stderr


@pytest.mark.parametrize(
    ("said", "refresh", "printed"),
    [
        ((), False, "the same command continues with the same job"),
        ((), True, "the same command without --refresh continues with the same job"),
        (("12 of 90 windows are in the cache",), False, "the same command fetches the rest"),
        (
            ("12 of 90 windows are in the cache",),
            True,
            "the same command without --refresh keeps them, and fetches what is missing or out of date",
        ),
    ],
)
def test_an_interrupt_says_how_far_it_is_and_how_to_continue(
    said: tuple[str, ...], printed: str, *, refresh: bool
) -> None:
    with pytest.raises(KeyboardInterrupt) as interrupt, explain_resuming(refresh=refresh):
        raise KeyboardInterrupt(*said)
    assert interrupt.value.args == (*said, printed)
