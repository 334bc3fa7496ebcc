"""Keep a dataset of Parquet files up to date."""

from __future__ import annotations

from typing import TYPE_CHECKING

from appmetrica_frames.cache.policy import LOOKBACK
from appmetrica_frames.engine.options import build_options

from .suggestions import suggest_parameters

if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike

    import polars as pl
    from pyarrow.fs import S3FileSystem

    from appmetrica_frames.client import Client
    from appmetrica_frames.request.dates import Moment
    from appmetrica_frames.request.export import ApplicationIds, DateDimension, FieldNames, FilterValue, WireFormat
    from appmetrica_frames.request.windows import Split
    from appmetrica_frames.schema.catalog import ResourceName
    from appmetrica_frames.util.durations import Duration


@suggest_parameters
def sync_appmetrica(
    resource: ResourceName | str,
    *,
    application_id: ApplicationIds | None = None,
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
    application_id : int or list of int, optional
        The application's number in AppMetrica, not its SDK or API key. Several applications are fetched side by side,
        and their rows come one application after another: name the field ``application_id`` to tell them apart.
        Default: the environment variable ``APPMETRICA_APPLICATION_ID``, which may name several, separated by commas.
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
    from appmetrica_frames.engine.dataset import check_partitions
    from appmetrica_frames.engine.sync import sync_exports
    from appmetrica_frames.integrations.dataset import ParquetDataset
    from appmetrica_frames.integrations.duckdb import ViewDatabase
    from appmetrica_frames.integrations.plan import build_sync_frame
    from appmetrica_frames.integrations.storage import open_storage

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
