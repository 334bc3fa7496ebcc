"""The shop's side of the events: screens, products, carts and orders."""

# ruff: noqa: RUF001 - the simulated people write in Cyrillic

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from . import catalogs
from .catalogs import CURRENCIES
from .event_json import QUERIES, SCREENS, country_of, order_id
from .events import KIND, events, quantity
from .rng import below, unit
from .rows import Rows, blank, numbers, pool, where

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

    from .population import Visits
    from .rng import Flags, Ints


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


def ecommerce(visits: Visits) -> Rows:
    """Return the shop's events; a product's details are mostly opened from its card."""
    happened = events(visits)
    shown = happened["kind"] == KIND["product_view"]
    cards = np.flatnonzero(shown & (unit(happened["root"], "card") < 0.8))  # noqa: PLR2004
    kind_of = np.full(len(KIND), -1)
    for name, event in list(TYPES.items())[:CARD]:
        kind_of[KIND[event]] = NAMES.index(name)
    others = np.flatnonzero(kind_of[happened["kind"]] >= 0)
    rows = happened.take(np.concatenate([cards, others]))
    type_ = np.concatenate([np.full(len(cards), CARD), kind_of[happened["kind"][others]]])
    return Rows(visits, rows.arrays | {"type": type_})


def _is(rows: Rows, types: list[int]) -> Flags:
    return np.isin(rows["type"], types)


def _about_product(rows: Rows) -> Flags:
    return rows["type"] != SCREEN


def _screen(rows: Rows) -> Ints:
    return below(rows["root"], "screen", len(SCREENS))


def _product_text(values: list[str]) -> Callable[[Rows], pl.Series]:
    return lambda rows: where(_about_product(rows), pool(values, rows["product"]))


def _price(rows: Rows) -> pl.Series:
    return where(_about_product(rows), numbers(catalogs.price(rows["product"], country_of(rows))))


def _list_price(rows: Rows) -> pl.Series:
    return where(_about_product(rows), numbers(catalogs.list_price(rows["product"], country_of(rows))))


def _currency(rows: Rows) -> pl.Series:
    return where(_about_product(rows), pool(CURRENCIES, country_of(rows)))


def _in_cart(column: Callable[[Rows], pl.Series]) -> Callable[[Rows], pl.Series]:
    return lambda rows: where(_is(rows, CART), column(rows))


def _some(word: str, values: tuple[str, ...], types: list[int]) -> Callable[[Rows], pl.Series]:
    """Return a column whose values are drawn from a few, on rows of those types."""
    return lambda rows: where(_is(rows, types), pool(values, below(rows["root"], word, len(values))))


def _paths(prefix: str, levels: list[Callable[[Rows], pl.Series]]) -> dict[str, Callable[[Rows], pl.Series]]:
    empty = [lambda rows: blank(len(rows))] * (10 - len(levels))
    return {f"{prefix}_category_path_{place}": column for place, column in enumerate([*levels, *empty], start=1)}


_SECTION, _SHELF = _product_text(catalogs.PRODUCT_SECTIONS), _product_text(catalogs.PRODUCT_CATEGORIES)
_PRODUCTS = [DETAILS, CARD, *CART]
_SCREEN_SECTION = _some("section", (*dict.fromkeys(catalogs.PRODUCT_SECTIONS), "", ""), [SCREEN])

COLUMNS: dict[str, Callable[[Rows], pl.Series]] = {
    "ecom_type": lambda rows: pool(NAMES, rows["type"]),
    "ecom_screen_name": lambda rows: where(~_is(rows, CART), pool(SCREENS, _screen(rows))),
    "ecom_screen_search_query": _some("query", (*QUERIES, *[""] * len(QUERIES)), [SCREEN, CARD]),
    "ecom_screen_payload": _some(
        "screen payload", ('{"layout":"grid"}', '{"layout":"list","banner":"«Лето»"}', ""), [SCREEN]
    ),
    **_paths("ecom_screen", [_SCREEN_SECTION]),
    "ecom_product_name": _product_text(catalogs.PRODUCT_NAMES),
    "ecom_product_sku": _product_text(catalogs.PRODUCT_SKUS),
    "ecom_product_promocodes": _some("promocode", PROMOCODES, _PRODUCTS),
    "ecom_product_payload": _some(
        "payload", ('{"color":"red","size":"M, L"}', '{"seller":"ООО \\"Ромашка\\""}', ""), _PRODUCTS
    ),
    **_paths("ecom_product", [_SECTION, _SHELF]),
    "ecom_product_actual_price_fiat_unit_type": _currency,
    "ecom_product_actual_price_fiat_value": _price,
    "ecom_product_actual_price_internal_components": _some("coins", COINS, _PRODUCTS),
    "ecom_product_original_price_fiat_unit_type": _currency,
    "ecom_product_original_price_fiat_value": _list_price,
    "ecom_product_original_price_internal_components": _some("coins", COINS, _PRODUCTS),
    "ecom_cart_item_price_fiat_unit_type": _in_cart(_currency),
    "ecom_cart_item_price_fiat_value": _in_cart(_price),
    "ecom_cart_item_quantity": _in_cart(lambda rows: numbers(quantity(rows))),
    "ecom_cart_item_internal_components": _some("cart coins", COINS, CART),
    "ecom_referrer_type": _some("referrer", REFERRERS, _PRODUCTS),
    "ecom_referrer_id": _some("referrer id", ("b-17", "76", "главная", ""), _PRODUCTS),
    "ecom_order_id": lambda rows: where(_is(rows, ORDER), order_id(rows)),
    "ecom_order_payload": _some(
        "order payload", ('{"delivery":"courier"}', '{"delivery":"pickup","note":"call, then ring"}'), ORDER
    ),
}
