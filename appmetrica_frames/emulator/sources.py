"""Where installs come from: advertising partners and their trackers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .chance import Choice


@dataclass(frozen=True, slots=True)
class Tracker:
    publisher_id: int
    publisher: str
    name: str
    tracking_id: int
    weight: float
    reengagement: bool = False


TRACKERS = (
    Tracker(0, "", "", 0, 58),
    Tracker(30101, "Yandex Direct", "Поиск, бренд", 745_812_330_918_274_516, 9),
    Tracker(30101, "Yandex Direct", "РСЯ: широкая аудитория", 12_345_678_901_234_567_890, 7),
    Tracker(30755, "Google Ads", "UAC installs RU+KZ", 1_180_004_561_237_945_102, 7),
    Tracker(30755, "Google Ads", "UAC purchases, tier 1", 16_230_114_905_573_310_046, 4),
    Tracker(31200, "VK Реклама", "Видео «Лето»", 9_007_199_254_740_993, 5),
    Tracker(31877, "Apple Search Ads", "Generic keywords", 11_400_714_819_323_198_485, 3),
    Tracker(32450, "TikTok for Business", 'Spark "unboxing" 🎁', 3_141_592_653_589_793_238, 4),
    Tracker(33012, "Email, CRM", "Winback, autumn", 271_828_182_845_904_523, 2, reengagement=True),
    Tracker(33013, "QR in store", "Offline points", 18_000_000_000_000_000_001, 1),
)
ORGANIC = 0
TRACKER_CHOICE = Choice.of(tracker.weight for tracker in TRACKERS)
PAID_CHOICE = Choice.of(0.0 if index == ORGANIC else tracker.weight for index, tracker in enumerate(TRACKERS))
REENGAGING = np.array([tracker.reengagement for tracker in TRACKERS])
