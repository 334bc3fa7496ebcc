"""Where the files of a dataset are: a directory, or a prefix of a bucket. A file is there as a whole or not at all.

A directory has a folder of ours, `.sync`, beside the data: locks, and files that are being written. Whoever reads the
data never sees it.
"""

from __future__ import annotations

import os
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import pyarrow as pa
from pyarrow import fs

from appmetrica_frames.cache.locks import Locks
from appmetrica_frames.errors import AppMetricaError, DatasetError, InvalidRequestError
from appmetrica_frames.util.durations import DAY
from appmetrica_frames.util.files import TEMPORARY, flush

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

OWN_FOLDER = ".sync"
HIDDEN = (".", "_")  # readers of datasets pass over such names
S3 = "s3://"
ENDPOINT_VARIABLES = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
REGION_VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION")


class StoredFile(NamedTuple):
    """A file: its path below the place of the dataset, its size in bytes, and when it was written."""

    path: str
    size: int
    written_at: float


class Storage(Protocol):
    """A place for files."""

    @property
    def place(self) -> str:
        """The address."""

    def list_files(self, folder: str) -> list[StoredFile]:
        """Return the files below a folder, but not the hidden ones."""

    def open(self, path: str) -> Any:
        """Open a file to read."""

    def publish(self, path: str, write: Callable[[Path], None]) -> int:
        """Replace a file by what `write` writes to a local path, and return its size."""

    def lock(self, name: str, *, timeout: float, on_wait: Callable[[], None]) -> AbstractContextManager[None]:
        """Keep other processes out, where that is possible; raise `TimeoutError`."""


def open_storage(to: str | os.PathLike[str], filesystem: fs.FileSystem | None = None) -> Storage:
    """Return the storage that an address names."""
    address = os.fspath(to) if isinstance(to, (str, os.PathLike)) else None
    is_bucket = filesystem is not None or (address or "").startswith(S3)
    if not address or not address.strip() or (not is_bucket and "://" in address):
        raise InvalidRequestError(f"to takes a directory or an address like s3://bucket/prefix, not {to!r}.")
    if is_bucket:
        return _open_bucket(address, filesystem)
    return Directory(Path(address).expanduser().absolute())


class Directory:
    """A directory of this machine, or of a shared file system."""

    def __init__(self, root: Path) -> None:
        self._root = root
        with explain_failure(f"{root} cannot be opened"):
            is_in_the_way = root.exists() and not root.is_dir()
        if is_in_the_way:
            raise InvalidRequestError(f"The dataset cannot be kept in {root}: a file is in the way.")

    @property
    def place(self) -> str:
        """The path."""
        return str(self._root)

    def list_files(self, folder: str) -> list[StoredFile]:
        """Return the files below a folder, but not the hidden ones."""
        with explain_failure(f"The dataset in {self.place} cannot be read"):
            return [self._describe(path) for path in _walk(self._root / folder)]

    def open(self, path: str) -> Any:
        """Open a file to read."""
        return pa.OSFile(str(self._root / path), "rb")

    def publish(self, path: str, write: Callable[[Path], None]) -> int:
        """Replace a file by what `write` writes to a local path, and return its size."""
        target = self._root / path
        temporary = self._root / OWN_FOLDER / f"{uuid.uuid4().hex}{TEMPORARY}"
        with explain_failure(f"{target} cannot be written"):
            try:
                temporary.parent.mkdir(parents=True, exist_ok=True)
                write(temporary)
                return _move(temporary, target)
            finally:
                with suppress(OSError):  # moved into place already; or a leftover, for a later sync
                    temporary.unlink()

    @contextmanager
    def lock(self, name: str, *, timeout: float, on_wait: Callable[[], None]) -> Iterator[None]:
        """Keep other processes out; raise `TimeoutError`."""
        locks = Locks(self._root / OWN_FOLDER, _make_folder)
        with locks.acquire(name, timeout=timeout, on_wait=on_wait):
            _sweep(self._root / OWN_FOLDER)
            yield

    def _describe(self, path: Path) -> StoredFile:
        found = path.stat()
        return StoredFile(path.relative_to(self._root).as_posix(), found.st_size, found.st_mtime)


