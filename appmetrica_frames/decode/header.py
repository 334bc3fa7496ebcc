"""The first line of an export against the fields that were asked."""

from __future__ import annotations

import csv
from collections import Counter
from typing import TYPE_CHECKING

from appmetrica_frames.errors import SchemaError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_SHOWN = 80


def column_names(header: bytes, asked: Sequence[str]) -> list[str]:
    """Return the names in wire order, or raise `SchemaError` unless they are the asked ones in some order."""
    names = _names(header)
    if faults := [*name_faults(names, asked)]:
        seen = "" if set(names) & set(asked) else f" It begins with {header.decode(errors='replace')[:_SHOWN]!r}."
        raise SchemaError(f"The header of the export is not what was asked: {'; '.join(faults)}.{seen}")
    return names


def _names(header: bytes) -> list[str]:
    try:
        return next(csv.reader([header.decode()], strict=True), [])
    except (csv.Error, UnicodeDecodeError):
        return []


def name_faults(names: Sequence[str], asked: Sequence[str]) -> Iterable[str]:
    yield from _fault("missing", [name for name in asked if name not in names])
    yield from _fault("not asked", [name for name in dict.fromkeys(names) if name not in asked])
    yield from _fault("repeated", [name for name, times in Counter(names).items() if times > 1])


def _fault(what: str, names: Sequence[str]) -> Iterable[str]:
    if names:
        yield f"{what} {', '.join(repr(name[:_SHOWN]) for name in names)}"
