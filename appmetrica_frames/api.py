"""The ways to read an export, each through the Parquet files that the cache keeps; the plan of a read; a dataset."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar, overload

from .cache.policy import LOOKBACK
from .engine.call import lease_exports, open_exports, retry_if_evicted
from .engine.deferred import DeferredOptions
from .engine.options import build_options
from .engine.plan import plan_exports
from .errors import InvalidRequestError, did_you_mean
from .integrations import load_backend
from .integrations.paths import list_paths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from os import PathLike
    from pathlib import Path

    import pandas as pd
    import polars as pl
    import pyarrow as pa
    from pyarrow.fs import S3FileSystem

    from .client import Client
    from .engine.options import ReadOptions
    from .integrations import Backend
    from .request.dates import Moment
    from .request.export import ApplicationIds, DateDimension, FieldNames, FilterValue, WireFormat
    from .request.windows import Split
    from .schema.catalog import ResourceName
    from .util.durations import Duration


P = ParamSpec("P")
R = TypeVar("R")


def _suggest_parameters(function: Callable[P, R]) -> Callable[P, R]:
    """Have the `TypeError` for a misspelt parameter name the nearest one."""
    known = inspect.signature(function).parameters

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        for name in kwargs:
            if name not in known:
                hint = did_you_mean(name, known)
                raise TypeError(f"{function.__name__}() got an unexpected keyword argument {name!r}.{hint}")
        return function(*args, **kwargs)

    return call


@overload
def read_appmetrica(
    resource: ResourceName | str,
    *,
    application_id: ApplicationIds,
    date_since: Moment | None = None,
    date_until: Moment | None = None,
    fields: FieldNames | None = None,
    filters: Mapping[str, FilterValue] | None = None,
    date_dimension: DateDimension = "default",
    limit: int | None = None,
    skip_unavailable_shards: bool = False,
    wire_format: WireFormat = "csv",
    split: Split | None = None,
    lookback: Duration | None = LOOKBACK,
    max_age: Duration | None = None,
    refresh: bool = False,
    offline: bool = False,
    stale_if_error: Duration | None = None,
    cache: bool = True,
    backend: Literal["polars"] = "polars",
    schema_overrides: Mapping[str, object] | None = None,
    strict: bool = False,
    client: Client | None = None,
) -> pl.DataFrame: ...
@overload
def read_appmetrica(
    resource: ResourceName | str,
    *,
    application_id: ApplicationIds,
    date_since: Moment | None = None,
    date_until: Moment | None = None,
    fields: FieldNames | None = None,
    filters: Mapping[str, FilterValue] | None = None,
    date_dimension: DateDimension = "default",
    limit: int | None = None,
    skip_unavailable_shards: bool = False,
    wire_format: WireFormat = "csv",
    split: Split | None = None,
    lookback: Duration | None = LOOKBACK,
    max_age: Duration | None = None,
    refresh: bool = False,
    offline: bool = False,
    stale_if_error: Duration | None = None,
    cache: bool = True,
    backend: Literal["pandas"],
    schema_overrides: Mapping[str, object] | None = None,
    strict: bool = False,
    client: Client | None = None,
) -> pd.DataFrame: ...
@overload
def read_appmetrica(
    resource: ResourceName | str,
    *,
    application_id: ApplicationIds,
    date_since: Moment | None = None,
    date_until: Moment | None = None,
    fields: FieldNames | None = None,
    filters: Mapping[str, FilterValue] | None = None,
    date_dimension: DateDimension = "default",
    limit: int | None = None,
    skip_unavailable_shards: bool = False,
    wire_format: WireFormat = "csv",
    split: Split | None = None,
    lookback: Duration | None = LOOKBACK,
    max_age: Duration | None = None,
    refresh: bool = False,
    offline: bool = False,
    stale_if_error: Duration | None = None,
    cache: bool = True,
    backend: Literal["pyarrow"],
    schema_overrides: Mapping[str, object] | None = None,
    strict: bool = False,
    client: Client | None = None,
) -> pa.Table: ...
@overload
def read_appmetrica(
    resource: ResourceName | str,
    *,
    application_id: ApplicationIds,
    date_since: Moment | None = None,
    date_until: Moment | None = None,
    fields: FieldNames | None = None,
    filters: Mapping[str, FilterValue] | None = None,
    date_dimension: DateDimension = "default",
    limit: int | None = None,
    skip_unavailable_shards: bool = False,
    wire_format: WireFormat = "csv",
    split: Split | None = None,
    lookback: Duration | None = LOOKBACK,
    max_age: Duration | None = None,
    refresh: bool = False,
    offline: bool = False,
    stale_if_error: Duration | None = None,
    cache: bool = True,
    backend: Backend,
    schema_overrides: Mapping[str, object] | None = None,
    strict: bool = False,
    client: Client | None = None,
) -> pl.DataFrame | pd.DataFrame | pa.Table: ...
@_suggest_parameters
def read_appmetrica(
    resource: ResourceName | str,
    *,
    application_id: ApplicationIds,
    date_since: Moment | None = None,
    date_until: Moment | None = None,
    fields: FieldNames | None = None,
    filters: Mapping[str, FilterValue] | None = None,
    date_dimension: DateDimension = "default",
    limit: int | None = None,
    skip_unavailable_shards: bool = False,
    wire_format: WireFormat = "csv",
    split: Split | None = None,
    lookback: Duration | None = LOOKBACK,
    max_age: Duration | None = None,
    refresh: bool = False,
    offline: bool = False,
    stale_if_error: Duration | None = None,
    cache: bool = True,
    backend: Backend = "polars",
    schema_overrides: Mapping[str, object] | None = None,
    strict: bool = False,
    client: Client | None = None,
) -> pl.DataFrame | pd.DataFrame | pa.Table:
    """Read an export of the AppMetrica Logs API into a frame.

    The first call has the server prepare the file, which takes minutes to an hour, and keeps it as Parquet; the same
    call reads that file for as long as it is fresh enough.

    Parameters
    ----------
    resource : str
        What to export: ``"events"``, ``"installations"`` and so on; `list_resources` lists them.
    application_id : int or list of int
        The application's number in AppMetrica, not its SDK or API key. Several applications are fetched side by side,
        and their rows come one application after another: name the field ``application_id`` to tell them apart.
    date_since, date_until : str, date or datetime
        First and last moment, both included, in the application's own time zone; also a `numpy.datetime64` or a
        `pandas.Timestamp`. A day without a time of day means its first second as ``date_since`` and its last as
        ``date_until``, and so do ``"today"``, ``"yesterday"`` and ``"7daysAgo"`` (any number of days). Moments with a
        time zone are converted to the application's, which the Management API is asked for once a day, as it is for
        relative dates. Required, except for resources that export their whole current set (`list_resources` says
        which).
    fields : list of str, optional
        The columns, in the order wanted. Default: every documented field of the resource; `list_fields` lists them.
    filters : dict, optional
        Fields and the one value that each must equal, as in ``{"event_name": "purchase"}``; the server filters.
    date_dimension : {"default", "receive"}, default "default"
        Whether the dates mean the time on the device or the time at which the server received the row.
    limit : int, optional
        The most rows to export; which ones is up to the server.
    skip_unavailable_shards : bool, default False
        Export what is reachable (a loss of at most 1 %) while AppMetrica says that its Logs API is disabled.
    wire_format : {"csv", "json"}, default "csv"
        What the server sends; the result is the same, and CSV is faster.
    split : {"day", "week", "month"}, optional
        Fetch and cache the range as calendar windows, each an export of its own. Ranges that overlap share them, and
        only those that are missing or out of date are fetched. Default: the range is one export.
    lookback : float or timedelta, optional
        With `split`: for how many seconds after its end a window can get more rows, because devices send them late.
        A file that was built later is final, whatever `max_age` says; only `refresh` replaces it. Default: 7 days
        (with ``date_dimension="receive"``, at most one). None: no file is final.
    max_age : float or timedelta, optional
        Accept a file that was built at most this many seconds ago, from the cache or the server. Default: the
        server's own rule, a file that was fetched at most 24 hours ago.
    refresh : bool, default False
        Have the server build a new file now.
    offline : bool, default False
        Never use the network; accept a cached file of any age.
    stale_if_error : float or timedelta, optional
        Fall back, with a `CacheWarning`, on a cached file that has been stale for at most this many seconds when the
        network or the server fails or its quota is used up. Off by default.
    cache : bool, default True
        Whether to look in the cache and to keep the file there. With False, the cache is neither read nor written.
    backend : {"polars", "pandas", "pyarrow"}, default "polars"
        What to return.
    schema_overrides : dict, optional
        Fields and the type wanted instead of the catalogue's: a Polars or Arrow data type or the name of an Arrow
        type. It also declares fields that the catalogue does not know, such as custom profile attributes.
    strict : bool, default False
        Raise `SchemaError` for a value that does not fit its column's type, instead of keeping the column as text
        with a `SchemaWarning`.
    client : Client, optional
        Token, server, cache and patience. Default: ``Client()``, which reads the environment variables.

    Returns
    -------
    polars.DataFrame, pandas.DataFrame or pyarrow.Table
        One row per exported row, in no guaranteed order; one column per field, in the order given. Ids
        are UInt64, ``*_timestamp`` UTC datetimes, ``*_datetime`` naive datetimes in the application's time zone,
        booleans nullable, an empty cell null. pandas columns are Arrow-backed. Without rows, the schema is the same.

    Raises
    ------
    InvalidRequestError, MissingTokenError, NotCachedError
        Before the export is requested.
    AuthenticationError, RequestRejectedError, QuotaExceededError, ServerError, PreparationTimeoutError, DownloadError
        What the server or the network answered. Nothing is cached then.
    DecodeError, SchemaError
        The body was not the requested export.

    See Also
    --------
    scan_appmetrica : for exports larger than memory, or of which little is needed
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
    read = load_backend(backend)
    options = build_options(
        resource,
        application_id=application_id,
        date_since=date_since,
        date_until=date_until,
        fields=fields,
        filters=filters,
        date_dimension=date_dimension,
        limit=limit,
        skip_unavailable_shards=skip_unavailable_shards,
        wire_format=wire_format,
        split=split,
        lookback=lookback,
        max_age=max_age,
        refresh=refresh,
        offline=offline,
        stale_if_error=stale_if_error,
        cache=cache,
        schema_overrides=schema_overrides,
        strict=strict,
        client=client,
    )

    def attempt() -> Any:
        with open_exports(options) as exports:
            return read(exports)

    frame: pl.DataFrame | pd.DataFrame | pa.Table = retry_if_evicted(attempt)
    return frame


