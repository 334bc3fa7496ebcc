"""Paths of Parquet files, for other programs to read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from appmetrica_frames.errors import SchemaWarning
from appmetrica_frames.util.caller import warn_caller

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from appmetrica_frames.engine.resolve import ResolvedExport


def list_paths(exports: Sequence[ResolvedExport]) -> list[Path]:
    """Return the files of exports; warn if they differ in their columns, because here nobody makes them equal."""
    _warn_of_text(sorted({name for export in exports for name in export.as_text}))
    missing = [export.missing.keys() for export in exports]
    _warn_of_missing(sorted(set().union(*missing).difference(set(missing[0]).intersection(*missing))))
    return [export.path for export in exports]


def _warn_of_text(names: list[str]) -> None:
    if names:
        overrides = dict.fromkeys(names, "string")
        warn_caller(
            f"Only some of the Parquet files have text in {_quote(names)}, the others keep the column's type: another "
            f"program may refuse to read them together. With schema_overrides={overrides}, all of them have text.",
            SchemaWarning,
        )


def _warn_of_missing(names: list[str]) -> None:
    if names:
        warn_caller(
            f"Only some of the Parquet files have {_quote(names)}: another program may refuse to read them together. "
            "Name the fields that you need with fields=[...].",
            SchemaWarning,
        )


def _quote(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))
