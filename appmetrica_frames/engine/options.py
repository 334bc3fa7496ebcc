"""Everything about one call, checked: the request, the cache policy, the client's settings."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from appmetrica_frames.cache.policy import CachePolicy, build_policy
from appmetrica_frames.cache.store import LocalStore
from appmetrica_frames.cache.time_zones import KnownZone
from appmetrica_frames.client import Client, Settings, resolve_settings
from appmetrica_frames.errors import AppMetricaError, InvalidRequestError, NotCachedError
from appmetrica_frames.request.export import ExportRequest, build_request
from appmetrica_frames.util.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import tzinfo

    from appmetrica_frames.cache.time_zones import TimeZones
    from appmetrica_frames.request.dates import Moment
    from appmetrica_frames.request.export import DateDimension, FilterValue, WireFormat
    from appmetrica_frames.util.clock import Clock
    from appmetrica_frames.util.durations import Duration

log = logging.getLogger("appmetrica_frames")

_known_zones: dict[tuple[str, int], KnownZone] = {}  # in this process, for calls without the cache


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """One call, checked.

    Attributes
    ----------
    all_fields
        Whether the call names no fields, and so wants every documented one that the server has.
    strict
        Whether a value that does not fit its column's type is an error.
    cache
        Whether the cache is read and written.
    lease
        Whether the path of the file is handed out, to be read later.
    """

    request: ExportRequest
    policy: CachePolicy
    settings: Settings
    all_fields: bool = False
    strict: bool = False
    cache: bool = True
    lease: bool = False

    def at(self, instant: float) -> ReadOptions:
        """Return the options of a call that is made at an instant, in UNIX seconds."""
        return replace(self, policy=replace(self.policy, requested_at=instant))

    def leasing(self) -> ReadOptions:
        """Return the options of a call that hands out the path of the file."""
        return replace(self, lease=True)


def build_options(
    resource: str,
    *,
    application_id: int | str,
    date_since: Moment | None = None,
    date_until: Moment | None = None,
    fields: Iterable[str] | None = None,
    filters: Mapping[str, FilterValue] | None = None,
    date_dimension: DateDimension = "default",
    limit: int | None = None,
    skip_unavailable_shards: bool = False,
    wire_format: WireFormat = "csv",
    max_age: Duration | None = None,
    refresh: bool = False,
    offline: bool = False,
    stale_if_error: Duration | None = None,
    cache: bool = True,
    schema_overrides: Mapping[str, object] | None = None,
    strict: bool = False,
    client: Client | None = None,
    clock: Clock | None = None,
) -> ReadOptions:
    """Check the parameters of a call; raise `InvalidRequestError` before anything is sent.

    Relative dates are resolved here, at the instant that `clock` shows.
    """
    settings, clock = resolve_settings(client), clock or SystemClock()
    policy = build_policy(max_age=max_age, refresh=refresh, offline=offline, stale_if_error=stale_if_error)
    if offline and not cache:
        raise InvalidRequestError(
            "offline=True reads the cache only and cache=False never reads it: drop one of the two."
        )
    request = build_request(
        resource,
        application_id=application_id,
        date_since=date_since,
        date_until=date_until,
        fields=fields,
        filters=filters,
        date_dimension=date_dimension,
        limit=limit,
        skip_unavailable_shards=skip_unavailable_shards,
        wire_format=wire_format,
        schema_overrides=schema_overrides,
        now=clock.now(),
        zone=lambda number: _find_zone(settings, number, offline=offline, cache=cache, clock=clock),
    )
    return ReadOptions(request, policy, settings, all_fields=fields is None, strict=strict, cache=cache)


def find_known_zone(settings: Settings, application_id: int, *, cache: bool) -> tzinfo | None:
    """Return an application's time zone if this process or, with `cache`, the cache knows it, however long since."""
    known = _find_known_zone(settings, application_id, cache=cache)
    return known and known.zone


def _find_zone(settings: Settings, application_id: int, *, offline: bool, cache: bool, clock: Clock) -> tzinfo:
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
