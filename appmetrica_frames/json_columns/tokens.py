"""JSON as a table of its tokens: native expressions that vouch for and take apart any text, however deep.

It is slower than what `columns` does with the other rows, and for those that it cannot read only.
"""

from __future__ import annotations

import polars as pl

from .grammar import BLANKS, QUOTED, WS, almost_object
from .slices import TEXT, in_slices

SLICE = 2**20  # bytes of text; a table of tokens takes a hundred times as much

_TOKEN = rf'(?:{QUOTED}|[\[\]{{}}:,]|[^{BLANKS}"\[\]{{}}:,]+){WS}'


def members(rows: pl.DataFrame) -> pl.DataFrame:
    """Return row, key and value, as `said`, of the members of those rows that hold an object.

    The first of each row is what stands before the first key, and has none.
    """
    likely = rows.filter(TEXT.str.contains(almost_object()))
    size = 1 + SLICE * likely.height // (1 + int(likely["text"].str.len_bytes().sum()))
    return pl.concat(in_slices(likely, size, _members)).select("row", said(pl.col("key")), said(pl.col("value")))


def said(value: pl.Expr) -> pl.Expr:
    """Return what a string says, null for a JSON null, and any other JSON as it stands."""
    escaped = value.str.starts_with('"') & value.str.contains("\\", literal=True)
    bare = pl.when((value != "null") & ~escaped).then(value).str.strip_prefix('"').str.strip_suffix('"')
    return bare.fill_null(pl.when(escaped).then(value).str.json_path_match("$"))


def _members(rows: pl.LazyFrame) -> pl.LazyFrame:
    text, top = pl.col("token"), pl.col("level") == 1
    key = pl.when(top & (text.shift(-1) == ":")).then(text)
    mark = (text == "{") | (text == "}") | (text == ":") | (text == ",")
    value = pl.when(~(top & (mark | pl.col("key").is_not_null()))).then(pl.col("raw"))
    return (
        _tokens(rows)
        .with_columns(key.alias("key"), _fits().alias("fits"))
        .with_columns(value.alias("value"), (pl.col("first") | pl.col("key").is_not_null()).cum_sum().alias("member"))
        .group_by("member", maintain_order=True)
        .agg(pl.col("row", "key").first(), pl.col("value").str.join(), pl.col("fits").all())
        .filter(pl.col("fits").all().over("row"))
        .with_columns(pl.col("value").str.strip_chars_end(BLANKS))
    )


def _tokens(rows: pl.LazyFrame) -> pl.LazyFrame:
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


def _fits() -> pl.Expr:
    """Return whether a token stands where it may, in what is `almost_object`."""
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
