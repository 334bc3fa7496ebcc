"""Sessions: when in the day people open the app, for how long, and when the server receives the rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from . import devices
from .population import draw_loyalty
from .rng import derive, exponential, geometric, normal, uniform
from .rows import Rows, index_within, repeat_index

if TYPE_CHECKING:
    from .population import Visits
    from .rng import U64, Array, Floats, Ints


# Relative use of the app by hour of the owner's day.
HOUR_WEIGHTS = np.array(
    [9, 5, 3, 2, 2, 4, 9, 17, 24, 27, 28, 30, 33, 32, 30, 29, 31, 35, 41, 47, 50, 46, 34, 19], float
)
CUMULATIVE_HOURS = np.concatenate([[0.0], np.cumsum(HOUR_WEIGHTS) / HOUR_WEIGHTS.sum()])
DAY = 86_400
MIN_REMAINING_SECONDS = 120
MAX_SESSIONS = 7
MEDIAN_SECONDS, LENGTH_SPREAD, MAX_SECONDS = 190.0, 0.9, 2_700.0
FIRST_SESSION_ID = 10_000_000_000
LATE_SHARE, MEAN_LATENESS, MAX_LATENESS = 0.045, 7 * 3600.0, 6.5 * DAY
MEAN_TRANSIT = 4.0


@dataclass(frozen=True, slots=True)
class Sessions:
    """Sessions as arrays of equal length; `visit` is an index into the visits."""

    visits: Visits
    visit: Ints
    number: Ints
    seed: U64
    start: Ints
    seconds: Floats
    late: Floats

    def __len__(self) -> int:
        return len(self.visit)

    def take(self, index: Array) -> Sessions:
        arrays = (self.visit, self.number, self.seed, self.start, self.seconds, self.late)
        return Sessions(self.visits, *(array[index] for array in arrays))

    @property
    def id(self) -> U64:
        age = self.visits.day[self.visit] - self.visits.cohort[self.visit]
        return (FIRST_SESSION_ID + age * (MAX_SESSIONS + 1) + self.number).astype(np.uint64)


def simulate_sessions(visits: Visits) -> Sessions:
    """Return all sessions of all visits, in the order of the visits."""
    more = 0.25 + 0.45 * draw_loyalty(visits.id)
    per_visit = 1 + np.minimum(geometric(visits.seed, "more sessions", more), MAX_SESSIONS - 1)
    visit, number = repeat_index(per_visit), index_within(per_visit)
    seed = derive(visits.seed[visit], number)
    second = _second_of_day(visits, visit, number, seed)
    seconds = np.minimum(np.exp(LENGTH_SPREAD * normal(seed, "length")) * MEDIAN_SECONDS, MAX_SECONDS)
    # A session ends within its day, so that a day can be simulated without the day before.
    seconds = np.minimum(seconds, DAY - 1 - second)
    return Sessions(visits, visit, number, seed, visits.midnight[visit] + second, seconds, _late(seed))


def simulate_session_starts(visits: Visits) -> Rows:
    sessions = simulate_sessions(visits)
    arrays = {
        "visit": sessions.visit,
        "time": sessions.start,
        "received": receive_time(sessions.start, sessions.seed, sessions.late),
    }
    return Rows(visits, arrays | {"seed": sessions.seed, "session_id": sessions.id})


def first_session_second(visits: Visits) -> Ints:
    """Return the second of the application's day at which the first session starts."""
    local_second = np.interp(uniform(visits.seed, "first second"), CUMULATIVE_HOURS, np.arange(25) * 3600.0)
    return np.minimum(
        (local_second - devices.get_utc_offset_difference(visits)) % DAY, DAY - MIN_REMAINING_SECONDS
    ).astype(np.int64)


def receive_time(time: Ints, seed: U64, late: Floats) -> Ints:
    """Return when the server received an event: seconds later, or hours and days for a device that was offline."""
    return time + (1.0 + exponential(seed, "transit", MEAN_TRANSIT) + late).astype(np.int64)


def _late(seed: U64) -> Floats:
    is_late = uniform(seed, "late") < LATE_SHARE
    return np.where(is_late, np.minimum(exponential(seed, "lateness", MEAN_LATENESS), MAX_LATENESS), 0.0)


def _second_of_day(visits: Visits, visit: Ints, number: Ints, seed: U64) -> Ints:
    first = first_session_second(visits)[visit]
    local_second = np.interp(uniform(seed, "second"), CUMULATIVE_HOURS, np.arange(25) * 3600.0)
    free = np.minimum(
        (local_second - devices.get_utc_offset_difference(visits)[visit]) % DAY, DAY - MIN_REMAINING_SECONDS
    )
    # No session starts before the install.
    after = first + uniform(seed, "second after install") * (DAY - MIN_REMAINING_SECONDS - first)
    later = np.where(visits.is_install[visit], after, free).astype(np.int64)
    return np.where(number == 0, first, later)
