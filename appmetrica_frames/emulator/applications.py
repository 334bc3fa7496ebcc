"""The two applications that the emulator knows: each with its own population, queue and time zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Application:
    """One application.

    Attributes
    ----------
    offset
        Seconds east of Greenwich without summer time: where the simulated days of this application begin.
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

    def day(self, unix: float) -> int:
        """Return the number of the simulated day that holds an instant."""
        return int((unix + self.offset) // 86_400)

    def described(self, now: float) -> dict[str, Any]:
        """Return what the Management API says about the application."""
        shift = datetime.fromtimestamp(now, UTC).astimezone(self.zone).utcoffset()
        return {
            "id": self.id,
            "name": self.name,
            "time_zone_name": self.time_zone_name,
            "time_zone_offset": int(shift.total_seconds()) if shift else 0,
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
