"""Commands about the token: keep it in the keyring, remove it, and tell which one is found and what it can read."""

import getpass
import os
import sys
from contextlib import suppress
from typing import Annotated, Any

import typer

from appmetrica_frames.client import Client, Settings, resolve_settings
from appmetrica_frames.credentials import KEYRING, TOKEN_VARIABLE, TokenKeyring, check_token
from appmetrica_frames.errors import AppMetricaError, InvalidRequestError, MissingTokenError
from appmetrica_frames.util.config import APPLICATION_ID_VARIABLE, Secret, default_application_ids

from .options import BaseUrl
from .output import AsJson, format_count, print_json, print_message, print_table, print_text

ANSWER_TIMEOUT = 120.0  # seconds: somebody is there to unlock the keyring
MAX_INPUT = 1 << 16  # bytes; a token has some sixty
HOW_TO_GET_ONE = "https://appmetrica.yandex.com/docs/en/mobile-api/intro/authorization"

FromStdin = Annotated[
    bool, typer.Option("--token-stdin", help="Read the token from standard input, such as a pipe from a secret store.")
]


def login(*, base_url: BaseUrl = None, token_stdin: FromStdin = False) -> None:
    """Ask for an OAuth token, check it with the server, and keep it in the operating system's keyring."""
    origin = resolve_settings(Client(base_url=base_url)).origin
    keyring = TokenKeyring(timeout=ANSWER_TIMEOUT)
    name = keyring.describe()  # before somebody looks for a token
    secret = _read_token() if token_stdin else _ask_for_token(origin)
    check_token(secret)
    applications = _check_with_server(resolve_settings(Client(secret.reveal(), base_url=origin)))
    keyring.save(origin, secret)
    print_message(f"the token for {origin} is in the keyring ({name}); {_describe_reach(applications)}")
    _mention_variable("comes before it: unset the variable to use the keyring")


def logout(*, base_url: BaseUrl = None) -> None:
    """Remove the token from the operating system's keyring."""
    origin = resolve_settings(Client(base_url=base_url)).origin
    is_removed = TokenKeyring(timeout=ANSWER_TIMEOUT).delete(origin)
    outcome = "is removed from the keyring" if is_removed else "is not in the keyring: there is nothing to remove"
    print_message(f"the token for {origin} {outcome}")
    _mention_variable("is still set")


def whoami(*, base_url: BaseUrl = None, as_json: AsJson = False) -> None:
    """Tell which token is found and where, never the token itself, and which applications it can read."""
    settings = resolve_settings(Client(base_url=base_url))
    source = settings.find_token().source
    if as_json:
        print_json({"base_url": settings.origin, "token": source, "applications": _list_applications(settings)})
        return
    place = "the keyring" if source == KEYRING else f"the environment variable {source}"
    print_text(f"server: {settings.origin}\ntoken: from {place}\ndefault application: {_describe_default()}")
    print_table(_list_applications(settings), ("application_id", "name", "time_zone_name"))


def _ask_for_token(origin: str) -> Secret:
    if not sys.stdin.isatty():
        raise InvalidRequestError("There is no terminal to ask for the token in: pipe it in with --token-stdin.")
    print_message(f"how to get a token with the scope appmetrica:read: {HOW_TO_GET_ONE}")
    # No local variable may hold the bare token: some error reports show every local variable.
    with suppress(EOFError):
        return _check_given(Secret(getpass.getpass(f"Token for {origin} (it is not shown): ")).strip())
    return _check_given(Secret(""))


def _read_token() -> Secret:
    if sys.stdin.isatty():
        raise InvalidRequestError(
            "--token-stdin is for a pipe or a file: a terminal would show the token. Leave it out."
        )
    # A byte order mark comes from PowerShell; what is not UTF-8 is no token, and refused as such.
    return _check_given(Secret(sys.stdin.buffer.read(MAX_INPUT).decode("utf-8-sig", "replace")).strip())


def _check_given(secret: Secret) -> Secret:
    if secret.is_empty():
        raise MissingTokenError("No token was given; the keyring is as it was.")
    return secret


def _check_with_server(settings: Settings) -> list[dict[str, Any]]:
    """Return the applications that a token can read; whatever goes wrong, it is not kept."""
    try:
        return _list_applications(settings)
    except AppMetricaError:
        print_message("the token is not kept; the keyring is as it was")
        raise


def _list_applications(settings: Settings) -> list[dict[str, Any]]:
    from appmetrica_frames.logs_api.management import list_applications

    with settings.connect() as connection:
        applications = list_applications(connection, settings.retry_policy())
    return [{"application_id": application.pop("id"), **application} for application in applications]


def _describe_reach(applications: list[dict[str, Any]]) -> str:
    count = format_count(len(applications), "application")
    return f"it can read {count}" + ("" if applications else ": the account it belongs to has access to none")


def _describe_default() -> str:
    try:
        return f"{', '.join(default_application_ids())}, from {APPLICATION_ID_VARIABLE}"
    except InvalidRequestError:
        return f"none, {APPLICATION_ID_VARIABLE} is not set"


def _mention_variable(what: str) -> None:
    if os.environ.get(TOKEN_VARIABLE, "").strip():
        print_message(f"{TOKEN_VARIABLE} {what}")
