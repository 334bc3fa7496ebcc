"""Devices and their owners: every trait is drawn from the device id on demand, none is stored."""

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
from .rng import U64, Floats, Ints, draw, exponential, integers, uniform

if TYPE_CHECKING:
    from .population import Visits
    from .rng import U64, Bools, Floats, Ints


SIGN_UP_SHARE, SIGN_UP_DAYS = 0.45, 1.5
LIMITED_TRACKING_ANDROID, LIMITED_TRACKING_IOS = 0.18, 0.74
PUSH_SHARE = 0.68
ON_WIFI, ON_CELL = 0.64, 0.985


def draw_city(ids: U64) -> Ints:
    return CITY_CHOICE.pick(ids, "city")


def draw_country(ids: U64) -> Ints:
    return CITY_COUNTRY[draw_city(ids)]


def draw_locale(ids: U64) -> Ints:
    country = draw_country(ids)
    return LOCALE_START[country] + integers(ids, "locale", LOCALE_COUNT[country])


def draw_operator(ids: U64) -> Ints:
    country = draw_country(ids)
    return OPERATOR_START[country] + integers(ids, "operator", OPERATOR_COUNT[country])


def has_sim(ids: U64) -> Bools:
    return uniform(ids, "sim") > 0.06  # noqa: PLR2004


def is_ios(ids: U64) -> Bools:
    return uniform(ids, "platform") < IOS_SHARE[draw_country(ids)]


def draw_model(ids: U64) -> Ints:
    android, ios = ANDROID_CHOICE.pick(ids, "model"), IOS_CHOICE.pick(ids, "model")
    return np.where(is_ios(ids), len(ANDROID) + ios, android)


def draw_os_version(ids: U64) -> Ints:
    android, ios = ANDROID_VERSION_CHOICE.pick(ids, "os version"), IOS_VERSION_CHOICE.pick(ids, "os version")
    return np.where(is_ios(ids), len(ANDROID_VERSIONS) + ios, android)


def limits_tracking(ids: U64) -> Bools:
    return uniform(ids, "limits tracking") < np.where(is_ios(ids), LIMITED_TRACKING_IOS, LIMITED_TRACKING_ANDROID)


def accepts_pushes(ids: U64) -> Bools:
    return uniform(ids, "pushes") < PUSH_SHARE


def draw_tracker(ids: U64) -> Ints:
    return TRACKER_CHOICE.pick(ids, "tracker")


def draw_spending(ids: U64) -> Floats:
    """Return the inclination to buy, from 0 to 1; it is low for most."""
    return uniform(ids, "spending") ** 3


def has_profile(visits: Visits) -> Bools:
    """Return whether the owner had a profile by the day of the visit."""
    after = exponential(visits.id, "sign-up", SIGN_UP_DAYS).astype(np.int64)
    signs_up = uniform(visits.id, "signs up") < SIGN_UP_SHARE
    return signs_up & (visits.day - visits.cohort >= after)


def draw_profile_number(ids: U64) -> Ints:
    return (draw(ids, "profile") % np.uint64(10**12)).astype(np.int64)


def draw_connection(visits: Visits) -> Ints:
    """Return 0 for wifi, 1 for cell, 2 for unknown."""
    sample = uniform(visits.seed, "connection")
    return (sample > ON_WIFI).astype(np.int64) + (sample > ON_CELL)


def get_utc_offset_difference(visits: Visits) -> Ints:
    """Return the seconds by which the owner's local time is ahead of the application's."""
    return CITY_SHIFT[draw_city(visits.id)] - visits.application.offset


LAST_RELEASE = 520
RELEASE_INTERVAL = 14
# This share of devices updates within about PROMPT_DAYS; the rest takes weeks.
PROMPT_SHARE, PROMPT_DAYS, SLOW_DAYS = 0.8, 2.5, 25.0
ROLLOUT_DAYS = 4.0
PATCHES_PER_MINOR = 4
MINORS_PER_MAJOR = 12


def draw_release(visits: Visits) -> Ints:
    """Return the app release on a device: the newest one at install, later ones after a delay of its own."""
    slow = uniform(visits.id, "prompt to update") > PROMPT_SHARE
    delay = np.where(
        slow, exponential(visits.id, "slow update", SLOW_DAYS), exponential(visits.id, "prompt update", PROMPT_DAYS)
    )
    rollout_delay = uniform(visits.id, "rollout stage") * ROLLOUT_DAYS
    at_install = np.floor((visits.cohort - FIRST_DAY - rollout_delay * 0.25) / RELEASE_INTERVAL)
    by_now = np.floor((visits.day - FIRST_DAY - rollout_delay - delay) / RELEASE_INTERVAL)
    return np.clip(np.maximum(at_install, by_now), 0, LAST_RELEASE).astype(np.int64)


@cache
def list_release_names() -> list[str]:
    """Return the version name of every release: major.minor.patch, a new minor every fourth release."""
    numbers = [(index // PATCHES_PER_MINOR, index % PATCHES_PER_MINOR) for index in range(LAST_RELEASE + 1)]
    return [f"{1 + minor // MINORS_PER_MAJOR}.{minor % MINORS_PER_MAJOR}.{patch}" for minor, patch in numbers]


@cache
def list_build_numbers() -> Ints:
    """Return the build number of every release, which is its date and a counter."""
    days = [EPOCH + timedelta(days=FIRST_DAY + RELEASE_INTERVAL * index) for index in range(LAST_RELEASE + 1)]
    return np.array([int(day.strftime("%Y%m%d01")) for day in days])


@cache
def list_crash_rates() -> Floats:
    """Return the probability of a crash in a session, by release: about one in seven is a bad one."""
    index = np.arange(LAST_RELEASE + 1, dtype=np.uint64)
    usual = 0.004 + 0.006 * uniform(index, "usual crash rate")
    return np.where(uniform(index, "bad release") < 1 / 7, usual * 5, usual)
