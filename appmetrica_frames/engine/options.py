"""Everything about one call, checked: the request, the cache policy, the client's settings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from appmetrica_frames.cache.policy import LOOKBACK, CachePolicy, build_policy
from appmetrica_frames.client import Client, Settings, resolve_settings
from appmetrica_frames.errors import InvalidRequestError
from appmetrica_frames.request.export import ApplicationIds, ExportRequest, build_request, parse_application_ids
from appmetrica_frames.request.windows import Split, check_split
from appmetrica_frames.util import config
from appmetrica_frames.util.clock import SystemClock
from appmetrica_frames.util.durations import to_seconds

from . import zones

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import tzinfo

    from appmetrica_frames.request.dates import Moment
    from appmetrica_frames.request.export import DateDimension, FilterValue, WireFormat
    from appmetrica_frames.util.clock import Clock
    from appmetrica_frames.util.durations import Duration


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """One call, checked.

    Attributes
    ----------
    requests
        The whole range of dates, once for each application. They differ in nothing else than that.
    lookback
        For how many seconds after its end a window can get more rows; None for ever.
    all_fields
        Whether the call names no fields, and so wants every documented one that the server has.
    strict
        Whether a value that does not fit its column's type is an error.
    cache
        Whether the cache is read and written.
    lease
        Whether the path of the file is handed out, to be read later.
    """

    requests: tuple[ExportRequest, ...]
    policy: CachePolicy
    settings: Settings
    split: Split | None = None
    lookback: float | None = None
    all_fields: bool = False
    strict: bool = False
    cache: bool = True
    lease: bool = False

    @property
    def request(self) -> ExportRequest:
        """The first request: all have the same fields and types."""
        return self.requests[0]

    def at(self, instant: float) -> ReadOptions:
        """Return the options of a call that is made at an instant, in UNIX seconds."""
        return replace(self, policy=replace(self.policy, requested_at=instant))

    def leasing(self) -> ReadOptions:
        """Return the options of a call that hands out the path of the file."""
        return replace(self, lease=True)


def build_options(
    resource: str,
    *,
    application_id: ApplicationIds | None = None,
    date_since: Moment | None = None,
    date_until: Moment | None = None,
    fields: Iterable[str] | None = None,
    filters: Mapping[str, FilterValue] | None = None,
    date_dimension: DateDimension = "default",
    limit: int | None = None,
    skip_unavailable_shards: bool = False,
    wire_format: WireFormat = "csv",
    split: Split | None = None,
    lookback: Duration | None = LOOKBACK,
    max_age: Duration | None = None,
    refresh: bool = False,
    offline: bool = False,
    stale_if_error: Duration | None = None,
    cache: bool = True,
    schema_overrides: Mapping[str, object] | None = None,
    strict: bool = False,
    client: Client | None = None,
    find_zone: Callable[[Settings, int], tzinfo] | None = None,
    clock: Clock | None = None,
) -> ReadOptions:
    """Check the parameters of a call; raise `InvalidRequestError` before anything is sent.

    Parameters
    ----------
    find_zone
        Returns the time zone of an application, for dates that need it. Default: the application's own, for which the
        server may have to be asked.
    clock
        Shows the instant that relative dates are counted from. Default: that of this machine.
    """
    settings, clock = resolve_settings(client), clock or SystemClock()
    find_zone = find_zone or partial(zones.find_zone, offline=offline, cache=cache, clock=clock)
    policy = build_policy(max_age=max_age, refresh=refresh, offline=offline, stale_if_error=stale_if_error)
    if offline and not cache:
        raise InvalidRequestError(
            "offline=True reads the cache only and cache=False never reads it: drop one of the two."
        )
    seconds = None if lookback is None else to_seconds(lookback, name="lookback")
    names = tuple(fields) if isinstance(fields, Iterable) and not isinstance(fields, str) else fields
    requests = [
        build_request(
            resource,
            application_id=number,
            date_since=date_since,
            date_until=date_until,
            fields=names,
            filters=filters,
            date_dimension=date_dimension,
            limit=limit,
            skip_unavailable_shards=skip_unavailable_shards,
            wire_format=wire_format,
            schema_overrides=schema_overrides,
            now=clock.now(),
            zone=partial(find_zone, settings),
        )
        for number in resolve_applications(application_id)
    ]
    check_split(requests[0], split)
    return ReadOptions(
        tuple(requests),
        policy,
        settings,
        split=split,
        lookback=seconds,
        all_fields=fields is None,
        strict=strict,
        cache=cache,
    )


def resolve_applications(given: ApplicationIds | None) -> list[int]:
    """Return the applications of a call: those given, else those of ``APPMETRICA_APPLICATION_ID``."""
    if given is not None:
        return parse_application_ids(given)
    return parse_application_ids(config.default_application_ids(), name=config.APPLICATION_ID_VARIABLE)
