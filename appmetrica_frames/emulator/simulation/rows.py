"""Rows of a table before they have columns: arrays of equal length, each row on one visit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import polars as pl
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .population import Visits
    from .rng import U64, Array, Flags, Ints


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a table.

    Attributes
    ----------
    visits
        The visits that the rows happened on.
    arrays
        At least ``visit`` (each row's place in `visits`), ``time`` and ``received`` (UNIX seconds) and ``root``.
    """

    visits: Visits
    arrays: dict[str, Array]

    def __len__(self) -> int:
        return len(self.arrays["visit"])

    def __getitem__(self, name: str) -> Array:
        return self.arrays[name]

    def take(self, index: Array) -> Rows:
        return Rows(self.visits, {name: array[index] for name, array in self.arrays.items()})

    def narrowed(self) -> Rows:
        """Return the same rows over visits of their own, where that is less than all visits."""
        if len(self) >= len(self.visits):
            return self
        arrays = self.arrays | {"visit": np.arange(len(self))}
        return Rows(self.visits.take(self.arrays["visit"]), arrays)

    @property
    def owner(self) -> U64:
        """The device id of each row."""
        return self.visits.id[self.arrays["visit"]]


Column: TypeAlias = "Callable[[Rows], pl.Series]"
Columns: TypeAlias = "dict[str, Column]"


def repeated(counts: Ints) -> Ints:
    """Return the place of each thing's owner, where owner number i has counts[i] of them."""
    return np.repeat(np.arange(len(counts)), counts)


def nth_of(counts: Ints) -> Ints:
    """Return which of its owner's things each one is, from 0."""
    return np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)


def pool(values: Sequence[object], index: Array) -> pl.Series:
    """Return the value at each index; empty text becomes missing."""
    kept = [None if value == "" else value for value in values]
    return pl.Series(kept).gather(index)


def blank(rows: int) -> pl.Series:
    return pl.repeat(None, rows, dtype=pl.String, eager=True)


def where(flags: Flags, series: pl.Series) -> pl.Series:
    """Return the series with missing values where a flag is not set."""
    return series.zip_with(pl.Series(flags), pl.repeat(None, len(series), dtype=series.dtype, eager=True))


def numbers(values: Array) -> pl.Series:
    return pl.Series(values)


_DIGITS = np.frombuffer(b"".join(b"%02x" % octet for octet in range(256)), np.uint8).reshape(256, 2)


def hexadecimal(*words: U64) -> pl.Series:
    """Return for each row the sixteen hexadecimal digits of each of its words, one after another."""
    return _text(_hex(*words))


def uuid(first: U64, second: U64, *, upper: bool = False) -> pl.Series:
    digits = _hex(first, second)
    dash = np.full((len(digits), 1), ord("-"), np.uint8)
    parts = [digits[:, :8], digits[:, 8:12], digits[:, 12:16], digits[:, 16:20], digits[:, 20:]]
    dashed = np.hstack([parts[0], *(piece for part in parts[1:] for piece in (dash, part))])
    return _text(np.where(dashed >= ord("a"), dashed - 32, dashed) if upper else dashed)


def _hex(*words: U64) -> Array:
    octets = np.stack([word.astype(">u8") for word in words], axis=1).view(np.uint8)
    return _DIGITS[octets].reshape(len(octets), 16 * len(words))


def _text(letters: Array) -> pl.Series:
    """Return rows of ASCII codes, all of one width, as text."""
    count, width = letters.shape
    offsets = pa.py_buffer((np.arange(count + 1, dtype=np.int64) * width).tobytes())
    text = pa.LargeStringArray.from_buffers(count, offsets, pa.py_buffer(letters.tobytes()))
    return pl.Series(pl.from_arrow(text))


def local(seconds: Ints, zone: str) -> pl.Series:
    """Return naive datetimes in a zone."""
    instants = (numbers(seconds) * 1000).cast(pl.Datetime("ms", "UTC"))
    return instants.dt.convert_time_zone(zone).dt.replace_time_zone(None)


def moments(prefix: str, instant: Callable[[Rows], Ints]) -> dict[str, Callable[[Rows], pl.Series]]:
    """Return the two columns of an instant."""
    return {
        f"{prefix}_datetime": lambda rows: local(instant(rows), rows.visits.application.time_zone_name),
        f"{prefix}_timestamp": lambda rows: numbers(instant(rows)),
    }


def happened(prefix: str) -> dict[str, Callable[[Rows], pl.Series]]:
    """Return the four columns of something that happened on a device and was received later."""
    return moments(prefix, lambda rows: rows["time"]) | moments(f"{prefix}_receive", lambda rows: rows["received"])
