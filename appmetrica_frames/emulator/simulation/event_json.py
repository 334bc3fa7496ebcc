"""The attributes that the simulated app sends with its events, as the JSON texts that the server stores.

A text is put together of a head, which says what the event is about, and a tail out of a limited stock: real
attributes repeat themselves much as these do. The stock holds what trips parsers up, too.
"""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from . import catalogs, devices
from .catalogs import COUNTRIES
from .events import KIND, NAMES, of_kind, quantity
from .rng import below, draw
from .rows import blank, hexadecimal, numbers, pool, where

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .rng import Ints
    from .rows import Rows


ABOUT_PRODUCTS = of_kind(
    "product_view", "add_to_wishlist", "add_to_cart", "remove_from_cart", "checkout", "purchase", "Отзыв отправлен"
)
WITH_QUANTITY = of_kind("add_to_cart", "remove_from_cart", "checkout", "purchase")
WITHOUT_JSON = of_kind("app_close")
SCREENS = ("home", "catalog", "search_results", "product", "cart", "profile", "orders", "Избранное", "help")
QUERIES = (
    "headphones",
    "чайник",
    'pillow "soft"',
    "usb-c, 2 m",
    "кроссовки 42",
    "gift 🎁",
    "a\tb",
    "50% off",
    "{}",
    "лейка",
)
REVIEWS = (
    "Great, thanks!",
    "Отлично, рекомендую 👍",
    'Says "waterproof", is not',
    "Line one\nline two",
    "ok },{",
    "Коробка мятая, товар цел",
)
TAILS = 400
# Not everything that an app sends as JSON is JSON.
BROKEN = ('{"screen":"home","ab":', "null", "[object Object]")


def event_json(rows: Rows) -> pl.Series:
    """Return the attributes of each event."""
    texts = pl.DataFrame({"head": _heads(rows), "own": _own(rows), "tail": _tails(rows)})
    whole = texts.select(pl.concat_str("head", "own", "tail", ignore_nulls=True)).to_series()
    odd = below(rows["root"], "broken json", 2_500) == 0
    whole = pool(BROKEN, below(rows["root"], "which broken", len(BROKEN))).zip_with(pl.Series(odd), whole)
    return where(~WITHOUT_JSON[rows["kind"]], whole)


def order_id(rows: Rows) -> pl.Series:
    """Return the order of each purchase; the same in every table."""
    return "LV-" + hexadecimal(draw(rows["session_root"], "order")).str.slice(0, 10)


def country_of(rows: Rows) -> Ints:
    return devices.country(rows.visits.id)[rows["visit"]]


def _heads(rows: Rows) -> pl.Series:
    about = country_of(rows) * len(catalogs.PRODUCTS) + rows["product"]
    plain = len(COUNTRIES) * len(catalogs.PRODUCTS)
    return pl.Series(_head_pool()).gather(np.where(ABOUT_PRODUCTS[rows["kind"]], about, plain))


@cache
def _head_pool() -> list[str]:
    """Return what begins each text about a product in a country, and last what begins all others."""
    index = np.arange(len(catalogs.PRODUCTS))
    lists = [
        zip(index.tolist(), catalogs.price(index, np.full_like(index, country)).tolist(), strict=True)
        for country in range(len(COUNTRIES))
    ]
    return [
        *(
            _head(product, price, COUNTRIES[country].currency)
            for country, priced in enumerate(lists)
            for product, price in priced
        ),
        "{",
    ]


def _head(product: int, price: float, currency: str) -> str:
    facts = {
        "sku": catalogs.PRODUCT_SKUS[product],
        "name": catalogs.PRODUCT_NAMES[product],
        "section": catalogs.PRODUCT_SECTIONS[product],
    }
    return _text(facts | {"price": price, "currency": currency})[:-1] + ","


def _own(rows: Rows) -> pl.Series:
    """Return what stands in no other text: quantities and order ids."""
    if not len(rows):
        return blank(0)
    bought = where(WITH_QUANTITY[rows["kind"]], '"quantity":' + numbers(quantity(rows)).cast(pl.String) + ",")
    ordered = where(rows["kind"] == KIND["purchase"], '"order_id":"' + order_id(rows) + '",')
    return bought.fill_null("") + ordered.fill_null("")


def _tails(rows: Rows) -> pl.Series:
    index = rows["kind"] * TAILS + below(rows["root"], "tail", TAILS)
    return pl.Series(_tail_pool()).gather(index)


@cache
def _tail_pool() -> list[str]:
    return [_text(facts)[1:] for name in NAMES for facts in _stock(name)]


def _stock(name: str) -> Iterator[dict[str, object]]:
    for index in range(TAILS):
        yield _facts(name, index) | {"ab_group": "ABC"[index % 3], "network_ms": 20 + index * 37 % 900}


def _facts(name: str, index: int) -> dict[str, object]:
    """Return one stock of attributes; what an event has not of its own is its position on the screen."""
    facts: dict[str, dict[str, object]] = {
        "app_open": {"cold": index % 3 == 0, "source": ("icon", "push", "deeplink", "widget")[index % 4]},
        "onboarding_step": {"step": 1 + index % 4, "skipped": index % 9 == 0},
        "screen_view": {"screen": SCREENS[index % len(SCREENS)], "depth": index % 7},
        "search": {
            "query": QUERIES[index % len(QUERIES)],
            "results": index * 13 % 211,
            "filters": ["in_stock"] * (index % 2),
        },
        "ad_impression": {"placement": ("feed", "fullscreen", "rewarded")[index % 3], "loaded": index % 11 != 0},
        "checkout": {"payment": ("card", "sbp", "apple_pay", "cash")[index % 4], "address": {"saved": index % 2 == 0}},
        "purchase": {
            "payment": ("card", "sbp", "apple_pay", "cash")[index % 4],
            "coupon": None if index % 5 else "АВГУСТ",
        },
        "share": {"to": ("telegram", "vk", "link")[index % 3], "text": "Смотри, что нашлось: «скидка» 🎉"},
        "Отзыв отправлен": {"stars": 1 + index % 5, "text": REVIEWS[index % len(REVIEWS)]},
        "push_open": {"campaign": f"autumn, wave {index % 12}", "badge": index % 4},
    }
    return facts.get(name, {"position": index % 40, "list": SCREENS[index % 4]})


def _text(facts: dict[str, object]) -> str:
    return json.dumps(facts, ensure_ascii=False, separators=(",", ":"))
