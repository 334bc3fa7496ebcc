"""The columns of a device, which are the same in every table. Functions are named after their column."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from . import catalogs, devices
from .catalogs import MODELS, VERSIONS
from .rng import derive, draw, integers, uniform
from .rows import hex_column, lookup, null_unless, nulls, uuid_column

if TYPE_CHECKING:
    from collections.abc import Callable

    from .population import Visits
    from .rng import U64, Bools


CONNECTIONS = ("wifi", "cell", "unknown")
HUAWEI = np.array([model.manufacturer in {"Huawei", "HONOR"} for model in MODELS])
SDK_VERSIONS = (7002000, 7005000, 7009001, 8000000)
NATIVE = 0


def google_aid(visits: Visits) -> pl.Series:
    has_id = ~devices.is_ios(visits.id) & ~devices.limits_tracking(visits.id) & ~HUAWEI[devices.draw_model(visits.id)]
    return null_unless(has_id, uuid_column(draw(visits.id, "gaid"), draw(visits.id, "gaid, rest")))


def oaid(visits: Visits) -> pl.Series:
    has_id = ~devices.is_ios(visits.id) & HUAWEI[devices.draw_model(visits.id)]
    return null_unless(has_id, uuid_column(draw(visits.id, "oaid"), draw(visits.id, "oaid, rest")))


def ios_ifa(visits: Visits) -> pl.Series:
    has_id = devices.is_ios(visits.id) & ~devices.limits_tracking(visits.id)
    return null_unless(has_id, uuid_column(draw(visits.id, "ifa"), draw(visits.id, "ifa, rest"), upper=True))


def ios_ifv(visits: Visits) -> pl.Series:
    # iOS issues a new vendor id after a reinstall.
    seed = derive(visits.id, visits.install_number)
    return null_unless(devices.is_ios(visits.id), uuid_column(draw(seed, "ifv"), draw(seed, "ifv, rest"), upper=True))


def android_id(visits: Visits) -> pl.Series:
    return null_unless(~devices.is_ios(visits.id), hex_column(draw(visits.id, "android id")))


def installation_id(visits: Visits) -> pl.Series:
    seed = derive(visits.id, visits.install_number)
    return hex_column(draw(seed, "installation"), draw(seed, "installation, rest"))


def profile_id(visits: Visits) -> pl.Series:
    digits = pl.Series(devices.draw_profile_number(visits.id)).cast(pl.String).str.zfill(12)
    return null_unless(devices.has_profile(visits), "user-" + digits)


def ipv6(seeds: U64, cellular: Bools) -> pl.Series:
    """Return addresses: most are IPv4 in IPv6 notation, half of the mobile ones are IPv6 proper."""
    octets = [integers(seeds, f"octet {position}", 254) + 1 for position in range(4)]
    parts = pl.DataFrame({str(position): octet for position, octet in enumerate(octets)})
    mapped = parts.select(pl.format("::ffff:{}.{}.{}.{}", *parts.columns)).to_series()
    digits = hex_column(draw(seeds, "address"))
    groups = [digits.str.slice(start, 4) for start in (0, 4, 8, 12)]
    native = "2a00:1fa0:" + groups[0] + ":" + groups[1] + ":0:" + groups[2] + ":" + groups[3] + ":1"
    return native.zip_with(pl.Series(cellular & (uniform(seeds, "modern") < 0.5)), mapped)  # noqa: PLR2004


def device_ipv6(visits: Visits) -> pl.Series:
    connection = devices.draw_connection(visits)
    # The address is stable on wifi and changes daily on cellular.
    return ipv6(np.where(connection == 0, visits.id, visits.seed), connection == 1)


def network_code(visits: Visits, position: int) -> pl.Series:
    codes = np.array([operator[position] for operator in catalogs.OPERATORS])
    return pl.Series(np.where(devices.is_ios(visits.id), 0, codes[devices.draw_operator(visits.id)]))


def operator_name(visits: Visits) -> pl.Series:
    names = lookup([name for name, _, _ in catalogs.OPERATORS], devices.draw_operator(visits.id))
    return null_unless(devices.has_sim(visits.id), names)


def app_package_name(visits: Visits) -> pl.Series:
    names = (visits.application.android_package, visits.application.ios_bundle)
    return lookup(names, devices.is_ios(visits.id).astype(int))


DEVICE_COLUMNS: dict[str, Callable[[Visits], pl.Series]] = {
    "application_id": lambda visits: pl.repeat(visits.application.id, len(visits), dtype=pl.UInt64, eager=True),
    "appmetrica_device_id": lambda visits: pl.Series(visits.id),
    "installation_id": installation_id,
    "profile_id": profile_id,
    "android_id": android_id,
    "google_aid": google_aid,
    "oaid": oaid,
    "ios_ifa": ios_ifa,
    "ios_ifv": ios_ifv,
    "windows_aid": lambda visits: nulls(len(visits)),
    "city": lambda visits: lookup(catalogs.CITY_NAMES, devices.draw_city(visits.id)),
    "country_iso_code": lambda visits: lookup(catalogs.COUNTRY_CODES, devices.draw_country(visits.id)),
    "device_locale": lambda visits: lookup(catalogs.LOCALES, devices.draw_locale(visits.id)),
    "connection_type": lambda visits: lookup(CONNECTIONS, devices.draw_connection(visits)),
    "device_ipv6": device_ipv6,
    "operator_name": operator_name,
    "mcc": lambda visits: network_code(visits, 1),
    "mnc": lambda visits: network_code(visits, 2),
    "device_manufacturer": lambda visits: lookup(
        [model.manufacturer for model in MODELS], devices.draw_model(visits.id)
    ),
    "device_model": lambda visits: lookup([model.name for model in MODELS], devices.draw_model(visits.id)),
    "original_device_model": lambda visits: lookup([model.factory for model in MODELS], devices.draw_model(visits.id)),
    "device_type": lambda visits: lookup([model.type for model in MODELS], devices.draw_model(visits.id)),
    "os_name": lambda visits: lookup(("android", "ios"), devices.is_ios(visits.id).astype(int)),
    "os_version": lambda visits: lookup(VERSIONS, devices.draw_os_version(visits.id)),
    "app_version_name": lambda visits: lookup(devices.list_release_names(), devices.draw_release(visits)),
    "app_build_number": lambda visits: pl.Series(devices.list_build_numbers()[devices.draw_release(visits)]),
    "app_package_name": app_package_name,
    "app_framework": lambda visits: pl.Series(np.full(len(visits), NATIVE)),
    "appmetrica_sdk_version": lambda visits: lookup(SDK_VERSIONS, np.minimum(devices.draw_release(visits) // 30, 3)),
}
