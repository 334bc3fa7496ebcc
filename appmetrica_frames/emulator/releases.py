"""The app's versions: one every two weeks, rolled out in stages, some of them bad."""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache

import numpy as np

from .chance import U64, Array, Floats, Ints, exponential, unit

EPOCH = date(1970, 1, 1)
FIRST_DAY = (date(2022, 1, 1) - EPOCH).days
LAST_RELEASE = 520
EVERY = 14
# Of a hundred devices so many update within about this many days; the rest take weeks.
PROMPT_SHARE, PROMPT_DAYS, SLOW_DAYS = 0.8, 2.5, 25.0
STAGES = 4.0
PER_MINOR = 4
MINORS = 12


def release(ids: U64, born: Array, day: Array) -> Ints:
    """Return the number of the version that a device runs: installed fresh at birth, updated with its own delay."""
    slow = unit(ids, "prompt to update") > PROMPT_SHARE
    delay = np.where(slow, exponential(ids, "slow update", SLOW_DAYS), exponential(ids, "prompt update", PROMPT_DAYS))
    staged = unit(ids, "rollout stage") * STAGES
    at_install = np.floor((born - FIRST_DAY - staged * 0.25) / EVERY)
    by_now = np.floor((day - FIRST_DAY - staged - delay) / EVERY)
    return np.clip(np.maximum(at_install, by_now), 0, LAST_RELEASE).astype(np.int64)


@cache
def names() -> list[str]:
    """Return the name of every version: major.minor.patch, a new minor every fourth release."""
    numbers = [(index // PER_MINOR, index % PER_MINOR) for index in range(LAST_RELEASE + 1)]
    return [f"{1 + minor // MINORS}.{minor % MINORS}.{patch}" for minor, patch in numbers]


@cache
def builds() -> Ints:
    """Return the build number of every version, made of its date as many teams do."""
    days = [EPOCH + timedelta(days=FIRST_DAY + EVERY * index) for index in range(LAST_RELEASE + 1)]
    return np.array([int(day.strftime("%Y%m%d01")) for day in days])


@cache
def crash_rates() -> Floats:
    """Return how likely a session ends in a crash, by version: every seventh or so is a bad one."""
    index = np.arange(LAST_RELEASE + 1, dtype=np.uint64)
    usual = 0.004 + 0.006 * unit(index, "usual crash rate")
    return np.where(unit(index, "bad release") < 1 / 7, usual * 5, usual)
