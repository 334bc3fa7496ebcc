"""Clicks, installs and postbacks: how devices came, and what the partners are told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from . import catalogs, devices
from .catalogs import ORGANIC, PAID_CHOICE, REENGAGING, TRACKERS
from .device_columns import device_ipv6, ipv6
from .events import KIND, events
from .population import Visits
from .rng import Choice, below, child, draw, exponential, geometric, unit
from .rows import Columns, Rows, happened, hexadecimal, moments, nth_of, pool, repeated, where
from .sessions import first_second, received, sessions

if TYPE_CHECKING:
    from .rng import U64, Array, Flags, Ints
    from .rows import Column, Columns


CLICK_SECONDS = 600.0
SETUP_SECONDS = 3
FRUITLESS = 0.8
FAILED_ATTEMPT, MOST_ATTEMPTS, RETRY_SECONDS = 0.12, 4, 60


def installations(visits: Visits) -> Rows:
    here = np.flatnonzero(visits.fresh)
    time = (visits.midnight + _install_second(visits))[here]
    root = child(visits.root[here], np.array(100))
    arrays = {"time": time, "received": received(time, root, np.zeros(len(here))), "root": root}
    return Rows(visits, {"visit": here, "tracker": devices.tracker(visits.id)[here], **arrays, **_click(visits, here)})


def clicks(visits: Visits) -> Rows:
    """Return the click of every tracked install, and clicks and impressions of others that led nowhere."""
    installs = _tracked(installations(visits))
    counts = 2 + geometric(installs["root"], "fruitless", FRUITLESS)
    row, nth = repeated(counts), nth_of(counts)
    converted = nth == 0
    stranger = child(installs["root"][row], nth)
    at = visits.take(installs["visit"][row])
    passers = Visits(
        at.application, np.where(converted, at.id, stranger), at.day, at.day, at.generation, np.zeros(len(at), bool)
    )
    time = np.where(converted, installs["click_time"][row], at.midnight + below(stranger, "second", 86_400))
    tracker = np.where(converted, installs["tracker"][row], PAID_CHOICE.pick(stranger, "tracker"))
    root = np.where(converted, installs["click_root"][row], stranger)
    arrays = {"visit": np.arange(len(row)), "time": time, "received": time, "root": root, "tracker": tracker}
    return Rows(passers, arrays | {"click_time": time, "click_root": root})


def postbacks(visits: Visits) -> Rows:
    """Return what partners were told of installs and purchases; a failed attempt is followed by another."""
    installs, bought = _tracked(installations(visits)), _tracked(_purchases(visits))
    shared = ("visit", "time", "root", "tracker", "click_time", "click_root")
    told = Rows(visits, {name: np.concatenate([installs[name], bought[name]]) for name in shared})
    attempts = 1 + np.minimum(geometric(told["root"], "failures", FAILED_ATTEMPT), MOST_ATTEMPTS)
    row, nth = repeated(attempts), nth_of(attempts)
    rows = told.take(row)
    arrays = {
        "purchase": row >= len(installs),
        "failed": nth < attempts[row] - 1,
        "received": rows["time"] + 5 + RETRY_SECONDS * nth,
        "root": child(rows["root"], nth),
    }
    return Rows(visits, rows.arrays | arrays)


def install_time(rows: Rows) -> Ints:
    """Return when the app was installed that each row belongs to."""
    first = rows.visits.on_install_day()
    return (first.midnight + _install_second(first))[rows["visit"]]


def _install_second(visits: Visits) -> Ints:
    return np.maximum(first_second(visits) - SETUP_SECONDS, 0)


def _click(visits: Visits, here: Ints) -> dict[str, U64 | Ints]:
    """Return the click before each install: some minutes earlier, but on the same day."""
    some = visits.take(here)
    root = child(some.id, some.generation)
    gap = exponential(root, "click to install", CLICK_SECONDS).astype(np.int64)
    return {"click_root": root, "click_time": some.midnight + np.maximum(_install_second(some) - 5 - gap, 0)}


def _purchases(visits: Visits) -> Rows:
    happened = events(visits)
    bought = happened.take(np.flatnonzero(happened["kind"] == KIND["purchase"]))
    here = bought["visit"]
    came = _click(visits.on_install_day(), here)
    return Rows(visits, bought.arrays | {"tracker": devices.tracker(visits.id)[here], **came})


def _tracked(rows: Rows) -> Rows:
    return rows.take(np.flatnonzero(rows["tracker"] != ORGANIC))


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


def tracked(rows: Rows) -> Flags:
    return rows["tracker"] != ORGANIC


def _of_tracker(attribute: str, dtype: type[pl.DataType]) -> Column:
    values = pl.Series([getattr(tracker, attribute) for tracker in TRACKERS], dtype=dtype)
    return lambda rows: where(tracked(rows), values.gather(rows["tracker"]))


def _drawn(word: str, values: tuple[str, ...]) -> Column:
    """Return a column drawn from a few values for each click."""
    return lambda rows: where(tracked(rows), pool(values, below(rows["click_root"], word, len(values))))


def _click_text(rows: Rows) -> pl.Series:
    return hexadecimal(draw(rows["click_root"], "click"), draw(rows["click_root"], "click, rest"))


def _address(rows: Rows) -> pl.Series:
    cellular = unit(rows["click_root"], "on the road") < 0.4  # noqa: PLR2004
    return where(tracked(rows), ipv6(rows["click_root"], cellular))


def _touch(rows: Rows) -> pl.Series:
    impression = unit(rows["click_root"], "impression") < IMPRESSION_SHARE
    return where(tracked(rows), pool(("click", "impression"), impression.astype(int)))


def _tracked_only(columns: Columns) -> Columns:
    def shown(column: Column) -> Column:
        return lambda rows: where(tracked(rows), column(rows))

    return {name: shown(column) for name, column in columns.items()}


def _match(rows: Rows) -> Array:
    return MATCH_CHOICE.pick(rows["click_root"], "match")


def _fingerprint(rows: Rows) -> pl.Series:
    return where(tracked(rows) & (_match(rows) == FINGERPRINT), pool(("ip", "ip+ua"), _match(rows) % 2))


def _flag(flags: Flags) -> pl.Series:
    return pl.Series(flags)


def _event(rows: Rows) -> Array:
    return rows["purchase"].astype(np.int64)


def _answer(rows: Rows, place: int) -> pl.Series:
    accepted = pool([answer[place] for answer in ACCEPTED], below(rows["root"], "answer", len(ACCEPTED)))
    rejected = pool([answer[place] for answer in REJECTED], below(rows["root"], "answer", len(REJECTED)))
    return rejected.zip_with(pl.Series(rows["failed"]), accepted)


def _postback_query(rows: Rows) -> pl.Series:
    ends = pool(("&event=install", "&event=purchase&payout=1.50"), _event(rows))
    return "click=" + _click_text(rows) + ends


SOURCE_COLUMNS: Columns = {
    "publisher_id": _of_tracker("publisher_id", pl.UInt64),
    "publisher_name": _of_tracker("publisher", pl.String),
    "tracker_name": _of_tracker("name", pl.String),
    "tracking_id": _of_tracker("tracking_id", pl.UInt64),
}
_SOURCE: Columns = SOURCE_COLUMNS | {
    "click_id": lambda rows: where(tracked(rows), _click_text(rows)),
    "click_ipv6": _address,
    "click_url_parameters": _drawn("campaign", CAMPAIGNS),
    "click_user_agent": _drawn("agent", USER_AGENTS),
    **_tracked_only(moments("click", lambda rows: rows["click_time"])),
}
_INSTALL: Columns = {
    "attributed_touch_type": _touch,
    "match_type": lambda rows: where(tracked(rows), pool(MATCHES, _match(rows))),
    "install_ipv6": lambda rows: device_ipv6(rows.visits).gather(rows["visit"]),
}
CLICKS: Columns = _SOURCE | {
    "touch_type": _touch,
    "is_bot": lambda rows: _flag(unit(rows["root"], "bot") < BOT_SHARE),
}
INSTALLATIONS: Columns = (
    _SOURCE
    | _INSTALL
    | happened("install")
    | {
        "is_reattribution": lambda rows: _flag(tracked(rows) & (unit(rows["root"], "moved") < REATTRIBUTED_SHARE)),
        "is_reinstallation": lambda rows: _flag(rows.visits.generation[rows["visit"]] > 0),
        "fingerprint_method": _fingerprint,
    }
)
POSTBACKS: Columns = (
    _SOURCE
    | _INSTALL
    | moments("install", install_time)
    | moments("conversion", lambda rows: rows["time"])
    | moments("attempt", lambda rows: rows["received"])
    | {
        "event_name": lambda rows: where(rows["purchase"], pool(("", "purchase"), _event(rows))),
        "cost_model": lambda rows: pool(("cpi", "cpa"), _event(rows)),
        "notifying_status": lambda rows: pool(("sent", "failed"), rows["failed"].astype(np.int64)),
        "postback_url": lambda rows: "https://partner.example.com/postback?" + _postback_query(rows),
        "postback_url_parameters": _postback_query,
        "response_code": lambda rows: _answer(rows, 0),
        "response_body": lambda rows: _answer(rows, 1),
    }
)


SHARE = 0.05
APP_SCHEME_SHARE = 0.4
TRACKED_SHARE = 0.5
PATHS = ("/product", "/cart", "/promo/autumn", "/категория/чай", "")
PATH_CHOICE = Choice.of((6, 1, 3, 2, 1))
PARAMETERS = ("", "ref=push", "utm_source=mail&utm_content=a%2Cb", 'q="tea"&sort=price', "from=друг&code=ЛЕТО")


def deeplinks(visits: Visits) -> Rows:
    """Return the sessions that began with a link."""
    held = sessions(visits)
    hit = held.take(np.flatnonzero(unit(held.root, "deeplink") < SHARE))
    paid = unit(hit.root, "paid link") < TRACKED_SHARE
    arrays = {"visit": hit.visit, "time": hit.start, "received": received(hit.start, hit.root, hit.late)}
    tracker = np.where(paid, PAID_CHOICE.pick(hit.root, "link tracker"), ORGANIC)
    return Rows(visits, arrays | {"root": hit.root, "session_id": hit.id, "tracker": tracker})


def _path(rows: Rows) -> pl.Series:
    return pool(PATHS, PATH_CHOICE.pick(rows["root"], "path"))


def _parameters(rows: Rows) -> pl.Series:
    plain = pool(PARAMETERS, below(rows["root"], "parameters", len(PARAMETERS)))
    sku = "sku=" + pool(catalogs.PRODUCT_SKUS, catalogs.PRODUCT_CHOICE.pick(rows["root"], "linked product"))
    return sku.zip_with(pl.Series(PATH_CHOICE.pick(rows["root"], "path") == 0), plain)


def _scheme(rows: Rows) -> Ints:
    """Return 1 for the app's own scheme, 0 for the web's."""
    return (unit(rows["root"], "scheme") < APP_SCHEME_SHARE).astype(np.int64)


DEEPLINK_COLUMNS: Columns = SOURCE_COLUMNS | {
    "deeplink_url_scheme": lambda rows: pool(("https", "lavka"), _scheme(rows)),
    "deeplink_url_host": lambda rows: pool(("lavka.example.com", "open"), _scheme(rows)),
    "deeplink_url_path": _path,
    "deeplink_url_parameters": _parameters,
    "is_reengagement": lambda rows: pl.Series(REENGAGING[rows["tracker"]]),
}
