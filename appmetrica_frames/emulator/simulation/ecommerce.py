"""E-commerce events: screens, products, carts and orders."""

# ruff: noqa: RUF001 - the simulated people write in Cyrillic

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from . import catalogs
from .catalogs import CURRENCIES
from .event_json import QUERIES, SCREENS, get_country, order_id
from .events import KIND, draw_quantity, simulate_events
from .rng import integers, uniform
from .rows import Rows, lookup, null_unless, nulls

if TYPE_CHECKING:
    from collections.abc import Callable

    from .population import Visits
    from .rng import Bools, Ints


TYPES = {
    "show_screen": "screen_view",
    "show_product_details": "product_view",
    "add_cart_item": "add_to_cart",
    "remove_cart_item": "remove_from_cart",
    "begin_checkout": "checkout",
    "purchase": "purchase",
    "show_product_card": "product_view",
}
NAMES = list(TYPES)
SCREEN, DETAILS, CARD = (
    NAMES.index("show_screen"),
    NAMES.index("show_product_details"),
    NAMES.index("show_product_card"),
)
CART = [NAMES.index(name) for name in ("add_cart_item", "remove_cart_item", "begin_checkout", "purchase")]
ORDER = [NAMES.index(name) for name in ("begin_checkout", "purchase")]
PROMOCODES = ("", "", "", '["AUTUMN10"]', '["FREE, SHIP","АВГУСТ"]')
REFERRERS = ("button", "banner", "href", "")
COINS = ('[{"coins":25.01},{"gems":10}]', '[{"coins":3}]', "")


def simulate_ecommerce(visits: Visits) -> Rows:
    """Return the e-commerce events; most product details are opened from a product card."""
    events = simulate_events(visits)
    viewed = events["kind"] == KIND["product_view"]
    cards = np.flatnonzero(viewed & (uniform(events["seed"], "card") < 0.8))  # noqa: PLR2004
    kind_of = np.full(len(KIND), -1)
    for name, event in list(TYPES.items())[:CARD]:
        kind_of[KIND[event]] = NAMES.index(name)
    others = np.flatnonzero(kind_of[events["kind"]] >= 0)
    rows = events.take(np.concatenate([cards, others]))
    type_ = np.concatenate([np.full(len(cards), CARD), kind_of[events["kind"][others]]])
    return Rows(visits, rows.arrays | {"type": type_})


def _has_type(rows: Rows, types: list[int]) -> Bools:
    return np.isin(rows["type"], types)


def _has_product(rows: Rows) -> Bools:
    return rows["type"] != SCREEN


def _screen(rows: Rows) -> Ints:
    return integers(rows["seed"], "screen", len(SCREENS))


def _product_text(values: list[str]) -> Callable[[Rows], pl.Series]:
    return lambda rows: null_unless(_has_product(rows), lookup(values, rows["product"]))


def _price(rows: Rows) -> pl.Series:
    return null_unless(_has_product(rows), pl.Series(catalogs.get_price(rows["product"], get_country(rows))))


def _list_price(rows: Rows) -> pl.Series:
    return null_unless(_has_product(rows), pl.Series(catalogs.get_list_price(rows["product"], get_country(rows))))


def _currency(rows: Rows) -> pl.Series:
    return null_unless(_has_product(rows), lookup(CURRENCIES, get_country(rows)))


def _in_cart(column: Callable[[Rows], pl.Series]) -> Callable[[Rows], pl.Series]:
    return lambda rows: null_unless(_has_type(rows, CART), column(rows))


def _choice(label: str, values: tuple[str, ...], types: list[int]) -> Callable[[Rows], pl.Series]:
    """Return a column that picks one of the values, on rows of the given types."""
    return lambda rows: null_unless(_has_type(rows, types), lookup(values, integers(rows["seed"], label, len(values))))


def _paths(prefix: str, levels: list[Callable[[Rows], pl.Series]]) -> dict[str, Callable[[Rows], pl.Series]]:
    padding = [lambda rows: nulls(len(rows))] * (10 - len(levels))
    return {f"{prefix}_category_path_{place}": column for place, column in enumerate([*levels, *padding], start=1)}


_SECTION, _CATEGORY = _product_text(catalogs.PRODUCT_SECTIONS), _product_text(catalogs.PRODUCT_CATEGORIES)
_PRODUCTS = [DETAILS, CARD, *CART]
_SCREEN_SECTION = _choice("section", (*dict.fromkeys(catalogs.PRODUCT_SECTIONS), "", ""), [SCREEN])

ECOMMERCE_COLUMNS: dict[str, Callable[[Rows], pl.Series]] = {
    "ecom_type": lambda rows: lookup(NAMES, rows["type"]),
    "ecom_screen_name": lambda rows: null_unless(~_has_type(rows, CART), lookup(SCREENS, _screen(rows))),
    "ecom_screen_search_query": _choice("query", (*QUERIES, *[""] * len(QUERIES)), [SCREEN, CARD]),
    "ecom_screen_payload": _choice(
        "screen payload", ('{"layout":"grid"}', '{"layout":"list","banner":"«Лето»"}', ""), [SCREEN]
    ),
    **_paths("ecom_screen", [_SCREEN_SECTION]),
    "ecom_product_name": _product_text(catalogs.PRODUCT_NAMES),
    "ecom_product_sku": _product_text(catalogs.PRODUCT_SKUS),
    "ecom_product_promocodes": _choice("promocode", PROMOCODES, _PRODUCTS),
    "ecom_product_payload": _choice(
        "payload", ('{"color":"red","size":"M, L"}', '{"seller":"ООО \\"Ромашка\\""}', ""), _PRODUCTS
    ),
    **_paths("ecom_product", [_SECTION, _CATEGORY]),
    "ecom_product_actual_price_fiat_unit_type": _currency,
    "ecom_product_actual_price_fiat_value": _price,
    "ecom_product_actual_price_internal_components": _choice("coins", COINS, _PRODUCTS),
    "ecom_product_original_price_fiat_unit_type": _currency,
    "ecom_product_original_price_fiat_value": _list_price,
    "ecom_product_original_price_internal_components": _choice("coins", COINS, _PRODUCTS),
    "ecom_cart_item_price_fiat_unit_type": _in_cart(_currency),
    "ecom_cart_item_price_fiat_value": _in_cart(_price),
    "ecom_cart_item_quantity": _in_cart(lambda rows: pl.Series(draw_quantity(rows))),
    "ecom_cart_item_internal_components": _choice("cart coins", COINS, CART),
    "ecom_referrer_type": _choice("referrer", REFERRERS, _PRODUCTS),
    "ecom_referrer_id": _choice("referrer id", ("b-17", "76", "главная", ""), _PRODUCTS),
    "ecom_order_id": lambda rows: null_unless(_has_type(rows, ORDER), order_id(rows)),
    "ecom_order_payload": _choice(
        "order payload", ('{"delivery":"courier"}', '{"delivery":"pickup","note":"call, then ring"}'), ORDER
    ),
}
