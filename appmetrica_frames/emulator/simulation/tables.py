"""The fourteen resources as tables of the simulated population."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from . import acquisition, crashes, ecommerce, profiles, revenue
from .device_columns import DEVICE_COLUMNS
from .event_json import event_json
from .events import NAMES, simulate_events
from .rows import event_time_columns, lookup
from .sessions import simulate_session_starts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .population import Visits
    from .rows import Columns, Rows


@dataclass(frozen=True, slots=True)
class Table:
    """How a resource is simulated: its rows, and the columns made of them.

    Attributes
    ----------
    installs_only
        Whether only visits with an install have rows.
    latest_only
        Whether a device has one row only, that of its last day.
    """

    rows: Callable[[Visits], Rows]
    columns: Columns
    installs_only: bool = False
    latest_only: bool = False

    def build_frame(self, rows: Rows, fields: Sequence[str]) -> pl.DataFrame:
        compact = rows.compact()
        return pl.DataFrame({name: self._column(compact, name) for name in fields})

    def _column(self, rows: Rows, name: str) -> pl.Series:
        if name in self.columns:
            return self.columns[name](rows)
        return DEVICE_COLUMNS[name](rows.visits).gather(rows["visit"])


EVENT: Columns = {
    **event_time_columns("event"),
    "event_name": lambda rows: lookup(NAMES, rows["kind"]),
    "event_json": event_json,
    "session_id": lambda rows: pl.Series(rows["session_id"]),
}
SESSION: Columns = {"session_id": EVENT["session_id"]}
PROFILES = Table(profiles.simulate_profiles, profiles.PROFILE_COLUMNS, latest_only=True)

TABLES: dict[str, Table] = {
    "clicks": Table(acquisition.simulate_clicks, acquisition.CLICK_COLUMNS, installs_only=True),
    "installations": Table(acquisition.simulate_installations, acquisition.INSTALLATION_COLUMNS, installs_only=True),
    "postbacks": Table(acquisition.simulate_postbacks, acquisition.POSTBACK_COLUMNS),
    "events": Table(simulate_events, EVENT),
    "profiles_v2": PROFILES,
    "profiles": PROFILES,
    "revenue_events": Table(revenue.simulate_revenue, EVENT | revenue.REVENUE_COLUMNS),
    "deeplinks": Table(
        acquisition.simulate_deeplinks, SESSION | event_time_columns("event") | acquisition.DEEPLINK_COLUMNS
    ),
    "push_tokens": Table(
        profiles.simulate_push_tokens, event_time_columns("token") | profiles.TOKEN_COLUMNS, installs_only=True
    ),
    "crashes": Table(crashes.simulate_crashes, event_time_columns("crash") | crashes.CRASH_COLUMNS),
    "errors": Table(crashes.simulate_errors, event_time_columns("error") | crashes.ERROR_COLUMNS),
    "sessions_starts": Table(simulate_session_starts, SESSION | event_time_columns("session_start")),
    "ad_revenue_events": Table(
        revenue.simulate_ad_revenue, SESSION | event_time_columns("ad_revenue") | revenue.AD_COLUMNS
    ),
    "ecommerce_events": Table(ecommerce.simulate_ecommerce, EVENT | ecommerce.ECOMMERCE_COLUMNS),
}
