"""Profiles as of an owner's last visit, and push tokens."""

# ruff: noqa: RUF001 - the simulated people write in Cyrillic

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from appmetrica_frames.emulator.applications import CUSTOM_ATTRIBUTES

from . import devices
from .catalogs import PRODUCT_SECTIONS
from .population import draw_loyalty
from .rng import draw, integers, uniform
from .rows import Rows, hex_column, lookup, null_unless
from .sessions import first_session_second, receive_time

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


def simulate_profiles(visits: Visits) -> Rows:
    """Return the profile of each owner who has one, as of each visit."""
    index = np.flatnonzero(devices.has_profile(visits))
    time = (visits.midnight + first_session_second(visits))[index]
    seed = visits.seed[index]
    return Rows(
        visits, {"visit": index, "time": time, "received": receive_time(time, seed, np.zeros(len(index))), "seed": seed}
    )


def simulate_push_tokens(visits: Visits) -> Rows:
    """Return the push token of every installation whose owner accepts pushes."""
    index = np.flatnonzero(visits.is_install & devices.accepts_pushes(visits.id))
    time = (visits.midnight + first_session_second(visits) + 2)[index]
    seed = visits.seed[index]
    return Rows(
        visits, {"visit": index, "time": time, "received": receive_time(time, seed, np.zeros(len(index))), "seed": seed}
    )


def _session_count(rows: Rows) -> Ints:
    """Return roughly how many sessions the owner has had so far."""
    age = (rows.visits.day - rows.visits.cohort)[rows["visit"]]
    return 1 + (np.sqrt(age) * (0.4 + 2.2 * draw_loyalty(rows.device_id))).astype(np.int64)


def _choice(label: str, values: tuple[str, ...], share: float = 1.0) -> Callable[[Rows], pl.Series]:
    def column(rows: Rows) -> pl.Series:
        return null_unless(
            uniform(rows.device_id, f"has {label}") < share,
            lookup(values, integers(rows.device_id, label, len(values))),
        )

    return column


def _counter(label: str, maximum: int) -> Callable[[Rows], pl.Series]:
    return lambda rows: pl.Series(integers(rows.device_id, label, maximum + 1) * _session_count(rows) // 12)


def _date(days: Ints) -> pl.Series:
    return pl.Series(days.astype(np.int32)).cast(pl.Date)


def _age(rows: Rows) -> pl.Series:
    years = pl.Series(16 + integers(rows.device_id, "age", 50)).cast(pl.String)
    return null_unless(uniform(rows.device_id, "tells age") < 0.5, years)  # noqa: PLR2004


def _token(rows: Rows) -> pl.Series:
    words = [draw(rows["seed"], f"token {place}") for place in range(4)]
    apple = hex_column(*words)
    google = hex_column(*words[:2]) + ":APA91b" + hex_column(*words[2:], *words[:3])
    return apple.zip_with(pl.Series(devices.is_ios(rows.device_id)), google)


PROFILE_COLUMNS: dict[str, Callable[[Rows], pl.Series]] = {
    "appmetrica_gender": _choice("gender", ("F", "M"), 0.7),
    "appmetrica_birth_date": _age,
    "appmetrica_notifications_enabled": lambda rows: pl.Series(devices.accepts_pushes(rows.device_id)),
    "appmetrica_name": _choice("name", FIRST_NAMES, 0.8),
    "appmetrica_crashes": _counter("crashes", 2),
    "appmetrica_errors": _counter("errors", 4),
    "appmetrica_push_opens": _counter("push opens", 3),
    "appmetrica_push_send_count": lambda rows: pl.Series(_session_count(rows) * 2),
    "appmetrica_sessions": lambda rows: pl.Series(_session_count(rows)),
    "appmetrica_first_session_date": lambda rows: _date(rows.visits.cohort[rows["visit"]]),
    "appmetrica_last_start_date": lambda rows: _date(rows.visits.day[rows["visit"]]),
    CUSTOM_ATTRIBUTES[0]: _choice("category", tuple(dict.fromkeys(PRODUCT_SECTIONS)), 0.9),
    CUSTOM_ATTRIBUTES[1]: _choice("level", LEVELS, 0.9),
}
TOKEN_COLUMNS: dict[str, Callable[[Rows], pl.Series]] = {"token": _token}
