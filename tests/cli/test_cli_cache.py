"""The store by command: read by people, read by scripts, and cleared only where it is said."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from appmetrica_frames import Cache, CachedExport, Client, download_appmetrica
from appmetrica_frames.progress.stats import format_bytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Command = Callable[..., Any]

EVENTS = {"application_id": 1111, "date_since": "2024-07-28", "date_until": "2024-07-29 11:59:59"}


@pytest.fixture
def stored(client: Client) -> list[CachedExport]:
    """Store two exports in the store that the commands use; the tokens are the later one."""
    download_appmetrica("events", **EVENTS, fields=["event_name"], client=client)
    download_appmetrica("push_tokens", application_id=1111, fields=["token"], client=client)
    return Cache().ls()


def lines(text: str) -> list[str]:
    return text.splitlines()


def test_ls_is_a_table_for_people(command: Command, stored: list[CachedExport]) -> None:
    ran = command("cache", "ls")
    assert (ran.returncode, ran.stderr) == (0, "")
    heading, tokens, events = lines(ran.stdout)
    assert heading.split() == ["resource", "application", "dates", "rows", "size", "age", "key"]
    assert tokens.split()[:2] == ["push_tokens", "1111"]
    assert "  2024-07-28 .. 2024-07-29 11:59:59  " in events
    for line, export in ((tokens, stored[0]), (events, stored[1])):
        assert f"  {export.rows:,}  " in line
        assert f"  {format_bytes(export.size)}  " in line
        assert line.endswith(f"  {export.key}")


def test_ls_and_info_are_json_for_scripts(command: Command, stored: list[CachedExport]) -> None:
    (listed,) = json.loads(command("cache", "ls", "--resource", "events", "--json").stdout)
    events = stored[1]
    assert (listed["key"], listed["path"], listed["rows"]) == (events.key, str(events.path), events.rows)
    assert listed["fetched_at"] == events.fetched_at.isoformat()
    assert listed["request"] == events.request
    told = json.loads(command("cache", "info", "--json").stdout)
    assert told == {
        "directory": str(Cache().directory),
        "exports": 2,
        "rows": sum(export.rows for export in stored),
        "size": sum(export.size for export in stored),
    }


def test_info_says_where_and_how_much(command: Command, stored: list[CachedExport]) -> None:
    told = dict(line.split(maxsplit=1) for line in lines(command("cache", "info").stdout))
    assert told["directory"] == str(Cache().directory)
    assert told["exports"] == "2"
    assert told["size"] == format_bytes(sum(export.size for export in stored))


def test_an_empty_store_is_no_error(command: Command, tmp_path: Path) -> None:
    ran = command("cache", "ls", "--cache-dir", tmp_path / "empty")
    assert (ran.returncode, len(lines(ran.stdout))) == (0, 1)
    assert ran.stderr == f"appmetrica-frames: no export in the cache {tmp_path / 'empty'}\n"


def test_verify_names_what_is_damaged_and_prune_removes_it(command: Command, stored: list[CachedExport]) -> None:
    ran = command("cache", "verify")
    assert (ran.returncode, ran.stdout) == (0, "")
    assert ran.stderr == "appmetrica-frames: 2 exports intact, 0 files damaged\n"
    events = stored[1].path
    events.chmod(0o600)
    events.write_bytes(events.read_bytes()[:-1])
    ran = command("cache", "verify")
    assert (ran.returncode, lines(ran.stdout)) == (1, [str(events)])
    assert "1 file damaged; 'cache prune' removes what is damaged" in ran.stderr
    ran = command("cache", "verify", "--json")
    assert (ran.returncode, json.loads(ran.stdout)["damaged"]) == (1, [str(events)])
    ran = command("cache", "prune", "--dry-run")
    assert (ran.returncode, lines(ran.stdout)) == (0, [str(events)])
    assert "1 export and 0 leftovers would be removed" in ran.stderr
    assert events.exists()
    assert lines(command("cache", "prune").stdout) == [str(events)]
    assert [export.resource for export in Cache().ls()] == ["push_tokens"]


def test_prune_takes_the_words_of_the_library(command: Command, stored: list[CachedExport]) -> None:
    for lent in Cache().directory.rglob("*.lease"):
        lent.unlink()
    assert command("cache", "prune", "--older-than", 3600, "--max-bytes", 10**9).stdout == ""
    planned = json.loads(command("cache", "prune", "--max-bytes", stored[0].size, "--dry-run", "--json").stdout)
    assert [export["key"] for export in planned["exports"]] == [stored[1].key]
    assert (planned["size"], planned["dry_run"]) == (stored[1].size, True)
    ran = command("cache", "prune", "--older-than", 0)
    assert set(lines(ran.stdout)) == {str(export.path) for export in stored}
    assert Cache().ls() == []


def test_remove_removes_what_is_named(command: Command, stored: list[CachedExport]) -> None:
    tokens, events = stored
    assert lines(command("cache", "remove", "--key", events.key, "--dry-run").stdout) == [str(events.path)]
    assert len(Cache().ls()) == 2
    ran = command("cache", "remove", "--key", events.key)
    assert lines(ran.stdout) == [str(events.path)]
    assert f"1 export and 0 leftovers removed, {format_bytes(events.size)} freed" in ran.stderr
    assert command("cache", "remove", "--resource", "events").stdout == ""
    assert lines(command("cache", "clear").stdout) == [str(tokens.path)]
    assert Cache().ls() == []