@_suggest_parameters
def scan_appmetrica(
    resource: ResourceName | str,
    *,
    application_id: ApplicationIds,
    date_since: Moment | None = None,
    date_until: Moment | None = None,
    fields: FieldNames | None = None,
    filters: Mapping[str, FilterValue] | None = None,
    date_dimension: DateDimension = "default",
    limit: int | None = None,
    skip_unavailable_shards: bool = False,
    wire_format: WireFormat = "csv",
    split: Split | None = None,
    lookback: Duration | None = LOOKBACK,
    max_age: Duration | None = None,
    refresh: bool = False,
    offline: bool = False,
    stale_if_error: Duration | None = None,
    schema_overrides: Mapping[str, object] | None = None,
    strict: bool = False,
    client: Client | None = None,
) -> pl.LazyFrame:
    """Scan an export of the AppMetrica Logs API lazily with Polars.

    Nothing is requested before the LazyFrame is collected, neither for its schema nor for its plan. Then the query
    reads only the columns and rows that it needs and, with `split`, fetches only the windows that it needs.

    Parameters
    ----------
    resource : str
        What to export: ``"events"``, ``"installations"`` and so on; `list_resources` lists them.
    application_id : int or list of int
        The application's number in AppMetrica, not its SDK or API key. Several applications are fetched side by side,
        and their rows come one application after another: name the field ``application_id`` to tell them apart.
    date_since, date_until : str, date or datetime
        First and last moment, both included, in the application's own time zone; also a `numpy.datetime64` or a
        `pandas.Timestamp`. A day without a time of day means its first second as ``date_since`` and its last as
        ``date_until``, and so do ``"today"``, ``"yesterday"`` and ``"7daysAgo"`` (any number of days). Moments with a
        time zone are converted to the application's, which the Management API is asked for once a day, as it is for
        relative dates. Required, except for resources that export their whole current set (`list_resources` says
        which).
    fields : list of str, optional
        The columns, in the order wanted. Default: every documented field of the resource; `list_fields` lists them.
    filters : dict, optional
        Fields and the one value that each must equal, as in ``{"event_name": "purchase"}``; the server filters.
    date_dimension : {"default", "receive"}, default "default"
        Whether the dates mean the time on the device or the time at which the server received the row.
    limit : int, optional
        The most rows to export; which ones is up to the server.
    skip_unavailable_shards : bool, default False
        Export what is reachable (a loss of at most 1 %) while AppMetrica says that its Logs API is disabled.
    wire_format : {"csv", "json"}, default "csv"
        What the server sends; the result is the same, and CSV is faster.
    split : {"day", "week", "month"}, optional
        Fetch and cache the range as calendar windows, each an export of its own. Ranges that overlap share them, and
        only those that are missing or out of date are fetched. Default: the range is one export.
    lookback : float or timedelta, optional
        With `split`: for how many seconds after its end a window can get more rows, because devices send them late.
        A file that was built later is final, whatever `max_age` says; only `refresh` replaces it. Default: 7 days
        (with ``date_dimension="receive"``, at most one). None: no file is final.
    max_age : float or timedelta, optional
        Accept a file that was built at most this many seconds ago, from the cache or the server. Default: the
        server's own rule, a file that was fetched at most 24 hours ago.
    refresh : bool, default False
        Have the server build a new file now.
    offline : bool, default False
        Never use the network; accept a cached file of any age.
    stale_if_error : float or timedelta, optional
        Fall back, with a `CacheWarning`, on a cached file that has been stale for at most this many seconds when the
        network or the server fails or its quota is used up. Off by default.
    schema_overrides : dict, optional
        Fields and the type wanted instead of the catalogue's: a Polars or Arrow data type or the name of an Arrow
        type. It also declares fields that the catalogue does not know, such as custom profile attributes.
    strict : bool, default False
        Raise `SchemaError` for a value that does not fit its column's type, instead of keeping the column as text
        with a `SchemaWarning`.
    client : Client, optional
        Token, server, cache and patience. Default: ``Client()``, which reads the environment variables.

    Returns
    -------
    polars.LazyFrame
        With the columns and dtypes of `read_appmetrica`. It can be pickled, without the token.

    Raises
    ------
    InvalidRequestError
        At once, if a parameter is wrong.
    SchemaError
        At collect, if a column that the query needs does not fit its type. The export stays cached.
    AppMetricaError
        At collect, as `read_appmetrica` does.

    Notes
    -----
    **Windows.** A predicate on the columns that the dates are about (``event_datetime`` and ``event_timestamp`` of
    events, ``install_datetime`` of installations and so on; with ``date_dimension="receive"``, those of the receive
    time) leaves out windows before they are fetched. It may compare the column or its ``.dt.date()``. This assumes
    that each row lies within the dates of its window, in the application's time zone: AppMetrica's documents do not
    say so, but everything seen of the server agrees. For a ``*_timestamp`` column, a window reaches as far as it does
    in any time zone on Earth, unless the application's is known already. Nothing else in a query changes what is
    requested: name `fields` and `filters` here.

    **Rows.** ``head`` without a predicate before it fetches windows one after another until there are enough rows.
    Otherwise, all windows that the query needs are fetched before the first of their rows is read.

    **Freshness.** Each collect is a call of its own: `max_age` and relative dates are counted from it. A query that
    reads the LazyFrame more than once, as some self-joins do, makes a call each time. A LazyFrame with `refresh`
    refreshes each window once, at its first use, even if it is collected again: scan again for another refresh.

    Examples
    --------
    >>> from appmetrica_frames import scan_appmetrica
    >>> lazy = scan_appmetrica("installations", application_id=1111, date_since="2024-07-01", date_until="2024-07-07")
    >>> lazy.group_by("country_iso_code").len().sort("len", descending=True).head(2).collect().rows()
    [('RU', 43), ('US', 12)]

    One day of a month, for which one of 31 windows is fetched:

    >>> import polars as pl
    >>> from datetime import date
    >>> july = scan_appmetrica(
    ...     "installations", application_id=1111, date_since="2024-07-01", date_until="2024-07-31", split="day"
    ... )
    >>> july.filter(pl.col("install_datetime").dt.date() == date(2024, 7, 3)).select(pl.len()).collect().item()
    13
    """
    options = DeferredOptions(
        resource,
        application_id=application_id,
        date_since=date_since,
        date_until=date_until,
        fields=fields,
        filters=filters,
        date_dimension=date_dimension,
        limit=limit,
        skip_unavailable_shards=skip_unavailable_shards,
        wire_format=wire_format,
        split=split,
        lookback=lookback,
        max_age=max_age,
        refresh=refresh,
        offline=offline,
        stale_if_error=stale_if_error,
        schema_overrides=schema_overrides,
        strict=strict,
        client=client,
    )
    from .integrations.lazy import scan_exports

    return scan_exports(options)


