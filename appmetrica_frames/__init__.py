"""AppMetrica Logs API exports as Polars and pandas DataFrames, in one call."""

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
    "fields",
    "iter_appmetrica",
    "read_appmetrica",
    "resources",
    "scan_appmetrica",
]
