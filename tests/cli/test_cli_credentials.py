"""Log in, log out, and who am I: with a keyring of the test's own."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

pytest.importorskip("keyring")

from keyring_backends import FILE_VARIABLE, PlainTextKeyring

from appmetrica_frames.cli import app
from appmetrica_frames.cli.output import PROGRAM

if TYPE_CHECKING:
    from click.testing import Result
    from conftest import Command
    from keyring_backends import MemoryKeyring

    from appmetrica_frames.emulator import Emulator

TESTS = str(Path(__file__).parents[1])


@pytest.fixture(autouse=True)
def _server(server: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPMETRICA_BASE_URL", server.base_url)


def invoke(*arguments: str, piped: str | bytes = "") -> Result:
    return CliRunner().invoke(app, arguments, input=piped, prog_name=PROGRAM)


def one_line(text: str) -> str:
    (line,) = text.splitlines()
    return line


def test_a_login_is_used_by_a_read_until_the_logout(
    server: Emulator, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In processes of their own, as users run them."""
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring_backends.FileKeyring")
    monkeypatch.setenv("PYTHONPATH", TESTS, prepend=os.pathsep)
    monkeypatch.setenv(FILE_VARIABLE, str(tmp_path / "keyring.json"))
    read = ("read", "push_tokens", "--application-id", "1111", "--fields", "token")
    assert "appmetrica-frames login --base-url http://127.0.0.1" in command(*read).stderr
    token_file = tmp_path / "token"
    token_file.write_text(server.token)
    with token_file.open() as stdin:
        logged_in = command("login", "--token-stdin", stdin=stdin)
    assert logged_in.returncode == 0, logged_in.stderr
    assert command(*read).returncode == 0
    assert command("logout").returncode == 0
    assert "MissingTokenError" in command(*read, "--refresh").stderr


def test_a_login_says_where_the_token_is_and_what_it_can_read(server: Emulator, memory_keyring: MemoryKeyring) -> None:
    result = invoke("login", "--token-stdin", piped=f"{server.token}\n")
    assert result.exit_code == 0
    assert one_line(result.stderr) == (
        f"appmetrica-frames: the token for {server.base_url} is in the keyring (keyring backends MemoryKeyring); "
        "it can read 2 applications"
    )
    assert list(memory_keyring.passwords.values()) == [server.token]
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("piped", "code", "expected"),
    [
        ("wrong", 1, "AuthenticationError: AppMetrica refused the token (401)"),
        ("", 1, "MissingTokenError: No token was given"),
        ("OAuth emulator-token", 2, "InvalidRequestError: The AppMetrica token contains a space"),
        (b"emulator\xff", 2, "InvalidRequestError: The AppMetrica token contains a space"),
        ("one\ntwo", 2, "InvalidRequestError: The AppMetrica token contains a space"),
    ],
)
def test_a_token_that_is_refused_is_not_kept(
    piped: str | bytes, code: int, expected: str, server: Emulator, memory_keyring: MemoryKeyring
) -> None:
    memory_keyring.set_password(f"appmetrica-frames {server.base_url}", "oauth-token", "earlier")
    result = invoke("login", "--token-stdin", piped=piped)
    assert result.exit_code == code
    assert expected in result.stderr
    assert list(memory_keyring.passwords.values()) == ["earlier"]


def test_a_byte_order_mark_is_no_part_of_the_token(server: Emulator, memory_keyring: MemoryKeyring) -> None:
    assert invoke("login", "--token-stdin", piped=f"\ufeff{server.token}\r\n").exit_code == 0
    assert list(memory_keyring.passwords.values()) == [server.token]


def test_a_server_that_cannot_be_reached_keeps_nothing(memory_keyring: MemoryKeyring) -> None:
    result = invoke("login", "--token-stdin", "--base-url", "ftp://127.0.0.1", piped="t")
    assert result.exit_code == 2
    assert memory_keyring.passwords == {}


def test_without_a_safe_keyring_nobody_is_asked_for_a_token(server: Emulator) -> None:
    import keyring

    keyring.set_keyring(PlainTextKeyring())
    try:
        result = invoke("login", "--token-stdin", piped=server.token)
    finally:
        keyring.set_keyring(keyring.backends.fail.Keyring())
    assert result.exit_code == 1
    assert one_line(result.stderr) == (
        "appmetrica-frames: the keyring cannot be used: there is none on this machine that keeps a token secret "
        "(keyring offers: keyring backends PlainTextKeyring); set the environment variable APPMETRICA_TOKEN instead"
    )


def test_without_a_terminal_the_token_has_to_be_piped_in(memory_keyring: MemoryKeyring) -> None:
    result = invoke("login", piped="token")
    assert result.exit_code == 2
    assert "--token-stdin" in one_line(result.stderr)
    assert memory_keyring.passwords == {}


def test_a_logout_says_what_it_did_and_can_be_repeated(server: Emulator, memory_keyring: MemoryKeyring) -> None:
    invoke("login", "--token-stdin", piped=server.token)
    first, second = invoke("logout"), invoke("logout")
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert f"the token for {server.base_url} is removed from the keyring" in one_line(first.stderr)
    assert "is not in the keyring: there is nothing to remove" in one_line(second.stderr)
    assert memory_keyring.passwords == {}


def test_a_variable_that_comes_before_the_keyring_is_mentioned(
    server: Emulator, memory_keyring: MemoryKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APPMETRICA_TOKEN", "another")
    assert "APPMETRICA_TOKEN comes before it" in invoke("login", "--token-stdin", piped=server.token).stderr
    assert "APPMETRICA_TOKEN is still set" in invoke("logout").stderr


def test_who_am_i_shows_where_the_token_is_from_and_what_it_can_read(
    server: Emulator, memory_keyring: MemoryKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    invoke("login", "--token-stdin", piped=server.token)
    result = invoke("whoami")
    assert result.stdout.splitlines()[:3] == [
        f"server: {server.base_url}",
        "token: from the keyring",
        "default application: none, APPMETRICA_APPLICATION_ID is not set",
    ]
    assert "1111" in result.stdout
    monkeypatch.setenv("APPMETRICA_TOKEN", server.token)
    monkeypatch.setenv("APPMETRICA_APPLICATION_ID", "1111,2222")
    result = invoke("whoami")
    assert "token: from the environment variable APPMETRICA_TOKEN" in result.stdout
    assert "default application: 1111, 2222, from APPMETRICA_APPLICATION_ID" in result.stdout
    assert server.token not in result.output


def test_who_am_i_for_scripts(server: Emulator, memory_keyring: MemoryKeyring) -> None:
    invoke("login", "--token-stdin", piped=server.token)
    document = json.loads(invoke("whoami", "--json").stdout)
    assert (document["base_url"], document["token"]) == (server.base_url, "keyring")
    assert [application["application_id"] for application in document["applications"]] == [1111, 2222]


def test_who_am_i_names_the_place_of_a_token_that_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPMETRICA_TOKEN", "expired")
    result = invoke("whoami")
    assert result.exit_code == 1
    assert "APPMETRICA_TOKEN" in result.stdout
    assert "AuthenticationError" in result.stderr


def test_who_am_i_without_a_token() -> None:
    result = invoke("whoami")
    assert result.exit_code == 1
    assert "MissingTokenError" in one_line(result.stderr)
