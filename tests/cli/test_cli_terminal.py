"""A command in a terminal: what is on the screen in the end."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from appmetrica_frames.emulator import Emulator, MovableClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

if sys.platform == "win32":
    pytest.skip("it has no pseudo-terminals", allow_module_level=True)

import fcntl
import pty
import struct
import termios

DAY = ("--application-id", "1111", "--date-since", "2024-07-01", "--date-until", "2024-07-01")
TITLE = "events of 1111, 2024-07-01"
# The process makes the terminal its own, as a shell would, so that Ctrl-C reaches it.
IN_ITS_TERMINAL = """
import fcntl, signal, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGINT, signal.default_int_handler)
from appmetrica_frames.__main__ import main
main()
"""


class Terminal:
    """A terminal of so many columns, and the process in it."""

    def __init__(self, columns: int, *arguments: str, **variables: str) -> None:
        self._columns = columns
        self._screen = b""
        self._keyboard, stream = pty.openpty()
        fcntl.ioctl(stream, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-c", IN_ITS_TERMINAL, *arguments],
            stdin=stream,
            stdout=stream,
            stderr=stream,
            env={**os.environ, "PYTHONUTF8": "1", "TERM": "xterm", **variables},
            start_new_session=True,
        )
        os.close(stream)

    def type(self, keys: bytes) -> None:
        os.write(self._keyboard, keys)

    def shows(self, text: str) -> None:
        """Wait until a text is screen."""
        while text.encode() not in self._screen:
            assert self._read(), self._screen

    @property
    def rows(self) -> list[str]:
        """The rows on the screen once the process has ended."""
        while self._read():
            pass
        self.process.wait(30)
        rows: list[list[str]] = [[]]
        column = 0
        for sign in self._screen.decode():
            if sign == "\r":
                column = 0
            elif sign == "\n":
                rows.append([])
            else:
                if column == self._columns:
                    rows.append([])
                    column = 0
                rows[-1][column : column + 1] = [sign]
                column += 1
        return [row for cells in rows if (row := "".join(cells).strip())]

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._keyboard)

    def _read(self) -> bool:
        assert select.select([self._keyboard], [], [], 60)[0], self._screen
        try:
            piece = os.read(self._keyboard, 65_536)
        except OSError:  # so Linux says that the other end is closed
            piece = b""
        self._screen += piece
        return bool(piece)


@pytest.fixture
def slow() -> Iterator[Emulator]:
    """Serve exports that are not ready before the clock is moved."""
    with Emulator(rows_per_day=100, preparation=3600.0, clock=MovableClock(start=1_722_340_800.0)) as running:
        yield running


@pytest.fixture
def terminal(slow: Emulator) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def opening(columns: int, *arguments: str) -> Terminal:
        variables = {"APPMETRICA_TOKEN": slow.token, "APPMETRICA_BASE_URL": slow.base_url}
        opened.append(Terminal(columns, *arguments, **variables))
        return opened[-1]

    yield opening
    for one in opened:
        one.close()


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("command", ["read", "download"])
def test_ctrl_c_leaves_one_line_on_how_to_continue(
    terminal: Callable[..., Terminal], command: str, columns: int
) -> None:
    screen = terminal(columns, command, "events", *DAY)
    screen.shows(f"{TITLE}: waiting")
    screen.type(b"\x03")
    assert screen.rows == ["appmetrica-frames: interrupted; the same command continues with the same job"]
    assert screen.process.returncode == 130


def test_one_line_stays_of_a_download_and_one_of_a_read_from_the_cache(
    terminal: Callable[..., Terminal], slow: Emulator
) -> None:
    screen = terminal(80, "download", "events", *DAY, "--fields", "event_name")
    screen.shows(f"{TITLE}: waiting")
    slow.clock.advance(3600)
    ready, *path = screen.rows
    assert ready.startswith(f"{TITLE}: ready in ")
    assert "".join(path).endswith(".parquet")
    again = terminal(80, "download", "events", *DAY, "--fields", "event_name")
    assert again.rows[0].startswith(f"{TITLE}: from the cache, built at most ")
    assert again.rows[1:] == path


def test_a_login_in_a_terminal_does_not_show_the_token(
    terminal: Callable[..., Terminal], slow: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("keyring")
    keyring = tmp_path / "keyring.json"
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring_backends.FileKeyring")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]), prepend=":")
    monkeypatch.setenv("TEST_KEYRING_FILE", str(keyring))
    screen = terminal(200, "login")
    screen.shows("(it is not shown): ")
    screen.type(f"{slow.token}\n".encode())
    assert "is in the keyring" in screen.rows[-2]
    assert slow.token not in "".join(screen.rows)
    assert slow.token in keyring.read_text("utf-8")


def test_a_token_is_not_typed_where_it_would_be_shown(
    terminal: Callable[..., Terminal], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("keyring")
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring_backends.FileKeyring")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]), prepend=":")
    monkeypatch.setenv("TEST_KEYRING_FILE", str(tmp_path / "keyring.json"))
    screen = terminal(200, "login", "--token-stdin")
    assert "a terminal would show the token" in screen.rows[-1]
    assert screen.process.returncode == 2


def test_ctrl_c_instead_of_a_token_keeps_nothing(
    terminal: Callable[..., Terminal], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("keyring")
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring_backends.FileKeyring")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]), prepend=":")
    monkeypatch.setenv("TEST_KEYRING_FILE", str(tmp_path / "keyring.json"))
    screen = terminal(200, "login")
    screen.shows("(it is not shown): ")
    screen.type(b"\x03")
    assert "appmetrica-frames: interrupted" in screen.rows[-1]
    assert screen.process.returncode == 130
    assert not (tmp_path / "keyring.json").exists()
