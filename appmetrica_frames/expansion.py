"""JSON objects in a column, opened into columns of their own by native expressions.

Three kinds of rows, told apart once. Plain: one regular expression vouches that the text is a JSON object of at most
`DEPTH` nested levels without an escape in a key, and its values are cut out as they stand. Odd: any other JSON object,
read by a JSON parser. Broken: the rest.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, overload

from .errors import InvalidRequestError, SchemaWarning, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import pandas as pd
    import polars as pl

Fields: TypeAlias = "Iterable[str] | Mapping[str, Any]"

DEPTH = 2
DEEPEST = 16  # levels of an odd row that expressions look across
SLICE = 65_536  # rows of an eager frame that one processor takes at a time
SHOWN = 60  # characters of a broken row in the warning

_WS = r"[ \t\r\n]*"
_HEX = "[0-9a-fA-F]"
# Two halves of a surrogate pair or none: a half alone is no character.
_UNICODE = rf"u(?:[0-9a-cA-CefEF]{_HEX}{{3}}|[dD][0-7]{_HEX}{{2}}|[dD][89abAB]{_HEX}{{2}}\\u[dD][c-fC-F]{_HEX}{{2}})"
_STRING = rf'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|{_UNICODE}))*"'
_KEY = r'"[^"\\\x00-\x1f]*"'
_NUMBER = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
# What follows reads text that is known to be valid, and needs to tell tokens apart only.
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_SCALAR = rf'{_QUOTED}|[^,{{}}\[\]\s"]+'
_COLON = r"[ \t\r\n]*:"
_MARK = r"\u0001number:"
# Names that no key has: JSON cannot hold this character unescaped, nor do people type it.
_TEXT, _PLAIN, _ODD, _SHALLOW, _BROKEN = "\0text", "\0plain", "\0odd", "\0shallow", "\0broken"


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
    every digit. (In a row that nests deeper than two levels or has a backslash in a key, arrays and objects lose the
    blanks between their parts.) With a type, ``3`` and ``"3"`` are both the number 3; a value
    that does not fit is null, ``3.0`` for a whole number, too. Of a key that stands twice, the last counts. Half a
    surrogate pair is no text, and the row that has one is no JSON.

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
        wanted = _wanted(fields, prefix, schema.names())
        opened = _opened(_sorted_out(frame, column), wanted)
        return opened.drop(_PLAIN, _ODD, _SHALLOW)
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
    except pa.ArrowException as error:
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

    _checked_text(texts.name, texts.dtype)
    alone = texts.cast(pl.String).alias(_TEXT).to_frame()
    wanted = _wanted(_found(alone) if fields is None else fields, prefix, names)
    broken = pl.col(_TEXT).is_not_null() & pl.col(_PLAIN).is_null() & pl.col(_ODD).is_null()
    made = [name for name, _ in wanted.values()]
    opened = _in_slices(alone, wanted, *map(pl.col, made), broken.alias(_BROKEN))
    _warn(texts, opened.drop_in_place(_BROKEN))
    return opened.get_columns()


def _in_slices(alone: pl.DataFrame, wanted: Mapping[str, tuple[str, pl.DataType]], *columns: pl.Expr) -> pl.DataFrame:
    """Select from the rows that were sorted out and opened, on all processors."""
    import polars as pl

    parts = [alone.slice(start, SLICE).lazy() for start in range(0, max(alone.height, 1), SLICE)]
    return pl.concat(pl.collect_all([_opened(_sorted_out(part, _TEXT), wanted).select(columns) for part in parts]))


def _sorted_out(frame: pl.LazyFrame, column: str) -> pl.LazyFrame:
    """Add what is plain, what is odd, and the plain rows without what is nested in them."""
    import polars as pl

    text = pl.col(column).cast(pl.String)
    plain = pl.when(text.str.contains(f"^{_WS}{_object(DEPTH)}{_WS}$")).then(text)
    other = pl.when(pl.col(_PLAIN).is_null()).then(text)
    nesting = pl.col(_PLAIN).str.contains(r"^[^{]*\{[^{\[]*[{\[]")
    nested = pl.when(nesting).then(pl.col(_PLAIN))
    return (
        frame.with_columns(plain.alias(_PLAIN))
        .with_columns(_where_there(other, _rewritten).alias(_ODD), _where_there(nested, _flat).alias(_SHALLOW))
        .with_columns(pl.col(_SHALLOW).fill_null(pl.col(_PLAIN)))
    )


def _where_there(text: pl.Expr, way: Callable[[pl.Expr], pl.Expr]) -> pl.Expr:
    """Go this way with the rows that are not null; Polars would go it with all of them."""
    import polars as pl

    def gone(texts: pl.Series) -> pl.Series:
        answer = pl.Series(texts.name, [None], dtype=pl.String).new_from_index(0, len(texts))
        if texts.null_count() == len(texts):
            return answer
        there = texts.is_not_null().arg_true()
        return answer.scatter(there, texts.gather(there).to_frame(_TEXT).select(way(pl.col(_TEXT))).to_series())

    return text.map_batches(gone, return_dtype=pl.String, is_elementwise=True)


def _flat(text: pl.Expr) -> pl.Expr:
    """Take out what is nested."""
    return text.str.replace(r"\{", "").str.replace_all(rf"({_QUOTED}|[^\[{{\"]+)|{_nested(DEPTH)}", "${1}")


def _rewritten(text: pl.Expr) -> pl.Expr:
    """Return what a JSON parser makes of each text, with the numbers as they were: they pass it as marked strings."""
    import polars as pl

    text = pl.when(text.str.contains(rf"^{_WS}\{{")).then(text)
    unmarked = pl.when(~text.str.contains(_MARK, literal=True)).then(text)
    marked = unmarked.str.replace_all(rf'([^"0-9\-]*(?:{_QUOTED}[^"0-9\-]*)*)({_NUMBER})?', f'${{1}}"{_MARK}${{2}}"')
    marked = marked.str.replace_all(f'"{_MARK}"', "", literal=True)
    number = rf'"{re.escape(_MARK)}([^"]+)"'
    # A number in a wrong place, like that of a key, is as wrong for a word and would be right for a string.
    valid = marked.str.replace_all(number, "true").str.json_path_match("$").is_not_null()
    rewritten = pl.when(valid).then(marked).str.json_path_match("$").str.replace_all(number, "${1}")
    return rewritten.fill_null(pl.when(text.str.contains(_MARK, literal=True)).then(text).str.json_path_match("$"))


def _opened(frame: pl.LazyFrame, wanted: Mapping[str, tuple[str, pl.DataType]]) -> pl.LazyFrame:
    """Add the new columns to sorted rows, in stages, so that nothing is computed twice."""
    import polars as pl

    cut = {key: f"\0cut {key}" for key in wanted}
    return (
        frame.with_columns(_scalar(key).alias(cut[key]) for key in wanted)
        .with_columns(_whole(key, pl.col(cut[key])).alias(cut[key]) for key in wanted)
        .with_columns(_typed(_text(key, pl.col(cut[key])), dtype).alias(name) for key, (name, dtype) in wanted.items())
        .drop(cut.values())
    )


def _quoted(key: str) -> str:
    return json.dumps(key, ensure_ascii=False)


def _scalar(key: str) -> pl.Expr:
    """Return the JSON of a key in the plain rows where it stands once and is not nested."""
    import polars as pl

    # Between two strings of valid JSON stands one of these; without them, quotes around a key are its own.
    if not key.strip() or set(key) & set(",:{}[]"):
        return pl.lit(None, dtype=pl.String)
    spot = re.escape(_quoted(key)) + _COLON
    first = pl.col(_SHALLOW).str.extract(rf"{spot}{_WS}({_SCALAR})")
    return pl.when(pl.col(_SHALLOW).str.count_matches(spot) == 1).then(first)


def _whole(key: str, scalar: pl.Expr) -> pl.Expr:
    """Return the JSON of a key in all rows that do not nest too deep."""
    import polars as pl

    at_top = _at_top(_quoted(key))
    holds = pl.col(_SHALLOW).str.contains(re.escape(_quoted(key)) + _COLON)
    left = pl.when(scalar.is_null() & holds).then(pl.col(_PLAIN)).otherwise(pl.col(_ODD))
    return scalar.fill_null(_where_there(left, lambda text: text.str.extract(at_top)))


def _text(key: str, value: pl.Expr) -> pl.Expr:
    """Return the text of a key, that of rows that nest deeper, too."""
    import polars as pl

    if "\\" in key:  # JSONPath knows no backslash
        return _said(value)
    path = key.replace("'", "\\'")
    deeper = pl.when(value.is_null()).then(pl.col(_ODD))
    return _said(value).fill_null(_where_there(deeper, lambda text: text.str.json_path_match(f"$['{path}']")))


def _said(value: pl.Expr) -> pl.Expr:
    """Return what a string says, null for a JSON null, and any other JSON as it stands."""
    import polars as pl

    escaped = pl.when(value.str.starts_with('"') & value.str.contains("\\", literal=True)).then(value)
    spelt = _where_there(escaped, lambda text: text.str.json_path_match("$"))
    bare = pl.when((value != "null") & escaped.is_null()).then(value).str.strip_prefix('"').str.strip_suffix('"')
    return bare.fill_null(spelt)


def _typed(text: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    import polars as pl

    if dtype == pl.String:
        return text
    if dtype == pl.Boolean:
        return pl.when(text.is_in(["true", "false"])).then(text == "true")
    if dtype == pl.Date:
        return text.str.to_date("%Y-%m-%d", strict=False)
    return text.cast(dtype, strict=False)


def _json_value(depth: int) -> str:
    """Return the expression of a JSON value that nests so deep."""
    kinds = [_STRING, _NUMBER, "true", "false", "null"]
    if depth:
        item = _json_value(depth - 1)
        kinds += [_object(depth - 1), rf"\[{_listed(item)}\]"]
    return f"(?:{'|'.join(kinds)})"


def _object(depth: int) -> str:
    return rf"\{{{_listed(f'{_KEY}{_WS}:{_WS}{_json_value(depth)}')}\}}"


def _listed(item: str) -> str:
    return f"{_WS}(?:{item}{_WS}(?:,{_WS}{item}{_WS})*)?"


def _nested(depth: int) -> str:
    """Return the expression of an object or array in valid text."""
    within = rf'[^"{{}}\[\]]|{_QUOTED}' + (f"|{_nested(depth - 1)}" if depth else "")
    return rf"[\[{{](?:{within})*[\]}}]"


def _at_top(quoted_key: str) -> str:
    """Return the expression that finds the last value of a key that is not nested; slow."""
    nested = _nested(DEEPEST)
    before = rf'(?:[^"{{}}\[\]]|{_QUOTED}|{nested})*'
    return rf"^{_WS}\{{{before}{re.escape(quoted_key)}{_COLON}{_WS}({_SCALAR}|{nested})"


def _found(alone: pl.DataFrame) -> list[str]:
    """Return the keys in the order of appearance, those of odd rows last."""
    import polars as pl

    keys_only = pl.col(_SHALLOW).str.replace_all(rf"({_QUOTED}){_COLON}{_WS}(?:{_SCALAR})?", "$1")
    texts = _in_slices(alone, {}, keys_only.alias(_SHALLOW), pl.col(_ODD))
    kinds = texts[_SHALLOW].drop_nulls().unique(maintain_order=True)
    keys = kinds.str.extract_all(_QUOTED).explode().drop_nulls().str.strip_prefix('"').str.strip_suffix('"')
    odd = texts[_ODD].drop_nulls().unique(maintain_order=True)
    return list(dict.fromkeys([*keys.unique(maintain_order=True), *(key for text in odd for key in json.loads(text))]))


def _wanted(fields: Fields, prefix: str, names: Sequence[str]) -> dict[str, tuple[str, pl.DataType]]:
    """Return the name and the type of the column of each key."""
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

    from .decode.overrides import arrow_override

    known: pl.DataType = pl.Series(pl.from_arrow(pa.array([], arrow_override(key, chosen)))).dtype
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
