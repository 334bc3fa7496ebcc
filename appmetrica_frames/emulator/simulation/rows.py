"""Rows of a table as arrays, and the functions that turn arrays into columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import polars as pl
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .population import Visits
    from .rng import U64, Array, Bools, Ints


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a table.

    Attributes
    ----------
    visits
        The visits that the rows belong to.
    arrays
        At least ``visit`` (each row's index in `visits`), ``time`` and ``received`` (UNIX seconds) and ``seed``.
    """

    visits: Visits
    arrays: dict[str, Array]

    def __len__(self) -> int:
        return len(self.arrays["visit"])

    def __getitem__(self, name: str) -> Array:
        return self.arrays[name]

    def take(self, index: Array) -> Rows:
        return Rows(self.visits, {name: array[index] for name, array in self.arrays.items()})

    def compact(self) -> Rows:
        """Return the same rows over only the visits that they use."""
        if len(self) >= len(self.visits):
            return self
        arrays = self.arrays | {"visit": np.arange(len(self))}
        return Rows(self.visits.take(self.arrays["visit"]), arrays)

    @property
    def device_id(self) -> U64:
        """The device id of each row."""
        return self.visits.id[self.arrays["visit"]]


Column: TypeAlias = "Callable[[Rows], pl.Series]"
Columns: TypeAlias = "dict[str, Column]"


def repeat_index(counts: Ints) -> Ints:
    """Return each index i repeated counts[i] times."""
    return np.repeat(np.arange(len(counts)), counts)


def index_within(counts: Ints) -> Ints:
    """Return 0 to counts[i] - 1 for each i: the position within its group."""
    return np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)


def lookup(values: Sequence[object], index: Array) -> pl.Series:
    """Return the value at each index; an empty string becomes null."""
    non_empty = [None if value == "" else value for value in values]
    return pl.Series(non_empty).gather(index)


def nulls(rows: int) -> pl.Series:
    return pl.repeat(None, rows, dtype=pl.String, eager=True)


def null_unless(flags: Bools, series: pl.Series) -> pl.Series:
    """Return the series with null where a flag is not set."""
    return series.zip_with(pl.Series(flags), pl.repeat(None, len(series), dtype=series.dtype, eager=True))


_DIGITS = np.frombuffer(b"".join(b"%02x" % octet for octet in range(256)), np.uint8).reshape(256, 2)


def hex_column(*words: U64) -> pl.Series:
    """Return the hexadecimal digits of the words of each row, sixteen for each word."""
    return _text(_hex(*words))


def uuid_column(first: U64, second: U64, *, upper: bool = False) -> pl.Series:
    digits = _hex(first, second)
    dash = np.full((len(digits), 1), ord("-"), np.uint8)
    parts = [digits[:, :8], digits[:, 8:12], digits[:, 12:16], digits[:, 16:20], digits[:, 20:]]
    dashed = np.hstack([parts[0], *(piece for part in parts[1:] for piece in (dash, part))])
    return _text(np.where(dashed >= ord("a"), dashed - 32, dashed) if upper else dashed)


def _hex(*words: U64) -> Array:
    octets = np.stack([word.astype(">u8") for word in words], axis=1).view(np.uint8)
    return _DIGITS[octets].reshape(len(octets), 16 * len(words))


def _text(letters: Array) -> pl.Series:
    """Return rows of ASCII codes, all of one width, as strings."""
    count, width = letters.shape
    offsets = pa.py_buffer((np.arange(count + 1, dtype=np.int64) * width).tobytes())
    text = pa.LargeStringArray.from_buffers(count, offsets, pa.py_buffer(letters.tobytes()))
    return pl.Series(pl.from_arrow(text))


def to_local_time(seconds: Ints, zone: str) -> pl.Series:
    """Return naive datetimes in a zone."""
    instants = (pl.Series(seconds) * 1000).cast(pl.Datetime("ms", "UTC"))
    return instants.dt.convert_time_zone(zone).dt.replace_time_zone(None)


def time_columns(prefix: str, instant: Callable[[Rows], Ints]) -> dict[str, Callable[[Rows], pl.Series]]:
    """Return the two columns of an instant: in the application's time zone, and as UNIX seconds."""
    return {
        f"{prefix}_datetime": lambda rows: to_local_time(instant(rows), rows.visits.application.time_zone_name),
        f"{prefix}_timestamp": lambda rows: pl.Series(instant(rows)),
    }


def event_time_columns(prefix: str) -> dict[str, Callable[[Rows], pl.Series]]:
    """Return the four columns of a device's event: when it happened and when the server received it."""
    return time_columns(prefix, lambda rows: rows["time"]) | time_columns(
        f"{prefix}_receive", lambda rows: rows["received"]
    )
