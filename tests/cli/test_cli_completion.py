"""What the Tab key offers, asked the way that shells ask."""

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
    Offered = Callable[..., list[str]]

HEAVY = {"pandas", "polars", "httpx", "pyarrow", "uvicorn", "starlette", "numpy"}


@pytest.fixture
def offered(command: Command) -> Offered:
    """Ask what is offered after these words, the last of which is being typed."""

    def ask(*words: str) -> list[str]:
        line = " ".join(["appmetrica-frames", *words])
        ran = command(_APPMETRICA_FRAMES_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD=str(len(words)))
        assert (ran.returncode, ran.stderr) == (0, "")
        return str(ran.stdout).split()

    return ask


def test_commands_are_offered(offered: Offered) -> None:
    assert offered("re") == ["resources", "read"]
    assert offered("cache", "p") == ["prune"]


@pytest.mark.parametrize("words", [["read"], ["download"], ["fields"], ["cache", "ls", "--resource"]])
def test_resources_are_offered(offered: Offered, words: list[str]) -> None:
    assert offered(*words, "push") == ["push_tokens"]


@pytest.mark.parametrize(
    ("words", "expected"),
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
def test_what_an_option_takes_is_offered(offered: Offered, words: list[str], expected: list[str]) -> None:
    assert offered("read", *words) == expected


def test_keys_of_stored_exports_are_offered(offered: Offered, client: Client, server: Emulator) -> None:
    assert offered("cache", "remove", "--key", "") == []
    read_appmetrica("push_tokens", application_id=1111, fields=["token"], client=client)
    (stored,) = Cache().ls()
    assert offered("cache", "remove", "--key", stored.key[:3]) == [stored.key]
    (stored.path.parent / "entry.json").write_text("damaged")
    assert offered("cache", "remove", "--key", "") == []


@pytest.mark.parametrize("resource", catalog.resources())
def test_every_field_is_offered_on_a_line_of_its_own(
    resource: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In fish, which shows what a word means."""
    monkeypatch.setenv("_APPMETRICA_FRAMES_COMPLETE", "complete_fish")
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", f"appmetrica-frames read {resource} --fields ")
    with pytest.raises(SystemExit):
        cli.app(prog_name="appmetrica-frames")
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [name for name, _ in lines] == list(catalog.resources()[resource].fields)
    assert all(said for _, said in lines)


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
    ran = subprocess.run(
        [shutil.which("bash") or "", "-c", typed],
        env={**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.stdout, ran.stderr) == ("installations\n", "")


def test_completing_loads_no_heavy_library() -> None:
    code = (
        "import sys; from appmetrica_frames.__main__ import main\n"
        "try:\n    main()\nexcept SystemExit:\n    print('loaded', sorted({HEAVY} & set(sys.modules)))"
    ).replace("{HEAVY}", repr(HEAVY))
    ran = subprocess.run(
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
    assert ran.stdout == "event_name\nloaded []\n", ran.stderr
