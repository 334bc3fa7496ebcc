"""User acquisition: clicks, installations, the postbacks sent to partners, and deeplinks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from . import catalogs, devices
from .catalogs import ORGANIC, PAID_CHOICE, REENGAGING, TRACKERS
from .device_columns import device_ipv6, ipv6
from .events import KIND, simulate_events
from .population import Visits
from .rng import Choice, derive, draw, exponential, geometric, integers, uniform
from .rows import (
    Rows,
    event_time_columns,
    hex_column,
    index_within,
    lookup,
    null_unless,
    repeat_index,
    time_columns,
)
from .sessions import first_session_second, receive_time, simulate_sessions

if TYPE_CHECKING:
    from .rng import U64, Array, Bools, Ints
    from .rows import Column, Columns

CLICK_SECONDS = 600.0
SETUP_SECONDS = 3
UNCONVERTED = 0.8
FAILURE_RATE, MAX_RETRIES, RETRY_SECONDS = 0.12, 4, 60
USER_AGENTS = (
    "Mozilla/5.0 (Linux; Android 14; SM-A546E) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5",
    "Dalvik/2.1.0 (Linux; U; Android 13; 23021RAAEG Build/TKQ1)",
)
CAMPAIGNS = tuple(
    f"utm_source=partner&utm_campaign=c{index}&utm_term=%D1%87%D0%B0%D0%B9+{index % 7}&sub=a%2Cb" for index in range(40)
)
IMPRESSION_SHARE, BOT_SHARE = 0.25, 0.02
MATCHES = ("referrer", "identifier", "fingerprint")
MATCH_CHOICE = Choice.of((5, 3, 2))
FINGERPRINT = 2
REATTRIBUTED_SHARE = 0.04
ACCEPTED = ((200, '{"status":"ok"}'), (200, "OK"), (204, ""))
REJECTED = ((429, '{"error":"rate limit, retry later"}'), (500, '<h1>Internal "Error"</h1>\n'), (502, ""))
DEEPLINK_SHARE = 0.05
APP_SCHEME_SHARE = 0.4
TRACKED_LINK_SHARE = 0.5
LINK_PATHS = ("/product", "/cart", "/promo/autumn", "/категория/чай", "")
LINK_PATH_CHOICE = Choice.of((6, 1, 3, 2, 1))
LINK_PARAMETERS = ("", "ref=push", "utm_source=mail&utm_content=a%2Cb", 'q="tea"&sort=price', "from=друг&code=ЛЕТО")


def simulate_installations(visits: Visits) -> Rows:
    index = np.flatnonzero(visits.is_install)
    time = (visits.midnight + _install_second(visits))[index]
    seed = derive(visits.seed[index], np.array(100))
    arrays = {"time": time, "received": receive_time(time, seed, np.zeros(len(index))), "seed": seed}
    return Rows(
        visits, {"visit": index, "tracker": devices.draw_tracker(visits.id)[index], **arrays, **_click(visits, index)}
    )


def simulate_clicks(visits: Visits) -> Rows:
    """Return one click for each tracked install, and more clicks that did not lead to an install."""
    installations = _keep_tracked(simulate_installations(visits))
    counts = 2 + geometric(installations["seed"], "fruitless", UNCONVERTED)
    row, nth = repeat_index(counts), index_within(counts)
    converted = nth == 0
    other_device = derive(installations["seed"][row], nth)
    installing = visits.take(installations["visit"][row])
    clickers = Visits(
        installing.application,
        np.where(converted, installing.id, other_device),
        installing.day,
        installing.day,
        installing.install_number,
        np.zeros(len(installing), bool),
    )
    time = np.where(
        converted, installations["click_time"][row], installing.midnight + integers(other_device, "second", 86_400)
    )
    tracker = np.where(converted, installations["tracker"][row], PAID_CHOICE.pick(other_device, "tracker"))
    seed = np.where(converted, installations["click_seed"][row], other_device)
    arrays = {"visit": np.arange(len(row)), "time": time, "received": time, "seed": seed, "tracker": tracker}
    return Rows(clickers, arrays | {"click_time": time, "click_seed": seed})


def simulate_postbacks(visits: Visits) -> Rows:
    """Return the postbacks for tracked installs and purchases; a failed attempt is retried."""
    installations, purchases = _keep_tracked(simulate_installations(visits)), _keep_tracked(_purchases(visits))
    shared = ("visit", "time", "seed", "tracker", "click_time", "click_seed")
    reported = Rows(visits, {name: np.concatenate([installations[name], purchases[name]]) for name in shared})
    attempts = 1 + np.minimum(geometric(reported["seed"], "failures", FAILURE_RATE), MAX_RETRIES)
    row, nth = repeat_index(attempts), index_within(attempts)
    rows = reported.take(row)
    arrays = {
        "purchase": row >= len(installations),
        "failed": nth < attempts[row] - 1,
        "received": rows["time"] + 5 + RETRY_SECONDS * nth,
        "seed": derive(rows["seed"], nth),
    }
    return Rows(visits, rows.arrays | arrays)


def simulate_deeplinks(visits: Visits) -> Rows:
    """Return the sessions that a deeplink opened."""
    sessions = simulate_sessions(visits)
    linked = sessions.take(np.flatnonzero(uniform(sessions.seed, "deeplink") < DEEPLINK_SHARE))
    paid = uniform(linked.seed, "paid link") < TRACKED_LINK_SHARE
    arrays = {
        "visit": linked.visit,
        "time": linked.start,
        "received": receive_time(linked.start, linked.seed, linked.late),
    }
    tracker = np.where(paid, PAID_CHOICE.pick(linked.seed, "link tracker"), ORGANIC)
    return Rows(visits, arrays | {"seed": linked.seed, "session_id": linked.id, "tracker": tracker})


def find_install_time(rows: Rows) -> Ints:
    """Return the time of the installation that each row belongs to."""
    first = rows.visits.on_install_day()
    return (first.midnight + _install_second(first))[rows["visit"]]


def _install_second(visits: Visits) -> Ints:
    return np.maximum(first_session_second(visits) - SETUP_SECONDS, 0)


def _click(visits: Visits, index: Ints) -> dict[str, U64 | Ints]:
    """Return the click before each install: some minutes earlier, on the same day."""
    installing = visits.take(index)
    seed = derive(installing.id, installing.install_number)
    gap = exponential(seed, "click to install", CLICK_SECONDS).astype(np.int64)
    return {
        "click_seed": seed,
        "click_time": installing.midnight + np.maximum(_install_second(installing) - 5 - gap, 0),
    }


def _purchases(visits: Visits) -> Rows:
    events = simulate_events(visits)
    purchases = events.take(np.flatnonzero(events["kind"] == KIND["purchase"]))
    index = purchases["visit"]
    click = _click(visits.on_install_day(), index)
    return Rows(visits, purchases.arrays | {"tracker": devices.draw_tracker(visits.id)[index], **click})


def _keep_tracked(rows: Rows) -> Rows:
    return rows.take(np.flatnonzero(rows["tracker"] != ORGANIC))


def is_tracked(rows: Rows) -> Bools:
    return rows["tracker"] != ORGANIC


def _tracker_column(attribute: str, dtype: type[pl.DataType]) -> Column:
    values = pl.Series([getattr(tracker, attribute) for tracker in TRACKERS], dtype=dtype)
    return lambda rows: null_unless(is_tracked(rows), values.gather(rows["tracker"]))


def _click_choice(label: str, values: tuple[str, ...]) -> Column:
    """Return a column that picks one of the values for each click."""
    return lambda rows: null_unless(is_tracked(rows), lookup(values, integers(rows["click_seed"], label, len(values))))


def _click_text(rows: Rows) -> pl.Series:
    return hex_column(draw(rows["click_seed"], "click"), draw(rows["click_seed"], "click, rest"))


def _address(rows: Rows) -> pl.Series:
    cellular = uniform(rows["click_seed"], "on the road") < 0.4  # noqa: PLR2004
    return null_unless(is_tracked(rows), ipv6(rows["click_seed"], cellular))


def _touch(rows: Rows) -> pl.Series:
    impression = uniform(rows["click_seed"], "impression") < IMPRESSION_SHARE
    return null_unless(is_tracked(rows), lookup(("click", "impression"), impression.astype(int)))


def _tracked_only(columns: Columns) -> Columns:
    def tracked_only(column: Column) -> Column:
        return lambda rows: null_unless(is_tracked(rows), column(rows))

    return {name: tracked_only(column) for name, column in columns.items()}


def _match(rows: Rows) -> Array:
    return MATCH_CHOICE.pick(rows["click_seed"], "match")


def _fingerprint(rows: Rows) -> pl.Series:
    return null_unless(is_tracked(rows) & (_match(rows) == FINGERPRINT), lookup(("ip", "ip+ua"), _match(rows) % 2))


def _event(rows: Rows) -> Array:
    return rows["purchase"].astype(np.int64)


def _response(rows: Rows, place: int) -> pl.Series:
    accepted = lookup([response[place] for response in ACCEPTED], integers(rows["seed"], "answer", len(ACCEPTED)))
    rejected = lookup([response[place] for response in REJECTED], integers(rows["seed"], "answer", len(REJECTED)))
    return rejected.zip_with(pl.Series(rows["failed"]), accepted)


def _postback_query(rows: Rows) -> pl.Series:
    ends = lookup(("&event=install", "&event=purchase&payout=1.50"), _event(rows))
    return "click=" + _click_text(rows) + ends


def _path(rows: Rows) -> pl.Series:
    return lookup(LINK_PATHS, LINK_PATH_CHOICE.pick(rows["seed"], "path"))


def _parameters(rows: Rows) -> pl.Series:
    plain = lookup(LINK_PARAMETERS, integers(rows["seed"], "parameters", len(LINK_PARAMETERS)))
    sku = "sku=" + lookup(catalogs.PRODUCT_SKUS, catalogs.PRODUCT_CHOICE.pick(rows["seed"], "linked product"))
    return sku.zip_with(pl.Series(LINK_PATH_CHOICE.pick(rows["seed"], "path") == 0), plain)


def _scheme(rows: Rows) -> Ints:
    """Return 1 for the app's own URL scheme, 0 for https."""
    return (uniform(rows["seed"], "scheme") < APP_SCHEME_SHARE).astype(np.int64)


