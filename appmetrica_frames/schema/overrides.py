"""Types that a user chose for fields: Polars or Arrow in, Arrow out."""

from __future__ import annotations

import sys
from typing import Any

import pyarrow as pa

from appmetrica_frames.errors import InvalidRequestError


def arrow_override(name: str, chosen: Any) -> pa.DataType:
    """Return the Arrow type for a Polars data type, an Arrow data type, or the name of an Arrow type."""
    try:
        return _narrow(_arrow(chosen))
    except (ValueError, TypeError, pa.ArrowException) as error:
        raise InvalidRequestError(
            f"schema_overrides[{name!r}] takes a Polars or Arrow data type, or an Arrow type's name, not {chosen!r}."
        ) from error


def _arrow(chosen: Any) -> pa.DataType:
    if isinstance(chosen, pa.DataType):
        return chosen
    if isinstance(chosen, str):
        named: pa.DataType = pa.type_for_alias(chosen)  # type: ignore[call-overload]
        return named
    polars = sys.modules.get("polars")  # whoever has a Polars type has imported Polars
    if polars is None:
        raise TypeError(f"{chosen!r} is no data type")
    made: pa.DataType = polars.Series([], dtype=chosen).to_arrow().type
    return made


def _narrow(type_: pa.DataType) -> pa.DataType:
    """Take the text types that Polars hands over to the one that the catalogue uses, so that equal wishes are equal."""
    if pa.types.is_large_string(type_) or pa.types.is_string_view(type_):
        return pa.string()
    if pa.types.is_dictionary(type_):
        encoded: pa.DataType = pa.dictionary(pa.int32(), _narrow(type_.value_type))  # type: ignore[call-overload]
        return encoded
    return type_
