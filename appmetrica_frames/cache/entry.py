"""What the cache knows of an export: the record of a cached one, and the job of one that is still being prepared."""

from __future__ import annotations

import json
import math
import re
import zlib
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from appmetrica_frames.request.part import MAX_PARTS
from appmetrica_frames.util.durations import DAY

from .policy import FileTimes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
RECORD_VERSION = 2
MAX_RECORD_BYTES = 4 << 20
VERSION_NAME = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedExport:
    """One export in the cache.

    Attributes
    ----------
    key : str
        Its name in the cache.
    resource : str
        What was exported.
    request : dict
        The parameters that were sent.
    origin : str
        Scheme, host and port of the server.
    fields : tuple of str
        The columns of the file.
    is_limited : bool
        Whether ``limit`` capped the rows.
    text_columns : dict
        Columns that did not fit their type and are kept as text, each with the reason.
    path : pathlib.Path
        Its Parquet file.
    rows, size : int
        Number of rows; bytes on disk.
    checksum : int
        CRC-32 of the Parquet file.
    built_not_before, fetched_at : datetime
        UTC: the earliest instant at which the server can have built the file; when it was fetched.
    """

    key: str
    resource: str
    request: dict[str, Any]
    origin: str
    fields: tuple[str, ...]
    is_limited: bool
    text_columns: dict[str, str]
    path: Path
    rows: int
    size: int
    checksum: int
    built_not_before: datetime
    fetched_at: datetime

    @property
    def times(self) -> FileTimes:
        """The instants that freshness is decided by."""
        return FileTimes(self.built_not_before.timestamp(), self.fetched_at.timestamp())

    @property
    def version(self) -> str:
        """The name of the Parquet file, without its ending."""
        return self.path.stem

    def to_json(self) -> bytes:
        """Return the record as JSON that carries its own checksum."""
        record = {name: _to_plain(getattr(self, name)) for name in _RECORDED} | {"file": self.version}
        return json.dumps({"version": RECORD_VERSION, "export": record, "check": _check(record)}, indent=1).encode()


@dataclass(frozen=True, slots=True)
class PendingJob:
    """A job that the server has accepted and whose file is not here yet.

    Attributes
    ----------
    requested_at
        When the request that the server accepted was sent, in UNIX seconds.
    parts
        In how many parts the export was requested: an export in other parts is another job.
    part
        The number of the part that was waited for last.
    refresh
        Whether the job was requested with ``refresh=True``.
    older_file_at
        When the server had an older file of the same request, in UNIX seconds, if it had.
    """

    requested_at: float
    parts: int = 1
    part: int = 0
    refresh: bool = False
    older_file_at: float | None = None

    def is_resumable(self, now: float) -> bool:
        """Tell whether the server can still have the job, or its file."""
        return 0 <= now - self.requested_at <= DAY

    def to_json(self, request: dict[str, Any]) -> bytes:
        """Return the job as JSON, with the request for whoever lists the cache."""
        return json.dumps({**asdict(self), "request": request}).encode()


@dataclass(frozen=True, slots=True)
class PendingExport:
    """An export that the server still prepares: what was requested, and the job."""

    key: str
    resource: str
    request: dict[str, Any]
    job: PendingJob


def parse_export(text: bytes, folder: Path) -> CachedExport:
    """Return the export that a record in a folder describes; raise `ValueError` if it is damaged or not one of ours."""
    try:
        document = json.loads(text)
        record = document["export"]
        if document["version"] != RECORD_VERSION or document["check"] != _check(record):
            raise ValueError("its checksum does not match")
        values = {name: _RECORDED[name](record[name]) for name in _RECORDED}
        path = folder / f"{_version_name(record['file'])}.parquet"
        return CachedExport(path=path, key=f"{folder.parent.name}-{folder.name}", **values)
    except (KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise ValueError(f"it does not describe an export ({error!r})") from error


def parse_pending_job(text: bytes) -> PendingJob | None:
    """Return the job that a file describes, or None if it is not a sane one."""
    try:
        document = json.loads(text)
        parts, part = _parts(document["parts"]), _count(document["part"])
        if part >= parts:
            return None
        older = document.get("older_file_at")
        older_file_at = None if older is None else _instant(older)
        return PendingJob(_instant(document["requested_at"]), parts, part, _flag(document["refresh"]), older_file_at)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        return None


def parse_pending_export(text: bytes, key: str, resource: str) -> PendingExport | None:
    """Return the export that a file describes, or None if its job is not a sane one; a request may be missing."""
    job = parse_pending_job(text)
    return None if job is None else PendingExport(key, resource, _parse_request(text), job)


def _parse_request(text: bytes) -> dict[str, Any]:
    """Return the request of a pending job; empty unless it is one that can be shown."""
    request = json.loads(text).get("request")
    try:
        json.dumps(request, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return {}
    return request if isinstance(request, dict) else {}


def to_datetime(instant: float) -> datetime:
    """Return UNIX seconds as an aware datetime, rounded down: rounded up, a file could seem to be from the future."""
    numerator, denominator = instant.as_integer_ratio()
    return EPOCH + timedelta(microseconds=numerator * 1_000_000 // denominator)


def _check(record: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(record, sort_keys=True).encode())


def _to_plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _of_type(*types: type) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if type(value) not in types:
            raise ValueError(f"{value!r:.80} has another type")
        return value

    return check


_flag = _of_type(bool)


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r:.80} is not a count")
    return value


def _names(value: Any) -> tuple[str, ...]:
    if type(value) is not list or not all(type(name) is str for name in value) or not value:
        raise ValueError(f"{value!r:.80} is not a list of names")
    return tuple(value)


def _texts(value: Any) -> dict[str, str]:
    if type(value) is not dict or not all(type(text) is str for text in value.values()):
        raise ValueError(f"{value!r:.80} is not a mapping of texts")
    return value


def _datetime(value: Any) -> datetime:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError(f"{value!r:.80} has no time zone")
    return moment.astimezone(UTC)


def _instant(value: Any) -> float:
    if type(value) not in {int, float} or not math.isfinite(value) or value < 0:
        raise ValueError(f"{value!r:.80} is not an instant")
    datetime.fromtimestamp(value, UTC)  # refuses what no calendar has
    return float(value)


def _parts(value: Any) -> int:
    if _count(value) not in {1 << power for power in range(MAX_PARTS.bit_length())}:
        raise ValueError(f"{value!r:.80} is not a number of parts")
    return int(value)


def _version_name(value: Any) -> str:
    if type(value) is not str or not VERSION_NAME.fullmatch(value):
        raise ValueError(f"{value!r:.80} is not the name of a file of the cache")
    return value


_RECORDED: dict[str, Callable[[Any], Any]] = {
    "resource": _of_type(str),
    "request": _of_type(dict),
    "origin": _of_type(str),
    "fields": _names,
    "is_limited": _flag,
    "text_columns": _texts,
    "rows": _count,
    "size": _count,
    "checksum": _count,
    "built_not_before": _datetime,
    "fetched_at": _datetime,
}
