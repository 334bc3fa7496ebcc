"""`expand_json`: frames in, frames with a column per key out; `extract` reads the texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, overload

from appmetrica_frames.errors import InvalidRequestError, SchemaWarning, did_you_mean
from appmetrica_frames.util.caller import raise_at_caller, warn_caller

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import pandas as pd
    import polars as pl

Fields: TypeAlias = "Iterable[str] | Mapping[str, Any]"
Wanted: TypeAlias = "dict[str, tuple[str, pl.DataType]]"  # the name and the type of the column of each key

SHOWN = 60  # characters of a broken row in the warning
_EXTRACTED = "\0extracted"  # JSON cannot hold this character unescaped, nor do people type it


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
@raise_at_caller
def expand_json(
    frame: pl.DataFrame | pl.LazyFrame | pd.DataFrame,
    column: str = "event_json",
    fields: Fields | None = None,
    *,
    prefix: str = "",
) -> pl.DataFrame | pl.LazyFrame | pd.DataFrame:
    """Expand the JSON objects of a column into one column per key.

    Parameters
    ----------
    frame : polars.DataFrame, polars.LazyFrame or pandas.DataFrame
        The frame; it is not changed.
    column : str, default "event_json"
        The column of JSON texts.
    fields : list of str or dict, optional
        The top-level keys to extract as text; or a dict of keys and types: text, an integer, a floating-point number, a
        decimal, a boolean or a date, as a Polars or Arrow type or the name of an Arrow type. By default, every key
        that occurs, as text, in the order of appearance; a LazyFrame needs `fields`.
    prefix : str, default ""
        The prefix of the names of the new columns.

    Returns
    -------
    polars.DataFrame, polars.LazyFrame or pandas.DataFrame
        The same kind of frame, with its rows and columns followed by the new columns. New pandas columns are
        Arrow-backed. Missing keys and JSON nulls become null.

    Raises
    ------
    InvalidRequestError
        If there is no such text column, if a new column would have the name of an existing one, if a type is not one
        of these, or if `frame` is lazy and `fields` is not given.

    Warns
    -----
    SchemaWarning
        If rows do not hold a JSON object: says how many and which is the first. They become null in every new column;
        rows that are null are not counted. A LazyFrame does not know its rows and does not warn.

    Notes
    -----
    As text, a string is its content without the quotes, and any other value is its JSON as it is, so that numbers keep
    every digit. With a type, ``3`` and ``"3"`` are both the number 3; a value that does not fit becomes null, and so
    does ``3.0`` for an integer. If a key is repeated, the last value counts. ``NaN`` and ``Infinity`` are not JSON, and
    neither is a text with half of a surrogate pair.

    Everything runs in native expressions, whatever `fields` is. Numbers, words and strings without a backslash are
    fast, in objects without nested objects; other keys do not matter. It takes several times as long if an object is
    nested, or if a value to extract is an array or has a backslash; and twenty times, to any depth, if objects nest
    deeper than three levels or have a backslash in a key.

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
        _check_column(column, schema.names())
        _check_text(column, schema[column])
        return _expand_lazy(frame, column, _choose_columns(fields, prefix, schema.names()))
    if isinstance(frame, pl.DataFrame):
        _check_column(column, frame.columns)
        return frame.hstack(_extract_columns(frame[column], fields, prefix, frame.columns))
    return _expand_pandas(frame, column, fields, prefix)


def _expand_pandas(frame: pd.DataFrame, column: str, fields: Fields | None, prefix: str) -> pd.DataFrame:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    if not isinstance(frame, pd.DataFrame):
        raise InvalidRequestError(f"expand_json takes a Polars or pandas frame, not {type(frame).__name__}.")
    names = list(frame.columns)
    _check_column(column, names)
    try:
        cells = pa.array(frame[column], from_pandas=True)
    except (pa.ArrowException, UnicodeError) as error:
        raise InvalidRequestError(f"Column {column!r} does not hold text: {error}.") from error
    expanded = frame.copy(deep=False)
    for new in _extract_columns(pl.Series(column, pl.from_arrow(cells)), fields, prefix, names):
        arrow: Any = new.to_arrow()
        arrow = arrow.cast(pa.string()) if new.dtype == pl.String else arrow
        expanded[new.name] = pd.Series(pd.arrays.ArrowExtensionArray(arrow), index=frame.index)
    return expanded


