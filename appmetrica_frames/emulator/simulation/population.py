"""The population: which devices exist, and on which days each is active.

A visit is one device on one day. New devices arrive every day; each comes back with a probability that decays with
the days since its install, varies from person to person and follows the week. Some devices reinstall the app.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from appmetrica_frames.emulator.validation import check_number

from .rng import derive, exponential, hash_label, mix, uniform

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from appmetrica_frames.emulator.applications import Application

    from .rng import U64, Array, Bools, Floats, Ints


EPOCH = date(1970, 1, 1)
FIRST_DAY = (date(2022, 1, 1) - EPOCH).days
LIFETIME = 180
GROWTH_DAYS = 365
# Event rows of one install over its lifetime, reinstalls included; measured, and a test holds it.
ROWS_PER_INSTALL = 141.0
# Monday first; 1970-01-01 was a Thursday. Each week averages 1.
WEEK = np.array([0.94, 0.92, 0.94, 0.97, 1.03, 1.12, 1.08])
THURSDAY = 3
# More activity in winter than in summer.
YEAR_SWING = 0.08
DAY_ONE_RETENTION, DECAY = 0.40, 0.55
REINSTALL_SHARE, REINSTALL_AFTER, REINSTALL_SPREAD = 0.07, 3, 40.0
BATCH = 6_000


@dataclass(frozen=True, slots=True)
class Visits:
    """Devices on days, as arrays of equal length.

    Attributes
    ----------
    id
        AppMetrica's device id; every trait of the device is drawn from it.
    cohort, day
        The day of the first install and of this visit, as numbers of days in the application's time zone.
    install_number
        0 with the first installation, 1 with the second.
    is_install
        Whether the app was installed on this day.
    """

    application: Application
    id: U64
    cohort: Ints
    day: Ints
    install_number: Ints
    is_install: Bools

    def __len__(self) -> int:
        return len(self.id)

    def take(self, index: Array) -> Visits:
        arrays = (self.id, self.cohort, self.day, self.install_number, self.is_install)
        return Visits(self.application, *(array[index] for array in arrays))

    def on_install_day(self) -> Visits:
        """Return, for each visit, the visit on which its installation was made."""
        installed = np.where(self.install_number > 0, draw_reinstall_day(self.id, self.cohort), self.cohort)
        return Visits(self.application, self.id, self.cohort, installed, self.install_number, np.ones(len(self), bool))

    @property
    def seed(self) -> U64:
        """The seed of everything that happens on this device on this day."""
        return derive(self.id, self.day)

    @property
    def midnight(self) -> Ints:
        """UNIX seconds at which the day starts."""
        return self.day * 86_400 - self.application.offset


class Population:
    """The devices of one application."""

    def __init__(self, application: Application, *, rows_per_day: int, seed: int) -> None:
        check_number("rows_per_day", rows_per_day, minimum=1)
        check_number("seed", seed, maximum=2**64 - 1)
        self.application = application
        self._seed = mix(np.array([seed ^ (application.id << 32)], dtype=np.uint64))
        self._installs_per_day = rows_per_day / ROWS_PER_INSTALL

    def visits(self, days: Sequence[int], *, installs_only: bool = False) -> Iterator[Visits]:
        """Yield the visits of the days in batches of bounded size, each with several days or a part of one."""
        pending: list[Visits] = []
        for day in days:
            pending.append(self.visits_on(day, installs_only=installs_only))
            if sum(map(len, pending)) >= BATCH:
                yield from _split(_concat(pending))
                pending = []
        if pending:
            yield from _split(_concat(pending))

    def visits_on(self, day: int, *, installs_only: bool = False) -> Visits:
        ids, cohort = self._devices(day)
        reinstalled = draw_reinstall_day(ids, cohort)
        is_reinstalled = day >= reinstalled
        installed: Ints = np.where(is_reinstalled, reinstalled, cohort)
        active = installed == day
        if not installs_only:
            active |= uniform(derive(ids, np.array(day)), "visit") < _return_rate(ids, day - installed, day)
        days = np.full(len(ids), day)
        candidates = Visits(self.application, ids, cohort, days, is_reinstalled.astype(np.int64), installed == days)
        return candidates.take(np.flatnonzero(active))

    def _devices(self, day: int) -> tuple[U64, Ints]:
        """Return all devices that may be active on a day, and their cohorts."""
        first = max(FIRST_DAY, day - LIFETIME)
        cohorts = np.arange(first, max(first, day + 1))
        sizes = self._cohort_sizes(cohorts)
        cohort = np.repeat(cohorts, sizes)
        rank = np.arange(len(cohort)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return derive(self._seed + hash_label("device"), cohort * 2**32 + rank), cohort

    def _cohort_sizes(self, days: Ints) -> Ints:
        growth = np.clip((days - FIRST_DAY + 30) / GROWTH_DAYS, 0.0, 1.0)
        expected = self._installs_per_day * growth * _season(days)
        # Fractions are rounded at random, so that a small population keeps its average.
        return np.floor(expected + uniform(derive(self._seed, days), "rounding")).astype(np.int64)


def draw_reinstall_day(ids: U64, cohort: Ints) -> Ints:
    """Return the day on which a device reinstalls the app; most never do."""
    after = cohort + REINSTALL_AFTER + exponential(ids, "reinstall", REINSTALL_SPREAD).astype(np.int64)
    return np.where(uniform(ids, "reinstalls") < REINSTALL_SHARE, after, np.iinfo(np.int64).max)


def get_weekday(day: Array) -> Ints:
    """Return the weekday, Monday = 0."""
    return (day + THURSDAY) % 7


def draw_loyalty(ids: U64) -> Floats:
    """Return the loyalty to the app, from 0 to 1; it is low for most."""
    return uniform(ids, "loyalty") ** 1.5


def _season(day: Array) -> Floats:
    return WEEK[get_weekday(day)] * (1.0 + YEAR_SWING * np.cos(2.0 * np.pi * (day % 365.2425) / 365.2425))


def _return_rate(ids: U64, age: Ints, day: int) -> Floats:
    decay = DAY_ONE_RETENTION * np.maximum(age, 1.0) ** -DECAY
    return decay * (0.35 + 1.6 * draw_loyalty(ids)) * WEEK[get_weekday(np.array(day))]


def _concat(parts: list[Visits]) -> Visits:
    if len(parts) == 1:
        return parts[0]
    names = ("id", "cohort", "day", "install_number", "is_install")
    arrays = (np.concatenate([getattr(part, name) for part in parts]) for name in names)
    return Visits(parts[0].application, *arrays)


def _split(visits: Visits) -> Iterator[Visits]:
    for start in range(0, len(visits), BATCH):
        yield visits.take(np.arange(start, min(start + BATCH, len(visits))))
