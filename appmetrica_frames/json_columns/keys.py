"""The keys that the objects have, in the order of appearance."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from . import grammar
from .columns import GLANCE_SLICE, PLACE_DEPTH, valid
from .grammar import COLON, QUOTED, SCALAR, WS
from .slices import TEXT, in_rows, in_slices
from .tokens import members

if TYPE_CHECKING:
    from collections.abc import Iterable

FIRST = 1_000  # rows whose keys are listed before the others are sifted by them
MESH = 20_000  # bytes of keys that rows are sifted by at most

_NESTED = grammar.nested(PLACE_DEPTH)


def found(texts: pl.Series) -> list[str]:
    """Return the keys at the top of the objects."""
    rows = in_rows(texts.drop_nulls())
    plain = pl.concat(in_slices(rows, GLANCE_SLICE, lambda part: part.select(valid(PLACE_DEPTH)))).to_series()
    others = members(rows.filter(~plain)).select("row", "key").drop_nulls()
    keys = pl.concat([others, *_sifted(rows.filter(plain))]).sort("row", maintain_order=True)
    return keys["key"].unique(maintain_order=True).to_list()


def _sifted(rows: pl.DataFrame) -> list[pl.DataFrame]:
    """Return the keys of the first rows, then those of the first that have others, and so on."""
    parts: list[pl.DataFrame] = []
    size = FIRST
    while rows.height:
        parts.append(_listed(rows.head(size)))
        rows, size = rows.slice(size), size * 4
        known = pl.concat(parts)["key"].unique()
        if known.str.len_bytes().sum() <= MESH:
            rows = pl.concat(in_slices(rows, GLANCE_SLICE, partial(_without, keys=known)))
    return parts


def _listed(rows: pl.DataFrame) -> pl.DataFrame:
    member = TEXT.str.extract_all(f"{QUOTED}{COLON}{WS}(?:{SCALAR}|{_NESTED})").alias("key")
    listed = rows.select("row", member).explode("key").drop_nulls()
    return listed.with_columns(pl.col("key").str.extract('^"([^"]*)"')).unique("key", keep="first", maintain_order=True)


def _without(rows: pl.LazyFrame, keys: Iterable[str]) -> pl.LazyFrame:
    """Return the rows of plain objects that have other keys, too."""
    member = rf'(?:{"|".join(map(grammar.pattern, keys))}){COLON}{WS}(?:{QUOTED}|{_NESTED})?[^"\[{{]*'
    return rows.filter(~TEXT.str.contains(rf"^{WS}\{{{WS}(?:{member})*$"))
