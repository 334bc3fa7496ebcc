"""Profiles: what is known of an owner on the day of the last visit."""

# ruff: noqa: RUF001 - the simulated people write in Cyrillic

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from appmetrica_frames.emulator.applications import CUSTOM_ATTRIBUTES

from . import devices
from .catalogs import PRODUCT_SECTIONS
from .population import loyalty
from .rng import below, draw, unit
from .rows import Rows, hexadecimal, numbers, pool, where
from .sessions import first_second, received

if TYPE_CHECKING:
    from collections.abc import Callable

    from .population import Visits
    from .rng import Ints


FIRST_NAMES = (
    "Anna",
    "Иван",
    "Мария",
    "John",
    "Elif",
    "Дмитрий",
    "Zoë",
    "Luís",
    "Айгуль",
    "Priya",
    'Max "M"',
    "O'Neil, Pat",
)
LEVELS = ("", "бронза", "серебро", "золото 🏆")


def profiles(visits: Visits) -> Rows:
    """Return the visits of owners with a profile, each as a state of that profile."""
    here = np.flatnonzero(devices.signed_up(visits))
    time = (visits.midnight + first_second(visits))[here]
    root = visits.root[here]
    return Rows(
        visits, {"visit": here, "time": time, "received": received(time, root, np.zeros(len(here))), "root": root}
    )


def tokens(visits: Visits) -> Rows:
    """Return the push token that every installation gets whose owner takes pushes."""
    here = np.flatnonzero(visits.fresh & devices.takes_pushes(visits.id))
    time = (visits.midnight + first_second(visits) + 2)[here]
    root = visits.root[here]
    return Rows(
        visits, {"visit": here, "time": time, "received": received(time, root, np.zeros(len(here))), "root": root}
    )


def _sessions(rows: Rows) -> Ints:
    """Return how many sessions somebody this loyal has had by now, about."""
    age = (rows.visits.day - rows.visits.born)[rows["visit"]]
    return 1 + (np.sqrt(age) * (0.4 + 2.2 * loyalty(rows.owner))).astype(np.int64)


def _some(word: str, values: tuple[str, ...], share: float = 1.0) -> Callable[[Rows], pl.Series]:
    def column(rows: Rows) -> pl.Series:
        return where(unit(rows.owner, f"has {word}") < share, pool(values, below(rows.owner, word, len(values))))

    return column


def _count(word: str, most: int) -> Callable[[Rows], pl.Series]:
    return lambda rows: numbers(below(rows.owner, word, most + 1) * _sessions(rows) // 12)


def _date(days: Ints) -> pl.Series:
    return pl.Series(days.astype(np.int32)).cast(pl.Date)


def _age(rows: Rows) -> pl.Series:
    years = numbers(16 + below(rows.owner, "age", 50)).cast(pl.String)
    return where(unit(rows.owner, "tells age") < 0.5, years)  # noqa: PLR2004


def _token(rows: Rows) -> pl.Series:
    words = [draw(rows["root"], f"token {place}") for place in range(4)]
    apple = hexadecimal(*words)
    google = hexadecimal(*words[:2]) + ":APA91b" + hexadecimal(*words[2:], *words[:3])
    return apple.zip_with(pl.Series(devices.is_ios(rows.owner)), google)


PROFILE_COLUMNS: dict[str, Callable[[Rows], pl.Series]] = {
    "appmetrica_gender": _some("gender", ("F", "M"), 0.7),
    "appmetrica_birth_date": _age,
    "appmetrica_notifications_enabled": lambda rows: pl.Series(devices.takes_pushes(rows.owner)),
    "appmetrica_name": _some("name", FIRST_NAMES, 0.8),
    "appmetrica_crashes": _count("crashes", 2),
    "appmetrica_errors": _count("errors", 4),
    "appmetrica_push_opens": _count("push opens", 3),
    "appmetrica_push_send_count": lambda rows: numbers(_sessions(rows) * 2),
    "appmetrica_sessions": lambda rows: numbers(_sessions(rows)),
    "appmetrica_first_session_date": lambda rows: _date(rows.visits.born[rows["visit"]]),
    "appmetrica_last_start_date": lambda rows: _date(rows.visits.day[rows["visit"]]),
    CUSTOM_ATTRIBUTES[0]: _some("category", tuple(dict.fromkeys(PRODUCT_SECTIONS)), 0.9),
    CUSTOM_ATTRIBUTES[1]: _some("level", LEVELS, 0.9),
}
TOKEN_COLUMNS: dict[str, Callable[[Rows], pl.Series]] = {"token": _token}
