"""Time zones as plain values: by name where this machine knows them, else by their offset from UTC."""

from __future__ import annotations

from datetime import timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

MAX_OFFSET = 86_400


def parse_zone(value: object) -> tzinfo | None:
    """Return the zone with a name, or so many whole seconds east of UTC; None for anything else.

    A name is not known on a machine without its zone, or without a time zone database.
    """
    if isinstance(value, str):
        return _find_zone(value)
    return timezone(timedelta(seconds=value)) if type(value) is int and abs(value) < MAX_OFFSET else None


def format_zone(zone: tzinfo) -> str | int:
    """Return the name of a zone, or how many seconds east of UTC it is."""
    if isinstance(zone, ZoneInfo):
        return zone.key
    return round((zone.utcoffset(None) or timedelta()).total_seconds())


def _find_zone(name: str) -> tzinfo | None:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, ZoneInfoNotFoundError):  # OSError: "Europe" is a folder of zones
        return None
