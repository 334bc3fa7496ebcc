"""The ways of this package, each from an empty store to a published file unless it says ``again``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from .exports import ID
from .job import added, found, found_by_pandas, found_by_polars, found_in_parquet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from appmetrica_frames import Client

    from .job import Found, Job


def to_polars(job: Job) -> Iterator[Found | None]:
    import polars as pl  # noqa: F401 - what it takes to import libraries is not measured here

    client = _client(job)
    from appmetrica_frames import read_appmetrica

    yield None
    frame = read_appmetrica(job.resource, **job.words, client=client)
    yield None
    yield found_by_polars(frame)


def to_pandas(job: Job) -> Iterator[Found | None]:
    import pandas as pd  # noqa: F401

    client = _client(job)
    from appmetrica_frames import read_appmetrica

    yield None
    frame = read_appmetrica(job.resource, **job.words, backend="pandas", client=client)
    yield None
    yield found_by_pandas(frame)


def iterated(job: Job) -> Iterator[Found | None]:
    client = _client(job)
    from appmetrica_frames import iter_appmetrica

    yield None
    with iter_appmetrica(job.resource, **job.words, client=client) as batches:
        columns = len(batches.schema)
        pieces = [found(batch.column(ID).to_numpy(), columns) for batch in batches]
    yield None
    yield added(pieces, columns)


def downloaded(job: Job) -> Iterator[Found | None]:
    client = _client(job)
    from appmetrica_frames import download_appmetrica

    yield None
    (path,) = download_appmetrica(job.resource, **job.words, client=client)
    yield None
    yield found_in_parquet(path)


def to_polars_again(job: Job) -> Iterator[Found | None]:
    import polars as pl  # noqa: F401

    from appmetrica_frames import read_appmetrica
    from appmetrica_frames.integrations import reading  # noqa: F401

    yield None
    frame = read_appmetrica(job.resource, **job.words, client=_settings(job))
    yield None
    yield found_by_polars(frame) | _imported()


def to_pandas_again(job: Job) -> Iterator[Found | None]:
    import pandas as pd  # noqa: F401
    import pyarrow.parquet as pq  # noqa: F401

    from appmetrica_frames import read_appmetrica
    from appmetrica_frames.integrations import reading  # noqa: F401

    yield None
    frame = read_appmetrica(job.resource, **job.words, backend="pandas", client=_settings(job))
    yield None
    yield found_by_pandas(frame) | _imported()


def _client(job: Job) -> Client:
    from appmetrica_frames.engine import fetch  # noqa: F401
    from appmetrica_frames.integrations import reading  # noqa: F401

    return _settings(job)


def _settings(job: Job) -> Client:
    from appmetrica_frames import Client

    return Client(job.token, base_url=job.base_url, cache_dir=job.room, poll=(0, 0), progress=False)


def _imported() -> Any:
    return {"imported_httpx": "httpx" in sys.modules}
