"""Extract keys of the JSON objects in a column of text into columns of their own, and find which keys there are.

Values are read in three ways, each for the rows that the one before cannot read. The fast path reads numbers, words and
strings without a backslash, where a key cannot be mistaken for anything else. By position: what is at the top level of
objects that nest a little. By tokens: any JSON, slowly.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from . import grammar
from .grammar import COLON, QUOTED, SCALAR, WS
from .tokens import TEXT, map_slices, number_rows, read_members, unquote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

FAST_DEPTH, POSITION_DEPTH = 2, 3
FAST_ROWS, POSITION_ROWS = 65_536, 8_192  # rows in a slice
KEYS_PER_EXPRESSION = 100  # the size of an expression is limited
MAX_KEY_LENGTH = 300  # characters of a key in an expression, for the same reason

FIRST_ROWS = 1_000  # rows whose keys are listed before the rows that have no others are dropped
MAX_KEY_BYTES = 20_000  # bytes of known keys in the expression that drops rows

_NESTED = grammar.match_nested(POSITION_DEPTH)


def extract(texts: pl.Series, keys: Sequence[str]) -> pl.DataFrame:
    """Return columns named 0, 1 and so on for the keys, and ``left``: whether a row does not hold a JSON object."""
    ways = [
        lambda rows: map_slices(rows, FAST_ROWS, partial(_fast_path, keys=keys)),
        lambda rows: map_slices(rows, POSITION_ROWS, partial(_extract_by_position, keys=keys)),
        lambda rows: [_extract_by_tokens(rows, keys)],
    ]
    return _extract_with(ways, number_rows(texts))


def _extract_with(ways: Sequence[Callable[[pl.DataFrame], list[pl.DataFrame]]], rows: pl.DataFrame) -> pl.DataFrame:
    """Read rows in the first of these ways, and those that it cannot read in the others."""
    way, *others = ways
    parts = way(rows)
    left = rows.filter(pl.concat(part["left"] for part in parts))
    if others and left.height:
        parts = list(_fill(parts, _extract_with(others, left)))
    return pl.concat(parts)


def _fill(parts: Iterable[pl.DataFrame], others: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Put the other rows where rows are left."""
    for part in parts:
        left = part["left"].arg_true()
        fill, others = others.head(len(left)), others.slice(len(left))
        yield part.with_columns(part[name].scatter(left, fill[name]) for name in part.columns) if len(left) else part


def _is_valid(depth: int) -> pl.Expr:
    return TEXT.str.contains(grammar.match_object(depth))


def _fast_path(rows: pl.LazyFrame, keys: Sequence[str]) -> pl.LazyFrame:
    names = _name_columns(keys)
    seen = pl.sum_horizontal(pl.lit(0, pl.UInt32), *(pl.col(name).is_not_null() for name in names))
    # An object with another one inside has a second brace.
    nests = TEXT.str.strip_prefix("{").str.contains("{", literal=True)
    misread = (pl.col("matches") != seen) | ((pl.col("matches") > 0) & nests) | _may_hold_long_key(keys)
    bare = (pl.when(pl.col(name) != "null").then(pl.col(name).str.strip_chars('"')).alias(name) for name in names)
    # After a sort or a join, successive rows lie far apart in memory, and ten searches in them take twice as long.
    contiguous = rows.with_columns(pl.concat_str(TEXT, pl.lit("")).alias("text"))
    return (
        contiguous.with_columns(_extract_first(key).alias(name) for name, key in names.items())
        .with_columns(_count_matches(keys).alias("matches"), _is_valid(FAST_DEPTH).alias("valid"))
        .select(*bare, (misread | ~pl.col("valid")).fill_null(value=False).alias("left"))
    )


def _name_columns(keys: Sequence[str]) -> dict[str, str]:
    return {str(number): key for number, key in enumerate(keys)}


def _extract_first(key: str) -> pl.Expr:
    """Return the first value of a key, if it is easy to read."""
    if not grammar.is_unmistakable(key) or len(key) > MAX_KEY_LENGTH:
        return pl.lit(None, pl.String)
    return TEXT.str.extract(rf"{grammar.match_key(key)}{COLON}{WS}({grammar.EASY_SCALAR})")


