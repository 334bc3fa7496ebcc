"""The columns of clicks, installs and postbacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from .acquisition import install_time
from .chance import Choice, below, draw, unit
from .moments import happened, moments
from .portrait import device_ipv6, ipv6
from .rows import hexadecimal, pool, where
from .sources import ORGANIC, TRACKERS

if TYPE_CHECKING:
    from .chance import Array, Flags
    from .rows import Column, Columns, Rows

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
