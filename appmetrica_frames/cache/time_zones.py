"""The time zones of applications, remembered for a day, so that reads from the cache need no network."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from appmetrica_frames.util.durations import DAY
from appmetrica_frames.util.files import read_regular, replace_file
from appmetrica_frames.util.zones import format_zone, parse_zone

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo
    from pathlib import Path

FILE = "time_zones.json"
MAX_BYTES = 1 << 20
MAX_INSTANT = 253_402_300_800  # the year 10000


class KnownZone(NamedTuple):
    """A time zone, and the instant (UNIX seconds) at which the server was asked for it."""

    zone: tzinfo
    asked_at: float

    def is_fresh(self, now: float) -> bool:
        """Tell whether the server need not be asked again."""
        return 0 <= now - self.asked_at <= DAY


class TimeZones:
    """The time zones that a server gave for its applications, in a folder that is made when it is needed."""

    def __init__(self, folder: Path, origin: str, make_folder: Callable[[Path], Path]) -> None:
        self._path = folder / FILE
        self._origin = origin
        self._make_folder = make_folder

    def load(self, application_id: int) -> KnownZone | None:
        """Return the zone of an application, of whatever age."""
        return self._load_all().get(self._origin, {}).get(str(application_id))

    def save(self, application_id: int, known: KnownZone) -> None:
        """Remember the zone of an application; where nothing can be written, the server will be asked again."""
        zones = self._load_all()
        zones[self._origin] = {**zones.get(self._origin, {}), str(application_id): known}
        document = {
            origin: {application: _to_plain(zone) for application, zone in own.items()} for origin, own in zones.items()
        }
        with suppress(OSError):
            self._make_folder(self._path.parent)
            replace_file(self._path, json.dumps(document, indent=1).encode())

    def _load_all(self) -> dict[str, dict[str, KnownZone]]:
        try:
            document = json.loads(read_regular(self._path, limit=MAX_BYTES))
            return {origin: _parse_zones(zones) for origin, zones in document.items()}
        except (OSError, ValueError, AttributeError, RecursionError):
            return {}


def _parse_zones(zones: object) -> dict[str, KnownZone]:
    """Return the sane ones of an origin's zones."""
    if not isinstance(zones, dict):
        return {}
    parsed = {application: _parse_known_zone(entry) for application, entry in zones.items()}
    return {application: known for application, known in parsed.items() if known}


def _parse_known_zone(entry: object) -> KnownZone | None:
    if not isinstance(entry, dict):
        return None
    zone, asked_at = parse_zone(entry.get("time_zone")), _parse_instant(entry.get("asked_at"))
    return None if zone is None or asked_at is None else KnownZone(zone, asked_at)


def _parse_instant(value: Any) -> float | None:
    return float(value) if type(value) in {int, float} and 0 <= value < MAX_INSTANT else None


def _to_plain(known: KnownZone) -> dict[str, Any]:
    return {"time_zone": format_zone(known.zone), "asked_at": known.asked_at}
