"""A dataset of Parquet files, partitioned by application and date in the names of its folders.

<place>/<resource>/application_id=<id>/date=<day>/data.parquet
<place>/<resource>/application_id=<id>/week=<Monday>/data.parquet
<place>/<resource>/application_id=<id>/month=<first day>/data.parquet

What a file is the export of, and how old that is, is in the file's own metadata: a machine that has nothing but the
dataset knows what is to be fetched.
"""

from __future__ import annotations

import json
import logging
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import date, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from appmetrica_frames.cache.entry import to_datetime
from appmetrica_frames.cache.policy import FileTimes
from appmetrica_frames.engine import parquet
from appmetrica_frames.engine.dataset import DATE_COLUMNS, DatasetFile, Partition
from appmetrica_frames.errors import DatasetError, InvalidRequestError
from appmetrica_frames.request.windows import first_day
from appmetrica_frames.util.durations import format_duration

from .arrow import iter_batches
from .storage import explain_failure

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from appmetrica_frames.engine.resolve import ResolvedExport
    from appmetrica_frames.request.windows import Split

    from .storage import Storage, StoredFile

log = logging.getLogger("appmetrica_frames")

FORMAT_VERSION = 1
FILE_NAME = "data.parquet"
LOCK_PATIENCE = 60.0  # seconds
READERS = 16  # files of a bucket whose metadata is read at a time
MAX_FOOTER = 1 << 20
PARTITION = re.compile(
    rf"[^/]+/application_id=([1-9][0-9]{{0,19}})/(date|week|month)=(\d{{4}}-\d\d-\d\d)/{re.escape(FILE_NAME)}"
)


