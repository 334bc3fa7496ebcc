"""Clicks, installs and postbacks: how devices came, and what the partners are told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from . import people
from .chance import below, child, exponential, geometric
from .events import KIND, events
from .population import Visits
from .rows import Rows, nth_of, repeated
from .sessions import first_second, received
from .sources import ORGANIC, PAID_CHOICE

if TYPE_CHECKING:
    from .chance import U64, Ints

CLICK_SECONDS = 600.0
SETUP_SECONDS = 3
FRUITLESS = 0.8
FAILED_ATTEMPT, MOST_ATTEMPTS, RETRY_SECONDS = 0.12, 4, 60


def installations(visits: Visits) -> Rows:
    here = np.flatnonzero(visits.fresh)
    time = (visits.midnight + _install_second(visits))[here]
    root = child(visits.root[here], np.array(100))
    arrays = {"time": time, "received": received(time, root, np.zeros(len(here))), "root": root}
    return Rows(visits, {"visit": here, "tracker": people.tracker(visits.id)[here], **arrays, **_click(visits, here)})


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
    return Rows(visits, bought.arrays | {"tracker": people.tracker(visits.id)[here], **came})


def _tracked(rows: Rows) -> Rows:
    return rows.take(np.flatnonzero(rows["tracker"] != ORGANIC))
