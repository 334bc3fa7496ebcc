"""Shell completion, called the way that shells call it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from appmetrica_frames import Cache, Client, cli, read_appmetrica
from appmetrica_frames.schema import catalog

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from appmetrica_frames.emulator import Emulator

    Command = Callable[..., Any]
    Complete = Callable[..., list[str]]

HEAVY = {"pandas", "polars", "httpx", "pyarrow", "uvicorn", "starlette", "numpy"}


@pytest.fixture
def complete(command: Command) -> Complete:
    """Return the completions of the last of these arguments."""

    def ask(*arguments: str) -> list[str]:
        line = " ".join(["appmetrica-frames", *arguments])
        result = command(_APPMETRICA_FRAMES_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD=str(len(arguments)))
        assert (result.returncode, result.stderr) == (0, "")
        return str(result.stdout).split()

    return ask


def test_commands_are_completed(complete: Complete) -> None:
    assert complete("re") == ["resources", "read"]
    assert complete("cache", "p") == ["prune"]


@pytest.mark.parametrize("arguments", [["read"], ["download"], ["fields"], ["cache", "ls", "--resource"]])
def test_resources_are_completed(complete: Complete, arguments: list[str]) -> None:
    assert complete(*arguments, "push") == ["push_tokens"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["events", "--fields", "event_n"], ["event_name"]),
        (["events", "--application-id", "1111", "--fields", "event_n"], ["event_name"]),
        (["events", "--fields", "event_name,event_j"], ["event_name,event_json"]),
        (["events", "--fields", "event_name,event_n"], []),
        (["installations", "--fields", "event_n"], []),
        (["--fields", "event_n"], []),
        (["events", "--filters", "event_n"], ["event_name="]),
        (["events", "--schema-overrides", "session_i"], ["session_id="]),
        (["events", "--wire-format", ""], ["csv", "json"]),
        (["events", "--date-dimension", "r"], ["receive"]),
        (["events", "--date-since", ""], []),
    ],
)
def test_values_of_an_option_are_completed(complete: Complete, arguments: list[str], expected: list[str]) -> None:
    assert complete("read", *arguments) == expected


def test_keys_of_cached_exports_are_completed(complete: Complete, client: Client, server: Emulator) -> None:
    assert complete("cache", "remove", "--key", "") == []
    read_appmetrica("push_tokens", application_id=1111, fields=["token"], client=client)
    (cached,) = Cache().exports()
    assert complete("cache", "remove", "--key", cached.key[:3]) == [cached.key]
    (cached.path.parent / "entry.json").write_text("damaged")
    assert complete("cache", "remove", "--key", "") == []


@pytest.mark.parametrize("resource", catalog.resources())
def test_every_field_is_completed_on_a_line_of_its_own(
    resource: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In fish, which shows descriptions."""
    monkeypatch.setenv("_APPMETRICA_FRAMES_COMPLETE", "complete_fish")
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", f"appmetrica-frames read {resource} --fields ")
    with pytest.raises(SystemExit):
        cli.app(prog_name="appmetrica-frames")
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [name for name, _ in lines] == list(catalog.resources()[resource].known_fields)
    assert all(text for _, text in lines)


@pytest.mark.skipif(sys.platform == "win32" or not shutil.which("bash"), reason="bash completes here")
def test_bash_completes(tmp_path: Path) -> None:
    program = tmp_path / "appmetrica-frames"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m appmetrica_frames "$@"\n')
    program.chmod(0o755)
    typed = """
        eval "$(_APPMETRICA_FRAMES_COMPLETE=source_bash appmetrica-frames)"
        COMP_WORDS=(appmetrica-frames read ins) COMP_CWORD=2
        function=$(complete -p appmetrica-frames | sed 's/.* -F \\([^ ]*\\) .*/\\1/')
        "$function" appmetrica-frames
        echo "${COMPREPLY[@]}"
    """
    result = subprocess.run(
        [shutil.which("bash") or "", "-c", typed],
        env={**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (result.stdout, result.stderr) == ("installations\n", "")


def test_completing_loads_no_heavy_library() -> None:
    code = (
        "import sys; from appmetrica_frames.__main__ import main\n"
        "try:\n    main()\nexcept SystemExit:\n    print('loaded', sorted({HEAVY} & set(sys.modules)))"
    ).replace("{HEAVY}", repr(HEAVY))
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={
            **os.environ,
            "_APPMETRICA_FRAMES_COMPLETE": "complete_bash",
            "COMP_WORDS": "appmetrica-frames read events --fields event_n",
            "COMP_CWORD": "4",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.stdout == "event_name\nloaded []\n", result.stderr
