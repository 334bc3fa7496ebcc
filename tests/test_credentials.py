"""The token of a call: argument, environment, keyring; and a keyring that may be slow, broken, unsafe or absent."""

from __future__ import annotations

import threading
import traceback
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("keyring")

from keyring.backends import fail, null
from keyring_backends import (
    BrokenKeyring,
    ForgetfulKeyring,
    MemoryKeyring,
    PlainTextKeyring,
    ReadOnlyKeyring,
    SilentKeyring,
    chain,
)

import appmetrica_frames as af
from appmetrica_frames import credentials
from appmetrica_frames.client import resolve_settings
from appmetrica_frames.credentials import KeyringError, NoKeyringError, RememberedTokens, TokenKeyring
from appmetrica_frames.util.clock import SystemClock
from appmetrica_frames.util.config import BASE_URL, Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keyring.backend import KeyringBackend

    from appmetrica_frames.emulator import Emulator

CANARY = "y0_canary-3b9ac9ff"
OTHER = "https://api.appmetrica.yandex.ru"
ABSENT = TokenKeyring(fail.Keyring())


@pytest.fixture
def silent() -> Iterator[SilentKeyring]:
    backend = SilentKeyring()
    yield backend
    backend.released.set()


def kept(backend: KeyringBackend, origin: str = BASE_URL, text: str = "kept") -> TokenKeyring:
    keyring = TokenKeyring(backend)
    keyring.save(origin, Secret(text))
    return keyring


@pytest.mark.parametrize(
    ("given", "environ", "expected"),
    [
        ("given", {"APPMETRICA_TOKEN": "found"}, ("given", "argument")),
        (None, {"APPMETRICA_TOKEN": "found\n"}, ("found", "APPMETRICA_TOKEN")),
        (" ", {"APPMETRICA_TOKEN": "found"}, ("found", "APPMETRICA_TOKEN")),
        (None, {}, ("kept", "keyring")),
        (None, {"APPMETRICA_TOKEN": " "}, ("kept", "keyring")),
    ],
)
def test_the_argument_comes_first_then_the_environment_then_the_keyring(
    given: str | None, environ: dict[str, str], expected: tuple[str, str]
) -> None:
    backend = MemoryKeyring()
    keyring, backend.reads = kept(backend), 0
    secret = None if given is None else Secret(given)
    found = credentials.resolve_token(secret, BASE_URL, environ=environ, keyring=keyring)
    assert (found.secret.reveal(), found.source) == expected
    assert backend.reads == (expected[1] == "keyring"), "the keyring is asked only where nothing else has a token"


def test_a_token_is_for_one_server() -> None:
    keyring = kept(MemoryKeyring(), OTHER)
    assert credentials.resolve_token(None, OTHER, environ={}, keyring=keyring).secret.reveal() == "kept"
    with pytest.raises(af.MissingTokenError):
        credentials.resolve_token(None, BASE_URL, environ={}, keyring=keyring)


@pytest.mark.parametrize("environ", [{}, {"APPMETRICA_TOKEN": " "}])
def test_a_missing_token_says_where_one_goes(environ: dict[str, str]) -> None:
    with pytest.raises(af.MissingTokenError, match=r"APPMETRICA_TOKEN.*appmetrica-frames login keeps"):
        credentials.resolve_token(None, BASE_URL, environ=environ, keyring=ABSENT)
    with pytest.raises(af.MissingTokenError, match=f"appmetrica-frames login --base-url {OTHER} keeps"):
        credentials.resolve_token(None, OTHER, environ=environ, keyring=ABSENT)


def test_a_login_can_be_undone_and_repeated() -> None:
    keyring = kept(MemoryKeyring())
    keyring.save(BASE_URL, Secret("newer"))
    assert keyring.load(BASE_URL).reveal() == "newer"
    assert keyring.delete(BASE_URL)
    assert keyring.load(BASE_URL).is_empty()
    assert not keyring.delete(BASE_URL)


@pytest.mark.parametrize(
    "backend", [fail.Keyring(), null.Keyring(), PlainTextKeyring(), chain(PlainTextKeyring(), fail.Keyring()), chain()]
)
def test_what_is_no_safe_place_is_refused(backend: KeyringBackend) -> None:
    keyring = TokenKeyring(backend)
    for ask in (keyring.describe, lambda: keyring.load(BASE_URL), lambda: keyring.save(BASE_URL, Secret("t"))):
        with pytest.raises(NoKeyringError, match="none on this machine that keeps a token secret"):
            ask()
    assert not getattr(backend, "passwords", {})


def test_of_several_backends_the_safe_ones_are_used() -> None:
    plain, read_only, safe = PlainTextKeyring(), ReadOnlyKeyring(), MemoryKeyring()
    keyring = kept(chain(read_only, plain, safe))
    assert list(safe.passwords.values()) == ["kept"]
    assert (plain.passwords, read_only.passwords) == ({}, {})
    assert keyring.load(BASE_URL).reveal() == "kept"
    assert keyring.delete(BASE_URL)
    assert safe.passwords == {}


@pytest.mark.parametrize(
    ("backend", "reason"),
    [(ForgetfulKeyring(), "does not return it"), (ReadOnlyKeyring(), "can be read only")],
)
def test_a_login_that_keeps_nothing_is_noticed(backend: KeyringBackend, reason: str) -> None:
    with pytest.raises(KeyringError, match=reason):
        kept(backend)


