"""Temporary directories that are removed when their process ends, or by whoever looks for old ones afterwards."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from .durations import DAY

if TYPE_CHECKING:
    from contextlib import ExitStack

PREFIX = "appmetrica_frames-"
NAME = re.compile(rf"{PREFIX}(\d+)-\w+")


def make_temporary_directory(scope: ExitStack) -> Path:
    """Make a directory that is removed when the scope is left, but not when a forked child leaves it."""
    owner = os.getpid()
    directory = tempfile.mkdtemp(prefix=f"{PREFIX}{owner}-")

    def remove() -> None:
        if os.getpid() == owner:
            shutil.rmtree(directory, ignore_errors=True)

    scope.callback(remove)
    return Path(directory)


def find_abandoned_directories(now: float) -> list[Path]:
    """Return the temporary directories of ours that are more than a day old and whose process is gone."""
    try:
        with os.scandir(tempfile.gettempdir()) as entries:
            return sorted(Path(entry.path) for entry in entries if _is_abandoned(entry, now))
    except OSError:
        return []


def _is_abandoned(entry: os.DirEntry[str], now: float) -> bool:
    found = NAME.fullmatch(entry.name)
    if found is None or not entry.is_dir(follow_symlinks=False):
        return False
    facts = entry.stat(follow_symlinks=False)
    is_ours = not hasattr(os, "getuid") or facts.st_uid == os.getuid()
    return is_ours and facts.st_mtime < now - DAY and not _is_running(int(found[1]))


def _is_running(pid: int) -> bool:
    if os.name == "nt":
        return False  # Windows refuses to remove what is open
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
