"""Backends of keyring for tests: one in memory, one in a file for processes of their own, and some that misbehave."""

# ruff: noqa: ARG002 - the signatures of keyring

from __future__ import annotations

import json
import os
from pathlib import Path
from threading import Event

from keyring.backend import KeyringBackend
from keyring.backends.chainer import ChainerBackend
from keyring.errors import PasswordDeleteError, PasswordSetError

FILE_VARIABLE = "TEST_KEYRING_FILE"


class MemoryKeyring(KeyringBackend):
    """Keeps passwords in memory, and counts how often it is asked for one."""

    priority = 5

    def __init__(self) -> None:
        super().__init__()
        self.passwords: dict[tuple[str, str], str] = {}
        self.reads = 0

    def get_password(self, service: str, username: str) -> str | None:
        self.reads += 1
        return self.passwords.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.passwords[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.passwords.pop((service, username), None) is None:
            raise PasswordDeleteError("no such password")


class FileKeyring(KeyringBackend):
    """Keeps passwords in a file, for a process of its own; it claims to be a safe place."""

    priority = 5

    def get_password(self, service: str, username: str) -> str | None:
        return self._load().get(f"{service} {username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        self._save({**self._load(), f"{service} {username}": password})

    def delete_password(self, service: str, username: str) -> None:
        self._save({name: value for name, value in self._load().items() if name != f"{service} {username}"})

    def _load(self) -> dict[str, str]:
        path = Path(os.environ[FILE_VARIABLE])
        return json.loads(path.read_text("utf-8")) if path.exists() else {}

    def _save(self, passwords: dict[str, str]) -> None:
        Path(os.environ[FILE_VARIABLE]).write_text(json.dumps(passwords), "utf-8")


class PlainTextKeyring(MemoryKeyring):
    """As insecure as a file of plain text, and so below the priority that keyring recommends."""

    priority = 0.5


class ForgetfulKeyring(MemoryKeyring):
    """Accepts a password and keeps nothing."""

    def set_password(self, service: str, username: str, password: str) -> None:
        pass


class ReadOnlyKeyring(MemoryKeyring):
    """Cannot be written to, as those that log in to package registries."""

    priority = 9

    def set_password(self, service: str, username: str, password: str) -> None:
        raise NotImplementedError


class BrokenKeyring(KeyringBackend):
    """Fails, and repeats what it was told."""

    priority = 5

    def get_password(self, service: str, username: str) -> str | None:
        raise RuntimeError("the bus is\n gone \x1b[2J")

    def set_password(self, service: str, username: str, password: str) -> None:
        raise PasswordSetError(f"cannot set {password}")

    def delete_password(self, service: str, username: str) -> None:
        raise SystemExit("bye")


class SilentKeyring(KeyringBackend):
    """Answers once it is released: nobody sees its dialogue."""

    priority = 5

    def __init__(self) -> None:
        super().__init__()
        self.released = Event()

    def get_password(self, service: str, username: str) -> str | None:
        self.released.wait(60)
        return None

    def set_password(self, service: str, username: str, password: str) -> None:
        self.released.wait(60)

    def delete_password(self, service: str, username: str) -> None:
        self.released.wait(60)


def chain(*members: KeyringBackend) -> KeyringBackend:
    """Return what keyring chooses where several backends are usable."""
    chained = ChainerBackend()
    chained.__class__ = type("Chain", (ChainerBackend,), {"backends": list(members)})
    return chained
