"""What this package does, through its public functions; `cases` says whether the cache is empty before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .exports import ID
from .job import combine, summarize, summarize_pandas, summarize_parquet, summarize_polars

if TYPE_CHECKING:
    from collections.abc import Iterator

    from appmetrica_frames import Client

    from .job import Job, Summary


def read_polars(job: Job) -> Iterator[Summary | None]:
    yield None
    from appmetrica_frames import read_appmetrica

    frame = read_appmetrica(job.resource, **job.parameters, client=_client(job))
    yield None
    yield summarize_polars(frame)


def read_pandas(job: Job) -> Iterator[Summary | None]:
    yield None
    from appmetrica_frames import read_appmetrica

    frame = read_appmetrica(job.resource, **job.parameters, backend="pandas", client=_client(job))
    yield None
    yield summarize_pandas(frame)


def iterate(job: Job) -> Iterator[Summary | None]:
    yield None
    from appmetrica_frames import iter_appmetrica

    with iter_appmetrica(job.resource, **job.parameters, client=_client(job)) as batches:
        columns = len(batches.schema)
        pieces = [summarize(batch.column(ID).to_numpy(), columns) for batch in batches]
    yield None
    yield combine(pieces, columns)


def download(job: Job) -> Iterator[Summary | None]:
    yield None
    from appmetrica_frames import download_appmetrica

    (path,) = download_appmetrica(job.resource, **job.parameters, client=_client(job))
    yield None
    yield summarize_parquet(path)


def _client(job: Job) -> Client:
    from appmetrica_frames import Client

    return Client(job.token, base_url=job.base_url, cache_dir=job.folder, poll=(0, 0), progress=False)
