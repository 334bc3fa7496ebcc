"""The columns that say who and where: the same device looks the same in every table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from . import catalogs, devices
from .catalogs import MODELS, VERSIONS
from .rng import below, child, draw, unit
from .rows import blank, hexadecimal, numbers, pool, uuid, where

if TYPE_CHECKING:
    from collections.abc import Callable

    from .population import Visits
    from .rng import U64, Flags


CONNECTIONS = ("wifi", "cell", "unknown")
HUAWEI = np.array([model.manufacturer in {"Huawei", "HONOR"} for model in MODELS])
SDK_VERSIONS = (7002000, 7005000, 7009001, 8000000)
NATIVE = 0


def google_aid(visits: Visits) -> pl.Series:
    shown = ~devices.is_ios(visits.id) & ~devices.limits_tracking(visits.id) & ~HUAWEI[devices.model(visits.id)]
    return where(shown, uuid(draw(visits.id, "gaid"), draw(visits.id, "gaid, rest")))


def oaid(visits: Visits) -> pl.Series:
    shown = ~devices.is_ios(visits.id) & HUAWEI[devices.model(visits.id)]
    return where(shown, uuid(draw(visits.id, "oaid"), draw(visits.id, "oaid, rest")))


def ios_ifa(visits: Visits) -> pl.Series:
    shown = devices.is_ios(visits.id) & ~devices.limits_tracking(visits.id)
    return where(shown, uuid(draw(visits.id, "ifa"), draw(visits.id, "ifa, rest"), upper=True))


def ios_ifv(visits: Visits) -> pl.Series:
    # Apple gives the vendor's id anew when the vendor's last app was removed.
    root = child(visits.id, visits.generation)
    return where(devices.is_ios(visits.id), uuid(draw(root, "ifv"), draw(root, "ifv, rest"), upper=True))


def android_id(visits: Visits) -> pl.Series:
    return where(~devices.is_ios(visits.id), hexadecimal(draw(visits.id, "android id")))


def installation_id(visits: Visits) -> pl.Series:
    root = child(visits.id, visits.generation)
    return hexadecimal(draw(root, "installation"), draw(root, "installation, rest"))


def profile_id(visits: Visits) -> pl.Series:
    digits = numbers(devices.profile_number(visits.id)).cast(pl.String).str.zfill(12)
    return where(devices.signed_up(visits), "user-" + digits)


def ipv6(roots: U64, cellular: Flags) -> pl.Series:
    """Return addresses: most are IPv4 in IPv6 notation, half of the mobile ones are real IPv6."""
    octets = [below(roots, f"octet {place}", 254) + 1 for place in range(4)]
    parts = pl.DataFrame({str(place): octet for place, octet in enumerate(octets)})
    mapped = parts.select(pl.format("::ffff:{}.{}.{}.{}", *parts.columns)).to_series()
    digits = hexadecimal(draw(roots, "address"))
    groups = [digits.str.slice(start, 4) for start in (0, 4, 8, 12)]
    modern = "2a00:1fa0:" + groups[0] + ":" + groups[1] + ":0:" + groups[2] + ":" + groups[3] + ":1"
    return modern.zip_with(pl.Series(cellular & (unit(roots, "modern") < 0.5)), mapped)  # noqa: PLR2004


def device_ipv6(visits: Visits) -> pl.Series:
    connection = devices.connection(visits)
    # At home the address stays; on the road it changes from day to day.
    return ipv6(np.where(connection == 0, visits.id, visits.root), connection == 1)


def network_code(visits: Visits, place: int) -> pl.Series:
    codes = np.array([operator[place] for operator in catalogs.OPERATORS])
    return numbers(np.where(devices.is_ios(visits.id), 0, codes[devices.operator(visits.id)]))


def operator_name(visits: Visits) -> pl.Series:
    names = pool([name for name, _, _ in catalogs.OPERATORS], devices.operator(visits.id))
    return where(devices.has_sim(visits.id), names)


def app_package_name(visits: Visits) -> pl.Series:
    names = (visits.application.android_package, visits.application.ios_bundle)
    return pool(names, devices.is_ios(visits.id).astype(int))


PORTRAIT: dict[str, Callable[[Visits], pl.Series]] = {
    "application_id": lambda visits: pl.repeat(visits.application.id, len(visits), dtype=pl.UInt64, eager=True),
    "appmetrica_device_id": lambda visits: numbers(visits.id),
    "installation_id": installation_id,
    "profile_id": profile_id,
    "android_id": android_id,
    "google_aid": google_aid,
    "oaid": oaid,
    "ios_ifa": ios_ifa,
    "ios_ifv": ios_ifv,
    "windows_aid": lambda visits: blank(len(visits)),
    "city": lambda visits: pool(catalogs.CITY_NAMES, devices.city(visits.id)),
    "country_iso_code": lambda visits: pool(catalogs.COUNTRY_CODES, devices.country(visits.id)),
    "device_locale": lambda visits: pool(catalogs.LOCALES, devices.locale(visits.id)),
    "connection_type": lambda visits: pool(CONNECTIONS, devices.connection(visits)),
    "device_ipv6": device_ipv6,
    "operator_name": operator_name,
    "mcc": lambda visits: network_code(visits, 1),
    "mnc": lambda visits: network_code(visits, 2),
    "device_manufacturer": lambda visits: pool([model.manufacturer for model in MODELS], devices.model(visits.id)),
    "device_model": lambda visits: pool([model.name for model in MODELS], devices.model(visits.id)),
    "original_device_model": lambda visits: pool([model.factory for model in MODELS], devices.model(visits.id)),
    "device_type": lambda visits: pool([model.type for model in MODELS], devices.model(visits.id)),
    "os_name": lambda visits: pool(("android", "ios"), devices.is_ios(visits.id).astype(int)),
    "os_version": lambda visits: pool(VERSIONS, devices.os_version(visits.id)),
    "app_version_name": lambda visits: pool(devices.names(), devices.release(visits)),
    "app_build_number": lambda visits: numbers(devices.builds()[devices.release(visits)]),
    "app_package_name": app_package_name,
    "app_framework": lambda visits: numbers(np.full(len(visits), NATIVE)),
    "appmetrica_sdk_version": lambda visits: pool(SDK_VERSIONS, np.minimum(devices.release(visits) // 30, 3)),
}
