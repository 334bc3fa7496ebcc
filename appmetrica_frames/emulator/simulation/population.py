"""Who exists, and who comes back on which day.

A visit is one device on one day. New devices arrive every day; each comes back with a probability that decays with
the days since its install, varies from person to person and follows the week. Some reinstall and start afresh.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from .rng import child, exponential, mix, salt, unit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from appmetrica_frames.emulator.applications import Application

    from .rng import U64, Array, Flags, Floats, Ints


EPOCH = date(1970, 1, 1)
FIRST_DAY = (date(2022, 1, 1) - EPOCH).days
LIFETIME = 180
GROWING = 365
# Event rows that one install brings in its lifetime, all events and reinstalls counted (measured, see the tests).
ROWS_PER_INSTALL = 141.0
# Monday first; 1970-01-01 was a Thursday. Each week averages 1.
WEEK = np.array([0.94, 0.92, 0.94, 0.97, 1.03, 1.12, 1.08])
THURSDAY = 3
# A people's year: more at its end, less in summer.
YEAR_SWING = 0.08
SECOND_DAY, DECAY = 0.40, 0.55
REINSTALL_SHARE, REINSTALL_AFTER, REINSTALL_SPREAD = 0.07, 3, 40.0
BATCH = 6_000


@dataclass(frozen=True, slots=True)
class Visits:
    """Devices on days, as arrays of equal length.

    Attributes
    ----------
    id
        AppMetrica's device id; every trait of the device is drawn from it.
    born, day
        Numbers of the day of the first install and of this visit, in the application's own days.
    generation
        0 with the first installation, 1 with the second.
    fresh
        Whether the app was installed on this very day.
    """

    application: Application
    id: U64
    born: Ints
    day: Ints
    generation: Ints
    fresh: Flags

    def __len__(self) -> int:
        return len(self.id)

    def take(self, index: Array) -> Visits:
        arrays = (self.id, self.born, self.day, self.generation, self.fresh)
        return Visits(self.application, *(array[index] for array in arrays))

    def on_install_day(self) -> Visits:
        """Return the visit that began each one's present installation."""
        installed = np.where(self.generation > 0, reinstall_day(self.id, self.born), self.born)
        return Visits(self.application, self.id, self.born, installed, self.generation, np.ones(len(self), bool))

    @property
    def root(self) -> U64:
        """The number that everything on this device on this day is drawn from."""
        return child(self.id, self.day)

    @property
    def midnight(self) -> Ints:
        """UNIX seconds at which the day begins."""
        return self.day * 86_400 - self.application.offset


class Population:
    """The devices of one application."""

    def __init__(self, application: Application, *, rows_per_day: int, seed: int) -> None:
        self.application = application
        self._seed = mix(np.array([seed ^ (application.id << 32)], dtype=np.uint64))
        self._installs_per_day = rows_per_day / ROWS_PER_INSTALL

    def visits(self, days: Sequence[int], *, fresh_only: bool = False) -> Iterator[Visits]:
        """Yield the visits of those days, in batches of bounded size that may hold several days or a part of one."""
        waiting: list[Visits] = []
        for day in days:
            waiting.append(self.on(day, fresh_only=fresh_only))
            if sum(map(len, waiting)) >= BATCH:
                yield from _batches(_joined(waiting))
                waiting = []
        if waiting:
            yield from _batches(_joined(waiting))

    def on(self, day: int, *, fresh_only: bool = False) -> Visits:
        ids, born = self._devices(day)
        reinstalled = reinstall_day(ids, born)
        again = day >= reinstalled
        installed: Ints = np.where(again, reinstalled, born)
        here = installed == day
        if not fresh_only:
            here |= unit(child(ids, np.array(day)), "visit") < _return_rate(ids, day - installed, day)
        days = np.full(len(ids), day)
        everyone = Visits(self.application, ids, born, days, again.astype(np.int64), installed == days)
        return everyone.take(np.flatnonzero(here))

    def _devices(self, day: int) -> tuple[U64, Ints]:
        """Return all devices young enough to be about on a day."""
        first = max(FIRST_DAY, day - LIFETIME)
        cohorts = np.arange(first, max(first, day + 1))
        sizes = self._cohort_sizes(cohorts)
        born = np.repeat(cohorts, sizes)
        place = np.arange(len(born)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return child(self._seed + salt("device"), born * 2**32 + place), born

    def _cohort_sizes(self, days: Ints) -> Ints:
        growth = np.clip((days - FIRST_DAY + 30) / GROWING, 0.0, 1.0)
        expected = self._installs_per_day * growth * _season(days)
        # The fraction of a device is there or not, so that the smallest population keeps its average.
        return np.floor(expected + unit(child(self._seed, days), "rounding")).astype(np.int64)


def reinstall_day(ids: U64, born: Ints) -> Ints:
    """Return the day on which a device installs again; for most it never comes."""
    after = born + REINSTALL_AFTER + exponential(ids, "reinstall", REINSTALL_SPREAD).astype(np.int64)
    return np.where(unit(ids, "reinstalls") < REINSTALL_SHARE, after, np.iinfo(np.int64).max)


def weekday(day: Array) -> Ints:
    """Return the weekday, Monday = 0."""
    return (day + THURSDAY) % 7


def loyalty(ids: U64) -> Floats:
    """Return from 0 to 1 how much somebody likes the app; most like it little."""
    return unit(ids, "loyalty") ** 1.5


def _season(day: Array) -> Floats:
    return WEEK[weekday(day)] * (1.0 + YEAR_SWING * np.cos(2.0 * np.pi * (day % 365.2425) / 365.2425))


def _return_rate(ids: U64, age: Ints, day: int) -> Floats:
    decay = SECOND_DAY * np.maximum(age, 1.0) ** -DECAY
    return decay * (0.35 + 1.6 * loyalty(ids)) * WEEK[weekday(np.array(day))]


def _joined(parts: list[Visits]) -> Visits:
    if len(parts) == 1:
        return parts[0]
    names = ("id", "born", "day", "generation", "fresh")
    arrays = (np.concatenate([getattr(part, name) for part in parts]) for name in names)
    return Visits(parts[0].application, *arrays)


def _batches(visits: Visits) -> Iterator[Visits]:
    for start in range(0, len(visits), BATCH):
        yield visits.take(np.arange(start, min(start + BATCH, len(visits))))