class Bucket:
    """A prefix of a bucket, without locks: of two processes that write a file the last one wins, with a whole file."""

    def __init__(self, filesystem: fs.FileSystem, root: str) -> None:
        self._filesystem = filesystem
        self._root = root

    @property
    def place(self) -> str:
        """The address."""
        return f"{S3}{self._root}"

    def list_files(self, folder: str) -> list[StoredFile]:
        """Return the files below a folder, but not the hidden ones."""
        with explain_failure(f"The dataset in {self.place} cannot be read"):
            selector = fs.FileSelector(f"{self._root}/{folder}", allow_not_found=True, recursive=True)
            found = [info for info in self._filesystem.get_file_info(selector) if info.type == fs.FileType.File]
        files = [
            StoredFile(info.path.removeprefix(f"{self._root}/"), info.size, (info.mtime_ns or 0) / 1e9)
            for info in found
        ]
        return [file for file in files if not any(name.startswith(HIDDEN) for name in file.path.split("/"))]

    def open(self, path: str) -> Any:
        """Open a file to read."""
        return self._filesystem.open_input_file(f"{self._root}/{path}")

    def publish(self, path: str, write: Callable[[Path], None]) -> int:
        """Replace a file by what `write` writes to a local path, and return its size."""
        with explain_failure(f"{self.place}/{path} cannot be written"), TemporaryDirectory() as directory:
            local = Path(directory) / "data"
            write(local)
            # Arrow completes an object whose stream is dropped, however little it has got. In a thread, which no
            # signal reaches, nothing comes between the stream's first byte and its last.
            with ThreadPoolExecutor(1, "appmetrica-frames-upload") as thread:
                thread.submit(self._upload, local, path).result()
            return local.stat().st_size

    @contextmanager
    def lock(self, name: str, *, timeout: float, on_wait: Callable[[], None]) -> Iterator[None]:  # noqa: ARG002 - as in a directory
        """Do nothing: there are no locks."""
        yield

    def _upload(self, local: Path, path: str) -> None:
        content = pa.memory_map(str(local)).read_buffer()
        stream = self._filesystem.open_output_stream(f"{self._root}/{path}")
        stream.write(content)
        stream.close()


@contextmanager
def explain_failure(what: str) -> Iterator[None]:
    """Raise `DatasetError` for what the file system or Arrow says."""
    try:
        yield
    except AppMetricaError:
        raise
    except (OSError, pa.ArrowException) as error:
        raise DatasetError(f"{what} ({error}). What was published before stays; the same call goes on.") from error


def _open_bucket(address: str, filesystem: fs.FileSystem | None) -> Bucket:
    root = address.removeprefix(S3).strip("/")
    if not root or any(sign in root for sign in "@?#"):
        raise InvalidRequestError(
            "to takes an address like s3://bucket/prefix. Endpoint and credentials come from the environment "
            "(AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY), or from filesystem."
        )
    if filesystem is not None and not isinstance(filesystem, fs.S3FileSystem):
        raise InvalidRequestError(
            f"filesystem takes a pyarrow.fs.S3FileSystem, not {type(filesystem).__name__}: other file systems show "
            "files that are not whole yet. A shared file system is a directory."
        )
    with explain_failure(f"{S3}{root} cannot be opened"):
        return Bucket(filesystem or _open_s3(root.partition("/")[0], os.environ), root)


def _open_s3(bucket: str, environ: Mapping[str, str]) -> fs.S3FileSystem:
    """Return the file system that the usual environment variables describe; Arrow itself heeds most of them."""
    endpoint = _first(environ, ENDPOINT_VARIABLES)
    region = _first(environ, REGION_VARIABLES) or (None if endpoint else fs.resolve_s3_region(bucket))
    # A small file is one PUT.
    options: dict[str, Any] = {"allow_delayed_open": True}
    return fs.S3FileSystem(region=region, endpoint_override=endpoint, **options)


def _first(environ: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((environ[name] for name in names if environ.get(name)), None)


def _walk(folder: Path) -> Iterator[Path]:
    for path, folders, names in os.walk(folder, onerror=_raise_unless_missing):
        folders[:] = [name for name in folders if not name.startswith(HIDDEN)]
        yield from (Path(path) / name for name in names if not name.startswith(HIDDEN))


def _raise_unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _make_folder(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _move(temporary: Path, target: Path) -> int:
    """Move a file into its place, so that a crash of the machine leaves the old file or the new one."""
    flush(temporary)
    size = temporary.stat().st_size
    _make_folder(target.parent)
    temporary.replace(target)
    flush(target.parent)
    return size


def _sweep(folder: Path) -> None:
    """Remove files that were being written when their process ended."""
    with suppress(OSError):
        for path in folder.glob(f"*{TEMPORARY}"):
            if time.time() - path.stat().st_mtime > DAY:
                path.unlink()
