"""Instants as columns: the UNIX second, and the same in the application's own time zone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from .rows import numbers

if TYPE_CHECKING:
    from collections.abc import Callable

    from .chance import Ints
    from .rows import Rows


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
