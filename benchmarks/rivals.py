"""What people write without this package."""

from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO
from typing import TYPE_CHECKING

from .exports import APPLICATION_ID, FIRST_DAY, LAST_DAY
from .job import summarize_pandas, summarize_polars

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .job import Job, Summary

ACCEPTED = 202


def httpx_polars(job: Job) -> Iterator[Summary | None]:
    yield None
    import polars as pl

    frame = pl.read_csv(_download(job))
    frame.write_parquet(job.folder / "export.parquet")
    yield None
    yield summarize_polars(frame)


def httpx_pandas(job: Job) -> Iterator[Summary | None]:
    yield None
    import pandas as pd

    frame = pd.read_csv(BytesIO(_download(job)))
    frame.to_parquet(job.folder / "export.parquet")
    yield None
    yield summarize_pandas(frame)


def pypi_pandas(job: Job) -> Iterator[Summary | None]:
    """Use the client on PyPI, which returns bytes; its pauses are patched to zero."""
    yield None
    import pandas as pd
    from appmetrica_logs_api import AppMetrica, client

    client.sleep = lambda _: None
    exporter = AppMetrica(job.token)
    exporter._api_endpoint = job.url.rpartition("/")[0]  # noqa: SLF001 - it takes no address
    first, last = (datetime.fromisoformat(day).replace(tzinfo=UTC) for day in (FIRST_DAY, LAST_DAY))
    body = exporter.export(
        job.resource, str(APPLICATION_ID), date_from=first, date_to=last, cache_control="max-age=86400"
    )
    frame = pd.read_csv(BytesIO(body))
    yield None
    yield summarize_pandas(frame)


def bare_polars(job: Job) -> Iterator[Summary | None]:
    path = job.parquet
    yield None
    import polars as pl

    frame = pl.read_parquet(path)
    yield None
    yield summarize_polars(frame)


def bare_pandas(job: Job) -> Iterator[Summary | None]:
    path = job.parquet
    yield None
    import pandas as pd

    frame = pd.read_parquet(path, dtype_backend="pyarrow")
    yield None
    yield summarize_pandas(frame)


def _download(job: Job) -> bytes:
    import httpx

    headers = {"Authorization": f"OAuth {job.token}"}
    query = {"application_id": str(APPLICATION_ID), "date_since": FIRST_DAY, "date_until": LAST_DAY}
    while True:
        answer = httpx.get(job.url, params=query, headers=headers, timeout=None)  # noqa: S113 - nothing hangs here
        if answer.status_code != ACCEPTED:
            return answer.raise_for_status().content
