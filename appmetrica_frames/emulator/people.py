"""The traits of devices and their owners, each drawn from the device id when it is wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from . import places
from .chance import below, draw, exponential, unit
from .hardware import ANDROID, ANDROID_CHOICE, ANDROID_VERSION_CHOICE, ANDROID_VERSIONS, IOS_CHOICE, IOS_VERSION_CHOICE
from .sources import TRACKER_CHOICE

if TYPE_CHECKING:
    from .chance import U64, Flags, Floats, Ints
    from .population import Visits

SIGN_UP_SHARE, SIGN_UP_DAYS = 0.45, 1.5
LIMITED_TRACKING_ANDROID, LIMITED_TRACKING_IOS = 0.18, 0.74
PUSH_SHARE = 0.68
ON_WIFI, ON_CELL = 0.64, 0.985


def city(ids: U64) -> Ints:
    return places.CITY_CHOICE.pick(ids, "city")


def country(ids: U64) -> Ints:
    return places.CITY_COUNTRY[city(ids)]


def locale(ids: U64) -> Ints:
    home = country(ids)
    return places.LOCALE_START[home] + below(ids, "locale", places.LOCALE_COUNT[home])


def operator(ids: U64) -> Ints:
    home = country(ids)
    return places.OPERATOR_START[home] + below(ids, "operator", places.OPERATOR_COUNT[home])


def has_sim(ids: U64) -> Flags:
    return unit(ids, "sim") > 0.06  # noqa: PLR2004


def is_ios(ids: U64) -> Flags:
    return unit(ids, "platform") < places.IOS_SHARE[country(ids)]


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
    return places.CITY_SHIFT[city(visits.id)] - visits.application.offset
