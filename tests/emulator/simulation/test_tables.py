"""The simulated tables: the same for the same seed, and realistic."""

from __future__ import annotations

from functools import cache

import polars as pl
import pytest

from appmetrica_frames.emulator.applications import APPLICATIONS
from appmetrica_frames.emulator.export import Export
from appmetrica_frames.emulator.request import parse
from appmetrica_frames.emulator.simulation.population import Population
from appmetrica_frames.schema.catalog import resources

NOW = 1_795_014_400.0


SINCE, UNTIL = "2026-08-03", "2026-11-01"


WEEKS = 13


DEVICE = "appmetrica_device_id"


def read(
    resource: str, *, since: str = SINCE, until: str = UNTIL, rows_per_day: int = 900, seed: int = 1, app: int = 0
) -> pl.DataFrame:
    info = resources()[resource]
    pairs = [("fields", ",".join(info.fields))]
    pairs += [("date_since", since), ("date_until", until)] if info.dates else []
    request = parse(f"{resource}.csv", tuple(pairs), APPLICATIONS[app])
    population = Population(APPLICATIONS[app], rows_per_day=rows_per_day, seed=seed)
    return pl.concat(list(Export(request, population, as_of=NOW).frames()))


@cache
def table(resource: str) -> pl.DataFrame:
    return read(resource)


