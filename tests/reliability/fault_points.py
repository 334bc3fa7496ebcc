"""Every file operation below a directory, counted; the chosen one fails, or kills the process.

Run as a script, it forks a process for each line "<directory> <n>" that it reads: an export is downloaded into a cache
there, or synced into a dataset, and the n-th operation below the directory is answered with SIGKILL. It prints how the
process ended.
"""

from __future__ import annotations

import errno
import importlib
import io
import json
import os
import signal
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from unittest.mock import patch

import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES)
BY_PATH = [
    *("access", "chmod", "link", "listdir", "lstat", "mkdir", "open", "readlink", "remove", "rename", "replace"),
    *("rmdir", "scandir", "stat", "symlink", "unlink", "utime"),
]
BY_HANDLE = ["close", "fchmod", "fdatasync", "fstat", "fsync", "ftruncate"]
BY_FILE = ["close", "flush", "read", "readinto", "write"]


@dataclass
class Points:
    """The operations seen so far, and what happens at one of them.

    Attributes
    ----------
    below
        Only operations on what lies below this directory count.
    fatal
        The number of the operation, from 1, that does not succeed; 0 lets all succeed.
    """

    below: Path
    fatal: int = 0
    happens: Callable[[str], None] = lambda _: None
    seen: list[str] = field(default_factory=list)
    handles: dict[int, str] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def concerns(self, path: Any) -> bool:
        if isinstance(path, int):
            return path in self.handles
        try:
            return Path(os.fsdecode(path)).is_relative_to(self.below)
        except TypeError:
            return False

    def reach(self, operation: str, path: Any) -> None:
        with self.lock:
            name = self.handles.get(path, "?") if isinstance(path, int) else os.fsdecode(path)
            self.seen.append(f"{operation} {Path(name).name}")
            fatal = len(self.seen) == self.fatal
        if fatal:
            self.happens(operation)


def failing(error: int) -> Callable[[str], None]:
    def fail(operation: str) -> None:
        raise OSError(error, f"{os.strerror(error)} (injected into {operation})")

    return fail


def killing(_: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class _File:
    """An open file whose operations are points, too."""

    def __init__(self, file: Any, points: Points, path: Any) -> None:
        self._file = file
        self._points = points
        self._path = path

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._file, name)
        if name not in BY_FILE:
            return method

        def watched(*args: Any) -> Any:
            try:
                self._points.reach(f"file.{name}", self._path)
            except OSError:
                if name == "write":  # half of it came through
                    method(args[0][: len(args[0]) // 2])
                if name == "close":  # it is closed nevertheless
                    method()
                raise
            return method(*args)

        return watched

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.__getattr__("close")()


@contextmanager
def watched(points: Points) -> Iterator[Points]:
    """Count operations of `os`, of open files, of `fcntl` and of Arrow's writer for as long as the block lasts."""
    import fcntl

    with (
        patch.multiple(os, **{name: _by_path(name, points) for name in BY_PATH}),
        patch.multiple(os, **{name: _by_handle(name, points) for name in BY_HANDLE if hasattr(os, name)}),
        patch.object(io, "open", _opener(io.open, points)),
        patch.object(os, "fdopen", _opener(os.fdopen, points)),
        patch.object(fcntl, "flock", _flock(fcntl, points)),
        patch.object(pq, "ParquetWriter", _writer(points)),
        patch.object(pq, "ParquetFile", _reader(points)),
    ):
        yield points


def _by_path(name: str, points: Points) -> Any:
    original = getattr(os, name)

    def operation(path: Any = ".", *args: Any, **kwargs: Any) -> Any:
        if not points.concerns(path):
            return original(path, *args, **kwargs)
        points.reach(name, path)
        done = original(path, *args, **kwargs)
        if name == "open":
            points.handles[done] = os.fsdecode(path)
        return done

    return operation


def _by_handle(name: str, points: Points) -> Any:
    original = getattr(os, name)

    def operation(handle: Any, *args: Any, **kwargs: Any) -> Any:
        if not points.concerns(handle):
            return original(handle, *args, **kwargs)
        try:
            points.reach(name, handle)
        finally:
            if name == "close":  # a close that fails has closed nevertheless
                points.handles.pop(handle, None)
                original(handle)
        return None if name == "close" else original(handle, *args, **kwargs)

    return operation


def _opener(original: Any, points: Points) -> Any:
    def operation(path: Any, *args: Any, **kwargs: Any) -> Any:
        if not points.concerns(path):
            return original(path, *args, **kwargs)
        name = points.handles.pop(path) if isinstance(path, int) else path
        try:
            points.reach("open", name)
        except OSError:
            if isinstance(path, int):
                os.close(path)
            raise
        return _File(original(path, *args, **kwargs), points, name)

    return operation


def _flock(fcntl: Any, points: Points) -> Any:
    original = fcntl.flock

    def operation(handle: int, how: int) -> None:
        # Giving up a lock does not fail: there is nothing that the system would have to find or to write.
        if points.concerns(handle) and how != fcntl.LOCK_UN:
            points.reach("flock", handle)
        original(handle, how)

    return operation


def _writer(points: Points) -> Any:
    class Writer(pq.ParquetWriter):  # type: ignore[misc]
        def __init__(self, where: Any, *args: Any, **kwargs: Any) -> None:
            self.is_open = False
            self._where = where
            self._reach("create")
            super().__init__(where, *args, **kwargs)

        def write_table(self, *args: Any, **kwargs: Any) -> None:
            self._reach("write_table")
            super().write_table(*args, **kwargs)

        def close(self) -> None:
            if not self.is_open:
                return
            try:
                self._reach("finish")
            finally:
                super().close()

        def _reach(self, what: str) -> None:
            if points.concerns(self._where):
                points.reach(f"parquet.{what}", self._where)

    return Writer


def _reader(points: Points) -> Any:
    class Reader(pq.ParquetFile):  # type: ignore[misc]
        def __init__(self, source: Any, *args: Any, **kwargs: Any) -> None:
            # Parts that are joined; not the file that is read at last, which Polars opens without Python, too.
            if points.concerns(source) and str(source).endswith(".tmp"):
                points.reach("parquet.open", source)
            super().__init__(source, *args, **kwargs)

    return Reader


def serve() -> None:
    """Fork a process for each line that is read; see the module."""
    for name in (
        "appmetrica_frames.engine.fetch",
        "appmetrica_frames.integrations.dataset",
        "filelock",
        "isal.isal_zlib",
    ):
        importlib.import_module(name)
    settings = json.loads(sys.stdin.readline())
    for line in sys.stdin:
        directory, number = json.loads(line)
        child = os.fork()
        if child == 0:
            _child(settings, Path(directory), number)
        _, status = os.waitpid(child, 0)
        ended = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        sys.stdout.write(f"{ended}\n")
        sys.stdout.flush()


def _child(settings: dict[str, Any], directory: Path, number: int) -> None:
    import appmetrica_frames as af

    status = 1
    try:
        client = af.Client(**{"cache_dir": directory, "progress": False, **settings["client"]})
        points = Points(directory, number, killing)
        is_sync = settings.get("function") == "sync_appmetrica"
        call = partial(af.sync_appmetrica, to=directory) if is_sync else af.download_appmetrica
        with watched(points):
            call(client=client, **settings["words"])
        (directory.parent / "seen").write_text("\n".join(points.seen))
        status = 0
    finally:
        os._exit(status)


if __name__ == "__main__":
    serve()
