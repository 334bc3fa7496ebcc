"""Locks between processes: one fetches an export, the others wait for what it publishes."""

from __future__ import annotations

import errno
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from appmetrica_frames.util.files import PRIVATE_FILE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from filelock import BaseFileLock

# What file systems without locks answer.
UNSUPPORTED = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP}
SLICE = 0.2  # seconds for which a lock is waited for at a time


class Locks:
    """The lock files of a cache. The operating system releases the lock of a process that dies."""

    def __init__(self, folder: Path, make_folder: Callable[[Path], Path]) -> None:
        self._folder = folder
        self._make_folder = make_folder

    @contextmanager
    def acquire(
        self, key: str, *, timeout: float, on_wait: Callable[[], None], check: Callable[[], None] | None = None
    ) -> Iterator[None]:
        """Hold the lock of a key; call `on_wait` once if another process holds it.

        Parameters
        ----------
        check
            Called again and again while the lock is waited for; what it raises ends the wait.

        Raises
        ------
        TimeoutError
            If it is held for longer than `timeout` seconds.
        """
        lock = self._open(key)
        _acquire(lock, timeout=timeout, on_wait=on_wait, check=check)
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def try_acquire(self, key: str) -> Iterator[bool]:
        """Hold the lock of a key if nobody else holds it, and tell whether it is held now."""
        try:
            lock = self._open(key)
            _acquire(lock)
        except OSError:  # another process holds it; or the cache cannot be written to, and so not changed either
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    def hold(self, key: str) -> Callable[[], None] | None:
        """Hold the lock of a key until the function that is returned is called; None if somebody else holds it.

        Raises
        ------
        OSError
            If there can be no lock files.
        """
        lock = self._open(key)
        try:
            _acquire(lock)
        except TimeoutError:
            return None
        return lock.release

    def is_held(self, key: str) -> bool:
        """Tell whether a lock is held, without writing anything."""
        try:
            handle = os.open(self._folder / f"{key}.lock", os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        except OSError:
            return False
        try:
            return _is_locked(handle)
        finally:
            os.close(handle)

    def _open(self, key: str) -> BaseFileLock:
        from filelock import FileLock

        return FileLock(self._make_folder(self._folder) / f"{key}.lock", mode=PRIVATE_FILE, thread_local=False)


def _acquire(
    lock: BaseFileLock,
    *,
    timeout: float = 0.0,
    on_wait: Callable[[], None] | None = None,
    check: Callable[[], None] | None = None,
) -> None:
    """Acquire a lock or raise `TimeoutError`; where the file system has no locks, go on without.

    Two processes may then fetch the same export; each publishes a whole one.
    """
    try:
        lock.acquire(blocking=False)
    except TimeoutError:
        if on_wait is None:
            raise
        on_wait()
        _wait(lock, timeout, check)
    except NotImplementedError:
        return
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise


def _wait(lock: BaseFileLock, timeout: float, check: Callable[[], None] | None) -> None:
    deadline = time.monotonic() + timeout
    while True:
        if check is not None:
            check()
        left = deadline - time.monotonic()
        try:
            lock.acquire(timeout=max(0.0, min(SLICE, left)))
        except TimeoutError:
            if left <= SLICE:
                raise
        else:
            return


def _is_locked(handle: int) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows refuses to open a locked file for reading bytes of it
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    fcntl.flock(handle, fcntl.LOCK_UN)
    return False
