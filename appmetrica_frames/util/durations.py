"""Lengths of time: seconds or a timedelta in, checked seconds out."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TypeAlias

from appmetrica_frames.errors import InvalidRequestError

Duration: TypeAlias = float | timedelta
"""Seconds, or a `datetime.timedelta`."""

DAY = 86_400.0
"""Seconds for which the server keeps a prepared file."""


def to_seconds(value: Duration, *, name: str, zero: bool = True) -> float:
    """Return the duration in seconds; refuse anything that is not a finite length of time."""
    length = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(length, bool) or not isinstance(length, (int, float)):
        raise InvalidRequestError(f"{name} takes seconds or a timedelta, not {value!r}.")
    if not math.isfinite(length):
        raise InvalidRequestError(f"{name} must be a finite number of seconds, not {value!r}.")
    if length < 0 or (length == 0 and not zero):
        raise InvalidRequestError(f"{name} must be {'zero or more' if zero else 'more than zero'}, not {value!r}.")
    return float(length)


def format_duration(length: float) -> str:
    """Say a length of time in its two largest units, as in ``3 h 5 min``."""
    whole = round(length)
    units = (("d", whole // 86_400), ("h", whole // 3600 % 24), ("min", whole // 60 % 60), ("s", whole % 60))
    first = next((place for place, (_, count) in enumerate(units) if count), len(units) - 1)
    said = [f"{count} {unit}" for unit, count in units[first : first + 2] if count]
    return " ".join(said) or "0 s"
