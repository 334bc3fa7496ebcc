"""The keyword arguments that every way to read an export takes, as a type for those who keep them in a dict."""

# Annotations are evaluated here, so that the keys that are required are known at run time as well.
from collections.abc import Mapping
from typing import TypedDict

from .client import Client
from .request.dates import Moment
from .request.export import ApplicationIds, DateDimension, FieldNames, FilterValue, WireFormat
from .request.windows import Split
from .util.durations import Duration


class ExportParameters(TypedDict, total=False):
    """The keyword arguments that every way to read an export takes.

    `read_appmetrica` describes them.

    Examples
    --------
    >>> from appmetrica_frames import ExportParameters, read_appmetrica
    >>> week: ExportParameters = {"application_id": 1111, "date_since": "2024-07-01", "date_until": "2024-07-07"}
    >>> read_appmetrica("installations", **week).height
    96
    """

    application_id: ApplicationIds | None
    date_since: Moment | None
    date_until: Moment | None
    fields: FieldNames | None
    filters: Mapping[str, FilterValue] | None
    date_dimension: DateDimension
    limit: int | None
    skip_unavailable_shards: bool
    wire_format: WireFormat
    split: Split | None
    lookback: Duration | None
    max_age: Duration | None
    refresh: bool
    offline: bool
    stale_if_error: Duration | None
    schema_overrides: Mapping[str, object] | None
    strict: bool
    client: Client | None
