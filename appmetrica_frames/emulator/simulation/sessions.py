"""Sessions: when in the day people open the app, for how long, and how late the server hears of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from . import devices
from .population import loyalty
from .rng import child, exponential, geometric, normal, unit
from .rows import Rows, nth_of, repeated

if TYPE_CHECKING:
    from .population import Visits
    from .rng import U64, Array, Floats, Ints


# How many open the app in each hour of their own day: asleep, commuting, at lunch, on the sofa.
HOURS = np.array([9, 5, 3, 2, 2, 4, 9, 17, 24, 27, 28, 30, 33, 32, 30, 29, 31, 35, 41, 47, 50, 46, 34, 19], float)
HOURS_PASSED = np.concatenate([[0.0], np.cumsum(HOURS) / HOURS.sum()])
DAY = 86_400
SPARE = 120
MOST = 7
TYPICAL_SECONDS, LENGTH_SPREAD, LONGEST = 190.0, 0.9, 2_700.0
FIRST_SESSION_ID = 10_000_000_000
LATE_SHARE, LATE_SECONDS, LATEST = 0.045, 7 * 3600.0, 6.5 * DAY
PROMPT_SECONDS = 4.0


@dataclass(frozen=True, slots=True)
class Sessions:
    """Sessions as arrays of equal length; `visit` points into the visits."""

    visits: Visits
    visit: Ints
    number: Ints
    root: U64
    start: Ints
    seconds: Floats
    late: Floats

    def __len__(self) -> int:
        return len(self.visit)

    def take(self, index: Array) -> Sessions:
        arrays = (self.visit, self.number, self.root, self.start, self.seconds, self.late)
        return Sessions(self.visits, *(array[index] for array in arrays))

    @property
    def id(self) -> U64:
        since_birth = self.visits.day[self.visit] - self.visits.born[self.visit]
        return (FIRST_SESSION_ID + since_birth * (MOST + 1) + self.number).astype(np.uint64)


def sessions(visits: Visits) -> Sessions:
    """Return all sessions of all visits, those of a visit side by side."""
    more = 0.25 + 0.45 * loyalty(visits.id)
    per_visit = 1 + np.minimum(geometric(visits.root, "more sessions", more), MOST - 1)
    visit, number = repeated(per_visit), nth_of(per_visit)
    root = child(visits.root[visit], number)
    second = _second_of_day(visits, visit, number, root)
    seconds = np.minimum(np.exp(LENGTH_SPREAD * normal(root, "length")) * TYPICAL_SECONDS, LONGEST)
    # A session ends within its day, so that a day's rows can be told without the day before.
    seconds = np.minimum(seconds, DAY - 1 - second)
    return Sessions(visits, visit, number, root, visits.midnight[visit] + second, seconds, _late(root))


def session_starts(visits: Visits) -> Rows:
    held = sessions(visits)
    arrays = {"visit": held.visit, "time": held.start, "received": received(held.start, held.root, held.late)}
    return Rows(visits, arrays | {"root": held.root, "session_id": held.id})


def first_second(visits: Visits) -> Ints:
    """Return the second of the application's day at which the first session begins."""
    local = np.interp(unit(visits.root, "first second"), HOURS_PASSED, np.arange(25) * 3600.0)
    return np.minimum((local - devices.local_shift(visits)) % DAY, DAY - SPARE).astype(np.int64)


def received(time: Ints, root: U64, late: Floats) -> Ints:
    """Return when the server got what happened at `time`: seconds later, or hours and days when out of reach."""
    return time + (1.0 + exponential(root, "transit", PROMPT_SECONDS) + late).astype(np.int64)


def _late(root: U64) -> Floats:
    is_late = unit(root, "late") < LATE_SHARE
    return np.where(is_late, np.minimum(exponential(root, "lateness", LATE_SECONDS), LATEST), 0.0)


def _second_of_day(visits: Visits, visit: Ints, number: Ints, root: U64) -> Ints:
    first = first_second(visits)[visit]
    local = np.interp(unit(root, "second"), HOURS_PASSED, np.arange(25) * 3600.0)
    free = np.minimum((local - devices.local_shift(visits)[visit]) % DAY, DAY - SPARE)
    # Nobody opens an app before installing it.
    after = first + unit(root, "second after install") * (DAY - SPARE - first)
    later = np.where(visits.fresh[visit], after, free).astype(np.int64)
    return np.where(number == 0, first, later)