def _extract_columns(texts: pl.Series, fields: Fields | None, prefix: str, names: Sequence[str]) -> list[pl.Series]:
    """Return the new columns of an eager frame, and warn of the rows that are broken."""
    import polars as pl

    from .extract import extract, find_keys

    _check_text(texts.name, texts.dtype)
    plain = texts.cast(pl.String)
    wanted = _choose_columns(find_keys(plain) if fields is None else fields, prefix, names)
    columns = extract(plain, list(wanted))
    _warn_of_broken_rows(texts, columns["left"])
    return columns.select(_cast_columns(wanted, pl.col)).get_columns()


def _expand_lazy(frame: pl.LazyFrame, column: str, wanted: Wanted) -> pl.LazyFrame:
    """Add the new columns; each batch of rows is read when it comes."""
    import polars as pl

    from .extract import extract

    def batch(texts: pl.Series) -> pl.Series:
        return extract(texts, list(wanted)).to_struct(texts.name)

    fields = dict.fromkeys(map(str, range(len(wanted))), pl.String)
    struct = (
        pl.col(column)
        .cast(pl.String)
        .map_batches(batch, return_dtype=pl.Struct({**fields, "left": pl.Boolean}), is_elementwise=True)
    )
    extracted = frame.with_columns(struct.alias(_EXTRACTED))
    return extracted.with_columns(_cast_columns(wanted, pl.col(_EXTRACTED).struct.field)).drop(_EXTRACTED)


def _cast_columns(wanted: Wanted, text: Callable[[str], pl.Expr]) -> list[pl.Expr]:
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


def _choose_columns(fields: Fields, prefix: str, names: Sequence[str]) -> Wanted:
    import polars as pl

    if isinstance(fields, str):
        raise InvalidRequestError(
            f"fields takes a list of keys or a dict of keys and types: [{fields!r}], not {fields!r}."
        )
    chosen = dict(fields) if isinstance(fields, Mapping) else dict.fromkeys(fields, pl.String)
    if odd := [key for key in chosen if not isinstance(key, str)]:
        raise InvalidRequestError(f"fields takes keys as texts, not {odd[0]!r}.")
    wanted = {key: (prefix + key, _choose_dtype(key, type_)) for key, type_ in chosen.items()}
    if taken := [name for name, _ in wanted.values() if name in names]:
        raise InvalidRequestError(
            f"The frame has columns {taken} already: choose a prefix for the new ones, like prefix='json_'."
        )
    return wanted


def _choose_dtype(key: str, chosen: Any) -> pl.DataType:
    import polars as pl
    import pyarrow as pa

    from appmetrica_frames.schema.types import parse_override

    known: pl.DataType = pl.Series(pl.from_arrow(pa.array([], parse_override(key, chosen)))).dtype
    if known.is_numeric() or known in (pl.String, pl.Boolean, pl.Date):
        return known
    raise InvalidRequestError(
        f"fields[{key!r}] takes text, a number, a boolean or a date, not {chosen!r}: take it as text and convert that."
    )


def _check_column(column: str, names: Sequence[str]) -> None:
    if column not in names:
        near = did_you_mean(str(column), [name for name in names if isinstance(name, str)])
        raise InvalidRequestError(f"The frame has no column {column!r}.{near}")


def _check_text(column: str, dtype: pl.DataType) -> None:
    import polars as pl

    if dtype not in (pl.String, pl.Null, pl.Categorical):
        raise InvalidRequestError(f"Column {column!r} holds {dtype}, not text.")


def _warn_of_broken_rows(texts: pl.Series, broken: pl.Series) -> None:
    if count := broken.sum():
        first = broken.arg_max() or 0
        warn_caller(
            f"Column {texts.name!r}: {count} of {len(texts)} rows do not hold a JSON object; the first is "
            f"row {first + 1}: {str(texts[first])[:SHOWN]!r}. They become null in the new columns.",
            SchemaWarning,
        )
