"""Revenue: purchases, refunds, subscriptions, and ad revenue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from . import catalogs, devices
from .catalogs import COUNTRIES, CURRENCIES
from .event_json import get_country, order_id
from .events import KIND, draw_quantity, simulate_events
from .rng import integers, normal, uniform
from .rows import Rows, lookup, null_unless

if TYPE_CHECKING:
    from .population import Visits
    from .rng import Floats, Ints


REFUND_SHARE, SUBSCRIPTION_SHARE = 0.025, 0.08
KINDS = ("one_time_purchase", "refund", "subscription_started", "subscription_renewed", "trial_subscription_started")
SUBSCRIPTION = 2
SUBSCRIPTION_DOLLARS = 4.99
TERNARY = ("true", "false", "undefined")
FORMATS = ("banner", "interstitial", "rewarded", "native", "mrec")
# Dollars for a thousand impressions, by format.
CPM = np.array([0.6, 5.5, 11.0, 1.8, 0.9])
NETWORKS = ("AdMob", "Yandex Ads", "AppLovin", "Unity Ads", "ironSource, Inc.")
PLACEMENTS = ("Feed", "After purchase", "Лента: каждый 5-й", 'Rewarded "spin"')
PRECISIONS = ("publisher_defined", "estimated", "exact")


def simulate_revenue(visits: Visits) -> Rows:
    """Return the purchase events as revenue; some are refunds or subscriptions."""
    events = simulate_events(visits)
    purchases = events.take(np.flatnonzero(events["kind"] == KIND["purchase"]))
    sample = uniform(purchases["seed"], "revenue kind")
    some_subscription = SUBSCRIPTION + integers(purchases["seed"], "subscription", len(KINDS) - SUBSCRIPTION)
    kind = np.where(sample < REFUND_SHARE, 1, np.where(sample > 1 - SUBSCRIPTION_SHARE, some_subscription, 0))
    return Rows(visits, purchases.arrays | {"revenue": kind})


def simulate_ad_revenue(visits: Visits) -> Rows:
    events = simulate_events(visits)
    return events.take(np.flatnonzero(events["kind"] == KIND["ad_impression"]))


def _price(rows: Rows) -> Floats:
    country = get_country(rows)
    rate = np.array([known.rate for known in COUNTRIES])[country]
    product = catalogs.get_price(rows["product"], country)
    subscription = np.round(SUBSCRIPTION_DOLLARS * rate, 2)
    paid = np.where(rows["revenue"] >= SUBSCRIPTION, subscription, product)
    return np.where(rows["revenue"] == 1, -paid, paid)


def _quantity(rows: Rows) -> Ints:
    return np.where(rows["revenue"] >= SUBSCRIPTION, 1, draw_quantity(rows))


def _product_id(rows: Rows) -> pl.Series:
    product = lookup(catalogs.PRODUCT_SKUS, rows["product"])
    subscription = pl.repeat("plus_monthly", len(rows), eager=True)
    return subscription.zip_with(pl.Series(rows["revenue"] >= SUBSCRIPTION), product)


def _format(rows: Rows) -> Ints:
    return integers(rows["seed"], "ad format", len(FORMATS))


def _network(rows: Rows) -> Ints:
    return integers(rows["seed"], "ad network", len(NETWORKS))


def _placement(rows: Rows) -> Ints:
    return integers(rows["seed"], "placement", len(PLACEMENTS))


def _payload(rows: Rows) -> pl.Series:
    texts = [f'{{"mediation":"waterfall","floor":{index / 10},"test":"{index % 3}"}}' for index in range(30)]
    sent = uniform(rows["seed"], "ad payload") < 0.6  # noqa: PLR2004
    return null_unless(sent, lookup(texts, integers(rows["seed"], "which payload", 30)))


def _ad_money(rows: Rows) -> Floats:
    factor = np.where(devices.is_ios(rows.device_id), 1.6, 1.0)
    return np.round(CPM[_format(rows)] / 1000 * factor * np.exp(0.7 * normal(rows["seed"], "bid") - 0.25), 6)


def _ternary(rows: Rows, label: str, true_share: float) -> pl.Series:
    sample = uniform(rows["seed"], label)
    return lookup(TERNARY, (sample > true_share).astype(int) + (sample > (1 + true_share) / 2))


REVENUE_COLUMNS = {
    "revenue_quantity": lambda rows: pl.Series(_quantity(rows)),
    "revenue_price": lambda rows: pl.Series(_price(rows)),
    "revenue_currency": lambda rows: lookup(CURRENCIES, get_country(rows)),
    "revenue_product_id": _product_id,
    "revenue_order_id": order_id,
    "revenue_order_id_source": lambda rows: pl.repeat("user_defined", len(rows), eager=True),
    "is_revenue_verified": lambda rows: _ternary(rows, "verified", 0.9),
    "is_revenue_autocollected": lambda rows: _ternary(rows, "autocollected", 0.3),
    "revenue_inapp_type": lambda rows: lookup(
        ("one_time_purchase", "subscription"), (rows["revenue"] >= SUBSCRIPTION).astype(int)
    ),
    "revenue_event_type": lambda rows: lookup(KINDS, rows["revenue"]),
}
AD_COLUMNS = {
    "ad_revenue_type": lambda rows: lookup(FORMATS, _format(rows)),
    "ad_revenue": lambda rows: pl.Series(_ad_money(rows)),
    "ad_revenue_currency": lambda rows: pl.repeat("USD", len(rows), eager=True),
    "ad_revenue_data_source": lambda rows: lookup(("autocollected", "manual"), (_network(rows) > 1).astype(int)),
    "ad_revenue_network": lambda rows: lookup(NETWORKS, _network(rows)),
    "ad_revenue_placement_id": lambda rows: lookup([f"pl-{index}" for index in range(4)], _placement(rows)),
    "ad_revenue_placement_name": lambda rows: lookup(PLACEMENTS, _placement(rows)),
    "ad_revenue_unit_id": lambda rows: (
        "R-M-" + pl.Series(712_000 + 10 * _network(rows) + _format(rows)).cast(pl.String)
    ),
    "ad_revenue_unit_name": lambda rows: lookup([f"{name} unit" for name in FORMATS], _format(rows)),
    "ad_revenue_precision": lambda rows: lookup(PRECISIONS, _network(rows) % 3),
    "ad_revenue_payload": _payload,
}