@_suggest_parameters
def iter_appmetrica(
    resource: ResourceName | str,
    *,
    application_id: ApplicationIds,
    date_since: Moment | None = None,
    date_until: Moment | None = None,
    fields: FieldNames | None = None,
    filters: Mapping[str, FilterValue] | None = None,
    date_dimension: DateDimension = "default",
    limit: int | None = None,
    skip_unavailable_shards: bool = False,
    wire_format: WireFormat = "csv",
    split: Split | None = None,
    lookback: Duration | None = LOOKBACK,
    max_age: Duration | None = None,
    refresh: bool = False,
    offline: bool = False,
    stale_if_error: Duration | None = None,
    cache: bool = True,
    batch_size: int = 65_536,
    schema_overrides: Mapping[str, object] | None = None,
    strict: bool = False,
    client: Client | None = None,
) -> pa.RecordBatchReader:
    """Iterate over an export of the AppMetrica Logs API in Arrow record batches.

    Parameters
    ----------
    resource : str
        What to export: ``"events"``, ``"installations"`` and so on; `list_resources` lists them.
    application_id : int or list of int
        The application's number in AppMetrica, not its SDK or API key. Several applications are fetched side by side,
        and their rows come one application after another: name the field ``application_id`` to tell them apart.
    date_since, date_until : str, date or datetime
        First and last moment, both included, in the application's own time zone; also a `numpy.datetime64` or a
        `pandas.Timestamp`. A day without a time of day means its first second as ``date_since`` and its last as
        ``date_until``, and so do ``"today"``, ``"yesterday"`` and ``"7daysAgo"`` (any number of days). Moments with a
        time zone are converted to the application's, which the Management API is asked for once a day, as it is for
        relative dates. Required, except for resources that export their whole current set (`list_resources` says
        which).
    fields : list of str, optional
        The columns, in the order wanted. Default: every documented field of the resource; `list_fields` lists them.
    filters : dict, optional
        Fields and the one value that each must equal, as in ``{"event_name": "purchase"}``; the server filters.
    date_dimension : {"default", "receive"}, default "default"
        Whether the dates mean the time on the device or the time at which the server received the row.
    limit : int, optional
        The most rows to export; which ones is up to the server.
    skip_unavailable_shards : bool, default False
        Export what is reachable (a loss of at most 1 %) while AppMetrica says that its Logs API is disabled.
    wire_format : {"csv", "json"}, default "csv"
        What the server sends; the result is the same, and CSV is faster.
    split : {"day", "week", "month"}, optional
        Fetch and cache the range as calendar windows, each an export of its own. Ranges that overlap share them, and
        only those that are missing or out of date are fetched. Default: the range is one export.
    lookback : float or timedelta, optional
        With `split`: for how many seconds after its end a window can get more rows, because devices send them late.
        A file that was built later is final, whatever `max_age` says; only `refresh` replaces it. Default: 7 days
        (with ``date_dimension="receive"``, at most one). None: no file is final.
    max_age : float or timedelta, optional
        Accept a file that was built at most this many seconds ago, from the cache or the server. Default: the
        server's own rule, a file that was fetched at most 24 hours ago.
    refresh : bool, default False
        Have the server build a new file now.
    offline : bool, default False
        Never use the network; accept a cached file of any age.
    stale_if_error : float or timedelta, optional
        Fall back, with a `CacheWarning`, on a cached file that has been stale for at most this many seconds when the
        network or the server fails or its quota is used up. Off by default.
    cache : bool, default True
        Whether to look in the cache and to keep the file there. With False, the cache is neither read nor written.
    batch_size : int, default 65_536
        The most rows of a batch.
    schema_overrides : dict, optional
        Fields and the type wanted instead of the catalogue's: a Polars or Arrow data type or the name of an Arrow
        type. It also declares fields that the catalogue does not know, such as custom profile attributes.
    strict : bool, default False
        Raise `SchemaError` for a value that does not fit its column's type, instead of keeping the column as text
        with a `SchemaWarning`.
    client : Client, optional
        Token, server, cache and patience. Default: ``Client()``, which reads the environment variables.

    Returns
    -------
    pyarrow.RecordBatchReader
        Also a context manager. One batch is in memory at a time, with the columns and types of `read_appmetrica`.

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
    options = build_options(
        resource,
        application_id=application_id,
        date_since=date_since,
        date_until=date_until,
        fields=fields,
        filters=filters,
        date_dimension=date_dimension,
        limit=limit,
        skip_unavailable_shards=skip_unavailable_shards,
        wire_format=wire_format,
        split=split,
        lookback=lookback,
        max_age=max_age,
        refresh=refresh,
        offline=offline,
        stale_if_error=stale_if_error,
        cache=cache,
        schema_overrides=schema_overrides,
        strict=strict,
        client=client,
    )
    import pyarrow as pa

    def attempt() -> tuple[Any, Iterator[Any]]:
        items = _iter_schema_and_batches(options, batch_size)
        return next(items), items

    return pa.RecordBatchReader.from_batches(*retry_if_evicted(attempt))


@_suggest_parameters
def download_appmetrica(
    resource: ResourceName | str,
    *,
    application_id: ApplicationIds,
    date_since: Moment | None = None,
    date_until: Moment | None = None,
    fields: FieldNames | None = None,
    filters: Mapping[str, FilterValue] | None = None,
    date_dimension: DateDimension = "default",
    limit: int | None = None,
    skip_unavailable_shards: bool = False,
    wire_format: WireFormat = "csv",
    split: Split | None = None,
    lookback: Duration | None = LOOKBACK,
    max_age: Duration | None = None,
    refresh: bool = False,
    offline: bool = False,
    stale_if_error: Duration | None = None,
    schema_overrides: Mapping[str, object] | None = None,
    strict: bool = False,
    client: Client | None = None,
) -> list[Path]:
    """Download an export of the AppMetrica Logs API and return the paths of its Parquet files.

    Parameters
    ----------
    resource : str
        What to export: ``"events"``, ``"installations"`` and so on; `list_resources` lists them.
    application_id : int or list of int
        The application's number in AppMetrica, not its SDK or API key. Several applications are fetched side by side,
        and their rows come one application after another: name the field ``application_id`` to tell them apart.
    date_since, date_until : str, date or datetime
        First and last moment, both included, in the application's own time zone; also a `numpy.datetime64` or a
        `pandas.Timestamp`. A day without a time of day means its first second as ``date_since`` and its last as
        ``date_until``, and so do ``"today"``, ``"yesterday"`` and ``"7daysAgo"`` (any number of days). Moments with a
        time zone are converted to the application's, which the Management API is asked for once a day, as it is for
        relative dates. Required, except for resources that export their whole current set (`list_resources` says
        which).
    fields : list of str, optional
        The columns, in the order wanted. Default: every documented field of the resource; `list_fields` lists them.
    filters : dict, optional
        Fields and the one value that each must equal, as in ``{"event_name": "purchase"}``; the server filters.
    date_dimension : {"default", "receive"}, default "default"
        Whether the dates mean the time on the device or the time at which the server received the row.
    limit : int, optional
        The most rows to export; which ones is up to the server.
    skip_unavailable_shards : bool, default False
        Export what is reachable (a loss of at most 1 %) while AppMetrica says that its Logs API is disabled.
    wire_format : {"csv", "json"}, default "csv"
        What the server sends; the result is the same, and CSV is faster.
    split : {"day", "week", "month"}, optional
        Fetch and cache the range as calendar windows, each an export of its own. Ranges that overlap share them, and
        only those that are missing or out of date are fetched. Default: the range is one export.
    lookback : float or timedelta, optional
        With `split`: for how many seconds after its end a window can get more rows, because devices send them late.
        A file that was built later is final, whatever `max_age` says; only `refresh` replaces it. Default: 7 days
        (with ``date_dimension="receive"``, at most one). None: no file is final.
    max_age : float or timedelta, optional
        Accept a file that was built at most this many seconds ago, from the cache or the server. Default: the
        server's own rule, a file that was fetched at most 24 hours ago.
    refresh : bool, default False
        Have the server build a new file now.
    offline : bool, default False
        Never use the network; accept a cached file of any age.
    stale_if_error : float or timedelta, optional
        Fall back, with a `CacheWarning`, on a cached file that has been stale for at most this many seconds when the
        network or the server fails or its quota is used up. Off by default.
    schema_overrides : dict, optional
        Fields and the type wanted instead of the catalogue's: a Polars or Arrow data type or the name of an Arrow
        type. It also declares fields that the catalogue does not know, such as custom profile attributes.
    strict : bool, default False
        Raise `SchemaError` for a value that does not fit its column's type, instead of keeping the column as text
        with a `SchemaWarning`.
    client : Client, optional
        Token, server, cache and patience. Default: ``Client()``, which reads the environment variables.

    Returns
    -------
    list of pathlib.Path
        Parquet files that together are the export, for DuckDB, Spark or any other reader of Parquet. They belong to
        the cache: do not change them. A file may have more columns than were asked for.

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
    options = build_options(
        resource,
        application_id=application_id,
        date_since=date_since,
        date_until=date_until,
        fields=fields,
        filters=filters,
        date_dimension=date_dimension,
        limit=limit,
        skip_unavailable_shards=skip_unavailable_shards,
        wire_format=wire_format,
        split=split,
        lookback=lookback,
        max_age=max_age,
        refresh=refresh,
        offline=offline,
        stale_if_error=stale_if_error,
        schema_overrides=schema_overrides,
        strict=strict,
        client=client,
    )
    return list_paths(lease_exports(options))


