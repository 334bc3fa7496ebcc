"""What people write without this package."""

from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO
from typing import TYPE_CHECKING

from .exports import APPLICATION_ID, FIRST_DAY, LAST_DAY
from .job import found_by_pandas, found_by_polars

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .job import Found, Job

ACCEPTED = 202


def httpx_polars(job: Job) -> Iterator[Found | None]:
    import httpx  # noqa: F401
    import polars as pl

    yield None
    frame = pl.read_csv(_got(job))
    frame.write_parquet(job.room / "export.parquet")
    yield None
    yield found_by_polars(frame)


def httpx_pandas(job: Job) -> Iterator[Found | None]:
    import httpx  # noqa: F401
    import pandas as pd
    import pyarrow.parquet as pq  # noqa: F401

    yield None
    frame = pd.read_csv(BytesIO(_got(job)))
    frame.to_parquet(job.room / "export.parquet")
    yield None
    yield found_by_pandas(frame)


def pypi_pandas(job: Job) -> Iterator[Found | None]:
    """Use the client that PyPI has, which gives bytes; its waits are patched to zero."""
    import pandas as pd
    from appmetrica_logs_api import AppMetrica, client

    client.sleep = lambda _: None
    asking = AppMetrica(job.token)
    asking._api_endpoint = job.url.rpartition("/")[0]  # noqa: SLF001 - it has no other way to be told
    first, last = (datetime.fromisoformat(day).replace(tzinfo=UTC) for day in (FIRST_DAY, LAST_DAY))
    yield None
    body = asking.export(
        job.resource, str(APPLICATION_ID), date_from=first, date_to=last, cache_control="max-age=86400"
    )
    frame = pd.read_csv(BytesIO(body))
    yield None
    yield found_by_pandas(frame)


def bare_polars(job: Job) -> Iterator[Found | None]:
    import polars as pl

    path = job.stored
    yield None
    frame = pl.read_parquet(path)
    yield None
    yield found_by_polars(frame)


def bare_pandas(job: Job) -> Iterator[Found | None]:
    import pandas as pd
    import pyarrow.parquet as pq  # noqa: F401

    path = job.stored
    yield None
    frame = pd.read_parquet(path, dtype_backend="pyarrow")
    yield None
    yield found_by_pandas(frame)


def _got(job: Job) -> bytes:
    import httpx

    headers = {"Authorization": f"OAuth {job.token}"}
    query = {"application_id": str(APPLICATION_ID), "date_since": FIRST_DAY, "date_until": LAST_DAY}
    while True:
        answer = httpx.get(job.url, params=query, headers=headers, timeout=None)  # noqa: S113 - nothing hangs here
        if answer.status_code != ACCEPTED:
            return answer.raise_for_status().content
