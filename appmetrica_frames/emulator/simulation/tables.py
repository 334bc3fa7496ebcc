"""The fourteen resources as tables over the one population."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from . import acquisition, crashes, ecommerce, profiles, revenue
from .device_columns import PORTRAIT
from .event_json import event_json
from .events import NAMES, events
from .rows import happened, numbers, pool
from .sessions import session_starts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .population import Visits
    from .rows import Columns, Rows


@dataclass(frozen=True, slots=True)
class Table:
    """How a resource is simulated: what happens on visits, and which columns say so.

    Attributes
    ----------
    fresh_only
        Whether only visits with an install matter.
    latest_only
        Whether a device has one row, of its last day.
    """

    rows: Callable[[Visits], Rows]
    columns: Columns
    fresh_only: bool = False
    latest_only: bool = False

    def frame(self, rows: Rows, fields: Sequence[str]) -> pl.DataFrame:
        narrow = rows.narrowed()
        return pl.DataFrame({name: self._column(narrow, name) for name in fields})

    def _column(self, rows: Rows, name: str) -> pl.Series:
        if name in self.columns:
            return self.columns[name](rows)
        return PORTRAIT[name](rows.visits).gather(rows["visit"])


EVENT: Columns = {
    **happened("event"),
    "event_name": lambda rows: pool(NAMES, rows["kind"]),
    "event_json": event_json,
    "session_id": lambda rows: numbers(rows["session_id"]),
}
SESSION: Columns = {"session_id": EVENT["session_id"]}
PROFILES = Table(profiles.profiles, profiles.PROFILE_COLUMNS, latest_only=True)

TABLES: dict[str, Table] = {
    "clicks": Table(acquisition.clicks, acquisition.CLICKS, fresh_only=True),
    "installations": Table(acquisition.installations, acquisition.INSTALLATIONS, fresh_only=True),
    "postbacks": Table(acquisition.postbacks, acquisition.POSTBACKS),
    "events": Table(events, EVENT),
    "profiles_v2": PROFILES,
    "profiles": PROFILES,
    "revenue_events": Table(revenue.revenue, EVENT | revenue.REVENUE_COLUMNS),
    "deeplinks": Table(acquisition.deeplinks, SESSION | happened("event") | acquisition.DEEPLINK_COLUMNS),
    "push_tokens": Table(profiles.tokens, happened("token") | profiles.TOKEN_COLUMNS, fresh_only=True),
    "crashes": Table(crashes.crashes, happened("crash") | crashes.CRASH_COLUMNS),
    "errors": Table(crashes.errors, happened("error") | crashes.ERROR_COLUMNS),
    "sessions_starts": Table(session_starts, SESSION | happened("session_start")),
    "ad_revenue_events": Table(revenue.ad_revenue, SESSION | happened("ad_revenue") | revenue.AD_COLUMNS),
    "ecommerce_events": Table(ecommerce.ecommerce, EVENT | ecommerce.COLUMNS),
}
