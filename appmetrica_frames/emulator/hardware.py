"""What the simulated people hold in their hands, and which versions run on it."""

from __future__ import annotations

from dataclasses import dataclass

from .chance import Choice


@dataclass(frozen=True, slots=True)
class Model:
    manufacturer: str
    name: str
    factory: str
    weight: float
    type: str = "phone"


ANDROID = (
    Model("Samsung", "Galaxy A54", "SM-A546E", 9),
    Model("Samsung", "Galaxy A15", "SM-A155F", 8),
    Model("Samsung", "Galaxy S23", "SM-S911B", 6),
    Model("Samsung", "Galaxy S24 Ultra", "SM-S928B", 4),
    Model("Samsung", "Galaxy Tab A9+", "SM-X210", 3, "tablet"),
    Model("Xiaomi", "Redmi Note 12", "23021RAAEG", 10),
    Model("Xiaomi", "Redmi 12C", "22120RN86G", 6),
    Model("Xiaomi", "POCO X5 Pro 5G", "22101320G", 5),
    Model("Xiaomi", "Redmi Pad SE", "23073RPBFG", 2, "tablet"),
    Model("Realme", "C55", "RMX3710", 5),
    Model("Huawei", "P30 Pro", "VOG-L29", 3),
    Model("HONOR", "90 Lite", "CRT-NX1", 4),
    Model("TECNO", "SPARK 20", "KJ5n", 4),
    Model("Infinix", "HOT 40i", "X6528B", 3),
    Model("Google", "Pixel 8", "Pixel 8", 2),
    Model("OnePlus", "Nord CE 3 Lite", "CPH2467", 2),
)
IOS = (
    Model("Apple", "iPhone 11", "iPhone12,1", 9),
    Model("Apple", "iPhone 12", "iPhone13,2", 6),
    Model("Apple", "iPhone 13", "iPhone14,5", 9),
    Model("Apple", "iPhone 14 Pro", "iPhone15,2", 6),
    Model("Apple", "iPhone 15", "iPhone15,4", 7),
    Model("Apple", "iPhone 15 Pro Max", "iPhone16,2", 6),
    Model("Apple", "iPhone SE 2", "iPhone12,8", 3),
    Model("Apple", "iPad 9", "iPad12,1", 3, "tablet"),
)
MODELS = (*ANDROID, *IOS)
ANDROID_CHOICE = Choice.of(model.weight for model in ANDROID)
IOS_CHOICE = Choice.of(model.weight for model in IOS)

ANDROID_VERSIONS = {"10": 5, "11": 11, "12": 15, "13": 24, "14": 32, "15": 13}
IOS_VERSIONS = {"15.8.3": 4, "16.7.10": 10, "17.5.1": 14, "17.6.1": 22, "18.1": 18, "18.5": 32}
VERSIONS = (*ANDROID_VERSIONS, *IOS_VERSIONS)
ANDROID_VERSION_CHOICE = Choice.of(ANDROID_VERSIONS.values())
IOS_VERSION_CHOICE = Choice.of(IOS_VERSIONS.values())
