"""How fast a command starts, how it reports an error, and what a signal leaves behind."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from appmetrica_frames.cli import app
from appmetrica_frames.cli.output import PROGRAM

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from click.testing import Result

    from appmetrica_frames.emulator import Emulator

    Command = Callable[..., Any]
    Emulate = Callable[[str], tuple[subprocess.Popen[bytes], Path]]

ATTACK = "\x1b]0;owned\x07\x1b[2J\x9b1m\u202eevil\nsecond line"
DAY = ("--application-id", 1111, "--date-since", "2024-07-01", "--date-until", "2024-07-01")
HEAVY = {"pandas", "polars", "httpx", "pyarrow", "uvicorn", "starlette", "numpy"}


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)


def one_line(text: str) -> str:
    (line,) = text.splitlines()
    return line


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["cache", "ls"]])
def test_neither_help_nor_the_cache_needs_a_heavy_library(arguments: list[str]) -> None:
    result = python(
        f"import sys; sys.argv[1:] = {arguments!r}\n"
        "from appmetrica_frames.__main__ import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    code = end.code\n"
        f"print('loaded', sorted({HEAVY!r} & set(sys.modules)), code)"
    )
    assert result.stdout.splitlines()[-1] == "loaded [] 0", result.stderr


@pytest.mark.parametrize(
    ("missing", "arguments", "extra"),
    [
        ("typer", ["--help"], "appmetrica-frames[cli]"),
        ("uvicorn", ["emulator"], "appmetrica-frames[demo]"),
        ("numpy", ["demo"], "appmetrica-frames[demo]"),
    ],
)
def test_a_missing_extra_is_named_in_one_line(missing: str, arguments: list[str], extra: str) -> None:
    result = python(
        f"import sys; sys.modules[{missing!r}] = None; sys.argv[1:] = {arguments!r}\n"
        "from appmetrica_frames.__main__ import main; main()"
    )
    assert result.returncode == 1
    assert extra in one_line(result.stderr)
    assert result.stdout == ""


def test_a_missing_token_is_one_line_and_exit_code_1(command: Command) -> None:
    result = command("read", "events", *DAY)
    assert result.returncode == 1
    assert one_line(result.stderr).startswith("appmetrica-frames: MissingTokenError: ")
    assert result.stdout == ""


def invoke(*arguments: object) -> Result:
    """Run a command in this process: it rejects invalid options before it loads a heavy library."""
    return CliRunner().invoke(app, [*map(str, arguments)], env={"APPMETRICA_TOKEN": "t"}, prog_name=PROGRAM)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["read", "evnts", *DAY], "Did you mean 'events'?"),
        (["read", "events", *DAY[2:]], "environment variable APPMETRICA_APPLICATION_ID"),
        (["read", "events", *DAY, "--fields", "event_nam"], "Did you mean 'event_name'"),
        (["read", "events", *DAY, "--fields", ""], "A field name is a text"),
        (["read", "events", "--application-id", "key", *DAY[2:]], "--application-id is the application's number"),
        (["read", "events", *DAY, "--max-age", "-1"], "--max-age must be zero or more"),
        (["read", "events", *DAY, "--refresh", "--offline"], "drop one of the two"),
        (["read", "events", *DAY, "--base-url", "http://example.com"], "use https"),
        (["read", "push_tokens", *DAY], "takes no dates"),
        (["fields", "evnts"], "Did you mean 'events'?"),
        (["read", "events", *DAY, "--max-bytes", "-1"], "--max-bytes takes a whole number from 0"),
        (["cache", "prune", "--max-bytes", "-1"], "--max-bytes takes a whole number from 0"),
        (["cache", "prune", "--older-than", "-1"], "older_than must be zero or more"),
    ],
)
def test_an_invalid_request_is_one_line_and_exit_code_2(arguments: list[object], expected: str) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert one_line(result.stderr).startswith("appmetrica-frames: InvalidRequestError: ")
    assert expected in result.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["read", "events", *DAY, "--filters", "event_name"], "not have the form name=value"),
        (["read", "events", *DAY, "--filters", "event_name=a", "--filters", "event_name=b"], "given twice"),
        (["read", "events", *DAY, "--schema-overrides", "city"], "not have the form name=value"),
        (["read", "events", *DAY, "-o", "out.xlsx"], "neither .parquet nor .csv"),
        (["read", "events", *DAY, "-o", "nowhere/out.csv"], "no directory"),
        (["read", "events", *DAY, "--token", "secret"], "No such option"),
        (["cache", "remove"], "Give --key or --resource"),
        (["sell"], "No such command"),
    ],
)
def test_a_misused_command_shows_its_usage(arguments: list[object], expected: str) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    line = one_line(result.stderr)
    assert line.startswith("appmetrica-frames: ")
    assert "Usage: appmetrica-frames" in line
    assert expected in line


@pytest.mark.parametrize(
    "arguments",
    [
        [f"--{ATTACK}"],
        [ATTACK],
        ["read", ATTACK, *DAY],
        ["read", "events", *DAY, f"--{ATTACK}"],
        ["read", "events", *DAY, "--backend", ATTACK],
        ["read", "events", *DAY, "--wire-format", ATTACK],
        ["read", "events", *DAY, "--limit", ATTACK],
        ["read", "events", *DAY, "--filters", ATTACK],
        ["read", "events", *DAY, "-o", f"{ATTACK}.xlsx"],
        ["cache", ATTACK],
        ["cache", "ls", ATTACK],
    ],
)
def test_a_misused_command_is_quoted_without_control_characters(arguments: list[object]) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert one_line(result.stderr).startswith("appmetrica-frames: ")
    assert not [character for character in ATTACK if not character.isprintable() and character in result.stderr[:-1]]


@pytest.mark.parametrize("word", ["evnts", "events --token secret"])
def test_a_refusal_is_the_exit_code_of_the_process(command: Command, word: str) -> None:
    result = command("read", *word.split(), *DAY, APPMETRICA_TOKEN="t")
    assert (result.returncode, result.stdout) == (2, "")


def test_a_server_that_refuses_is_one_line_and_exit_code_1(command: Command, server: Emulator) -> None:
    result = command("read", "events", *DAY, APPMETRICA_TOKEN="wrong", APPMETRICA_BASE_URL=server.base_url)
    assert result.returncode == 1
    assert one_line(result.stderr).startswith("appmetrica-frames: AuthenticationError: ")


def test_nothing_cached_is_one_line_and_exit_code_1(command: Command) -> None:
    result = command("read", "events", *DAY, "--offline")
    assert result.returncode == 1
    assert one_line(result.stderr).startswith("appmetrica-frames: NotCachedError: ")


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """Let processes started here hear Ctrl-C, even where the tests run in the background of a shell that ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def emulate(_interruptible: None, tmp_path: Path) -> Iterator[Emulate]:
    """Start emulators, each of which gets a directory of its own for temporary files."""
    with ExitStack() as running:

        def start(module: str) -> tuple[subprocess.Popen[bytes], Path]:
            folder = tmp_path / "folder"
            folder.mkdir()
            arguments = [sys.executable, "-m", *module.split(), "--port", "0", "--rows-per-day", "100"]
            process = subprocess.Popen(
                [*arguments, "--preparation", "60"],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, "PYTHONUTF8": "1", "TMPDIR": str(folder)},
            )
            running.enter_context(process)
            running.callback(process.kill)
            return process, folder

        yield start


