"""Arrow types: those of the catalogue, those that a user chose, and the casts from text to either."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa
from pyarrow import types as is_type

from appmetrica_frames.errors import InvalidRequestError

if TYPE_CHECKING:
    from .catalog import FieldType

Cells = TypeVar("Cells", "pa.Array[Any]", "pa.ChunkedArray[Any]")

_ARROW: dict[FieldType, pa.DataType] = {
    "string": pa.string(),
    "uint64": pa.uint64(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "date": pa.date32(),
    "datetime": pa.timestamp("us"),
    "unix_time": pa.timestamp("us", tz="UTC"),
}


def get_arrow_type(field_type: FieldType) -> pa.DataType:
    """Return the Arrow type that a field of this catalogue type arrives as."""
    return _ARROW[field_type]


def parse_override(name: str, chosen: Any) -> pa.DataType:
    """Return the Arrow type for a Polars data type, an Arrow data type, or the name of an Arrow type."""
    try:
        return _normalize(_to_arrow(chosen))
    except (ValueError, TypeError, pa.ArrowException) as error:
        raise InvalidRequestError(
            f"schema_overrides[{name!r}] takes a Polars or Arrow data type, or an Arrow type's name, not {chosen!r}."
        ) from error


def _to_arrow(chosen: Any) -> pa.DataType:
    if isinstance(chosen, pa.DataType):
        return chosen
    if isinstance(chosen, str):
        named: pa.DataType = pa.type_for_alias(chosen)  # type: ignore[call-overload]
        return named
    polars = sys.modules.get("polars")  # whoever has a Polars type has imported Polars
    if polars is None:
        raise TypeError(f"{chosen!r} is not a data type")
    converted: pa.DataType = polars.Series([], dtype=chosen).to_arrow().type
    return converted


def _normalize(type_: pa.DataType) -> pa.DataType:
    """Replace the text types of Polars by the one of the catalogue, so that equivalent types compare equal."""
    if pa.types.is_large_string(type_) or pa.types.is_string_view(type_):
        return pa.string()
    if pa.types.is_dictionary(type_):
        encoded: pa.DataType = pa.dictionary(pa.int32(), _normalize(type_.value_type))  # type: ignore[call-overload]
        return encoded
    return type_


@dataclass(frozen=True, slots=True)
class Column:
    """One wire field and the Arrow type that its cells become, the catalogue's own or the user's choice.

    `type` may be text, a number, a boolean, a date, a timestamp or a dictionary of text. A timestamp with a zone needs
    a `unix_time` field: the text of the others does not say its zone. `unix_time` without a zone is UTC wall time.
    """

    name: str
    wire: FieldType
    type: pa.DataType

    def __post_init__(self) -> None:
        if not (self.from_seconds or _from_text(self.type)):
            raise InvalidRequestError(f"The {self.wire} field {self.name!r} cannot be read as {self.type}.")

    @property
    def from_seconds(self) -> bool:
        """Whether the cells are UNIX seconds that become an instant or a day."""
        return self.wire == "unix_time" and (is_type.is_timestamp(self.type) or is_type.is_date(self.type))

    @property
    def parsed(self) -> pa.DataType:
        """The type that the CSV parser makes, which `cast` takes to `type`."""
        if self.from_seconds:
            return pa.int64()
        return self.type.value_type if is_type.is_dictionary(self.type) else self.type

    def cast(self, cells: pa.Array[Any]) -> pa.Array[Any]:
        """Take parsed cells to the final type, or raise `pyarrow.ArrowInvalid`."""
        if self.from_seconds:
            return _instants(cells, self.type) if isinstance(self.type, pa.TimestampType) else _days(cells, self.type)
        return _encoded(cells, self.type) if isinstance(self.type, pa.DictionaryType) else cells


def as_text(column: Column) -> Column:
    """Return a column that takes any cell of the field."""
    return Column(column.name, "string", get_arrow_type("string"))


def to_text(cells: Cells, wire: FieldType) -> Cells:
    """Return the text that the server sends for cells of a field.

    The server's own spelling is lost where it has several: ``007`` becomes ``7``.
    """
    if is_type.is_temporal(cells.type):
        seconds = cells.cast(pa.timestamp("s"), safe=False)
        if wire == "unix_time":
            return seconds.cast(pa.int64()).cast(pa.string())
        cells = cells if is_type.is_date(cells.type) else seconds
    return cells.cast(pa.string())


def _from_text(type_: pa.DataType) -> bool:
    if is_type.is_dictionary(type_):
        return _is_text(type_.value_type)
    return _is_text(type_) or _is_number(type_) or _is_wall_time(type_) or is_type.is_boolean(type_)


def _is_text(type_: pa.DataType) -> bool:
    return bool(is_type.is_string(type_) or is_type.is_large_string(type_))


def _is_number(type_: pa.DataType) -> bool:
    return bool(
        is_type.is_integer(type_)
        or is_type.is_float32(type_)
        or is_type.is_float64(type_)
        or is_type.is_decimal128(type_)
    )


def _is_wall_time(type_: pa.DataType) -> bool:
    return bool(is_type.is_date(type_) or (is_type.is_timestamp(type_) and type_.tz is None))


def _instants(seconds: pa.Array[Any], type_: pa.TimestampType[Any, Any]) -> pa.Array[Any]:
    # A number is cast to a timestamp as a count of that timestamp's own unit.
    return seconds.cast(pa.timestamp("s", tz=type_.tz)).cast(type_)


def _days(seconds: pa.Array[Any], type_: pa.DataType) -> pa.Array[Any]:
    # Days wrap around silently where microseconds overflow with an error.
    return _instants(seconds, pa.timestamp("us")).cast(type_)


def _encoded(cells: pa.Array[Any], type_: pa.DictionaryType[Any, Any, Any]) -> pa.Array[Any]:
    encoded = cells.dictionary_encode()
    codes = encoded.indices.cast(type_.index_type)
    return pa.DictionaryArray.from_arrays(codes, encoded.dictionary, ordered=type_.ordered)
