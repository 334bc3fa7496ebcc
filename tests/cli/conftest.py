"""Runs the command line as users do: in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import IO, TYPE_CHECKING, Protocol

import pytest

if TYPE_CHECKING:
    from appmetrica_frames.emulator import Emulator

Result = subprocess.CompletedProcess[str]


class Command(Protocol):
    """Runs the command line with arguments, and with environment variables in addition to those of the test."""

    def __call__(self, *arguments: object, stdin: IO[str] | None = None, **variables: str) -> Result: ...


@pytest.fixture
def command() -> Command:
    def run(*arguments: object, stdin: IO[str] | None = None, **variables: str) -> Result:
        return subprocess.run(
            [sys.executable, "-m", "appmetrica_frames", *map(str, arguments)],
            env={**os.environ, "PYTHONUTF8": "1", "COLUMNS": "120", **variables},
            stdin=stdin,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )

    return run


@pytest.fixture
def server_environment(server: Emulator) -> dict[str, str]:
    """Return the environment variables with which a command uses the emulator."""
    return {"APPMETRICA_TOKEN": server.token, "APPMETRICA_BASE_URL": server.base_url}
