"""A Polars frame to look things up in, which is shown whole: every row, and texts to their end."""

from __future__ import annotations

import shutil
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from .durations import format_duration
from .tables import format_table
from .terminal import escape_controls

WIDTH = 120  # characters, where there is no terminal
MAX_TEXT = 10_000  # characters of a cell
MAX_NAMED = 4  # items of a list, in a terminal
MAX_ITEMS = 100  # of a list in a cell


class Listing(pl.DataFrame):
    """A frame like any other, except for how it is shown."""

    def __str__(self) -> str:
        width = shutil.get_terminal_size(fallback=(WIDTH, 0)).columns
        return "\n".join(format_table([self.columns, *map(_format_row, self.rows())], width=width))

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self, **options: Any) -> str:
        with pl.Config(
            tbl_rows=-1,
            tbl_cols=-1,
            tbl_hide_dataframe_shape=True,
            fmt_str_lengths=MAX_TEXT,
            fmt_table_cell_list_len=MAX_ITEMS,
        ):
            return super()._repr_html_(**options)


def _format_row(row: tuple[Any, ...]) -> list[str]:
    return list(map(_format_cell, row))


def _format_cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, timedelta):
        return format_duration(value.total_seconds())
    if isinstance(value, datetime):
        return value.isoformat(" ", "seconds")
    if isinstance(value, list):
        return escape_controls(
            ", ".join(map(str, value if len(value) <= MAX_NAMED else [*value[:2], f"… {len(value)}"]))
        )
    return escape_controls(str(value))