SOURCE_COLUMNS: Columns = {
    "publisher_id": _tracker_column("publisher_id", pl.UInt64),
    "publisher_name": _tracker_column("publisher", pl.String),
    "tracker_name": _tracker_column("name", pl.String),
    "tracking_id": _tracker_column("tracking_id", pl.UInt64),
}
_CLICK_SOURCE: Columns = SOURCE_COLUMNS | {
    "click_id": lambda rows: null_unless(is_tracked(rows), _click_text(rows)),
    "click_ipv6": _address,
    "click_url_parameters": _click_choice("campaign", CAMPAIGNS),
    "click_user_agent": _click_choice("agent", USER_AGENTS),
    **_tracked_only(time_columns("click", lambda rows: rows["click_time"])),
}
_INSTALL: Columns = {
    "attributed_touch_type": _touch,
    "match_type": lambda rows: null_unless(is_tracked(rows), lookup(MATCHES, _match(rows))),
    "install_ipv6": lambda rows: device_ipv6(rows.visits).gather(rows["visit"]),
}
CLICK_COLUMNS: Columns = _CLICK_SOURCE | {
    "touch_type": _touch,
    "is_bot": lambda rows: pl.Series(uniform(rows["seed"], "bot") < BOT_SHARE),
}
INSTALLATION_COLUMNS: Columns = (
    _CLICK_SOURCE
    | _INSTALL
    | event_time_columns("install")
    | {
        "is_reattribution": lambda rows: pl.Series(
            is_tracked(rows) & (uniform(rows["seed"], "moved") < REATTRIBUTED_SHARE)
        ),
        "is_reinstallation": lambda rows: pl.Series(rows.visits.install_number[rows["visit"]] > 0),
        "fingerprint_method": _fingerprint,
    }
)
POSTBACK_COLUMNS: Columns = (
    _CLICK_SOURCE
    | _INSTALL
    | time_columns("install", find_install_time)
    | time_columns("conversion", lambda rows: rows["time"])
    | time_columns("attempt", lambda rows: rows["received"])
    | {
        "event_name": lambda rows: null_unless(rows["purchase"], lookup(("", "purchase"), _event(rows))),
        "cost_model": lambda rows: lookup(("cpi", "cpa"), _event(rows)),
        "notifying_status": lambda rows: lookup(("sent", "failed"), rows["failed"].astype(np.int64)),
        "postback_url": lambda rows: "https://partner.example.com/postback?" + _postback_query(rows),
        "postback_url_parameters": _postback_query,
        "response_code": lambda rows: _response(rows, 0),
        "response_body": lambda rows: _response(rows, 1),
    }
)


DEEPLINK_COLUMNS: Columns = SOURCE_COLUMNS | {
    "deeplink_url_scheme": lambda rows: lookup(("https", "lavka"), _scheme(rows)),
    "deeplink_url_host": lambda rows: lookup(("lavka.example.com", "open"), _scheme(rows)),
    "deeplink_url_path": _path,
    "deeplink_url_parameters": _parameters,
    "is_reengagement": lambda rows: pl.Series(REENGAGING[rows["tracker"]]),
}