def read_until(stream: IO[bytes] | None, stop: str) -> str:
    """Return what a process writes to a stream, up to a text."""
    assert stream is not None
    output = b""
    while stop.encode() not in output:
        assert select.select([stream], [], [], 30)[0], f"nothing more after {output!r}"
        piece = os.read(stream.fileno(), 4096)
        assert piece, f"ended after {output!r}"
        output += piece
    return output.decode(errors="replace")


def get_address(emulator: subprocess.Popen[bytes]) -> str:
    """Return the address of an emulator from its greeting."""
    found = re.search(r"http://127\.0\.0\.1:\d+", read_until(emulator.stdout, "curl"))
    assert found is not None
    return found[0]


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent another way there")
@pytest.mark.parametrize("module", ["appmetrica_frames emulator", "appmetrica_frames.emulator"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_emulator_serves_until_a_signal_and_leaves_nothing(emulate: Emulate, module: str, number: int) -> None:
    process, folder = emulate(module)
    request = urllib.request.Request(  # noqa: S310 - loopback
        f"{get_address(process)}/logs/v1/export/push_tokens.csv?application_id=1111&fields=token",
        headers={"Authorization": "OAuth emulator-token"},
    )
    with urllib.request.urlopen(request) as response:  # noqa: S310 - loopback
        assert response.status == 202
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, b"")
    assert list(folder.iterdir()) == []


@pytest.fixture
def start_read(emulate: Emulate, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start reads of an export that takes a minute to prepare."""
    with ExitStack() as running:
        addresses: list[str] = []

        def start(*arguments: str) -> subprocess.Popen[bytes]:
            addresses[:] = addresses or [get_address(emulate("appmetrica_frames emulator")[0])]
            command = [sys.executable, "-m", "appmetrica_frames", *map(str, arguments), "--base-url", *addresses]
            process = subprocess.Popen(
                [*command, "--progress"],
                stderr=subprocess.PIPE,
                env={**os.environ, "PYTHONUTF8": "1", "APPMETRICA_TOKEN": "emulator-token"},
            )
            running.enter_context(process)
            running.callback(process.kill)
            return process

        yield start


def stop(process: subprocess.Popen[bytes], number: int) -> str:
    """Send a signal to a process that waits; return its last line."""
    read_until(process.stderr, "waiting")
    process.send_signal(number)
    _, rest = process.communicate(timeout=30)
    output = rest.decode()
    assert "Traceback" not in output
    return output.replace("\r", "\n").strip("\n").split("\n")[-1]


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is sent another way there")
@pytest.mark.parametrize(
    ("arguments", "advice"),
    [(["read"], "the same command"), (["download", "--refresh"], "the same command without --refresh")],
)
def test_ctrl_c_ends_a_wait_with_one_line_on_how_to_resume(
    start_read: Callable[..., subprocess.Popen[bytes]], arguments: list[str], advice: str
) -> None:
    command, *flags = arguments
    process = start_read(command, "events", *map(str, DAY), *flags)
    last = stop(process, signal.SIGINT)
    assert process.returncode == 130
    assert last == f"appmetrica-frames: interrupted; {advice} continues with the same job"
    again = start_read(command, "events", *map(str, DAY))
    assert "resuming the job" in read_until(again.stderr, "waiting")


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM is no signal there")
def test_sigterm_ends_a_wait_with_its_exit_code_and_leaves_no_temporary_file(
    start_read: Callable[..., subprocess.Popen[bytes]],
) -> None:
    process = start_read("read", "events", *map(str, DAY))
    stop(process, signal.SIGTERM)
    assert process.returncode == 143
    cache = Path(os.environ["APPMETRICA_CACHE_DIR"])
    assert [path.name for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock"] == ["pending.json"]