def ordered(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.sort(pl.all())


def test_the_same_seed_gives_the_same_rows_and_another_seed_others() -> None:
    one, same, other = (read("events", since=UNTIL, seed=seed) for seed in (1, 1, 2))
    assert one.equals(same)
    assert not set(one[DEVICE]) & set(other[DEVICE])


@pytest.mark.parametrize("resource", ["events", "installations", "crashes", "clicks", "postbacks"])
def test_a_day_has_the_same_rows_in_any_range(resource: str) -> None:
    moment = {"installations": "install", "crashes": "crash", "clicks": "click", "postbacks": "conversion"}
    column = f"{moment.get(resource, 'event')}_datetime"
    day = read(resource, since="2026-10-07", until="2026-10-07")
    within = table(resource).filter(pl.col(column).dt.date() == pl.date(2026, 10, 7))
    assert len(day) > 0
    assert ordered(day).equals(ordered(within))


def test_applications_share_no_devices() -> None:
    assert not set(table("events")[DEVICE]) & set(read("events", since=UNTIL, app=1)[DEVICE])


def test_rows_per_day_is_the_average() -> None:
    assert len(table("events")) / (7 * WEEKS) == pytest.approx(900, rel=0.12)


def test_about_half_of_the_device_ids_exceed_the_signed_range() -> None:
    ids = table("installations")[DEVICE].unique()
    assert (ids > 2**63 - 1).mean() == pytest.approx(0.5, abs=0.07)
    assert ids.max() > 0.99 * 2**64


def test_retention_decays_with_the_days_since_the_install() -> None:
    first = table("installations").filter(~pl.col("is_reinstallation"))
    first = first.select(DEVICE, born=pl.col("install_datetime").dt.date()).filter(
        pl.col("born") < pl.date(2026, 10, 1)
    )
    seen = table("events").select(DEVICE, day=pl.col("event_datetime").dt.date()).unique()
    ages = first.join(seen, on=DEVICE).select((pl.col("day") - pl.col("born")).dt.total_days())["day"]
    share = {age: (ages == age).sum() / len(first) for age in (0, 1, 7, 30)}
    assert share[0] > 0.98
    assert 0.28 < share[1] < 0.5
    assert share[1] > 1.5 * share[7] > 2 * share[30] > 0.02


def test_the_funnel_narrows() -> None:
    counts = dict(table("events")["event_name"].value_counts().iter_rows())
    steps = [counts[name] for name in ("app_open", "add_to_cart", "checkout", "purchase")]
    assert counts["product_view"] > counts["add_to_cart"]
    assert steps == sorted(steps, reverse=True)
    assert steps[-1] > 0


def test_a_step_happens_only_after_the_step_before() -> None:
    session = ["installation_id", "session_id"]
    first = table("events").group_by([*session, "event_name"]).agg(pl.col("event_timestamp").min())
    wide = first.pivot("event_name", index=session, values="event_timestamp")
    bought = wide.filter(pl.col("purchase").is_not_null())
    assert (bought["app_open"] <= bought["product_view"]).all()
    assert (bought["product_view"] <= bought["add_to_cart"]).all()
    assert (bought["add_to_cart"] <= bought["checkout"]).all()
    assert (bought["checkout"] <= bought["purchase"]).all()


def test_weekends_are_busier_and_nights_quieter() -> None:
    time = table("events")["event_datetime"]
    days = time.dt.weekday().value_counts().sort("event_datetime")["count"]
    assert days[5] + days[6] > 1.05 * (days[0] + days[1])
    hours = time.dt.hour().value_counts().sort("event_datetime")["count"]
    assert hours.max() > 2.5 * hours.min()


def test_versions_are_adopted_step_by_step_and_some_are_bad() -> None:
    by_day = table("sessions_starts").filter(pl.col("app_version_name") == "3.6.3")
    days = by_day["session_start_datetime"].dt.date().value_counts().sort("session_start_datetime")["count"]
    assert days[0] < days.max() / 2
    sessions = table("sessions_starts")["app_version_name"].value_counts(name="sessions")
    crashes = table("crashes")["app_version_name"].value_counts(name="crashes")
    rates = sessions.join(crashes, on="app_version_name").filter(pl.col("sessions") > 500)
    rates = rates.select(pl.col("crashes") / pl.col("sessions"))["crashes"]
    assert rates.max() > 3 * rates.min()


def test_revenue_has_a_long_tail_and_refunds() -> None:
    prices = table("revenue_events").filter(pl.col("revenue_currency") == "RUB")["revenue_price"]
    assert prices.mean() > 1.5 * prices.median()
    assert prices.min() < 0


def test_every_purchase_is_in_all_three_tables() -> None:
    purchase = pl.col("event_name") == "purchase"
    keys = ["installation_id", "session_id", "event_timestamp"]
    tables = [table(name).filter(purchase).select(keys) for name in ("events", "revenue_events")]
    tables.append(table("ecommerce_events").filter(pl.col("ecom_type") == "purchase").select(keys))
    assert len(tables[0]) > 100
    assert ordered(tables[0]).equals(ordered(tables[1]))
    assert ordered(tables[0]).equals(ordered(tables[2]))


def test_orders_and_prices_agree_between_tables() -> None:
    keys = ["session_id", "installation_id"]
    sold = table("revenue_events").filter(pl.col("revenue_event_type") == "one_time_purchase")
    cart = table("ecommerce_events").filter(pl.col("ecom_type") == "purchase")
    both = sold.join(cart, on=keys)
    assert (both["revenue_order_id"] == both["ecom_order_id"]).all()
    assert (both["revenue_price"] == both["ecom_cart_item_price_fiat_value"]).all()
    tables = table("events").filter(pl.col("event_name") == "purchase").join(sold, on=keys)
    assert (
        tables.select(pl.col("event_json").str.contains(pl.col("revenue_order_id"), literal=True)).to_series().mean()
        > 0.99
    )


@pytest.mark.parametrize("resource", ["revenue_events", "deeplinks", "ad_revenue_events", "ecommerce_events"])
def test_sessions_are_those_of_the_sessions_table(resource: str) -> None:
    keys = [DEVICE, "session_id"]
    assert len(table(resource).join(table("sessions_starts"), on=keys, how="anti")) == 0


@pytest.mark.parametrize("resource", ["crashes", "errors", "deeplinks", "profiles_v2"])
def test_traits_of_a_device_are_the_same_in_every_table(resource: str) -> None:
    traits = [DEVICE, "city", "device_model", "os_version", "google_aid"]
    known = table("sessions_starts").select(traits).unique()
    assert known[DEVICE].is_unique().all()
    assert len(table(resource).select(traits).unique().join(known, on=traits, how="anti", nulls_equal=True)) == 0


def test_ids_fit_the_platform() -> None:
    frame = table("events")
    android, ios = (frame.filter(pl.col("os_name") == name) for name in ("android", "ios"))
    assert android["google_aid"].null_count() < len(android)
    assert ios["google_aid"].null_count() == len(ios)
    assert ios["ios_ifv"].null_count() == 0
    assert android["ios_ifv"].null_count() == android["ios_ifa"].null_count() == len(android)


def test_profiles_are_one_row_each_and_known_from_the_events() -> None:
    profiles = table("profiles_v2")
    assert profiles["profile_id"].is_unique().all()
    assert set(profiles["profile_id"]) >= set(table("events")["profile_id"].drop_nulls())


def test_installs_are_organic_or_tracked_and_clicked_before() -> None:
    installs = table("installations")
    tracked = installs.filter(pl.col("publisher_name").is_not_null())
    assert 0.25 < len(tracked) / len(installs) < 0.6
    assert (tracked["click_timestamp"] <= tracked["install_timestamp"]).all()
    assert len(tracked.join(table("clicks"), on=["click_id", "click_timestamp", "tracking_id"], how="anti")) == 0


def test_some_reinstall_under_another_installation_id() -> None:
    again = table("installations").filter(pl.col("is_reinstallation"))
    assert 0.01 < len(again) / len(table("installations")) < 0.2
    both = table("installations").join(again, on=DEVICE, suffix="_again").filter(~pl.col("is_reinstallation"))
    assert (both["installation_id"] != both["installation_id_again"]).all()


def test_failed_postbacks_are_retried() -> None:
    postbacks = table("postbacks")
    assert set(postbacks["notifying_status"]) == {"sent", "failed"}
    assert set(postbacks["cost_model"]) == {"cpi", "cpa"}


def test_some_rows_arrive_late_and_none_before_they_happen() -> None:
    delay = table("events").select(pl.col("event_receive_timestamp") - pl.col("event_timestamp")).to_series()
    assert delay.min() >= 1
    assert 0.01 < (delay > 3600).mean() < 0.1


def test_awkward_text_occurs() -> None:
    texts = table("events")["event_json"].drop_nulls()
    for awkward in ("Избранное", "🎁", '\\"soft\\"', "usb-c, 2 m", "},{"):
        assert texts.str.contains(awkward, literal=True).any(), awkward
    assert table("crashes")["crash"].str.contains("\n").all()
    assert table("crashes")["crash"].str.ends_with("},{").any() or table("errors")["error"].str.ends_with("},{").any()
    valid = texts.str.starts_with("{") & texts.str.ends_with("}")
    assert 0.99 < valid.mean() < 1


def test_no_row_is_in_the_future() -> None:
    today = read("events", since="2026-11-17", until="2026-12-31")
    assert today["event_receive_timestamp"].max() <= NOW
