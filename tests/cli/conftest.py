"""The command line is run as its users run it: in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Protocol

import pytest

if TYPE_CHECKING:
    from appmetrica_frames.emulator import Emulator

Ran = subprocess.CompletedProcess[str]


class Command(Protocol):
    """Runs the command line with these words, and with these variables besides those of the test."""

    def __call__(self, *words: object, **variables: str) -> Ran: ...


@pytest.fixture
def command() -> Command:
    def run(*words: object, **variables: str) -> Ran:
        return subprocess.run(
            [sys.executable, "-m", "appmetrica_frames", *map(str, words)],
            env={**os.environ, "PYTHONUTF8": "1", "COLUMNS": "120", **variables},
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )

    return run


@pytest.fixture
def served(server: Emulator) -> dict[str, str]:
    """Return the variables that lead a command to the emulator."""
    return {"APPMETRICA_TOKEN": server.token, "APPMETRICA_BASE_URL": server.base_url}
