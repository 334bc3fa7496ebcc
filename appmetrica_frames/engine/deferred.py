"""The options of a call that is made later: checked now, without a request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta, timezone
from typing import TYPE_CHECKING, Any

from appmetrica_frames.errors import InvalidRequestError

from .options import build_options, resolve_applications

if TYPE_CHECKING:
    from datetime import tzinfo

    from appmetrica_frames.client import Settings

    from .options import ReadOptions

# Zones to check dates in that need the application's own: what is wrong in all of these is wrong there.
SAMPLE_ZONES = tuple(timezone(timedelta(hours=hours)) for hours in (0, -12, 14))


class DeferredOptions:
    """The options of a call that is made later.

    Dates with a time zone, and relative ones, need the time zone of the application, which may have to be asked for.
    They are resolved at each call.

    Attributes
    ----------
    checked
        The options; where dates need the application's time zone, they hold for another one.
    """

    def __init__(self, resource: str, **parameters: Any) -> None:
        self._resource = resource
        self._parameters = {name: _copy(value) for name, value in parameters.items()}
        # Now: the process that collects may have another environment.
        self._parameters["application_id"] = resolve_applications(self._parameters.get("application_id"))
        self.checked, self._needs_zone = _check_options(resource, self._parameters)

    def resolve(self) -> ReadOptions:
        """Return the options of a call that is made now; the server may be asked for a time zone."""
        return build_options(self._resource, **self._parameters) if self._needs_zone else self.checked


def _copy(value: Any) -> Any:
    """Return a value that stays what it is: iterators can be read once only, and others may change."""
    if isinstance(value, (list, Iterator)):
        return list(value)
    return dict(value) if isinstance(value, Mapping) else value


def _check_options(resource: str, parameters: dict[str, Any]) -> tuple[ReadOptions, bool]:
    """Return options without a request, and whether they depend on the application's time zone."""
    *others, last = SAMPLE_ZONES
    for zone in others:
        sample = _SampleZone(zone)
        try:
            return build_options(resource, **parameters, find_zone=sample), sample.is_used
        except InvalidRequestError:
            if not sample.is_used:
                raise
    return build_options(resource, **parameters, find_zone=_SampleZone(last)), True


class _SampleZone:
    """A time zone in place of any application's own, which knows whether it was needed."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self.is_used = False

    def __call__(self, settings: Settings, application_id: int) -> tzinfo:  # noqa: ARG002 - the same for all
        self.is_used = True
        return self._zone