@_suggest_parameters
def plan_appmetrica(
    resource: ResourceName | str,
    *,
    application_id: ApplicationIds,
    date_since: Moment | None = None,
    date_until: Moment | None = None,
    fields: FieldNames | None = None,
    filters: Mapping[str, FilterValue] | None = None,
    date_dimension: DateDimension = "default",
    limit: int | None = None,
    skip_unavailable_shards: bool = False,
    wire_format: WireFormat = "csv",
    split: Split | None = None,
    lookback: Duration | None = LOOKBACK,
    max_age: Duration | None = None,
    refresh: bool = False,
    offline: bool = False,
    stale_if_error: Duration | None = None,
    schema_overrides: Mapping[str, object] | None = None,
    strict: bool = False,
    client: Client | None = None,
) -> pl.DataFrame:
    """Tell which windows of an export the cache has, and which ones the same call of another function would fetch.

    No export is requested, and no cached export is touched. Files are not compared with their checksums: a damaged one
    is noticed when it is read, and fetched again then.

    Parameters
    ----------
    resource : str
        What to export: ``"events"``, ``"installations"`` and so on; `list_resources` lists them.
    application_id : int or list of int
        The application's number in AppMetrica, not its SDK or API key. Several applications are fetched side by side,
        and their rows come one application after another: name the field ``application_id`` to tell them apart.
    date_since, date_until : str, date or datetime
        First and last moment, both included, in the application's own time zone; also a `numpy.datetime64` or a
        `pandas.Timestamp`. A day without a time of day means its first second as ``date_since`` and its last as
        ``date_until``, and so do ``"today"``, ``"yesterday"`` and ``"7daysAgo"`` (any number of days). Moments with a
        time zone are converted to the application's, which the Management API is asked for once a day, as it is for
        relative dates. Required, except for resources that export their whole current set (`list_resources` says
        which).
    fields : list of str, optional
        The columns, in the order wanted. Default: every documented field of the resource; `list_fields` lists them.
    filters : dict, optional
        Fields and the one value that each must equal, as in ``{"event_name": "purchase"}``; the server filters.
    date_dimension : {"default", "receive"}, default "default"
        Whether the dates mean the time on the device or the time at which the server received the row.
    limit : int, optional
        The most rows to export; which ones is up to the server.
    skip_unavailable_shards : bool, default False
        Export what is reachable (a loss of at most 1 %) while AppMetrica says that its Logs API is disabled.
    wire_format : {"csv", "json"}, default "csv"
        What the server sends; the result is the same, and CSV is faster.
    split : {"day", "week", "month"}, optional
        Fetch and cache the range as calendar windows, each an export of its own. Ranges that overlap share them, and
        only those that are missing or out of date are fetched. Default: the range is one export.
    lookback : float or timedelta, optional
        With `split`: for how many seconds after its end a window can get more rows, because devices send them late.
        A file that was built later is final, whatever `max_age` says; only `refresh` replaces it. Default: 7 days
        (with ``date_dimension="receive"``, at most one). None: no file is final.
    max_age : float or timedelta, optional
        Accept a file that was built at most this many seconds ago, from the cache or the server. Default: the
        server's own rule, a file that was fetched at most 24 hours ago.
    refresh : bool, default False
        Have the server build a new file now.
    offline : bool, default False
        Never use the network; accept a cached file of any age.
    stale_if_error : float or timedelta, optional
        Fall back, with a `CacheWarning`, on a cached file that has been stale for at most this many seconds when the
        network or the server fails or its quota is used up. Off by default.
    schema_overrides : dict, optional
        Fields and the type wanted instead of the catalogue's: a Polars or Arrow data type or the name of an Arrow
        type. It also declares fields that the catalogue does not know, such as custom profile attributes.
    strict : bool, default False
        Raise `SchemaError` for a value that does not fit its column's type, instead of keeping the column as text
        with a `SchemaWarning`.
    client : Client, optional
        Token, server, cache and patience. Default: ``Client()``, which reads the environment variables.

    Returns
    -------
    polars.DataFrame
        One row per window, in the order of the result; without `split`, one per application:

        - application_id : UInt64
        - since, until : Datetime('us'), the first and the last second, in the application's own time zone; null for
          resources without dates
        - state : Enum, ``cached`` (young enough) or ``settled`` (final) for what the cache answers; ``stale``,
          ``missing`` or ``pending`` (the server has accepted a job for it) for what would be fetched
        - reason : String
        - rows, bytes : UInt64, of the cached file, be it stale; null where there is none
        - age : Duration('us'), since the earliest instant at which the server can have built that file

    Raises
    ------
    InvalidRequestError
        The parameters contradict each other.
    NotCachedError, MissingTokenError
        The dates have a time zone or are relative, and the application's own zone is not known.

    Examples
    --------
    >>> from appmetrica_frames import plan_appmetrica, read_appmetrica
    >>> week = {"application_id": 1111, "date_since": "2024-07-01", "date_until": "2024-07-07", "split": "day"}
    >>> plan_appmetrica("installations", **week)["state"].value_counts().rows()
    [('missing', 7)]
    >>> read_appmetrica("installations", **week).height
    96
    >>> plan_appmetrica("installations", **week)["state"].value_counts().rows()
    [('settled', 7)]
    """
    options = build_options(
        resource,
        application_id=application_id,
        date_since=date_since,
        date_until=date_until,
        fields=fields,
        filters=filters,
        date_dimension=date_dimension,
        limit=limit,
        skip_unavailable_shards=skip_unavailable_shards,
        wire_format=wire_format,
        split=split,
        lookback=lookback,
        max_age=max_age,
        refresh=refresh,
        offline=offline,
        stale_if_error=stale_if_error,
        schema_overrides=schema_overrides,
        strict=strict,
        client=client,
    )
    from .integrations.plan import build_frame

    return build_frame(plan_exports(options))


