"""Purchases as revenue, and what advertising brings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from . import catalogs, devices
from .catalogs import COUNTRIES, CURRENCIES
from .event_json import country_of, order_id
from .events import KIND, events, quantity
from .rng import below, normal, unit
from .rows import Rows, numbers, pool, where

if TYPE_CHECKING:
    from .population import Visits
    from .rng import Floats, Ints


REFUND_SHARE, SUBSCRIPTION_SHARE = 0.025, 0.08
KINDS = ("one_time_purchase", "refund", "subscription_started", "subscription_renewed", "trial_subscription_started")
SUBSCRIPTION = 2
SUBSCRIPTION_DOLLARS = 4.99
TRUTH = ("true", "false", "undefined")
FORMATS = ("banner", "interstitial", "rewarded", "native", "mrec")
# Of a thousand impressions of each format, in dollars.
CPM = np.array([0.6, 5.5, 11.0, 1.8, 0.9])
NETWORKS = ("AdMob", "Yandex Ads", "AppLovin", "Unity Ads", "ironSource, Inc.")
PLACEMENTS = ("Feed", "After purchase", "Лента: каждый 5-й", 'Rewarded "spin"')
PRECISIONS = ("publisher_defined", "estimated", "exact")


def revenue(visits: Visits) -> Rows:
    """Return the purchases among the events; some are refunded or renew a subscription."""
    happened = events(visits)
    bought = happened.take(np.flatnonzero(happened["kind"] == KIND["purchase"]))
    luck = unit(bought["root"], "revenue kind")
    some_subscription = SUBSCRIPTION + below(bought["root"], "subscription", len(KINDS) - SUBSCRIPTION)
    kind = np.where(luck < REFUND_SHARE, 1, np.where(luck > 1 - SUBSCRIPTION_SHARE, some_subscription, 0))
    return Rows(visits, bought.arrays | {"revenue": kind})


def ad_revenue(visits: Visits) -> Rows:
    happened = events(visits)
    return happened.take(np.flatnonzero(happened["kind"] == KIND["ad_impression"]))


def _price(rows: Rows) -> Floats:
    country = country_of(rows)
    rate = np.array([known.rate for known in COUNTRIES])[country]
    once = catalogs.price(rows["product"], country)
    monthly = np.round(SUBSCRIPTION_DOLLARS * rate, 2)
    paid = np.where(rows["revenue"] >= SUBSCRIPTION, monthly, once)
    return np.where(rows["revenue"] == 1, -paid, paid)


def _pieces(rows: Rows) -> Ints:
    return np.where(rows["revenue"] >= SUBSCRIPTION, 1, quantity(rows))


def _product_id(rows: Rows) -> pl.Series:
    once = pool(catalogs.PRODUCT_SKUS, rows["product"])
    monthly = pl.repeat("plus_monthly", len(rows), eager=True)
    return monthly.zip_with(pl.Series(rows["revenue"] >= SUBSCRIPTION), once)


def _format(rows: Rows) -> Ints:
    return below(rows["root"], "ad format", len(FORMATS))


def _network(rows: Rows) -> Ints:
    return below(rows["root"], "ad network", len(NETWORKS))


def _placement(rows: Rows) -> Ints:
    return below(rows["root"], "placement", len(PLACEMENTS))


def _payload(rows: Rows) -> pl.Series:
    texts = [f'{{"mediation":"waterfall","floor":{index / 10},"test":"{index % 3}"}}' for index in range(30)]
    sent = unit(rows["root"], "ad payload") < 0.6  # noqa: PLR2004
    return where(sent, pool(texts, below(rows["root"], "which payload", 30)))


def _ad_money(rows: Rows) -> Floats:
    wealth = np.where(devices.is_ios(rows.owner), 1.6, 1.0)
    return np.round(CPM[_format(rows)] / 1000 * wealth * np.exp(0.7 * normal(rows["root"], "bid") - 0.25), 6)


def _truth(rows: Rows, word: str, surely: float) -> pl.Series:
    luck = unit(rows["root"], word)
    return pool(TRUTH, (luck > surely).astype(int) + (luck > (1 + surely) / 2))


REVENUE_COLUMNS = {
    "revenue_quantity": lambda rows: numbers(_pieces(rows)),
    "revenue_price": lambda rows: numbers(_price(rows)),
    "revenue_currency": lambda rows: pool(CURRENCIES, country_of(rows)),
    "revenue_product_id": _product_id,
    "revenue_order_id": order_id,
    "revenue_order_id_source": lambda rows: pl.repeat("user_defined", len(rows), eager=True),
    "is_revenue_verified": lambda rows: _truth(rows, "verified", 0.9),
    "is_revenue_autocollected": lambda rows: _truth(rows, "autocollected", 0.3),
    "revenue_inapp_type": lambda rows: pool(
        ("one_time_purchase", "subscription"), (rows["revenue"] >= SUBSCRIPTION).astype(int)
    ),
    "revenue_event_type": lambda rows: pool(KINDS, rows["revenue"]),
}
AD_COLUMNS = {
    "ad_revenue_type": lambda rows: pool(FORMATS, _format(rows)),
    "ad_revenue": lambda rows: numbers(_ad_money(rows)),
    "ad_revenue_currency": lambda rows: pl.repeat("USD", len(rows), eager=True),
    "ad_revenue_data_source": lambda rows: pool(("autocollected", "manual"), (_network(rows) > 1).astype(int)),
    "ad_revenue_network": lambda rows: pool(NETWORKS, _network(rows)),
    "ad_revenue_placement_id": lambda rows: pool([f"pl-{index}" for index in range(4)], _placement(rows)),
    "ad_revenue_placement_name": lambda rows: pool(PLACEMENTS, _placement(rows)),
    "ad_revenue_unit_id": lambda rows: "R-M-" + numbers(712_000 + 10 * _network(rows) + _format(rows)).cast(pl.String),
    "ad_revenue_unit_name": lambda rows: pool([f"{name} unit" for name in FORMATS], _format(rows)),
    "ad_revenue_precision": lambda rows: pool(PRECISIONS, _network(rows) % 3),
    "ad_revenue_payload": _payload,
}
