"""Read JSON as a table of its tokens: native expressions that check and split any text, however deep.

This is slower than the other ways of `extract`, and only for the rows that those cannot read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from .grammar import BLANKS, QUOTED, WS, match_almost_object

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT = pl.col("text")
SLICE_BYTES = 2**20  # of text; a table of its tokens takes a hundred times as much

_TOKEN = rf'(?:{QUOTED}|[\[\]{{}}:,]|[^{BLANKS}"\[\]{{}}:,]+){WS}'


def number_rows(texts: pl.Series) -> pl.DataFrame:
    return pl.DataFrame({"text": texts}).with_row_index("row")


def map_slices(rows: pl.DataFrame, size: int, step: Callable[[pl.LazyFrame], pl.LazyFrame]) -> list[pl.DataFrame]:
    """Apply a step to slices of so many rows, on all processors."""
    starts = range(0, max(rows.height, 1), size)
    return pl.collect_all([step(rows.slice(start, size).lazy()) for start in starts])


def read_members(rows: pl.DataFrame) -> pl.DataFrame:
    """Return row, key and value, unquoted, of the members of those rows that hold an object.

    The first one of each row is what comes before the first key, and has no key.
    """
    likely = rows.filter(TEXT.str.contains(match_almost_object()))
    size = 1 + SLICE_BYTES * likely.height // (1 + int(likely["text"].str.len_bytes().sum()))
    return pl.concat(map_slices(likely, size, _split_into_members)).select(
        "row", unquote(pl.col("key")), unquote(pl.col("value"))
    )


def unquote(value: pl.Expr) -> pl.Expr:
    """Return the content of a string, null for a JSON null, and any other JSON as it is."""
    escaped = value.str.starts_with('"') & value.str.contains("\\", literal=True)
    bare = pl.when((value != "null") & ~escaped).then(value).str.strip_prefix('"').str.strip_suffix('"')
    return bare.fill_null(pl.when(escaped).then(value).str.json_path_match("$"))


def _split_into_members(rows: pl.LazyFrame) -> pl.LazyFrame:
    text, top = pl.col("token"), pl.col("level") == 1
    key = pl.when(top & (text.shift(-1) == ":")).then(text)
    mark = (text == "{") | (text == "}") | (text == ":") | (text == ",")
    value = pl.when(~(top & (mark | pl.col("key").is_not_null()))).then(pl.col("raw"))
    return (
        _split_into_tokens(rows)
        .with_columns(key.alias("key"), _is_in_place().alias("is_in_place"))
        .with_columns(value.alias("value"), (pl.col("first") | pl.col("key").is_not_null()).cum_sum().alias("member"))
        .group_by("member", maintain_order=True)
        .agg(pl.col("row", "key").first(), pl.col("value").str.join(), pl.col("is_in_place").all())
        .filter(pl.col("is_in_place").all().over("row"))
        .with_columns(pl.col("value").str.strip_chars_end(BLANKS))
    )


def _split_into_tokens(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Return the tokens, each with the level of its container and the bracket that opened it."""
    text, row, steps = pl.col("token"), pl.col("row"), pl.col("steps")
    opens, closes = (text == "{") | (text == "["), (text == "}") | (text == "]")
    before = pl.when(pl.col("first")).then(steps - 1).forward_fill()
    opener = pl.when(opens).then(text).forward_fill()
    return (
        rows.select("row", TEXT.str.extract_all(_TOKEN).alias("raw"))
        .explode("raw")
        .with_columns(
            pl.col("raw").str.strip_chars_end(BLANKS).alias("token"), row.ne_missing(row.shift()).alias("first")
        )
        .with_columns((opens.cast(pl.Int64) - closes.cast(pl.Int64)).cum_sum().alias("steps"))
        .with_columns((steps - before).alias("depth"))
        .with_columns((pl.col("depth") + closes.cast(pl.Int64)).alias("level"))
        .with_columns(opener.over("row", "level").alias("opener"))
    )


def _is_in_place() -> pl.Expr:
    """Return whether a token is where the grammar allows it, in a text that `match_almost_object` accepts."""
    text, in_object = pl.col("token"), pl.col("opener") == "{"
    before_name = text.shift(-2) == ":"
    ends = (pl.col("depth") == 0) == pl.col("first").shift(-1, fill_value=True)
    return ends & (
        pl.when(text == "{")
        .then(before_name | (text.shift(-1) == "}"))
        .when((text == ",") | (text == "["))
        .then(before_name == ((text == ",") & in_object))
        .when((text == "}") | (text == "]"))
        .then(in_object == (text == "}"))
        .otherwise(pl.lit(value=True))
    ).fill_null(value=False)
