"""The limit: each stage of a download alone, in one thread, on what the stage before it made."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from .job import summarize_parquet

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from appmetrica_frames.schema.types import Column

    from .job import Job, Summary

SOCKET_READ = 1 << 16  # bytes


def gunzip_alone(job: Job) -> Iterator[Summary | None]:
    from appmetrica_frames.decode.body import gunzip

    chunks = _chunks(job)
    yield None
    deque(gunzip(chunks), maxlen=0)
    yield None
    yield _summarize(job)


def parse_alone(job: Job) -> Iterator[Summary | None]:
    from appmetrica_frames.decode.csv import CsvDecoder

    pieces, columns = _pieces(job), _columns(job)
    yield None
    deque(CsvDecoder(columns).decode(pieces), maxlen=0)
    yield None
    yield _summarize(job)


def encode_alone(job: Job) -> Iterator[Summary | None]:
    from appmetrica_frames.decode.decoder import build_schema
    from appmetrica_frames.engine import parquet

    path, batches, columns = job.folder / "export.parquet", _batches(job), _columns(job)
    yield None
    parquet.write(path, build_schema(columns), parquet.build_row_groups(batches), about={})
    yield None
    yield summarize_parquet(path)


def _chunks(job: Job) -> list[bytes]:
    import pyarrow as pa

    pa.set_cpu_count(1)
    with job.file.open("rb") as file:
        return list(iter(partial(file.read, SOCKET_READ), b""))


def _pieces(job: Job) -> list[bytes]:
    from appmetrica_frames.decode.body import gunzip

    return list(gunzip(_chunks(job)))


def _batches(job: Job) -> list[pa.RecordBatch]:
    from appmetrica_frames.decode.csv import CsvDecoder

    return list(CsvDecoder(_columns(job)).decode(_pieces(job)))


def _columns(job: Job) -> list[Column]:
    from appmetrica_frames.schema import catalog
    from appmetrica_frames.schema.types import Column, get_arrow_type

    resource = catalog.resource(job.resource)
    typed = ((name, resource.wire_type(name)) for name in sorted(resource.fields))
    return [Column(name, wire, get_arrow_type(wire)) for name, wire in typed]


def _summarize(job: Job) -> Summary:
    """Run the stages once more, to the end, and return the summary of the file."""
    from appmetrica_frames.decode.decoder import build_schema
    from appmetrica_frames.engine import parquet

    path = job.folder / "check.parquet"
    parquet.write(path, build_schema(_columns(job)), parquet.build_row_groups(_batches(job)), about={})
    return summarize_parquet(path)
