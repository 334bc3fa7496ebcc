"""The front door: four ways to read an export, all of them through the Parquet file that the store keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from .engine.options import order, takes_words
from .engine.resolve import lent, obtained
from .errors import InvalidRequestError
from .integrations import reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Unpack

    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from .engine.options import Words
    from .engine.order import Order
    from .integrations.reading import Backend

Answer = TypeVar("Answer")


@overload
def read_appmetrica(
    resource: str, *, store: bool = True, backend: Literal["polars"] = "polars", **words: Unpack[Words]
) -> pl.DataFrame: ...
@overload
def read_appmetrica(
    resource: str, *, store: bool = True, backend: Literal["pandas"], **words: Unpack[Words]
) -> pd.DataFrame: ...
@overload
def read_appmetrica(
    resource: str, *, store: bool = True, backend: Literal["pyarrow"], **words: Unpack[Words]
) -> pa.Table: ...
@takes_words
def read_appmetrica(
    resource: str, *, store: bool = True, backend: Backend = "polars", **words: Unpack[Words]
) -> pl.DataFrame | pd.DataFrame | pa.Table:
    """Read an export of the AppMetrica Logs API into a frame.

    The first call has the server prepare the file, which takes minutes to an hour, and keeps it as Parquet; the same
    call reads that file for as long as it is fresh enough.

    Parameters
    ----------
    {words}
    store : bool, default True
        Whether to look in the store and to keep the file there. With False the store is neither read nor written.
    backend : {"polars", "pandas", "pyarrow"}, default "polars"
        What to return.

    Returns
    -------
    polars.DataFrame, pandas.DataFrame or pyarrow.Table
        One row per exported row, in the server's order, which is none; one column per field, in the order asked. Ids
        are UInt64, ``*_timestamp`` UTC datetimes, ``*_datetime`` naive datetimes in the application's time zone,
        booleans nullable, an empty cell null. pandas columns are Arrow-backed. Without rows, the schema is the same.

    Raises
    ------
    InvalidRequestError, MissingTokenError, NotCachedError
        Before the export is asked for.
    AuthenticationError, RequestRejectedError, QuotaExceededError, ServerError, PreparationTimeoutError, DownloadError
        What the server or the network answered. Nothing is stored then.
    DecodeError, SchemaError
        The body was not the export that was asked for.

    See Also
    --------
    scan_appmetrica : for exports that are larger than memory, or of which little is needed
    iter_appmetrica : batch after batch
    download_appmetrica : for other programs

    Notes
    -----
    The conversation with the server: https://appmetrica.yandex.com/docs/en/mobile-api/logs/request-procedure

    Examples
    --------
    >>> from appmetrica_frames import read_appmetrica
    >>> events = read_appmetrica(
    ...     "events",
    ...     application_id=1111,
    ...     date_since="2024-07-01",
    ...     date_until="2024-07-07",
    ...     fields=["event_name", "event_timestamp", "appmetrica_device_id"],
    ... )
    >>> events["event_name"].value_counts().sort("count", descending=True).head(2).rows()
    [('screen_view', 5469), ('product_view', 3022)]

    The server filters; pandas takes over:

    >>> purchases = read_appmetrica(
    ...     "events",
    ...     application_id=1111,
    ...     date_since="2024-07-01",
    ...     date_until="2024-07-07",
    ...     fields=["event_json"],
    ...     filters={"event_name": "purchase"},
    ...     backend="pandas",
    ... )
    >>> len(purchases)
    84
    """
    read = reading.checked_backend(backend)
    asked = _placed(order(resource, **words), store=store)

    def answer() -> pl.DataFrame | pd.DataFrame | pa.Table:
        with obtained(asked, store=store) as export:
            return read(export)

    return _insisted(answer)


@takes_words
def scan_appmetrica(resource: str, **words: Unpack[Words]) -> pl.LazyFrame:
    """Scan an export of the AppMetrica Logs API lazily with Polars.

    The file is fetched at once where the store has none that is fresh enough; what is lazy is the reading of it. The
    store keeps a file that a younger one has replaced for another day, so that a pending LazyFrame can still collect.

    Parameters
    ----------
    {words}

    Returns
    -------
    polars.LazyFrame
        Over the stored Parquet, with the columns and dtypes of `read_appmetrica`.

    Raises
    ------
    AppMetricaError
        As `read_appmetrica` does.

    Examples
    --------
    >>> from appmetrica_frames import scan_appmetrica
    >>> lazy = scan_appmetrica("installations", application_id=1111, date_since="2024-07-01", date_until="2024-07-07")
    >>> lazy.group_by("country_iso_code").len().sort("len", descending=True).head(2).collect().rows()
    [('RU', 43), ('US', 12)]
    """
    return reading.to_lazy(lent(order(resource, **words)))


@takes_words
def iter_appmetrica(
    resource: str, *, store: bool = True, batch_size: int = 65_536, **words: Unpack[Words]
) -> pa.RecordBatchReader:
    """Iterate over an export of the AppMetrica Logs API in Arrow record batches.

    Parameters
    ----------
    {words}
    store : bool, default True
        Whether to look in the store and to keep the file there. With False the store is neither read nor written.
    batch_size : int, default 65_536
        The most rows that a batch holds.

    Returns
    -------
    pyarrow.RecordBatchReader
        A context manager, too. One batch is in memory at a time, with the columns and types of `read_appmetrica`.

    Raises
    ------
    AppMetricaError
        As `read_appmetrica` does.

    Examples
    --------
    >>> from appmetrica_frames import iter_appmetrica
    >>> with iter_appmetrica(
    ...     "events",
    ...     application_id=1111,
    ...     date_since="2024-07-01",
    ...     date_until="2024-07-07",
    ...     fields=["event_name"],
    ...     batch_size=10_000,
    ... ) as batches:
    ...     [batch.num_rows for batch in batches]
    [10000, 4537]
    """
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size <= 0:
        raise InvalidRequestError(f"batch_size takes a whole number from 1, not {batch_size!r}.")
    import pyarrow as pa

    asked = _placed(order(resource, **words), store=store)

    def begun() -> tuple[Any, Iterator[Any]]:
        pieces = _pieces(asked, store=store, batch_size=batch_size)
        return next(pieces), pieces

    return pa.RecordBatchReader.from_batches(*_insisted(begun))


@takes_words
def download_appmetrica(resource: str, **words: Unpack[Words]) -> list[Path]:
    """Download an export of the AppMetrica Logs API and return where its Parquet lies.

    Parameters
    ----------
    {words}

    Returns
    -------
    list of pathlib.Path
        Parquet files that together hold the export, for DuckDB, Spark or whatever reads Parquet. They belong to the
        store and are not to be changed. A file may hold more columns than were asked for.

    Raises
    ------
    AppMetricaError
        As `read_appmetrica` does.

    Examples
    --------
    >>> import duckdb
    >>> from appmetrica_frames import download_appmetrica
    >>> paths = download_appmetrica(
    ...     "installations", application_id=1111, date_since="2024-07-01", date_until="2024-07-07"
    ... )
    >>> duckdb.read_parquet([str(path) for path in paths]).aggregate("count(*)").fetchall()
    [(96,)]
    """
    return [lent(order(resource, **words)).path]


def _placed(asked: Order, *, store: bool) -> Order:
    if not store and asked.wish.offline:
        raise InvalidRequestError("offline=True reads the store only and store=False never does: drop one of the two.")
    return asked


def _insisted(attempt: Callable[[], Answer]) -> Answer:
    """Try again, once, should another process remove the file between its being found and its being opened."""
    try:
        return attempt()
    except FileNotFoundError:
        return attempt()


def _pieces(asked: Order, *, store: bool, batch_size: int) -> Iterator[Any]:
    """Yield the schema first, then the batches, so that the export is there before the first batch is asked for."""
    with obtained(asked, store=store) as export:
        yield from reading.pieces(export, batch_size=batch_size)
