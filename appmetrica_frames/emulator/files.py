"""Prepared files: gzip bytes, in memory while small and on disk when large."""

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


MAX_IN_MEMORY = 4 << 20
CHUNK = 256 << 10
GZIP = 31


@dataclass(frozen=True, slots=True)
class PreparedFile:
    """The result of a job: a status, and a body that is kept as gzip."""

    status: int
    media_type: str
    gzipped: bytes | Path
    gzipped_length: int
    plain_length: int

    def gzip_chunks(self) -> Iterator[bytes]:
        if isinstance(self.gzipped, bytes):
            yield from (self.gzipped[start : start + CHUNK] for start in range(0, len(self.gzipped), CHUNK))
            return
        with self.gzipped.open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk

    def plain_chunks(self) -> Iterator[bytes]:
        decompressor = isal_zlib.decompressobj(wbits=GZIP)
        for chunk in self.gzip_chunks():
            plain = decompressor.decompress(chunk, CHUNK)
            while plain:
                yield plain
                plain = decompressor.decompress(decompressor.unconsumed_tail, CHUNK)

    def discard(self) -> None:
        if isinstance(self.gzipped, Path):
            # Windows does not remove open files; the directory's clean-up does that later.
            with suppress(OSError):
                self.gzipped.unlink()


class FileStore:
    """The directory of large files, which exists only while there are any."""

    def __init__(self) -> None:
        self._directory: TemporaryDirectory[str] | None = None
        self._numbers = count()

    def new_path(self) -> Path:
        if self._directory is None:
            self._directory = TemporaryDirectory(prefix="appmetrica-emulator-", ignore_cleanup_errors=True)
        return Path(self._directory.name) / f"{next(self._numbers)}.gz"

    def clear(self) -> None:
        if self._directory is not None:
            self._directory.cleanup()
            self._directory = None


@dataclass(slots=True)
class FileWriter:
    """Compresses what is written, and moves it to disk when it is large."""

    store: FileStore
    status: int
    media_type: str
    _memory: bytearray = field(default_factory=bytearray)
    _path: Path | None = None
    _gzipped_length: int = 0
    _plain_length: int = 0
    _compressor: Any = field(default_factory=lambda: isal_zlib.compressobj(1, wbits=GZIP))

    def write(self, plain: bytes) -> None:
        self._plain_length += len(plain)
        self._append(self._compressor.compress(plain))

    def close(self) -> PreparedFile:
        self._append(self._compressor.flush())
        if self._path is not None:
            self._spill()
        gzipped = bytes(self._memory) if self._path is None else self._path
        return PreparedFile(self.status, self.media_type, gzipped, self._gzipped_length, self._plain_length)

    def _append(self, gzipped: bytes) -> None:
        self._gzipped_length += len(gzipped)
        self._memory += gzipped
        if len(self._memory) > MAX_IN_MEMORY:
            self._spill()

    def _spill(self) -> None:
        self._path = self._path or self.store.new_path()
        with self._path.open("ab") as file:
            file.write(self._memory)
        self._memory.clear()

    def discard(self) -> None:
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def write_file(store: FileStore, status: int, media_type: str, body: bytes) -> PreparedFile:
    writer = FileWriter(store, status, media_type)
    writer.write(body)
    return writer.close()
