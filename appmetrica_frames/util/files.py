"""Files that are whole or not there, and that only their owner reads."""

from __future__ import annotations

import os
import stat
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING

from appmetrica_frames.errors import InvalidRequestError

if TYPE_CHECKING:
    from pathlib import Path

PRIVATE_DIRECTORY = 0o700
PRIVATE_FILE = 0o600
TEMPORARY = ".tmp"
CHECKSUM_STEP = 1 << 18


def make_private(folder: Path) -> None:
    """Make a directory that only its owner enters, whatever the umask."""
    try:
        folder.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise InvalidRequestError(
            f"The cache cannot be kept in {folder}: a file is in the way. "
            "Name another directory with Client(cache_dir=...) or APPMETRICA_CACHE_DIR."
        ) from error


def read_regular(path: Path, *, limit: int) -> bytes:
    """Return the content of a regular file of at most `limit` bytes; raise `ValueError` for anything else.

    A FIFO, a device or a directory in its place is neither waited for nor read.
    """
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("it is not a regular file")
        if found.st_size > limit:
            raise ValueError(f"it has more than {limit:,} bytes")
        return file.read(limit)


def create(path: Path) -> int:
    """Create an empty file that only its owner reads, and return its descriptor."""
    return os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE_FILE)


def replace_file(path: Path, content: bytes) -> None:
    """Replace a file atomically: a reader sees the old content or the new one."""
    beside = path.with_name(f"{path.name}.{uuid.uuid4().hex}{TEMPORARY}")
    try:
        with os.fdopen(create(beside), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        with suppress(OSError):  # moved into place already; or a leftover, for the next prune
            beside.unlink()


def flush(path: Path) -> None:
    """Flush a file, or the names in a directory, to the disk."""
    # Windows cannot open a directory; there the rename alone has to do.
    if os.name == "nt" and path.is_dir():
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def checksum(path: Path) -> int:
    """Return the CRC-32 of a file."""
    from isal import isal_zlib

    value, buffer = 0, memoryview(bytearray(CHECKSUM_STEP))
    with path.open("rb", buffering=0) as file:
        while size := file.readinto(buffer):
            value = isal_zlib.crc32(buffer[:size], value)
    return int(value)
