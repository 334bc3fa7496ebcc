"""JSON objects in a column, opened into columns of their own: the frames; `json_objects` reads the texts."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, overload

from appmetrica_frames.errors import InvalidRequestError, SchemaWarning, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import pandas as pd
    import polars as pl

Fields: TypeAlias = "Iterable[str] | Mapping[str, Any]"
Wanted: TypeAlias = "dict[str, tuple[str, pl.DataType]]"  # the name and the type of the column of each key

SHOWN = 60  # characters of a broken row in the warning
_OPENED = "\0opened"  # JSON cannot hold this character unescaped, nor do people type it


@overload
def expand_json(
    frame: pl.DataFrame, column: str = "event_json", fields: Fields | None = None, *, prefix: str = ""
) -> pl.DataFrame: ...
@overload
def expand_json(
    frame: pl.LazyFrame, column: str = "event_json", fields: Fields | None = None, *, prefix: str = ""
) -> pl.LazyFrame: ...
@overload
def expand_json(
    frame: pd.DataFrame, column: str = "event_json", fields: Fields | None = None, *, prefix: str = ""
) -> pd.DataFrame: ...
def expand_json(
    frame: pl.DataFrame | pl.LazyFrame | pd.DataFrame,
    column: str = "event_json",
    fields: Fields | None = None,
    *,
    prefix: str = "",
) -> pl.DataFrame | pl.LazyFrame | pd.DataFrame:
    """Open the JSON objects of a column into one column per key.

    Parameters
    ----------
    frame : polars.DataFrame, polars.LazyFrame or pandas.DataFrame
        The frame; it is not changed.
    column : str, default "event_json"
        The column of JSON texts.
    fields : list of str or dict, optional
        The top-level keys to take, as text; or a dict of keys and types: text, a whole or floating number, a decimal,
        a boolean or a day, as a Polars or Arrow type or the name of an Arrow type. Without it, every key found, as
        text, in the order of appearance; a LazyFrame needs it.
    prefix : str, default ""
        What the names of the new columns begin with.

    Returns
    -------
    polars.DataFrame, polars.LazyFrame or pandas.DataFrame
        Of the kind of `frame`, with its rows and columns, and the new columns after them. New pandas columns are
        Arrow-backed. A missing key and a JSON null are null.

    Raises
    ------
    InvalidRequestError
        If there is no such text column, if a new column would have the name of another, if a type is none of these,
        or if `frame` is lazy and `fields` is not given.

    Warns
    -----
    SchemaWarning
        If rows hold no JSON object: says how many and which is the first. They are null in every new column, and a
        null is not counted. A LazyFrame has not seen its rows and does not warn.

    Notes
    -----
    As text, a string is what it says, without quotes, and anything else is its JSON as it stands, so that numbers keep
    every digit. With a type, ``3`` and ``"3"`` are both the number 3; a value that does not fit is null, ``3.0`` for a
    whole number, too. Of a key that stands twice, the last counts. ``NaN`` and ``Infinity`` are no JSON. Half a
    surrogate pair is no text, and the row that has one is no JSON.

    All of it runs in native expressions, whatever `fields` is. Quick to read are numbers, words and strings without a
    backslash in objects that hold no other object; keys that are not asked for do not matter. It takes several times
    as long where an object is within, or a value that is asked for is an array or has a backslash; and twenty times, to
    any depth, where objects nest deeper than three levels or have a backslash in a key.

    Examples
    --------
    >>> import polars as pl
    >>> from appmetrica_frames import expand_json
    >>> frame = pl.DataFrame({"event_json": ['{"sku": "LV-7", "price": 9.50}', '{"sku": "LV-8"}', None]})
    >>> expand_json(frame).drop("event_json").rows()
    [('LV-7', '9.50'), ('LV-8', None), (None, None)]
    >>> expand_json(frame, fields={"price": pl.Float64}, prefix="json.")["json.price"].to_list()
    [9.5, None, None]
    """
    import polars as pl

    if isinstance(frame, pl.LazyFrame):
        if fields is None:
            raise InvalidRequestError(
                "A LazyFrame does not know its keys before it is collected: name them, fields=[…]."
            )
        schema = frame.collect_schema()
        _checked_column(column, schema.names())
        _checked_text(column, schema[column])
        return _lazily(frame, column, _wanted(fields, prefix, schema.names()))
    if isinstance(frame, pl.DataFrame):
        _checked_column(column, frame.columns)
        return frame.hstack(_new(frame[column], fields, prefix, frame.columns))
    return _to_pandas(frame, column, fields, prefix)


def _to_pandas(frame: pd.DataFrame, column: str, fields: Fields | None, prefix: str) -> pd.DataFrame:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    if not isinstance(frame, pd.DataFrame):
        raise InvalidRequestError(f"expand_json takes a Polars or pandas frame, not {type(frame).__name__}.")
    names = list(frame.columns)
    _checked_column(column, names)
    try:
        cells = pa.array(frame[column], from_pandas=True)
    except (pa.ArrowException, UnicodeError) as error:
        raise InvalidRequestError(f"Column {column!r} does not hold text: {error}.") from error
    opened = frame.copy(deep=False)
    for new in _new(pl.Series(column, pl.from_arrow(cells)), fields, prefix, names):
        arrow: Any = new.to_arrow()
        arrow = arrow.cast(pa.string()) if new.dtype == pl.String else arrow
        opened[new.name] = pd.Series(pd.arrays.ArrowExtensionArray(arrow), index=frame.index)
    return opened


def _new(texts: pl.Series, fields: Fields | None, prefix: str, names: Sequence[str]) -> list[pl.Series]:
    """Return the new columns of an eager frame, and warn of the rows that are broken."""
    import polars as pl

    from .columns import opened
    from .keys import found

    _checked_text(texts.name, texts.dtype)
    plain = texts.cast(pl.String)
    wanted = _wanted(found(plain) if fields is None else fields, prefix, names)
    columns = opened(plain, list(wanted))
    _warn(texts, columns["left"])
    return columns.select(_typed(wanted, pl.col)).get_columns()


def _lazily(frame: pl.LazyFrame, column: str, wanted: Wanted) -> pl.LazyFrame:
    """Add the new columns; each batch of rows is opened when it comes."""
    import polars as pl

    from .columns import opened

    def batch(texts: pl.Series) -> pl.Series:
        return opened(texts, list(wanted)).to_struct(texts.name)

    fields = dict.fromkeys(map(str, range(len(wanted))), pl.String)
    struct = (
        pl.col(column)
        .cast(pl.String)
        .map_batches(batch, return_dtype=pl.Struct({**fields, "left": pl.Boolean}), is_elementwise=True)
    )
    opening = frame.with_columns(struct.alias(_OPENED))
    return opening.with_columns(_typed(wanted, pl.col(_OPENED).struct.field)).drop(_OPENED)


def _typed(wanted: Wanted, text: Callable[[str], pl.Expr]) -> list[pl.Expr]:
    return [_cast(text(str(place)), dtype).alias(name) for place, (name, dtype) in enumerate(wanted.values())]


def _cast(text: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    import polars as pl

    if dtype == pl.String:
        return text
    if dtype == pl.Boolean:
        return pl.when(text.is_in(["true", "false"])).then(text == "true")
    if dtype == pl.Date:
        return text.str.to_date("%Y-%m-%d", strict=False)
    return text.cast(dtype, strict=False)


def _wanted(fields: Fields, prefix: str, names: Sequence[str]) -> Wanted:
    import polars as pl

    if isinstance(fields, str):
        raise InvalidRequestError(
            f"fields takes a list of keys or a dict of keys and types: [{fields!r}], not {fields!r}."
        )
    chosen = dict(fields) if isinstance(fields, Mapping) else dict.fromkeys(fields, pl.String)
    if odd := [key for key in chosen if not isinstance(key, str)]:
        raise InvalidRequestError(f"fields takes keys as texts, not {odd[0]!r}.")
    wanted = {key: (prefix + key, _dtype(key, type_)) for key, type_ in chosen.items()}
    if taken := [name for name, _ in wanted.values() if name in names]:
        raise InvalidRequestError(
            f"The frame has columns {taken} already: choose another beginning for the new ones, like prefix='json_'."
        )
    return wanted


def _dtype(key: str, chosen: Any) -> pl.DataType:
    import polars as pl
    import pyarrow as pa

    from appmetrica_frames.schema.types import parse_override

    known: pl.DataType = pl.Series(pl.from_arrow(pa.array([], parse_override(key, chosen)))).dtype
    if known.is_numeric() or known in (pl.String, pl.Boolean, pl.Date):
        return known
    raise InvalidRequestError(
        f"fields[{key!r}] takes text, a number, a boolean or a day, not {chosen!r}: take it as text and convert that."
    )


def _checked_column(column: str, names: Sequence[str]) -> None:
    if column not in names:
        near = did_you_mean(str(column), [name for name in names if isinstance(name, str)])
        raise InvalidRequestError(f"The frame has no column {column!r}.{near}")


def _checked_text(column: str, dtype: pl.DataType) -> None:
    import polars as pl

    if dtype not in (pl.String, pl.Null, pl.Categorical):
        raise InvalidRequestError(f"Column {column!r} holds {dtype}, not text.")


def _warn(texts: pl.Series, broken: pl.Series) -> None:
    if count := broken.sum():
        first = broken.arg_max() or 0
        warnings.warn(
            f"Column {texts.name!r}: {count} of {len(texts)} rows hold no JSON object, the first of them "
            f"row {first + 1}: {str(texts[first])[:SHOWN]!r}. They are null in the new columns.",
            SchemaWarning,
            stacklevel=4,
        )
