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

    def to_json(self, now: float, *, listed: bool = False) -> dict[str, Any]:
        """Return the application with the documented keys of the Management API, alone or as one of the list."""
        offset = datetime.fromtimestamp(now, UTC).astimezone(self.zone).utcoffset()
        extra = {"permission_date": "2022-01-01T12:00:00+00:00"} if listed else {"label": "Demo"}
        return {
            "id": self.id,
            "name": self.name,
            "time_zone_name": self.time_zone_name,
            "time_zone_offset": int(offset.total_seconds()) if offset else 0,
            "create_date": "2022-01-01",
            "permission": "own",
            "owner_login": "lavka-demo",
            "uid": 1,
            "label_id": 1,
            "category": 21,
            "bundle_id": self.ios_bundle,
            "team_id": "",
            "hide_address": False,
            "gdpr_agreement_accepted": True,
            "use_universal_links": False,
            "universal_link": "",
            "api_key128": f"00000000-0000-4000-8000-{self.id:012}",
            "import_token": f"10000000-0000-4000-8000-{self.id:012}",
            **extra,
        }


APPLICATIONS = (
    Application(1111, "Lavka Demo", "Europe/Moscow", 3 * 3600, "com.example.lavka", "com.example.lavka.ios"),
    Application(2222, "Lavka Europe", "Europe/Berlin", 3600, "com.example.lavka.eu", "com.example.lavka.eu.ios"),
)
FORBIDDEN_ID = 3333
CUSTOM_ATTRIBUTES = ("favourite category", "Уровень лояльности")
