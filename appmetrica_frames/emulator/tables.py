"""The fourteen resources as tables over the one population."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from . import acquisition, ecommerce, incidents, links, money, partners, profiles
from .event_json import event_json
from .events import NAMES, events
from .moments import happened
from .portrait import PORTRAIT
from .rows import numbers, pool

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
    "clicks": Table(acquisition.clicks, partners.CLICKS, fresh_only=True),
    "installations": Table(acquisition.installations, partners.INSTALLATIONS, fresh_only=True),
    "postbacks": Table(acquisition.postbacks, partners.POSTBACKS),
    "events": Table(events, EVENT),
    "profiles_v2": PROFILES,
    "profiles": PROFILES,
    "revenue_events": Table(money.revenue, EVENT | money.REVENUE_COLUMNS),
    "deeplinks": Table(links.deeplinks, SESSION | happened("event") | links.COLUMNS),
    "push_tokens": Table(profiles.tokens, happened("token") | profiles.TOKEN_COLUMNS, fresh_only=True),
    "crashes": Table(incidents.crashes, happened("crash") | incidents.CRASH_COLUMNS),
    "errors": Table(incidents.errors, happened("error") | incidents.ERROR_COLUMNS),
    "sessions_starts": Table(links.session_starts, SESSION | happened("session_start")),
    "ad_revenue_events": Table(money.ad_revenue, SESSION | happened("ad_revenue") | money.AD_COLUMNS),
    "ecommerce_events": Table(ecommerce.ecommerce, EVENT | ecommerce.COLUMNS),
}
