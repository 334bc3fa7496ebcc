"""Terminals for tests: what is on the screen after all that was written, also to a real pseudo-terminal."""

from __future__ import annotations

import codecs
import os
import re
import sys
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable

if sys.platform != "win32":
    import fcntl
    import pty
    import struct
    import termios

PATIENCE = 60.0  # seconds until something has to be on the screen
_PIECES = re.compile(r"\x1b\[A|[\r\n]|[^\r\n\x1b]+")


class Cells:
    """The cells of a screen: text, carriage returns, line feeds and moves up; rows scroll off the top."""

    def __init__(self, columns: int = 1000, lines: int = 24) -> None:
        self._columns = columns
        self._lines = lines
        self._cells: list[list[str]] = [[]]
        self._row = self._column = 0

    @property
    def rows(self) -> list[str]:
        """All rows, those that scrolled off included; empty ones at the end left out."""
        rows = ["".join(cells).rstrip() for cells in self._cells]
        while rows and not rows[-1]:
            rows.pop()
        return rows

    @property
    def cursor(self) -> tuple[int, int]:
        return self._row, self._column

    def feed(self, text: str) -> Self:
        for piece in _PIECES.findall(text):
            if piece == "\x1b[A":
                self._row = max(self._row - 1, len(self._cells) - self._lines, 0)
            elif piece == "\r":
                self._column = 0
            elif piece == "\n":
                self._next_row()
            else:
                self._put(piece)
        return self

    def _put(self, text: str) -> None:
        for sign in text:
            if self._column == self._columns:
                self._next_row()
                self._column = 0
            cells = self._cells[self._row]
            cells.extend(" " * (self._column - len(cells)))
            cells[self._column : self._column + 1] = [sign]
            self._column += 1

    def _next_row(self) -> None:
        self._row += 1
        if self._row == len(self._cells):
            self._cells.append([])


class PseudoTerminal:
    """A real terminal of so many columns, and what it shows."""

    def __init__(self, columns: int, lines: int = 24) -> None:
        self.keyboard, descriptor = pty.openpty()
        fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        # By default, Ctrl-C drops what is not shown yet: part of a drawing, where rows are drawn without a pause.
        attributes = termios.tcgetattr(descriptor)
        attributes[3] |= termios.NOFLSH
        termios.tcsetattr(descriptor, termios.TCSANOW, attributes)
        self.stream = os.fdopen(descriptor, "w", encoding="utf-8")
        self._cells = Cells(columns, lines)
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._pending = ""  # an escape sequence that is still to be completed
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read)

    def __enter__(self) -> Self:
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.close()
        self._reader.join()
        os.close(self.keyboard)

    @property
    def rows(self) -> list[str]:
        return self._cells.rows

    def wait_for(self, condition: Callable[[list[str]], bool]) -> list[str]:
        """Return the rows once there are some that fulfil a condition."""
        with self._changed:
            assert self._changed.wait_for(lambda: bool(self.rows) and condition(self.rows), PATIENCE), self.rows
            return self.rows

    def settle(self) -> list[str]:
        """Return the rows once all that was written is on the screen."""
        self.stream.write("$")
        self.stream.flush()
        rows = self.wait_for(lambda rows: rows[-1].startswith("$"))
        return rows[:-1]

    def _read(self) -> None:
        while True:
            try:
                piece = os.read(self.keyboard, 65_536)
            except OSError:  # so Linux says that the other end is closed
                return
            if not piece:
                return
            with self._changed:
                self._show(piece)
                self._changed.notify_all()

    def _show(self, piece: bytes) -> None:
        whole, escape, rest = (self._pending + self._decoder.decode(piece)).rpartition("\x1b")
        is_cut = escape + rest in {"\x1b", "\x1b["}
        self._pending = escape + rest if is_cut else ""
        self._cells.feed(whole if is_cut else whole + escape + rest)
