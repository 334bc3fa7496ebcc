"""The traits of devices and their owners, each drawn from the device id when it is wanted."""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from .catalogs import (
    ANDROID,
    ANDROID_CHOICE,
    ANDROID_VERSION_CHOICE,
    ANDROID_VERSIONS,
    CITY_CHOICE,
    CITY_COUNTRY,
    CITY_SHIFT,
    IOS_CHOICE,
    IOS_SHARE,
    IOS_VERSION_CHOICE,
    LOCALE_COUNT,
    LOCALE_START,
    OPERATOR_COUNT,
    OPERATOR_START,
    TRACKER_CHOICE,
)
from .population import EPOCH, FIRST_DAY
from .rng import U64, Floats, Ints, below, draw, exponential, unit

if TYPE_CHECKING:
    from .population import Visits
    from .rng import U64, Flags, Floats, Ints


SIGN_UP_SHARE, SIGN_UP_DAYS = 0.45, 1.5
LIMITED_TRACKING_ANDROID, LIMITED_TRACKING_IOS = 0.18, 0.74
PUSH_SHARE = 0.68
ON_WIFI, ON_CELL = 0.64, 0.985


def city(ids: U64) -> Ints:
    return CITY_CHOICE.pick(ids, "city")


def country(ids: U64) -> Ints:
    return CITY_COUNTRY[city(ids)]


def locale(ids: U64) -> Ints:
    home = country(ids)
    return LOCALE_START[home] + below(ids, "locale", LOCALE_COUNT[home])


def operator(ids: U64) -> Ints:
    home = country(ids)
    return OPERATOR_START[home] + below(ids, "operator", OPERATOR_COUNT[home])


def has_sim(ids: U64) -> Flags:
    return unit(ids, "sim") > 0.06  # noqa: PLR2004


def is_ios(ids: U64) -> Flags:
    return unit(ids, "platform") < IOS_SHARE[country(ids)]


def model(ids: U64) -> Ints:
    android, ios = ANDROID_CHOICE.pick(ids, "model"), IOS_CHOICE.pick(ids, "model")
    return np.where(is_ios(ids), len(ANDROID) + ios, android)


def os_version(ids: U64) -> Ints:
    android, ios = ANDROID_VERSION_CHOICE.pick(ids, "os version"), IOS_VERSION_CHOICE.pick(ids, "os version")
    return np.where(is_ios(ids), len(ANDROID_VERSIONS) + ios, android)


def limits_tracking(ids: U64) -> Flags:
    return unit(ids, "limits tracking") < np.where(is_ios(ids), LIMITED_TRACKING_IOS, LIMITED_TRACKING_ANDROID)


def takes_pushes(ids: U64) -> Flags:
    return unit(ids, "pushes") < PUSH_SHARE


def tracker(ids: U64) -> Ints:
    return TRACKER_CHOICE.pick(ids, "tracker")


def spending(ids: U64) -> Floats:
    """Return from 0 to 1 how easily somebody buys; few do."""
    return unit(ids, "spending") ** 3


def signed_up(visits: Visits) -> Flags:
    """Whether the owner had a profile by the day of the visit."""
    after = exponential(visits.id, "sign-up", SIGN_UP_DAYS).astype(np.int64)
    signs_up = unit(visits.id, "signs up") < SIGN_UP_SHARE
    return signs_up & (visits.day - visits.born >= after)


def profile_number(ids: U64) -> Ints:
    return (draw(ids, "profile") % np.uint64(10**12)).astype(np.int64)


def connection(visits: Visits) -> Ints:
    """Return 0 for wifi, 1 for cell, 2 for unknown."""
    luck = unit(visits.root, "connection")
    return (luck > ON_WIFI).astype(np.int64) + (luck > ON_CELL)


def local_shift(visits: Visits) -> Ints:
    """Return how many seconds the owner's clock is ahead of the application's."""
    return CITY_SHIFT[city(visits.id)] - visits.application.offset


LAST_RELEASE = 520
EVERY = 14
# Of a hundred devices so many update within about this many days; the rest take weeks.
PROMPT_SHARE, PROMPT_DAYS, SLOW_DAYS = 0.8, 2.5, 25.0
STAGES = 4.0
PER_MINOR = 4
MINORS = 12


def release(visits: Visits) -> Ints:
    """Return the number of the version that a device runs: installed fresh at birth, updated with its own delay."""
    slow = unit(visits.id, "prompt to update") > PROMPT_SHARE
    delay = np.where(
        slow, exponential(visits.id, "slow update", SLOW_DAYS), exponential(visits.id, "prompt update", PROMPT_DAYS)
    )
    staged = unit(visits.id, "rollout stage") * STAGES
    at_install = np.floor((visits.born - FIRST_DAY - staged * 0.25) / EVERY)
    by_now = np.floor((visits.day - FIRST_DAY - staged - delay) / EVERY)
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