@_suggest_parameters
def sync_appmetrica(
    resource: ResourceName | str,
    *,
    application_id: ApplicationIds,
    to: str | PathLike[str],
    date_since: Moment,
    date_until: Moment = "yesterday",
    split: Split = "day",
    fields: FieldNames | None = None,
    filters: Mapping[str, FilterValue] | None = None,
    date_dimension: DateDimension = "default",
    skip_unavailable_shards: bool = False,
    wire_format: WireFormat = "csv",
    lookback: Duration | None = LOOKBACK,
    max_age: Duration | None = None,
    refresh: bool = False,
    schema_overrides: Mapping[str, object] | None = None,
    strict: bool = False,
    add_columns: bool = False,
    dry_run: bool = False,
    filesystem: S3FileSystem | None = None,
    duckdb: str | PathLike[str] | None = None,
    client: Client | None = None,
) -> pl.DataFrame:
    """Keep a dataset of Parquet files up to date, for DuckDB, Spark, BI tools and whatever else reads such files.

    Each window is one file, ``<to>/<resource>/application_id=<id>/date=<day>/data.parquet`` (``week=`` its Monday,
    ``month=`` its first day), and is replaced as a whole: who opens it sees the old file or the new one.
    Each file says what it is the export of and how old it is, so a sync on a machine with an empty cache goes on where
    the last one stopped. Windows are published one by one, and stay there whatever happens to the others.

    Parameters
    ----------
    resource : str
        What to export: ``"events"``, ``"installations"`` and so on; `list_resources` lists them.
    application_id : int or list of int
        The application's number in AppMetrica, not its SDK or API key. Several applications are fetched side by side,
        and their rows come one application after another: name the field ``application_id`` to tell them apart.
    to : str or path
        A directory, which may lie on a shared file system, or ``s3://bucket/prefix``. The endpoint and the credentials
        of object storage come from the usual environment variables (``AWS_ENDPOINT_URL``, ``AWS_ACCESS_KEY_ID``,
        ``AWS_SECRET_ACCESS_KEY``) or from `filesystem`.
    date_since, date_until : str, date or datetime
        First and last moment, both included, in the application's own time zone, as for `read_appmetrica`. A first or
        last window of which the dataset already has more is kept up to date as a whole.
    split : {"day", "week", "month"}, default "day"
        The unit of the calendar that a file has. A dataset has one unit.
    fields : list of str, optional
        The columns. Default: every documented field of the resource. ``application_id`` is a partition column, and so
        is no column of the files. The columns stay those of the first sync; see `add_columns`.
    filters : dict, optional
        Fields and the one value that each must equal, as in ``{"event_name": "purchase"}``; the server filters.
    date_dimension : {"default", "receive"}, default "default"
        Whether the dates mean the time on the device or the time at which the server received the row.
    skip_unavailable_shards : bool, default False
        Export what is reachable (a loss of at most 1 %) while AppMetrica says that its Logs API is disabled.
    wire_format : {"csv", "json"}, default "csv"
        What the server sends; the result is the same, and CSV is faster.
    lookback : float or timedelta, optional
        For how many seconds after its end a window can get more rows, because devices send them late. A file that was
        built later is final, whatever `max_age` says; only `refresh` replaces it. Default: 7 days (with
        ``date_dimension="receive"``, at most one). None: no file is final.
    max_age : float or timedelta, optional
        Keep a file that was built at most this many seconds ago. Default: the server's own rule, a file that was
        fetched at most 24 hours ago.
    refresh : bool, default False
        Have the server build every window anew.
    schema_overrides : dict, optional
        Fields and the type wanted instead of the catalogue's: a Polars or Arrow data type or the name of an Arrow
        type. It also declares fields that the catalogue does not know, such as custom profile attributes.
    strict : bool, default False
        Raise `SchemaError` for a value that does not fit its column's type, instead of keeping the column as text
        with a `SchemaWarning`.
    add_columns : bool, default False
        Let new files have columns that the dataset lacks. The files that stay do not have them: readers show null
        where they take columns by name.
    dry_run : bool, default False
        Return what would be done. No export is requested, and nothing is written.
    filesystem : pyarrow.fs.S3FileSystem, optional
        The object storage, where `to` is the bucket and the prefix in it.
    duckdb : str or path, optional
        A DuckDB file that gets a view over the dataset, named after the resource, with the comments of the catalogue.
        Other tables and views of the file stay.
    client : Client, optional
        Token, server, cache and patience. Default: ``Client()``, which reads the environment variables.

    Returns
    -------
    polars.DataFrame
        One row per window, with the columns of `plan_appmetrica`, where ``state`` and ``reason`` are those before the
        sync and ``rows``, ``bytes`` and ``age`` those of the dataset's file, and two more:

        - action : Enum, ``written`` or ``kept``; with `dry_run`, ``would write`` or ``kept``
        - path : String, of the file

    Raises
    ------
    InvalidRequestError
        The parameters contradict each other or what the dataset holds: other columns, types, filters or another split.
    IncompleteExportError
        Some windows failed; the others are in the dataset. A window with a value that does not fit its column's type
        is one that fails: a dataset has one schema.
    DatasetError
        The dataset or the DuckDB file cannot be read or written to, or another process keeps it locked.
    AppMetricaError
        As `read_appmetrica` does.

    Examples
    --------
    >>> import polars as pl
    >>> from appmetrica_frames import sync_appmetrica
    >>> week = {"application_id": 1111, "date_since": "2024-07-01", "date_until": "2024-07-07", "to": "dataset"}
    >>> sync_appmetrica("installations", **week)["action"].value_counts().rows()
    [('written', 7)]
    >>> sync_appmetrica("installations", **week)["action"].value_counts().rows()
    [('kept', 7)]
    >>> pl.scan_parquet("dataset/installations", hive_partitioning=True).select(pl.len()).collect().item()
    96
    """
    from .engine.dataset import check_partitions
    from .engine.sync import sync_exports
    from .integrations.dataset import ParquetDataset
    from .integrations.duckdb import ViewDatabase
    from .integrations.plan import build_sync_frame
    from .integrations.storage import open_storage

    check_partitions(resource, split, fields, schema_overrides)
    storage = open_storage(to, filesystem)
    views = None if duckdb is None else ViewDatabase(duckdb, storage)
    options = build_options(
        resource,
        application_id=application_id,
        date_since=date_since,
        date_until=date_until,
        fields=fields,
        filters=filters,
        date_dimension=date_dimension,
        skip_unavailable_shards=skip_unavailable_shards,
        wire_format=wire_format,
        split=split,
        lookback=lookback,
        max_age=max_age,
        refresh=refresh,
        schema_overrides=schema_overrides,
        strict=strict,
        client=client,
    )
    dataset = ParquetDataset(storage, resource, split)
    done = sync_exports(options, dataset, add_columns=add_columns, dry_run=dry_run)
    if views is not None and not dry_run:
        views.update(resource, split)
    return build_sync_frame(done)


def _iter_schema_and_batches(options: ReadOptions, batch_size: int) -> Iterator[Any]:
    """Yield the schema first, then the batches, so that the export is there before the first batch is asked for."""
    from .integrations.arrow import iter_batches

    with open_exports(options, one_by_one=True) as exports:
        yield from iter_batches(exports, batch_size=batch_size)