def test_a_broken_keyring_is_one_sentence_of_the_error() -> None:
    with pytest.raises(
        af.MissingTokenError, match=r"keyring could not be read: RuntimeError: the bus is gone \\x1b\[2J"
    ):
        credentials.resolve_token(None, BASE_URL, environ={}, keyring=TokenKeyring(BrokenKeyring()))
    with pytest.raises(KeyringError, match="RuntimeError"):
        TokenKeyring(BrokenKeyring()).delete(BASE_URL)


def test_a_keyring_that_does_not_answer_ends_the_wait(silent: SilentKeyring) -> None:
    keyring = TokenKeyring(silent, timeout=0.05)
    with pytest.raises(
        af.MissingTokenError, match=r"keyring could not be read: it has not answered within .* to be unlocked"
    ):
        credentials.resolve_token(None, BASE_URL, environ={}, keyring=keyring)
    with pytest.raises(KeyringError, match="has not answered"):
        keyring.save(BASE_URL, Secret(CANARY))
    assert all(thread.daemon for thread in threading.enumerate() if thread.name == "appmetrica-keyring")


@pytest.mark.parametrize("text", [f"OAuth {CANARY}", f"{CANARY}é"])
def test_what_the_keyring_has_may_be_no_token(text: str) -> None:
    with pytest.raises(af.InvalidRequestError) as caught:
        credentials.resolve_token(None, BASE_URL, environ={}, keyring=kept(MemoryKeyring(), text=text))
    assert CANARY not in str(caught.value)


def test_without_the_package_there_is_no_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "keyring", None)
    assert not credentials.is_keyring_installed()
    with pytest.raises(NoKeyringError, match=r"pip install 'appmetrica-frames\[keyring\]'"):
        TokenKeyring().describe()
    with pytest.raises(af.MissingTokenError):
        credentials.resolve_token(None, BASE_URL, environ={})
    assert "token=None" in repr(af.Client())


class StoppedClock(SystemClock):
    """Shows the seconds that it is told."""

    seconds = 1000.0

    def monotonic(self) -> float:
        return self.seconds


def test_an_answer_is_remembered_for_a_minute() -> None:
    backend, clock = MemoryKeyring(), StoppedClock()
    remembered = RememberedTokens(kept(backend), clock)
    backend.reads = 0
    assert [remembered.load(BASE_URL).reveal() for _ in range(3)] == ["kept"] * 3
    assert backend.reads == 1
    TokenKeyring(backend).save(BASE_URL, Secret("newer"))
    clock.seconds += 61
    assert remembered.load(BASE_URL).reveal() == "newer"


def test_that_there_is_no_token_is_not_remembered() -> None:
    backend = MemoryKeyring()
    remembered = RememberedTokens(TokenKeyring(backend), StoppedClock())
    assert remembered.load(BASE_URL).is_empty()
    kept(backend)
    assert remembered.load(BASE_URL).reveal() == "kept"


def test_a_range_asks_the_keyring_once(server: Emulator, memory_keyring: MemoryKeyring) -> None:
    kept(memory_keyring, server.base_url, server.token)
    memory_keyring.reads = 0
    client = af.Client(base_url=server.base_url, poll=(0.01, 0.05), progress=False)
    week: dict[str, Any] = {"application_id": server.application_id, "split": "day", "fields": ["event_name"]}
    rows = af.read_appmetrica("events", date_since="2024-07-01", date_until="2024-07-03", client=client, **week)
    assert rows.height > 0
    assert memory_keyring.reads == 1


def test_repr_says_where_the_token_would_come_from_and_asks_nobody(memory_keyring: MemoryKeyring) -> None:
    assert "token=<from the keyring, if it has one>" in repr(af.Client())
    assert memory_keyring.reads == 0


def shown(error: BaseException) -> str:
    """Return what a reporter of errors can show: texts and local variables, of the causes as well."""
    texts, chained = [], [error]
    for current in chained:
        texts.append("".join(traceback.TracebackException.from_exception(current, capture_locals=True).format()))
        chained += [cause for cause in (current.__cause__, current.__context__) if cause and cause not in chained]
    return "\n".join(texts)


@pytest.mark.parametrize("backend", [BrokenKeyring, ForgetfulKeyring, ReadOnlyKeyring, SilentKeyring])
def test_a_failed_login_shows_no_token(backend: type[KeyringBackend]) -> None:
    keyring, secret = TokenKeyring(backend(), timeout=0.05), Secret(CANARY)
    with pytest.raises(KeyringError) as caught:
        keyring.save(BASE_URL, secret)
    assert CANARY not in shown(caught.value)
    assert getattr(keyring._backend, "released", threading.Event()).set() is None


def test_a_found_token_is_hidden() -> None:
    found = credentials.resolve_token(Secret(CANARY), BASE_URL, environ={})
    assert CANARY not in f"{found!r} {found} {resolve_settings(af.Client(CANARY)).find_token()}"


def test_a_keyring_that_is_locked_later_does_not_end_a_long_call() -> None:
    class LockedKeyring(MemoryKeyring):
        is_locked = False

        def get_password(self, service: str, username: str) -> str | None:
            if self.is_locked:
                raise RuntimeError("locked")
            return super().get_password(service, username)

    class Clock:
        time = 0.0

        def monotonic(self) -> float:
            return self.time

    backend, clock = LockedKeyring(), Clock()
    tokens = RememberedTokens(kept(backend), clock)  # type: ignore[arg-type]
    assert tokens.load(BASE_URL).reveal() == "kept"
    backend.is_locked, clock.time = True, 10_000.0
    assert tokens.load(BASE_URL).reveal() == "kept"
    with pytest.raises(KeyringError, match="locked"):
        tokens.load(OTHER)
