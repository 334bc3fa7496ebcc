"""The command ``python -m appmetrica_frames.emulator``, and the same one of the command line."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from appmetrica_frames.emulator.command import format_greeting

if TYPE_CHECKING:
    from conftest import ApiClient

ENTRY_POINTS = (["appmetrica_frames.emulator"], ["appmetrica_frames", "emulator"])


def test_the_greeting_shows_how_to_send_a_request(shared_api: ApiClient) -> None:
    text = format_greeting(shared_api.server)
    assert shared_api.server.base_url in text
    assert "curl" in text


def run_command(module: list[str], *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *module, *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("module", ENTRY_POINTS, ids=" ".join)
@pytest.mark.parametrize(
    ("option", "value", "text"),
    [
        ("--port", "99999", "port must be from 0 to 65535, not 99999"),
        ("--seed", "-1", "seed must be from 0 to 18446744073709551615, not -1"),
        ("--rows-per-day", "-5", "rows_per_day must be 1 or more, not -5"),
        ("--preparation", "-1", "preparation must be 0 or more, not -1.0"),
    ],
)
def test_an_invalid_option_is_one_line_and_exit_code_2(module: list[str], option: str, value: str, text: str) -> None:
    ended = run_command(module, "--port", "0", option, value)
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert line.endswith(text)


@pytest.mark.parametrize("module", ENTRY_POINTS, ids=" ".join)
def test_a_busy_port_is_one_line_and_exit_code_2(shared_api: ApiClient, module: list[str]) -> None:
    port = shared_api.server.base_url.rpartition(":")[2]
    ended = run_command(module, "--port", port)
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert f"Cannot listen on port {port} of 127.0.0.1" in line
