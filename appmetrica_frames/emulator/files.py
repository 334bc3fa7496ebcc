"""Prepared files: gzip bytes in memory while small, on disk when big."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from isal import isal_zlib

if TYPE_CHECKING:
    from collections.abc import Iterator


IN_MEMORY = 4 << 20
CHUNK = 256 << 10
GZIP = 31


@dataclass(frozen=True, slots=True)
class PreparedFile:
    """The outcome of a job: a status, and a body kept as gzip."""

    status: int
    media_type: str
    packed: bytes | Path
    packed_length: int
    plain_length: int

    def gzip_chunks(self) -> Iterator[bytes]:
        if isinstance(self.packed, bytes):
            yield from (self.packed[start : start + CHUNK] for start in range(0, len(self.packed), CHUNK))
            return
        with self.packed.open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk

    def plain_chunks(self) -> Iterator[bytes]:
        unpack = isal_zlib.decompressobj(wbits=GZIP)
        for chunk in self.gzip_chunks():
            plain = unpack.decompress(chunk, CHUNK)
            while plain:
                yield plain
                plain = unpack.decompress(unpack.unconsumed_tail, CHUNK)

    def discard(self) -> None:
        if isinstance(self.packed, Path):
            # Where an open file cannot be removed, the directory's own cleaning will take it.
            with suppress(OSError):
                self.packed.unlink()


class Shelf:
    """The directory of big prepared files; it exists only while there is one."""

    def __init__(self) -> None:
        self._directory: TemporaryDirectory[str] | None = None
        self._numbers = count()

    def path(self) -> Path:
        if self._directory is None:
            self._directory = TemporaryDirectory(prefix="appmetrica-emulator-", ignore_cleanup_errors=True)
        return Path(self._directory.name) / f"{next(self._numbers)}.gz"

    def clear(self) -> None:
        if self._directory is not None:
            self._directory.cleanup()
            self._directory = None


@dataclass(slots=True)
class FileWriter:
    """Packs what is written; moves to disk when it grows."""

    shelf: Shelf
    status: int
    media_type: str
    _memory: bytearray = field(default_factory=bytearray)
    _path: Path | None = None
    _packed_length: int = 0
    _plain_length: int = 0
    _pack: Any = field(default_factory=lambda: isal_zlib.compressobj(1, wbits=GZIP))

    def write(self, plain: bytes) -> None:
        self._plain_length += len(plain)
        self._keep(self._pack.compress(plain))

    def close(self) -> PreparedFile:
        self._keep(self._pack.flush())
        if self._path is not None:
            self._spill()
        packed = bytes(self._memory) if self._path is None else self._path
        return PreparedFile(self.status, self.media_type, packed, self._packed_length, self._plain_length)

    def _keep(self, packed: bytes) -> None:
        self._packed_length += len(packed)
        self._memory += packed
        if len(self._memory) > IN_MEMORY:
            self._spill()

    def _spill(self) -> None:
        self._path = self._path or self.shelf.path()
        with self._path.open("ab") as file:
            file.write(self._memory)
        self._memory.clear()

    def abandon(self) -> None:
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def whole_file(shelf: Shelf, status: int, media_type: str, body: bytes) -> PreparedFile:
    writer = FileWriter(shelf, status, media_type)
    writer.write(body)
    return writer.close()