def _count_matches(keys: Sequence[str]) -> pl.Expr:
    """Return how often one of the keys seems to be in a text."""
    short = [key for key in keys if len(key) <= MAX_KEY_LENGTH]
    batches = [short[start : start + KEYS_PER_EXPRESSION] for start in range(0, len(short), KEYS_PER_EXPRESSION)]
    counts = [TEXT.str.count_matches(f"(?:{'|'.join(map(grammar.match_key, batch))}){COLON}") for batch in batches]
    return pl.sum_horizontal(pl.lit(0, pl.UInt32), *counts)


def _may_hold_long_key(keys: Sequence[str]) -> pl.Expr:
    """Return whether a text may hold a key that is too long for an expression."""
    return TEXT.str.len_bytes() > min((len(key) for key in keys if len(key) > MAX_KEY_LENGTH), default=2**32 - 1)


def _extract_by_position(rows: pl.LazyFrame, keys: Sequence[str]) -> pl.LazyFrame:
    names = _name_columns(keys)
    columns = (_extract_last(key).alias(name) for name, key in names.items())
    values = (unquote(pl.col(name)) for name in names)
    return rows.with_columns(columns).select(
        *values, (~_is_valid(POSITION_DEPTH) | _may_hold_long_key(keys)).alias("left")
    )


def _extract_last(key: str) -> pl.Expr:
    """Return the last value of a key at the top level."""
    if len(key) > MAX_KEY_LENGTH:
        return pl.lit(None, pl.String)
    text = pl.when(TEXT.str.contains(grammar.quote(key), literal=True)).then(TEXT)
    rest = text.str.replace(grammar.match_up_to_value(key, POSITION_DEPTH), "")
    return (
        pl.when(rest != text).then(rest).str.extract(f"^(?:{grammar.SCALAR}|{grammar.match_nested(POSITION_DEPTH)})", 0)
    )


def _extract_by_tokens(rows: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    renumbered = number_rows(rows["text"])
    members = read_members(renumbered)
    columns = renumbered.select(~pl.col("row").is_in(members["row"].unique().implode()).alias("left"))
    for name, key in _name_columns(keys).items():
        last = members.filter(pl.col("key") == key).unique("row", keep="last", maintain_order=True)
        blank = pl.repeat(None, rows.height, dtype=pl.String, eager=True)
        columns = columns.with_columns(blank.scatter(last["row"], last["value"]).alias(name))
    return columns.select(*_name_columns(keys), "left")


def find_keys(texts: pl.Series) -> list[str]:
    """Return the keys at the top level of the objects, in the order of appearance."""
    rows = number_rows(texts.drop_nulls())
    is_plain = pl.concat(map_slices(rows, FAST_ROWS, lambda part: part.select(_is_valid(POSITION_DEPTH)))).to_series()
    others = read_members(rows.filter(~is_plain)).select("row", "key").drop_nulls()
    keys = pl.concat([others, *_new_keys(rows.filter(is_plain))]).sort("row", maintain_order=True)
    return keys["key"].unique(maintain_order=True).to_list()


def _new_keys(rows: pl.DataFrame) -> list[pl.DataFrame]:
    """Return the keys of the first rows, then those of the first rows that have others, and so on."""
    parts: list[pl.DataFrame] = []
    size = FIRST_ROWS
    while rows.height:
        parts.append(_list_keys(rows.head(size)))
        rows, size = rows.slice(size), size * 4
        known = pl.concat(parts)["key"].unique()
        if known.str.len_bytes().sum() <= MAX_KEY_BYTES:
            rows = pl.concat(map_slices(rows, FAST_ROWS, partial(_drop_rows_of, keys=known)))
    return parts


def _list_keys(rows: pl.DataFrame) -> pl.DataFrame:
    member = TEXT.str.extract_all(f"{QUOTED}{COLON}{WS}(?:{SCALAR}|{_NESTED})").alias("key")
    listed = rows.select("row", member).explode("key").drop_nulls()
    return listed.with_columns(pl.col("key").str.extract('^"([^"]*)"')).unique("key", keep="first", maintain_order=True)


def _drop_rows_of(rows: pl.LazyFrame, keys: Iterable[str]) -> pl.LazyFrame:
    """Return the rows that have other keys as well."""
    member = rf'(?:{"|".join(map(grammar.match_key, keys))}){COLON}{WS}(?:{QUOTED}|{_NESTED})?[^"\[{{]*'
    return rows.filter(~TEXT.str.contains(rf"^{WS}\{{{WS}(?:{member})*$"))
