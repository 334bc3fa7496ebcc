"""The time zones of applications, which dates of a call are taken in: the server is asked once a day."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from appmetrica_frames.cache.store import LocalStore
from appmetrica_frames.cache.time_zones import KnownZone
from appmetrica_frames.errors import AppMetricaError, NotCachedError

if TYPE_CHECKING:
    from datetime import tzinfo

    from appmetrica_frames.cache.time_zones import TimeZones
    from appmetrica_frames.client import Settings
    from appmetrica_frames.util.clock import Clock

log = logging.getLogger("appmetrica_frames")

_known_zones: dict[tuple[str, int], KnownZone] = {}  # in this process, for calls without the cache


def find_known_zone(settings: Settings, application_id: int, *, cache: bool) -> tzinfo | None:
    """Return an application's time zone if this process or, with `cache`, the cache knows it, however long since."""
    known = _find_known_zone(settings, application_id, cache=cache)
    return known and known.zone


def find_zone(settings: Settings, application_id: int, *, offline: bool, cache: bool, clock: Clock) -> tzinfo:
    """Return an application's time zone; the server is asked once a day."""
    known = _find_known_zone(settings, application_id, cache=cache)
    if known and (offline or known.is_fresh(clock.now())):
        return known.zone
    if offline:
        raise NotCachedError(
            "offline=True, and relative dates and dates with a time zone need the application's own, which the cache "
            "does not know: make the same call once without offline, or give the dates in the application's time zone, "
            "as days or without one."
        )
    return _request_zone(settings, application_id, known, cache=cache, clock=clock)


def _find_known_zone(settings: Settings, application_id: int, *, cache: bool) -> KnownZone | None:
    known = [_known_zones.get((settings.origin, application_id))]
    if cache:
        known.append(_open_time_zones(settings).load(application_id))
    return max(filter(None, known), key=lambda zone: zone.asked_at, default=None)


def _request_zone(
    settings: Settings, application_id: int, known: KnownZone | None, *, cache: bool, clock: Clock
) -> tzinfo:
    """Return the time zone that the server gives, or the one known so far if that fails."""
    from appmetrica_frames.logs_api.management import get_time_zone

    patient = settings.retry_policy()
    policy = replace(patient, prepare_timeout=0.0, retries=0) if known else patient
    try:
        with settings.connect(clock) as connection:
            found = KnownZone(get_time_zone(connection, policy, application_id), clock.now())
    except AppMetricaError as error:
        if known is None:
            raise
        log.info("the time zone of application %d is taken to be what it was (%s)", application_id, error)
        found = KnownZone(known.zone, clock.now())  # so that this process asks again in a day only
    else:
        if cache:
            _open_time_zones(settings).save(application_id, found)
    _known_zones[settings.origin, application_id] = found
    return found.zone


def _open_time_zones(settings: Settings) -> TimeZones:
    return LocalStore(settings.cache_directory).time_zones(settings.origin)
