"""Event attributes as the JSON strings of `event_json`.

A string has a head with the product, values of its own, and a tail from a limited pool, because real attributes repeat
too. The pool includes what parsers stumble over.
"""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from . import catalogs, devices
from .catalogs import COUNTRIES
from .events import KIND, NAMES, draw_quantity, match_kinds
from .rng import draw, integers
from .rows import hex_column, lookup, null_unless, nulls

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .rng import Ints
    from .rows import Rows


ABOUT_PRODUCTS = match_kinds(
    "product_view", "add_to_wishlist", "add_to_cart", "remove_from_cart", "checkout", "purchase", "Отзыв отправлен"
)
WITH_QUANTITY = match_kinds("add_to_cart", "remove_from_cart", "checkout", "purchase")
WITHOUT_JSON = match_kinds("app_close")
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
# Apps also send attributes that are not valid JSON.
BROKEN = ('{"screen":"home","ab":', "null", "[object Object]")


def event_json(rows: Rows) -> pl.Series:
    """Return the attributes of each event."""
    texts = pl.DataFrame({"head": _heads(rows), "unique": _unique_values(rows), "tail": _tails(rows)})
    text = texts.select(pl.concat_str("head", "unique", "tail", ignore_nulls=True)).to_series()
    is_broken = integers(rows["seed"], "broken json", 2_500) == 0
    text = lookup(BROKEN, integers(rows["seed"], "which broken", len(BROKEN))).zip_with(pl.Series(is_broken), text)
    return null_unless(~WITHOUT_JSON[rows["kind"]], text)


def order_id(rows: Rows) -> pl.Series:
    """Return the order id of each purchase, which is the same in every table."""
    return "LV-" + hex_column(draw(rows["session_seed"], "order")).str.slice(0, 10)


def get_country(rows: Rows) -> Ints:
    return devices.draw_country(rows.visits.id)[rows["visit"]]


def _heads(rows: Rows) -> pl.Series:
    with_product = get_country(rows) * len(catalogs.PRODUCTS) + rows["product"]
    plain = len(COUNTRIES) * len(catalogs.PRODUCTS)
    return pl.Series(_head_pool()).gather(np.where(ABOUT_PRODUCTS[rows["kind"]], with_product, plain))


@cache
def _head_pool() -> list[str]:
    """Return the head for each product in each country, and last the one for events without a product."""
    index = np.arange(len(catalogs.PRODUCTS))
    lists = [
        zip(index.tolist(), catalogs.get_price(index, np.full_like(index, country)).tolist(), strict=True)
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


def _unique_values(rows: Rows) -> pl.Series:
    """Return the values that do not repeat: quantities and order ids."""
    if not len(rows):
        return nulls(0)
    quantities = null_unless(
        WITH_QUANTITY[rows["kind"]], '"quantity":' + pl.Series(draw_quantity(rows)).cast(pl.String) + ","
    )
    orders = null_unless(rows["kind"] == KIND["purchase"], '"order_id":"' + order_id(rows) + '",')
    return quantities.fill_null("") + orders.fill_null("")


def _tails(rows: Rows) -> pl.Series:
    index = rows["kind"] * TAILS + integers(rows["seed"], "tail", TAILS)
    return pl.Series(_tail_pool()).gather(index)


@cache
def _tail_pool() -> list[str]:
    return [_text(facts)[1:] for name in NAMES for facts in _tail_variants(name)]


def _tail_variants(name: str) -> Iterator[dict[str, object]]:
    for index in range(TAILS):
        yield _facts(name, index) | {"ab_group": "ABC"[index % 3], "network_ms": 20 + index * 37 % 900}


def _facts(name: str, index: int) -> dict[str, object]:
    """Return one variant of an event's attributes; events without their own get a position on the screen."""
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
