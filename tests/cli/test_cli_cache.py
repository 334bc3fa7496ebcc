"""The cache commands: tables for people, JSON for scripts, and removal of what is named only."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from appmetrica_frames import Cache, CachedExport, Client, download_appmetrica
from appmetrica_frames.progress.stats import format_bytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from appmetrica_frames.emulator import Emulator

    Command = Callable[..., Any]

COLUMNS = ["key", "resource", "application", "dates", "state", "rows", "size", "age", "fields", "filters"]
EVENTS = {"application_id": 1111, "date_since": "2024-07-28", "date_until": "2024-07-29 11:59:59"}


@pytest.fixture
def cached(client: Client) -> list[CachedExport]:
    """Cache two exports where the commands look for them; the tokens are the later one."""
    download_appmetrica("events", **EVENTS, fields=["event_name"], client=client)
    download_appmetrica("push_tokens", application_id=1111, fields=["token"], client=client)
    return Cache().exports()


def lines(text: str) -> list[str]:
    return text.splitlines()


def test_ls_is_a_table_for_people(command: Command, cached: list[CachedExport]) -> None:
    result = command("cache", "ls", COLUMNS="10000")
    assert (result.returncode, result.stderr) == (0, "")
    heading, tokens, events = lines(result.stdout)
    assert heading.split() == COLUMNS
    assert tokens.split()[1:3] == ["push_tokens", "1111"]
    assert "  2024-07-28 00:00:00 .. 2024-07-29 11:59:59  " in events
    assert "  appmetrica_device_id, event_name" in events
    for line, export in ((tokens, cached[0]), (events, cached[1])):
        assert f"  {export.rows:,}  " in line
        assert f"  {format_bytes(export.size)}  " in line
        assert line.startswith(f"{export.key}  ")


def test_a_key_is_never_broken_over_lines(command: Command, cached: list[CachedExport]) -> None:
    result = command("cache", "ls", COLUMNS="100")
    assert result.stderr == "appmetrica-frames: the keys, for --key, are in --json and in a wider terminal\n"
    assert lines(result.stdout)[0].split() == COLUMNS[1:]
    assert max(map(len, lines(result.stdout))) <= 100


def test_ls_and_info_are_json_for_scripts(command: Command, cached: list[CachedExport]) -> None:
    (listed,) = json.loads(command("cache", "ls", "--resource", "events", "--json").stdout)
    events = cached[1]
    assert (listed["key"], listed["path"], listed["rows"]) == (events.key, str(events.path), events.rows)
    assert listed["fetched_at"] == events.fetched_at.isoformat()
    assert (listed["since"], listed["until"]) == ("2024-07-28T00:00:00", "2024-07-29T11:59:59")
    assert (listed["state"], listed["bytes"], listed["fields"]) == ("cached", events.size, list(events.fields))
    assert set(listed) == set(Cache().ls().columns)
    info = json.loads(command("cache", "info", "--json").stdout)
    assert info == {
        "directory": str(Cache().directory),
        "exports": 2,
        "rows": sum(export.rows for export in cached),
        "size": sum(export.size for export in cached),
    }


def test_info_shows_the_directory_and_the_size(command: Command, cached: list[CachedExport]) -> None:
    info = dict(line.split(maxsplit=1) for line in lines(command("cache", "info").stdout))
    assert info["directory"] == str(Cache().directory)
    assert info["exports"] == "2"
    assert info["size"] == format_bytes(sum(export.size for export in cached))


def test_an_empty_cache_is_not_an_error(command: Command, tmp_path: Path) -> None:
    result = command("cache", "ls", "--cache-dir", tmp_path / "empty")
    assert (result.returncode, len(lines(result.stdout))) == (0, 1)
    assert result.stderr == f"appmetrica-frames: no export in the cache {tmp_path / 'empty'}\n"


def test_verify_names_what_is_damaged_and_prune_removes_it(command: Command, cached: list[CachedExport]) -> None:
    result = command("cache", "verify")
    assert (result.returncode, result.stdout) == (0, "")
    assert result.stderr == "appmetrica-frames: 2 exports intact, 0 files damaged\n"
    events = cached[1].path
    events.chmod(0o600)
    events.write_bytes(events.read_bytes()[:-1])
    result = command("cache", "verify")
    assert (result.returncode, lines(result.stdout)) == (1, [str(events)])
    assert "1 file damaged; 'cache prune' removes what is damaged" in result.stderr
    result = command("cache", "verify", "--json")
    assert (result.returncode, json.loads(result.stdout)["damaged"]) == (1, [str(events)])
    result = command("cache", "prune", "--dry-run")
    assert (result.returncode, lines(result.stdout)) == (0, [str(events)])
    assert "1 export and 0 leftovers would be removed" in result.stderr
    assert events.exists()
    assert lines(command("cache", "prune").stdout) == [str(events)]
    assert [export.resource for export in Cache().exports()] == ["push_tokens"]


def test_prune_takes_the_parameters_of_the_library(command: Command, cached: list[CachedExport]) -> None:
    for lease in Cache().directory.rglob("*.lease"):
        lease.unlink()
    assert command("cache", "prune", "--older-than", 3600, "--max-bytes", 10**9).stdout == ""
    planned = json.loads(command("cache", "prune", "--max-bytes", cached[0].size, "--dry-run", "--json").stdout)
    assert [export["key"] for export in planned["exports"]] == [cached[1].key]
    assert (planned["size"], planned["dry_run"]) == (cached[1].size, True)
    result = command("cache", "prune", "--older-than", 0)
    assert set(lines(result.stdout)) == {str(export.path) for export in cached}
    assert Cache().exports() == []


def test_remove_removes_what_is_named(command: Command, cached: list[CachedExport]) -> None:
    tokens, events = cached
    assert lines(command("cache", "remove", "--key", events.key, "--dry-run").stdout) == [str(events.path)]
    assert len(Cache().exports()) == 2
    result = command("cache", "remove", "--key", events.key)
    assert lines(result.stdout) == [str(events.path)]
    assert f"1 export and 0 leftovers removed, {format_bytes(events.size)} freed" in result.stderr
    assert command("cache", "remove", "--resource", "events").stdout == ""
    assert lines(command("cache", "clear").stdout) == [str(tokens.path)]
    assert Cache().exports() == []


def test_clear_removes_every_export(command: Command, cached: list[CachedExport]) -> None:
    paths = {str(export.path) for export in cached}
    result = command("cache", "clear", "--dry-run")
    assert set(lines(result.stdout)) == paths
    assert "2 exports and 0 leftovers would be removed, freeing " in result.stderr
    assert len(Cache().exports()) == 2
    assert {export["path"] for export in json.loads(command("cache", "clear", "--json").stdout)["exports"]} == paths
    assert Cache().exports() == []


def test_a_single_row_is_written_in_the_singular(
    command: Command, server_environment: dict[str, str], server: Emulator, tmp_path: Path
) -> None:
    server.answers["push_tokens"] = b"appmetrica_device_id,token\n1,a\n"
    arguments = ("--application-id", 1111, "--fields", "token", "--no-progress", "-o", tmp_path / "out.csv")
    result = command("read", "push_tokens", *arguments, **server_environment)
    assert result.stderr == f"appmetrica-frames: 1 row in {tmp_path / 'out.csv'}\n"