class ParquetDataset:
    """The windows of one resource, below a place.

    Parameters
    ----------
    patience
        For how many seconds another process that syncs the same is waited for.
    """

    def __init__(self, storage: Storage, resource: str, split: Split, *, patience: float = LOCK_PATIENCE) -> None:
        self._storage = storage
        self._resource = resource
        self._split = split
        self._patience = patience

    @property
    def place(self) -> str:
        """The address."""
        return self._storage.place

    def describe_path(self, partition: Partition) -> str:
        """Return the address of the file of a partition."""
        return f"{self.place}/{self._path(partition)}"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from changing the dataset."""
        with ExitStack() as scope:
            self._acquire(scope)
            yield

    def _acquire(self, scope: ExitStack) -> None:
        try:
            scope.enter_context(self._storage.lock(self._resource, timeout=self._patience, on_wait=self._report_lock))
        except TimeoutError as error:
            raise DatasetError(
                f"Another process has been syncing {self._resource} in {self.place} for more than "
                f"{format_duration(self._patience)}: make the same call again when it has ended."
            ) from error
        except OSError as error:
            raise DatasetError(
                f"The dataset in {self.place} cannot be locked ({error}): the directory must be there, or one that can "
                "be made, and writable."
            ) from error

    def load(self, partitions: Collection[Partition]) -> Mapping[Partition, DatasetFile | None]:
        """Return what is there for partitions, and the newest file, first; None stands for a damaged file of ours."""
        stored = {self._parse_path(file): file for file in self._storage.list_files(self._resource)}
        newest = sorted(stored, key=lambda partition: stored[partition].written_at, reverse=True)
        wanted = [partition for number, partition in enumerate(newest) if not number or partition in partitions]
        if not wanted:
            return {}
        with ThreadPoolExecutor(min(READERS, len(wanted)), "appmetrica-frames-dataset") as threads:
            files = threads.map(lambda partition: self._load(partition, stored[partition]), wanted)
            return dict(zip(wanted, files, strict=True))

    def publish(self, partition: Partition, export: ResolvedExport, about: DatasetFile) -> DatasetFile:
        """Replace the file of a partition by an export, as a whole or not at all."""
        size = self._storage.publish(self._path(partition), partial(_write, export, _to_plain(about)))
        return DatasetFile(
            params=about.params,
            origin=about.origin,
            columns=about.columns,
            times=about.times,
            rows=about.rows,
            size=size,
        )

    def _path(self, partition: Partition) -> str:
        folder = f"application_id={partition.application_id}/{DATE_COLUMNS[self._split]}={partition.first}"
        return f"{self._resource}/{folder}/{FILE_NAME}"

    def _report_lock(self) -> None:
        log.info("another process syncs %s in %s; waiting for it", self._resource, self.place)

    def _parse_path(self, file: StoredFile) -> Partition:
        """Return the partition of a file, or refuse to work beside a file that readers would take for a part of it."""
        found = PARTITION.fullmatch(file.path)
        if found is None:
            raise self._foreign(file.path, "is not a file of this dataset, and readers would take it for one")
        if found[2] != DATE_COLUMNS[self._split]:
            splits = {column: split for split, column in DATE_COLUMNS.items()}
            raise InvalidRequestError(
                f"The dataset of {self._resource} in {self.place} has a file for each {splits[found[2]]}, and this "
                f"call asks for split={self._split!r}: ask for split={splits[found[2]]!r}, or sync to another place."
            )
        try:
            return Partition(int(found[1]), date.fromisoformat(found[3]))
        except ValueError:
            raise self._foreign(file.path, "has a date that there is not") from None

    def _load(self, partition: Partition, file: StoredFile) -> DatasetFile | None:
        with explain_failure(f"{self.place}/{file.path} cannot be read"), self._storage.open(file.path) as source:
            try:
                metadata = pq.read_metadata(source)
            except (pa.ArrowException, OSError):
                source.seek(max(0, file.size - MAX_FOOTER))
                if parquet.METADATA_KEY in source.read(MAX_FOOTER):
                    return None
                raise self._foreign(file.path, "is not a Parquet file") from None
        about = (metadata.metadata or {}).get(parquet.METADATA_KEY)
        if about is None:
            raise self._foreign(file.path, "was not written by sync_appmetrica")
        return self._check(partition, _parse(about, metadata.num_rows, file.size))

    def _check(self, partition: Partition, file: DatasetFile | None) -> DatasetFile | None:
        """Return what a file says of itself, or None if it belongs to another partition."""
        if file is None or file.params.get("application_id") != str(partition.application_id):
            return None
        return file if {first_day(moment, self._split) for moment in file.span} == {partition.first} else None

    def _foreign(self, path: str, fault: str) -> InvalidRequestError:
        return InvalidRequestError(
            f"{self.place}/{path} {fault}. Nothing is written: move the file away, or sync to another place."
        )


def _write(export: ResolvedExport, about: Mapping[str, Any], path: Path) -> None:
    items: Iterator[Any] = iter_batches([export], batch_size=parquet.GROUP_ROWS)
    parquet.write(path, next(items), parquet.build_row_groups(items), about=dict(about))


def _to_plain(file: DatasetFile) -> dict[str, Any]:
    return {
        "dataset": FORMAT_VERSION,
        "origin": file.origin,
        "request": dict(file.params),
        "columns": dict(file.columns),
        "built_not_before": to_datetime(file.times.built_not_before).isoformat(),
        "fetched_at": to_datetime(file.times.fetched_at).isoformat(),
    }


def _parse(about: bytes, rows: int, size: int) -> DatasetFile | None:
    """Return what the metadata of a file says, or None if it is damaged."""
    try:
        document = json.loads(about)
        params, columns = _texts(document["request"]), _texts(document["columns"])
        for name in ("date_since", "date_until"):
            datetime.fromisoformat(params[name])
        times = FileTimes(*(_instant(document[name]) for name in FileTimes._fields))
        if document["dataset"] != FORMAT_VERSION or type(document["origin"]) is not str:
            return None
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
        return None
    return DatasetFile(params=params, origin=document["origin"], columns=columns, times=times, rows=rows, size=size)


def _texts(value: Any) -> dict[str, str]:
    if type(value) is not dict or not all(type(text) is str for text in value.values()):
        raise ValueError(f"{value!r:.80} is not a mapping of texts")
    return value


def _instant(value: str) -> float:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError(f"{value!r:.80} has no time zone")
    return moment.timestamp()
