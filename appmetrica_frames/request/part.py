"""The parts that an export is requested in when it is too big for one file."""

from __future__ import annotations

from dataclasses import dataclass

MAX_PARTS = 64


@dataclass(frozen=True, slots=True)
class Part:
    """One of the parts that an export is requested in; the whole export is part 0 of 1."""

    number: int = 0
    count: int = 1


WHOLE = Part()
