"""The OAuth token of a call: the argument, else the environment variable, else the operating system's keyring."""

from __future__ import annotations

import importlib.util
import os
from contextlib import contextmanager, suppress
from threading import Lock, Thread
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from appmetrica_frames.errors import InvalidRequestError, MissingTokenError
from appmetrica_frames.util.clock import SystemClock
from appmetrica_frames.util.config import BASE_URL, Secret
from appmetrica_frames.util.durations import format_duration
from appmetrica_frames.util.terminal import escape_controls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from keyring.backend import KeyringBackend

    from appmetrica_frames.util.clock import Clock

TOKEN_VARIABLE = "APPMETRICA_TOKEN"  # noqa: S105 - the name of a variable
ARGUMENT, KEYRING = "argument", "keyring"

SERVICE = "appmetrica-frames {}"  # with the address of the server, for which alone the token is
USERNAME = "oauth-token"
READ_TIMEOUT = 30.0  # seconds: somebody may have to unlock the keyring, and nobody may be there
REMEMBERED = 60.0  # seconds: each window of a call asks for the token, and a new login counts soon
RECOMMENDED = 1  # by its documentation, the priority from which keyring recommends a backend
MAX_REASON = 200  # characters of an error of the keyring

T = TypeVar("T")


class FoundToken(NamedTuple):
    """A token and where it comes from: ``argument``, the name of the variable, or ``keyring``."""

    secret: Secret
    source: str


class KeyringError(Exception):
    """The keyring cannot be used; the text says why."""


class NoKeyringError(KeyringError):
    """There is no keyring that could hold a token."""


class TokenKeyring:
    """The operating system's keyring, with a token for each server.

    Parameters
    ----------
    backend
        What holds the tokens. Default: the backend that keyring chooses.
    timeout
        For how many seconds an answer is waited for.
    """

    def __init__(self, backend: KeyringBackend | None = None, *, timeout: float = READ_TIMEOUT) -> None:
        self._backend = backend
        self._timeout = timeout

    def describe(self) -> str:
        """Return the name of the backend that holds tokens; raise `NoKeyringError` if there is none."""
        return self._ask(lambda backends: str(backends[0].name))

    def load(self, origin: str) -> Secret:
        """Return the token for a server; it is empty if there is none."""
        # No local variable may hold the bare token: some error reports show every local variable.
        return self._ask(lambda backends: Secret(_first_password(backends, SERVICE.format(origin)) or "").strip())

    def save(self, origin: str, secret: Secret) -> None:
        """Keep the token for a server, in place of an earlier one."""
        self._ask(lambda backends: _set_password(backends, SERVICE.format(origin), secret), hidden=secret)
        if self.load(origin).reveal() != secret.reveal():
            raise KeyringError("it accepts the token and does not return it")

    def delete(self, origin: str) -> bool:
        """Remove the token for a server, and tell whether there was one."""
        return self._ask(lambda backends: _delete_password(backends, SERVICE.format(origin)))

    def _ask(self, action: Callable[[Sequence[KeyringBackend]], T], *, hidden: Secret | None = None) -> T:
        """Return what an action on the backends returns, or raise `KeyringError`, whatever a backend does."""
        answers: list[T] = []
        failures: list[KeyringError] = []

        def run() -> None:
            try:
                answers.append(action(_find_backends(self._backend)))
            except KeyringError as error:
                failures.append(error)
            except BaseException as error:  # noqa: BLE001 - a backend is code of anybody's
                # Its text alone: the frames of its traceback hold the token.
                failures.append(KeyringError(_describe_error(error, hidden)))

        # A daemon: one that waits for a dialogue that nobody sees must not keep the process from its end.
        thread = Thread(target=run, name="appmetrica-keyring", daemon=True)
        thread.start()
        thread.join(self._timeout)
        if failures:
            raise failures[0].with_traceback(None)
        if not answers:
            raise KeyringError(
                f"it has not answered within {format_duration(self._timeout)}, and may have to be unlocked"
            )
        return answers[0]


class RememberedTokens:
    """What the keyring has answered, for a while: the windows of a range ask at once, and it may open a dialogue."""

    def __init__(self, keyring: TokenKeyring | None = None, clock: Clock | None = None) -> None:
        self._keyring = keyring or TokenKeyring()
        self._clock = clock or SystemClock()
        self._answers: dict[str, tuple[float, Secret]] = {}
        self._lock = Lock()

    def load(self, origin: str) -> Secret:
        """Return the token for a server; it is empty if there is none."""
        with self._one_at_a_time():
            instant, secret = self._answers.get(origin, (float("-inf"), Secret("")))
            if secret.is_empty() or self._clock.monotonic() - instant > REMEMBERED:
                secret = self._load_again(origin, secret)
                self._answers[origin] = self._clock.monotonic(), secret
            return secret

    def _load_again(self, origin: str, known: Secret) -> Secret:
        try:
            return self._keyring.load(origin)
        except KeyringError:
            if known.is_empty():
                raise
            return known  # a long call must not end because the keyring has been locked meanwhile

    def renew_lock(self) -> None:
        """Replace the lock in a forked process: the thread that held it is not there."""
        self._lock = Lock()

    def forget(self) -> None:
        """Have the keyring asked again by the next call."""
        self._answers.clear()

    @contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        is_locked = self._lock.acquire(timeout=READ_TIMEOUT)
        try:
            yield
        finally:
            if is_locked:
                self._lock.release()


