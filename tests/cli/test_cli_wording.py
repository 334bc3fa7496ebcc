"""Messages on the command line speak of options, not of Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from appmetrica_frames.cli.wording import to_options

if TYPE_CHECKING:
    from appmetrica_frames.emulator import Emulator

    from .conftest import Command

DAYS = ("--application-id", "1111", "--date-since", "2024-07-01", "--date-until", "2024-07-02")


@pytest.mark.parametrize(
    ("python", "shell"),
    [
        (
            "events needs date_until, for example date_until='2024-07-07'.",
            "events needs --date-until, for example --date-until 2024-07-07.",
        ),
        ("give date_since='2024-07-01 12:00:00'.", "give --date-since '2024-07-01 12:00:00'."),
        (
            "refresh=True asks the server and offline=True forbids it",
            "--refresh asks the server and --offline forbids it",
        ),
        ("so max_age has no meaning: drop one of the two.", "so --max-age has no meaning: drop one of the two."),
        (
            "offline=True accepts a file of any age: drop stale_if_error.",
            "--offline accepts a file of any age: drop --stale-if-error.",
        ),
        (
            "fields takes a list of names: write fields=['a', 'b'].",
            "--fields takes a list of names: write --fields a,b.",
        ),
        ("Name the fields that you need with fields=[...].", "Name the fields that you need with --fields A,B,...."),
        (
            "schema_overrides={'a': 'string', 'b c': 'string'}.",
            "--schema-overrides a=string --schema-overrides 'b c=string'.",
        ),
        ("filters['city'] takes one text", "--filters city=... takes one text"),
        (
            "No application_id. Pass application_id=1234567 (on the command line --application-id 1234567), or set",
            "No --application-id. Pass --application-id 1234567, or set",
        ),
        (
            "In the application's time zone, date_since 'today' is later than the server's date_until.",
            "In the application's time zone, --date-since 'today' is later than the server's --date-until.",
        ),
        (
            "ServerError: failed. The server says: bad limit=5). Make the same call again, and it fetches the rest.",
            "ServerError: failed. The server says: bad limit=5). Run the same command again, and it fetches the rest.",
        ),
        ("Client(prepare_timeout=...) waits longer.", "--prepare-timeout waits longer."),
        ("with Client(cache_dir=...) or APPMETRICA_CACHE_DIR.", "with --cache-dir or APPMETRICA_CACHE_DIR."),
        ("Set APPMETRICA_TOKEN, or pass client=Client(token=...). More", "Set APPMETRICA_TOKEN. More"),
        ("Make the same call once without offline.", "Run the same command once without --offline."),
        ("make the same call again, and it", "run the same command again, and it"),
        (
            "there is no range to split: it exports. Drop split.",
            "there is no range to split: it exports. Drop --split.",
        ),
        ("split is one of 'day', 'week'", "--split is one of 'day', 'week'"),
        (
            "limit caps the rows of one export, and split makes",
            "--limit caps the rows of one export, and --split makes",
        ),
        ("split='day' and lookback=3.5", "--split day and --lookback 3.5"),
        ("name them in fields, or sync to another place.", "name them in --fields, or sync to another place."),
    ],
)
def test_python_becomes_options(python: str, shell: str) -> None:
    assert to_options(python) == shell


@pytest.mark.parametrize(
    "text",
    [
        "AppMetrica rejected the request (400). The server says: wrong date_since, limit=5",
        "There is no file /data/events/application_id=1111/date=2024-07-01/data.parquet",
        "events has no documented field 'date_since'.",
        "The server finds the export too big: request fewer days or fields.",
        "The documented fields of the resource have no limit.",
        "Another process has taken all places.",
    ],
)
def test_other_text_stays(text: str) -> None:
    assert to_options(text) == text


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ("--application-id", "1", "--date-since", "2024-07-01"),
            "needs --date-until, for example --date-until 2024-07-07.",
        ),
        ((*DAYS, "--refresh", "--offline"), "--refresh asks the server and --offline forbids it"),
        ((*DAYS, "--offline"), "Run the same command once without --offline."),
        ((*DAYS, "--split", "hour"), "--split is one of"),
        ((*DAYS, "--base-url", "http://example.org"), "--base-url 'http://example.org' would send the token"),
        ((*DAYS, "--fields", "event_nam"), "declare its type: --schema-overrides event_nam=string."),
        (DAYS, "Set the environment variable APPMETRICA_TOKEN"),
    ],
)
def test_an_error_names_the_options(arguments: tuple[str, ...], expected: str, command: Command) -> None:
    result = command("read", "events", *arguments)
    assert expected in result.stderr
    assert not [word for word in ("=True", "Client(", "date_", "same call") if word in result.stderr]


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("--date-from", "No such option: --date-from. Did you mean --date-since? Usage: "),
        ("--end-date", "Did you mean --date-until? Usage: "),
        ("--columns", "Did you mean --fields? Usage: "),
        ("--token", "No option takes a token, which others could see: set APPMETRICA_TOKEN. Usage: "),
        ("--target", "No such option: --target"),  # the name of an option of another command
        ("--date-sinc", "--date-since"),
    ],
)
def test_an_unknown_option_is_answered_with_what_was_meant(option: str, expected: str, command: Command) -> None:
    result = command("read", "events", option, "value")
    assert result.returncode == 2
    assert expected in result.stderr
    assert result.stderr.count("\n") == 1


def test_an_unknown_command_is_answered_in_one_sentence(command: Command) -> None:
    assert "No such command 'raed'. Did you mean 'read'? Usage: " in command("raed", "events").stderr


def test_a_warning_names_the_options(server: Emulator, server_environment: dict[str, str], command: Command) -> None:
    server.rejected_fields.add("city")
    result = command("download", "installations", *DAYS, "--no-progress", **server_environment)
    assert result.returncode == 0
    assert "Name the fields that you need with --fields A,B" in result.stderr
