"""The stream that progress is written to, and whether anybody can see it."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import TextIO


STANDARD_HEIGHT = 24


def has_audience() -> bool:
    """Return whether standard error is a terminal, or this is a notebook."""
    try:
        return in_notebook() or (sys.stderr is not None and sys.stderr.isatty())
    except ValueError:  # it is closed
        return False


def in_notebook() -> bool:
    """Return whether this runs in a Jupyter kernel, without importing IPython."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return any(kind.__name__ == "ZMQInteractiveShell" for kind in type(shell).__mro__)


class SafeStream:
    """The stream for progress. It may be closed or gone: what cannot be written is dropped."""

    def __init__(self) -> None:
        self._stream = _stream()

    @property
    def width(self) -> int:
        """The columns of a terminal; 0 for anything else, and where they are unknown."""
        try:
            return 0 if in_notebook() or self._stream is None else os.get_terminal_size(self._stream.fileno()).columns
        except (OSError, ValueError):
            return 0

    @property
    def height(self) -> int:
        """The rows of a terminal; 1 for a notebook, where the cursor cannot go up, and 24 where they are unknown."""
        try:
            return 1 if in_notebook() or self._stream is None else os.get_terminal_size(self._stream.fileno()).lines
        except (OSError, ValueError):
            return STANDARD_HEIGHT

    def clear(self) -> None:
        """Clear the current line of a terminal, with what was typed after it."""
        if self.width:
            self.write(f"\r{' ' * (self.width - 1)}\r")
            self.flush()

    def write_line(self, line: str) -> None:
        """Write one line."""
        self.write(f"{line}\n")
        self.flush()

    def write(self, text: str) -> None:
        try:
            if self._stream is not None:
                self._stream.write(text)
        except (OSError, ValueError):
            self._stream = None

    def flush(self) -> None:
        try:
            if self._stream is not None:
                self._stream.flush()
        except (OSError, ValueError):
            self._stream = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __eq__(self, other: object) -> bool:  # tqdm compares streams, to redraw other bars after a text
        return self._stream is getattr(other, "_stream", other)

    def __hash__(self) -> int:
        return hash(self._stream)


def _stream() -> TextIO | None:
    # A notebook shows standard error in red, as if something had gone wrong.
    return sys.stdout if in_notebook() else sys.stderr