remembered_tokens = RememberedTokens()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=remembered_tokens.renew_lock)


def find_token(given: Secret | None, environ: Mapping[str, str] | None = None) -> FoundToken:
    """Return the token of the argument or the environment; it may be empty. The keyring is not asked."""
    if given is not None and not given.strip().is_empty():
        return FoundToken(given.strip(), ARGUMENT)
    environ = os.environ if environ is None else environ
    return FoundToken(Secret(environ.get(TOKEN_VARIABLE, "")).strip(), TOKEN_VARIABLE)


def resolve_token(
    given: Secret | None,
    origin: str,
    *,
    environ: Mapping[str, str] | None = None,
    keyring: TokenKeyring | RememberedTokens = remembered_tokens,
) -> FoundToken:
    """Return the token for a server, from the argument, ``APPMETRICA_TOKEN`` or the keyring; else raise an error."""
    found = find_token(given, environ)
    if found.secret.is_empty():
        found = FoundToken(_load_token(origin, keyring), KEYRING)
    check_token(found.secret)
    return found


def check_token(secret: Secret) -> None:
    """Raise `InvalidRequestError` for what cannot be a token."""
    if not secret.is_header_word():
        raise InvalidRequestError(
            "The AppMetrica token contains a space or a character that no token has. "
            "Give the bare token, without 'OAuth ' in front of it and without line breaks."
        )


def is_keyring_installed() -> bool:
    """Tell whether the package keyring is there, without importing it."""
    with suppress(ValueError, ImportError):
        return importlib.util.find_spec("keyring") is not None
    return False


def _load_token(origin: str, keyring: TokenKeyring | RememberedTokens) -> Secret:
    reason = ""
    try:
        secret = keyring.load(origin)
    except NoKeyringError:
        secret = Secret("")
    except KeyringError as error:
        secret, reason = Secret(""), f" The keyring could not be read: {error}."
    if secret.is_empty():
        server = "" if origin == BASE_URL else f" --base-url {origin}"
        raise MissingTokenError(
            f"No AppMetrica token. Set the environment variable {TOKEN_VARIABLE}, or pass client=Client(token=...). "
            f"On your own machine, appmetrica-frames login{server} keeps it in the keyring.{reason} "
            "How to get one: https://appmetrica.yandex.com/docs/en/mobile-api/intro/authorization"
        )
    return secret


def _find_backends(backend: KeyringBackend | None) -> list[KeyringBackend]:
    """Return the backends that keep a secret secret, best first: no plain text files, and none that keep nothing."""
    if not is_keyring_installed():
        raise NoKeyringError("the package keyring is not installed: pip install 'appmetrica-frames[keyring]'")
    from keyring import get_keyring
    from keyring.backends.chainer import ChainerBackend

    chosen = backend or get_keyring()
    members = list(chosen.backends) if isinstance(chosen, ChainerBackend) else [chosen]
    usable = [member for member in members if member.priority >= RECOMMENDED]
    if not usable:
        names = ", ".join(member.name for member in members) or chosen.name
        raise NoKeyringError(
            f"there is none on this machine that keeps a token secret (keyring offers: {names}); "
            f"set the environment variable {TOKEN_VARIABLE} instead"
        )
    return usable


def _first_password(backends: Sequence[KeyringBackend], service: str) -> str | None:
    return next(filter(None, (backend.get_password(service, USERNAME) for backend in backends)), None)


def _set_password(backends: Sequence[KeyringBackend], service: str, secret: Secret) -> None:
    for backend in backends:
        try:
            backend.set_password(service, USERNAME, secret.reveal())
        except NotImplementedError:  # some are there to be read only
            continue
        return
    raise NoKeyringError("it can be read only")


def _delete_password(backends: Sequence[KeyringBackend], service: str) -> bool:
    holders = [backend for backend in backends if backend.get_password(service, USERNAME)]
    for backend in holders:
        backend.delete_password(service, USERNAME)
    return bool(holders)


def _describe_error(error: BaseException, hidden: Secret | None) -> str:
    text = " ".join(str(error).split()).rstrip(".")
    if hidden is not None:
        text = text.replace(hidden.reveal(), "***")
    return f"{type(error).__name__}: {escape_controls(text[:MAX_REASON])}" if text else type(error).__name__
