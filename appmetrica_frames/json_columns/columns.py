"""A column of text for each key, in three ways, each for the rows that the one before it leaves.

At a glance: numbers, words and strings without a backslash, where a key cannot be taken for anything else. By place:
what stands at the top of objects that nest a little. By tokens: any JSON, slowly.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from . import grammar
from .grammar import COLON, WS
from .slices import TEXT, in_rows, in_slices
from .tokens import members, said

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

GLANCE_DEPTH, PLACE_DEPTH = 2, 3
GLANCE_SLICE, PLACE_SLICE = 65_536, 8_192  # rows
KEYS = 100  # in one expression, whose size has a limit
LONG = 300  # characters of a key, for the same reason


def opened(texts: pl.Series, keys: Sequence[str]) -> pl.DataFrame:
    """Return columns named 0, 1 and so on for the keys, and one named left: whether a row holds no JSON object."""
    ways = [
        lambda rows: in_slices(rows, GLANCE_SLICE, partial(_at_a_glance, keys=keys)),
        lambda rows: in_slices(rows, PLACE_SLICE, partial(_by_place, keys=keys)),
        lambda rows: [_by_tokens(rows, keys)],
    ]
    return _read(in_rows(texts), ways)


def _read(rows: pl.DataFrame, ways: Sequence[Callable[[pl.DataFrame], list[pl.DataFrame]]]) -> pl.DataFrame:
    """Read the rows in the first of these ways, and those that it leaves in the others."""
    way, *others = ways
    parts = way(rows)
    left = rows.filter(pl.concat(part["left"] for part in parts))
    if others and left.height:
        parts = list(_filled(parts, _read(left, others)))
    return pl.concat(parts)


def _filled(parts: Iterable[pl.DataFrame], others: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Put the other rows in the places that are left."""
    for part in parts:
        left = part["left"].arg_true()
        fill, others = others.head(len(left)), others.slice(len(left))
        yield part.with_columns(part[name].scatter(left, fill[name]) for name in part.columns) if len(left) else part


def valid(depth: int) -> pl.Expr:
    return TEXT.str.contains(grammar.whole_object(depth))


def _at_a_glance(rows: pl.LazyFrame, keys: Sequence[str]) -> pl.LazyFrame:
    names = _names(keys)
    seen = pl.sum_horizontal(pl.lit(0, pl.UInt32), *(pl.col(name).is_not_null() for name in names))
    # A second brace is all it takes to have an object within.
    nests = TEXT.str.strip_prefix("{").str.contains("{", literal=True)
    misread = (pl.col("standing") != seen) | ((pl.col("standing") > 0) & nests) | _long(keys)
    bare = (pl.when(pl.col(name) != "null").then(pl.col(name).str.strip_chars('"')).alias(name) for name in names)
    # After a sort or a join, rows that follow each other lie far apart in memory: ten looks there take twice as long.
    together = rows.with_columns(pl.concat_str(TEXT, pl.lit("")).alias("text"))
    return (
        together.with_columns(_glance(key).alias(name) for name, key in names.items())
        .with_columns(_standing(keys).alias("standing"), valid(GLANCE_DEPTH).alias("valid"))
        .select(*bare, (misread | ~pl.col("valid")).fill_null(value=False).alias("left"))
    )


def _names(keys: Sequence[str]) -> dict[str, str]:
    return {str(place): key for place, key in enumerate(keys)}


def _glance(key: str) -> pl.Expr:
    """Return the value of a key where it stands first, if it is easy to read."""
    if not grammar.stands_out(key) or len(key) > LONG:
        return pl.lit(None, pl.String)
    return TEXT.str.extract(rf"{grammar.pattern(key)}{COLON}{WS}({grammar.EASY_SCALAR})")


def _standing(keys: Sequence[str]) -> pl.Expr:
    """Return how many places of a text look like one of the keys."""
    short = [key for key in keys if len(key) <= LONG]
    batches = [short[start : start + KEYS] for start in range(0, len(short), KEYS)]
    places = [TEXT.str.count_matches(f"(?:{'|'.join(map(grammar.pattern, batch))}){COLON}") for batch in batches]
    return pl.sum_horizontal(pl.lit(0, pl.UInt32), *places)


def _long(keys: Sequence[str]) -> pl.Expr:
    """Return whether a text may hold a key that is too long for an expression."""
    return TEXT.str.len_bytes() > min((len(key) for key in keys if len(key) > LONG), default=2**32 - 1)


def _by_place(rows: pl.LazyFrame, keys: Sequence[str]) -> pl.LazyFrame:
    names = _names(keys)
    placed = (_placed(key).alias(name) for name, key in names.items())
    values = (said(pl.col(name)) for name in names)
    return rows.with_columns(placed).select(*values, (~valid(PLACE_DEPTH) | _long(keys)).alias("left"))


def _placed(key: str) -> pl.Expr:
    """Return the last value of a key at the top."""
    if len(key) > LONG:
        return pl.lit(None, pl.String)
    text = pl.when(TEXT.str.contains(grammar.quoted(key), literal=True)).then(TEXT)
    rest = text.str.replace(grammar.up_to_value(key, PLACE_DEPTH), "")
    return pl.when(rest != text).then(rest).str.extract(f"^(?:{grammar.SCALAR}|{grammar.nested(PLACE_DEPTH)})", 0)


def _by_tokens(rows: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    again = in_rows(rows["text"])
    found = members(again)
    columns = again.select(~pl.col("row").is_in(found["row"].unique().implode()).alias("left"))
    for name, key in _names(keys).items():
        last = found.filter(pl.col("key") == key).unique("row", keep="last", maintain_order=True)
        blank = pl.repeat(None, rows.height, dtype=pl.String, eager=True)
        columns = columns.with_columns(blank.scatter(last["row"], last["value"]).alias(name))
    return columns.select(*_names(keys), "left")
