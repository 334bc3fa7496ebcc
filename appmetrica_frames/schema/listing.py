"""The catalogue as Polars frames, to look things up in a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from appmetrica_frames.util.caller import raise_at_caller

from . import catalog

if TYPE_CHECKING:
    import polars as pl


def list_resources() -> pl.DataFrame:
    """List the export resources of the AppMetrica Logs API.

    Returns
    -------
    polars.DataFrame
        One row per resource: ``resource``, ``title`` (text), ``deprecated``, ``dates`` (whether ``date_since`` and
        ``date_until`` are required), ``date_dimension`` (whether it is documented), ``custom_attributes`` (bool) and
        ``fields`` (the number of documented fields).

    Notes
    -----
    Source: https://appmetrica.yandex.com/docs/en/mobile-api/logs/ref/

    Examples
    --------
    >>> from appmetrica_frames import list_resources
    >>> list_resources().filter(dates=False)["resource"].to_list()
    ['profiles', 'push_tokens']
    """
    from appmetrica_frames.util.whole_frame import Listing

    return Listing(
        [
            {
                "resource": kind.name,
                "title": kind.title,
                "deprecated": kind.deprecated,
                "dates": kind.dates,
                "date_dimension": kind.date_dimension,
                "custom_attributes": kind.custom_attributes,
                "fields": len(kind.fields),
            }
            for kind in catalog.resources().values()
        ]
    )


@raise_at_caller
def list_fields(resource: str) -> pl.DataFrame:
    """List the fields of an export resource.

    Parameters
    ----------
    resource : str
        The resource's name.

    Returns
    -------
    polars.DataFrame
        One row per field, in the documented order, then the undocumented and the legacy ones: ``field``, ``dtype``
        (the Polars dtype of its column), ``unit``, ``description`` (text), ``default`` (bool: a call without
        ``fields`` requests it) and ``legacy`` (bool: only older documentation has it, and the server may refuse it).

    Raises
    ------
    InvalidRequestError
        If there is no such resource.

    Notes
    -----
    Source: https://appmetrica.yandex.com/docs/en/mobile-api/logs/ref/

    Examples
    --------
    >>> from appmetrica_frames import list_fields
    >>> list_fields("events").filter(field="appmetrica_device_id")["dtype"].item()
    'UInt64'
    """
    from appmetrica_frames.util.whole_frame import Listing

    kind = catalog.resource(resource)
    rows = [_row(field, default=field.name in kind.fields) for field in kind.known_fields.values()]
    rows += [(name, "String", "text", "In older documentation only.", False, True) for name in kind.legacy_fields]
    return Listing(rows, schema=["field", "dtype", "unit", "description", "default", "legacy"], orient="row")


def _row(field: catalog.Field, *, default: bool) -> tuple[str, str, str, str, bool, bool]:
    return field.name, DTYPES[field.type], field.unit, field.description, default, False


DTYPES: dict[catalog.FieldType, str] = {
    "string": "String",
    "uint64": "UInt64",
    "int64": "Int64",
    "float64": "Float64",
    "bool": "Boolean",
    "date": "Date",
    "datetime": "Datetime(time_unit='us', time_zone=None)",
    "unix_time": "Datetime(time_unit='us', time_zone='UTC')",
}
