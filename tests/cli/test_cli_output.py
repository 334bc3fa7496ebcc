"""What commands print is safe to show, and what other programs read is not changed."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
import typer

from appmetrica_frames import download_appmetrica
from appmetrica_frames.cli import exports, output
from appmetrica_frames.emulator import Emulator, faults

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from appmetrica_frames import Client

    Command = Callable[..., Any]

ATTACK = "\x1b]0;owned\x07\x1b[2J\x9b1m\u202eevil"
ESCAPED = r"\x1b]0;owned\x07\x1b[2J\x9b1m\u202eevil"
DAY = ("--application-id", 1111, "--date-since", "2024-07-01", "--date-until", "2024-07-01")


def is_safe(text: str) -> bool:
    return not set(text) & set("\x1b\x07\x9b\u202e\r\x00")


def test_a_server_message_is_escaped(command: Command) -> None:
    with Emulator(rows_per_day=100, faults={}) as server:
        server.faults[1:] = faults.Answer(400, f"message {ATTACK}")
        variables = {"APPMETRICA_TOKEN": server.token, "APPMETRICA_BASE_URL": server.base_url}
        result = command("read", "events", *DAY, "--no-progress", **variables)
    assert result.returncode == 1
    assert ESCAPED in result.stderr
    assert is_safe(result.stderr)


def test_a_printed_frame_is_escaped_and_a_file_keeps_the_bytes(
    command: Command, server_environment: dict[str, str], server: Emulator, tmp_path: Path
) -> None:
    server.answers["events"] = f"event_name,city\nbuy,{ATTACK}\n".encode()
    arguments = ("read", "events", *DAY, "--fields", "event_name,city", "--no-progress")
    result = command(*arguments, **server_environment)
    assert result.returncode == 0, result.stderr
    assert ESCAPED[:20] in result.stdout
    assert is_safe(result.stdout)
    target = tmp_path / "out.csv"
    assert command(*arguments, "-o", target, **server_environment).returncode == 0
    assert target.read_bytes().decode() == f"event_name,city\nbuy,{ATTACK}\n"


def test_a_table_is_escaped_and_json_keeps_the_text(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_table([{"name": f"{ATTACK}\nsecond line", "id": 1}], ("id", "name"))
    shown = capsys.readouterr().out
    assert shown.splitlines()[1:] == [f"1   {ESCAPED}\\nsecond line"]
    output.print_json([{"name": ATTACK}])
    assert json.loads(capsys.readouterr().out) == [{"name": ATTACK}]


def test_a_message_and_a_warning_are_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_message(f"see {ATTACK}")
    output.show_warning(UserWarning(ATTACK), UserWarning)
    first, second = capsys.readouterr().err.splitlines()
    assert first == f"appmetrica-frames: see {ESCAPED}"
    assert second == f"appmetrica-frames: UserWarning: {ESCAPED}"


@pytest.mark.skipif(sys.platform == "win32", reason="file names have no controls there")
def test_a_path_is_escaped_in_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output.print_path(Path(ATTACK))
    assert capsys.readouterr().out == f"{ATTACK}\n"
    terminal = SimpleNamespace(stdout=SimpleNamespace(isatty=lambda: True), platform=sys.platform)
    monkeypatch.setattr(output, "sys", terminal)
    output.print_path(Path(ATTACK))
    assert capsys.readouterr().out == f"{ESCAPED}\n"


@pytest.fixture
def parquet(client: Client) -> Path:
    (path,) = download_appmetrica("push_tokens", application_id=1111, fields=["token"], client=client)
    return Path(path)


posix = pytest.mark.skipif(sys.platform == "win32", reason="modes, links and pipes of POSIX")


@posix
def test_a_replaced_file_keeps_its_mode(parquet: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.parquet"
    for mode in (0o600, 0o640, 0o444):
        target.touch()
        target.chmod(mode)
        exports._write(pl.scan_parquet(parquet), target)
        assert stat.S_IMODE(target.stat().st_mode) == mode
        assert pl.read_parquet(target).height > 0


@posix
def test_a_new_file_has_the_mode_of_any_new_file(parquet: Path, tmp_path: Path) -> None:
    (tmp_path / "any").touch()
    exports._write(pl.scan_parquet(parquet), tmp_path / "out.parquet")
    assert (tmp_path / "out.parquet").stat().st_mode == (tmp_path / "any").stat().st_mode


@posix
@pytest.mark.parametrize("exists", [True, False])
def test_a_symbolic_link_stays_and_its_target_is_replaced(parquet: Path, tmp_path: Path, *, exists: bool) -> None:
    (tmp_path / "elsewhere").mkdir()
    target, link = tmp_path / "elsewhere" / "data", tmp_path / "out.parquet"
    if exists:
        target.write_bytes(b"before")
    link.symlink_to(target)
    assert exports._check_output(link) == link
    exports._write(pl.scan_parquet(parquet), link)
    assert link.is_symlink()
    assert pl.read_parquet(target).height > 0
    assert list(target.parent.iterdir()) == [target]


@posix
def test_what_is_no_regular_file_is_rejected(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "device.csv").symlink_to("/dev/null")
    (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
    for name in ("pipe.csv", "device.csv"):
        with pytest.raises(typer.BadParameter, match="is not a regular file"):
            exports._check_output(tmp_path / name)
    with pytest.raises(typer.BadParameter, match="cannot be resolved"):
        exports._check_output(tmp_path / "loop.csv")


@posix
def test_a_file_name_that_is_too_long_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(typer.BadParameter, match="cannot be written: File name too long"):
        exports._check_output(tmp_path / f"{'x' * 300}.csv")


@posix
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_full_disk_is_one_line_and_keeps_the_old_file(
    command: Command, server_environment: dict[str, str], tmp_path: Path, suffix: str
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    target = folder / f"out{suffix}"
    target.write_text("before")
    arguments = ("read", "events", *DAY, "--fields", "event_json", "--no-progress")
    assert command(*arguments, **server_environment).returncode == 0
    result = limited(4000, *arguments, "--offline", "-o", target, **server_environment)
    assert (result.returncode, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("appmetrica-frames: OSError: ")
    assert [path.read_text() for path in folder.iterdir()] == ["before"]


def limited(size: int, *arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command that can write so many bytes to a file, as if the disk were full then."""
    code = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))\n"
    return subprocess.run(
        [sys.executable, "-c", f"{code}from appmetrica_frames.__main__ import main; main()", *map(str, arguments)],
        env={**os.environ, "PYTHONUTF8": "1", **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("columns", [60, 100])
def test_a_printed_frame_fits_the_terminal(command: Command, server_environment: dict[str, str], columns: int) -> None:
    fields = "event_name,event_json,city,os_name,appmetrica_device_id"
    result = command("read", "events", *DAY, "--fields", fields, **{**server_environment, "COLUMNS": str(columns)})
    assert max(map(len, result.stdout.splitlines())) <= columns


@posix
def test_an_interrupt_at_any_call_leaves_the_old_file_or_the_new_one(parquet: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    target, lazy = folder / "out.parquet", pl.scan_parquet(parquet)
    for moment in range(1, 500):
        target.write_bytes(b"before")
        interrupter = Interrupter(moment)
        sys.setprofile(interrupter)
        try:
            exports._write(lazy, target)
        except KeyboardInterrupt:
            pass
        else:
            break
        finally:
            sys.setprofile(None)
        assert list(folder.iterdir()) == [target]
        assert target.read_bytes() == b"before" or pl.read_parquet(target).height > 0
    assert 20 < moment < 499
    assert pl.read_parquet(target).height > 0


class Interrupter:
    """Raises what Ctrl-C raises, at the n-th moment at which Python would look for it in the command."""

    def __init__(self, moment: int) -> None:
        self._left = moment

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        if event in {"call", "c_return"} and self._is_ours(frame):
            self._left -= 1
            if self._left == 0:
                raise KeyboardInterrupt

    @staticmethod
    def _is_ours(frame: FrameType) -> bool:
        return frame.f_code.co_filename == exports.__file__ or (
            frame.f_back is not None and frame.f_back.f_code.co_filename == exports.__file__
        )


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["read", "events", *DAY, "--cache-dir", ""], "--cache-dir is empty"),
        (["cache", "ls", "--cache-dir", ""], "--cache-dir is empty"),
        (["cache", "clear", "--cache-dir", ""], "--cache-dir is empty"),
        (["read", "events", *DAY, "--base-url", ""], "--base-url is empty"),
        (["apps", "--base-url", ""], "--base-url is empty"),
        (["read", "events", *DAY, "--max-age", "9" * 5000], "--max-age must be a finite number of seconds"),
        (["read", "events", *DAY, "--filters", "event_name=\udcff"], "--filters takes UTF-8 text"),
        (["read", "events", *DAY, "--fields", "a\udcff"], "--fields takes UTF-8 text"),
        (["read", "events", "--application-id", "9" * 5000, *DAY[2:]], "--application-id is the application's number"),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="arguments are Unicode there")
def test_an_odd_value_is_one_line_and_exit_code_2(command: Command, arguments: list[object], expected: str) -> None:
    result = command(*arguments, APPMETRICA_TOKEN="t")
    assert (result.returncode, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("appmetrica-frames: InvalidRequestError: ")
    assert expected in line
    assert len(line) < 400
