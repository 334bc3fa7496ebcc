"""The two applications of the emulator, each with its own population, queue and time zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Application:
    """An application.

    Attributes
    ----------
    offset
        Seconds ahead of UTC without summer time; simulated days start at midnight there.
    """

    id: int
    name: str
    time_zone_name: str
    offset: int
    android_package: str
    ios_bundle: str

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone_name)

    def day(self, instant: float) -> int:
        """Return the number of the simulated day at an instant."""
        return int((instant + self.offset) // 86_400)

    def to_json(self, now: float) -> dict[str, Any]:
        """Return the application as in responses of the Management API."""
        offset = datetime.fromtimestamp(now, UTC).astimezone(self.zone).utcoffset()
        return {
            "id": self.id,
            "name": self.name,
            "time_zone_name": self.time_zone_name,
            "time_zone_offset": int(offset.total_seconds()) if offset else 0,
            "status": "Active",
            "permission": "own",
            "bundle_id": self.android_package,
        }


APPLICATIONS = (
    Application(1111, "Lavka Demo", "Europe/Moscow", 3 * 3600, "com.example.lavka", "com.example.lavka.ios"),
    Application(2222, "Lavka Europe", "Europe/Berlin", 3600, "com.example.lavka.eu", "com.example.lavka.eu.ios"),
)
FORBIDDEN_ID = 3333
CUSTOM_ATTRIBUTES = ("favourite category", "Уровень лояльности")
