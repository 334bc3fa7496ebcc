"""AppMetrica Logs API exports as Polars and pandas DataFrames, in one call.

`read_appmetrica` gives a frame of Polars, pandas or Arrow, `scan_appmetrica` a LazyFrame, `iter_appmetrica` batches of
rows, `download_appmetrica` paths of Parquet files; `plan_appmetrica` tells what they would fetch. `sync_appmetrica`
keeps a dataset of Parquet files up to date. `list_resources` and
`list_fields` list what can be exported, and `expand_json` turns JSON in a column into columns. A `Client` holds
settings that calls share; a `Cache` lists and removes cached exports. Every error is an `AppMetricaError`.

The examples show what ``appmetrica-frames emulator`` answers.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from .util.version import __version__

if TYPE_CHECKING:
    from .api.download import download_appmetrica
    from .api.iterate import iter_appmetrica
    from .api.plan import plan_appmetrica
    from .api.read import read_appmetrica
    from .api.scan import scan_appmetrica
    from .api.sync import sync_appmetrica
    from .cache.entry import CachedExport
    from .cache.manage import Cache, CacheInfo, PruneResult, VerifyResult
    from .client import Client
    from .errors import (
        AppMetricaError,
        AuthenticationError,
        CacheWarning,
        DatasetError,
        DateWarning,
        DecodeError,
        DownloadError,
        IncompleteExportError,
        InvalidRequestError,
        MissingTokenError,
        NotCachedError,
        PreparationTimeoutError,
        QuotaExceededError,
        RequestRejectedError,
        SchemaError,
        SchemaWarning,
        ServerError,
    )
    from .json_columns.expand import expand_json
    from .parameters import ExportParameters
    from .schema.listing import list_fields, list_resources

__all__ = [
    "AppMetricaError",
    "AuthenticationError",
    "Cache",
    "CacheInfo",
    "CacheWarning",
    "CachedExport",
    "Client",
    "DatasetError",
    "DateWarning",
    "DecodeError",
    "DownloadError",
    "ExportParameters",
    "IncompleteExportError",
    "InvalidRequestError",
    "MissingTokenError",
    "NotCachedError",
    "PreparationTimeoutError",
    "PruneResult",
    "QuotaExceededError",
    "RequestRejectedError",
    "SchemaError",
    "SchemaWarning",
    "ServerError",
    "VerifyResult",
    "__version__",
    "download_appmetrica",
    "expand_json",
    "iter_appmetrica",
    "list_fields",
    "list_resources",
    "plan_appmetrica",
    "read_appmetrica",
    "scan_appmetrica",
    "sync_appmetrica",
]


# Every public name and the module that defines it. A module is imported when a name of it is first used: importing the
# package costs next to nothing.
_PUBLIC = {
    "AppMetricaError": "errors",
    "AuthenticationError": "errors",
    "Cache": "cache.manage",
    "CacheInfo": "cache.manage",
    "CacheWarning": "errors",
    "CachedExport": "cache.entry",
    "Client": "client",
    "DatasetError": "errors",
    "DateWarning": "errors",
    "DecodeError": "errors",
    "DownloadError": "errors",
    "ExportParameters": "parameters",
    "IncompleteExportError": "errors",
    "InvalidRequestError": "errors",
    "MissingTokenError": "errors",
    "NotCachedError": "errors",
    "PreparationTimeoutError": "errors",
    "PruneResult": "cache.manage",
    "QuotaExceededError": "errors",
    "RequestRejectedError": "errors",
    "SchemaError": "errors",
    "SchemaWarning": "errors",
    "ServerError": "errors",
    "VerifyResult": "cache.manage",
    "download_appmetrica": "api.download",
    "expand_json": "json_columns.expand",
    "iter_appmetrica": "api.iterate",
    "list_fields": "schema.listing",
    "list_resources": "schema.listing",
    "plan_appmetrica": "api.plan",
    "read_appmetrica": "api.read",
    "scan_appmetrica": "api.scan",
    "sync_appmetrica": "api.sync",
}


def __getattr__(name: str) -> object:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]
