"""AppMetrica Logs API exports as Polars and pandas DataFrames, in one call.

`read_appmetrica` gives a frame of Polars, pandas or Arrow, `scan_appmetrica` a LazyFrame, `iter_appmetrica` batches of
rows, `download_appmetrica` paths of Parquet files. `resources` and `fields` list what can be exported, and
`expand_json` opens JSON in a column. A `Client` holds settings that calls share; a `Cache` shows and clears the store.
Every error is an `AppMetricaError`.

The examples show what ``appmetrica-frames emulator`` answers.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .cache import Cache, CachedExport, CacheInfo, Removal, Verification
    from .catalog_frames import fields, resources
    from .client import Client
    from .errors import (
        AppMetricaError,
        AuthenticationError,
        CacheWarning,
        DecodeError,
        DownloadError,
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
    from .expansion import expand_json
    from .frames import download_appmetrica, iter_appmetrica, read_appmetrica, scan_appmetrica

__version__ = "0.1.0"

__all__ = [
    "AppMetricaError",
    "AuthenticationError",
    "Cache",
    "CacheInfo",
    "CacheWarning",
    "CachedExport",
    "Client",
    "DecodeError",
    "DownloadError",
    "InvalidRequestError",
    "MissingTokenError",
    "NotCachedError",
    "PreparationTimeoutError",
    "QuotaExceededError",
    "Removal",
    "RequestRejectedError",
    "SchemaError",
    "SchemaWarning",
    "ServerError",
    "Verification",
    "__version__",
    "download_appmetrica",
    "expand_json",
    "fields",
    "iter_appmetrica",
    "read_appmetrica",
    "resources",
    "scan_appmetrica",
]


# The rooms are entered when a name of theirs is first used: importing the package costs next to nothing.
_ROOMS = ("errors", "client", "catalog_frames", "cache", "frames", "expansion")


def __getattr__(name: str) -> object:
    if name in __all__:
        for room in _ROOMS:
            if (found := getattr(import_module(f"{__name__}.{room}"), name, None)) is not None:
                globals()[name] = found
                return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
