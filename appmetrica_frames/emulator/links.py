"""Openings through deeplinks, from pushes, letters and advertisements."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from . import shop
from .chance import Choice, below, unit
from .partners import SOURCE_COLUMNS
from .rows import Columns, Rows, pool
from .sessions import received, sessions
from .sources import ORGANIC, PAID_CHOICE, REENGAGING

if TYPE_CHECKING:
    from .chance import Ints
    from .population import Visits

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


def session_starts(visits: Visits) -> Rows:
    held = sessions(visits)
    arrays = {"visit": held.visit, "time": held.start, "received": received(held.start, held.root, held.late)}
    return Rows(visits, arrays | {"root": held.root, "session_id": held.id})


def _path(rows: Rows) -> pl.Series:
    return pool(PATHS, PATH_CHOICE.pick(rows["root"], "path"))


def _parameters(rows: Rows) -> pl.Series:
    plain = pool(PARAMETERS, below(rows["root"], "parameters", len(PARAMETERS)))
    sku = "sku=" + pool(shop.SKUS, shop.CHOICE.pick(rows["root"], "linked product"))
    return sku.zip_with(pl.Series(PATH_CHOICE.pick(rows["root"], "path") == 0), plain)


def _scheme(rows: Rows) -> Ints:
    """Return 1 for the app's own scheme, 0 for the web's."""
    return (unit(rows["root"], "scheme") < APP_SCHEME_SHARE).astype(np.int64)


COLUMNS: Columns = SOURCE_COLUMNS | {
    "deeplink_url_scheme": lambda rows: pool(("https", "lavka"), _scheme(rows)),
    "deeplink_url_host": lambda rows: pool(("lavka.example.com", "open"), _scheme(rows)),
    "deeplink_url_path": _path,
    "deeplink_url_parameters": _parameters,
    "is_reengagement": lambda rows: pl.Series(REENGAGING[rows["tracker"]]),
}
