"""Download an export as Parquet files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from appmetrica_frames.cache.policy import LOOKBACK
from appmetrica_frames.engine.call import lease_exports
from appmetrica_frames.engine.options import build_options
from appmetrica_frames.integrations.paths import list_paths

from .suggestions import suggest_parameters

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from appmetrica_frames.client import Client
    from appmetrica_frames.request.dates import Moment
    from appmetrica_frames.request.export import ApplicationIds, DateDimension, FieldNames, FilterValue, WireFormat
    from appmetrica_frames.request.windows import Split
    from appmetrica_frames.schema.catalog import ResourceName
    from appmetrica_frames.util.durations import Duration


@suggest_parameters
def download_appmetrica(
    resource: ResourceName | str,
    *,
    application_id: ApplicationIds | None = None,
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
    application_id : int or list of int, optional
        The application's number in AppMetrica, not its SDK or API key. Several applications are fetched side by side,
        and their rows come one application after another: name the field ``application_id`` to tell them apart.
        Default: the environment variable ``APPMETRICA_APPLICATION_ID``, which may name several, separated by commas.
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
