"""Catalogs that the simulation draws from: countries, device models, advertising trackers and products."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .rng import Choice, Floats, Ints, integers, normal, uniform


@dataclass(frozen=True, slots=True)
class Country:
    """A country.

    Attributes
    ----------
    rate
        Units of its currency for one US dollar.
    cities
        Name, weight, hours east of Greenwich.
    operators
        Name, mobile country code, mobile network code.
    """

    code: str
    weight: float
    ios: float
    currency: str
    rate: float
    cities: tuple[tuple[str, float, float], ...]
    locales: tuple[str, ...]
    operators: tuple[tuple[str, int, int], ...]


COUNTRIES = (
    Country(
        "RU", 46, 0.31, "RUB", 90.0,
        (("Moscow", 30, 3), ("Saint Petersburg", 14, 3), ("Novosibirsk", 5, 7), ("Yekaterinburg", 5, 5),
         ("Kazan", 4, 3), ("Nizhny Novgorod", 3, 3), ("Krasnodar", 4, 3), ("Vladivostok", 2, 10)),
        ("ru_RU", "ru_RU", "ru_RU", "ru_RU", "ru_RU", "en_US"),
        (("MTS", 250, 1), ("MegaFon", 250, 2), ("Tele2", 250, 20), ("Beeline", 250, 99)),
    ),
    Country(
        "KZ", 9, 0.28, "KZT", 470.0,
        (("Almaty", 10, 5), ("Astana", 7, 5), ("Shymkent", 4, 5), ("Karaganda", 2, 5)),
        ("ru_KZ", "kk_KZ", "ru_RU"),
        (("Beeline KZ", 401, 1), ("Kcell", 401, 2), ("Tele2/Altel", 401, 77)),
    ),
    Country(
        "BY", 6, 0.25, "BYN", 3.2,
        (("Minsk", 10, 3), ("Gomel", 3, 3), ("Brest", 2, 3)),
        ("ru_BY", "ru_RU", "be_BY"),
        (("A1", 257, 1), ("MTS", 257, 2), ("life:)", 257, 4)),
    ),
    Country(
        "US", 12, 0.56, "USD", 1.0,
        (("New York", 9, -5), ("Los Angeles", 7, -8), ("Chicago", 5, -6), ("Houston", 4, -6), ("Miami", 3, -5)),
        ("en_US", "en_US", "en_US", "es_US"),
        (("Verizon", 311, 480), ("AT&T", 310, 410), ("T-Mobile", 310, 260)),
    ),
    Country(
        "DE", 8, 0.38, "EUR", 0.92,
        (("Berlin", 6, 1), ("Hamburg", 3, 1), ("Munich", 3, 1), ("Cologne", 2, 1), ("Düsseldorf", 1, 1)),
        ("de_DE", "de_DE", "de_DE", "en_DE", "ru_DE"),
        (("Telekom.de", 262, 1), ("Vodafone.de", 262, 2), ("o2 - de", 262, 3)),
    ),
    Country(
        "TR", 8, 0.2, "TRY", 34.0,
        (("Istanbul", 9, 3), ("Ankara", 4, 3), ("İzmir", 3, 3), ("Antalya", 2, 3)),
        ("tr_TR", "tr_TR", "tr_TR", "en_US"),
        (("Turkcell", 286, 1), ("Vodafone TR", 286, 2), ("Türk Telekom", 286, 3)),
    ),
    Country(
        "BR", 7, 0.18, "BRL", 5.4,
        (("São Paulo", 9, -3), ("Rio de Janeiro", 5, -3), ("Belo Horizonte", 2, -3), ("Manaus", 1, -4)),
        ("pt_BR",),
        (("Vivo", 724, 6), ("Claro BR", 724, 5), ("TIM", 724, 4)),
    ),
    Country(
        "IN", 4, 0.05, "INR", 84.0,
        (("Mumbai", 5, 5.5), ("Delhi", 5, 5.5), ("Bengaluru", 4, 5.5)),
        ("en_IN", "hi_IN", "en_IN"),
        (("Jio", 405, 857), ("Airtel", 404, 10), ("Vi", 404, 20)),
    ),
)  # fmt: skip

# One draw gives city and country; locale and operator are drawn from those of the country.
CITIES = [(country, *city) for country in range(len(COUNTRIES)) for city in COUNTRIES[country].cities]
CITY_NAMES = [name for _, name, _, _ in CITIES]
CITY_COUNTRY = np.array([country for country, _, _, _ in CITIES])
CITY_SHIFT = np.array([int(hours * 3600) for _, _, _, hours in CITIES])
CITY_CHOICE = Choice.of(
    COUNTRIES[country].weight * weight / sum(own for _, own, _ in COUNTRIES[country].cities)
    for country, _, weight, _ in CITIES
)

LOCALES = [locale for country in COUNTRIES for locale in country.locales]
LOCALE_COUNT = np.array([len(country.locales) for country in COUNTRIES])
LOCALE_START = np.cumsum(LOCALE_COUNT) - LOCALE_COUNT

OPERATORS = [operator for country in COUNTRIES for operator in country.operators]
OPERATOR_COUNT = np.array([len(country.operators) for country in COUNTRIES])
OPERATOR_START = np.cumsum(OPERATOR_COUNT) - OPERATOR_COUNT

COUNTRY_CODES = [country.code for country in COUNTRIES]
CURRENCIES = [country.currency for country in COUNTRIES]
RATES = np.array([country.rate for country in COUNTRIES])
IOS_SHARE = np.array([country.ios for country in COUNTRIES])


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


PRODUCTS_BY_CATEGORY = {
    ("Electronics", "Audio"): ("Headphones", "Portable speaker", "Soundbar", "Microphone"),
    ("Electronics", "Phones"): ("Smartphone", "Charger 20W", "Phone case", "Power bank"),
    ("Home", "Kitchen"): ("Coffee grinder", "Kettle", "Frying pan 28 cm", "Blender"),
    ("Home", "Textiles"): ("Blanket", "Bath towel", "Curtains, linen", 'Pillow "Soft"'),
    ("Дом", "Сад"): ("Секатор", "Шланг 20 м", "Семена томата", "Лейка"),
    ("Clothes", "Shoes"): ("Sneakers", "Boots", "Sandals", "Slippers"),
    ("Clothes", "Outerwear"): ("Raincoat", "Parka", "Vest", "Scarf"),
    ("Beauty", "Care"): ("Hand cream", "Shampoo", "Крем для лица", "Sunscreen SPF50"),
    ("Kids", "Toys"): ("Puzzle, 500 pcs", "Wooden train", "Plush bear 🧸", "Lego-like blocks"),
    ("Grocery", "Drinks"): ("Coffee beans 1 kg", "Green tea", "Cold brew", "Lemonade"),
}
BRANDS = ("Basic", "Nord", "Prime")
PRODUCTS = [
    (name if brand == "Basic" else f"{name} {brand}", category)
    for category, names in PRODUCTS_BY_CATEGORY.items()
    for name in names
    for brand in BRANDS
]
PRODUCT_NAMES = [name for name, _ in PRODUCTS]
PRODUCT_SECTIONS = [category[0] for _, category in PRODUCTS]
PRODUCT_CATEGORIES = [category[1] for _, category in PRODUCTS]
PRODUCT_SKUS = [f"LV-{10_007 * (index + 11) % 1_000_003:06d}" for index in range(len(PRODUCTS))]

# A few products sell every day, most hardly ever.
PRODUCT_CHOICE = Choice.of(1.0 / (1.0 + 0.15 * index) for index in range(len(PRODUCTS)))
_INDEX = np.arange(len(PRODUCTS), dtype=np.uint64)
MEDIAN_DOLLARS, PRICE_SPREAD = 16.0, 1.15
DOLLARS = np.exp(np.log(MEDIAN_DOLLARS) + PRICE_SPREAD * normal(_INDEX, "price"))
DISCOUNT = np.where(uniform(_INDEX, "on sale") < 1 / 4, 0.1 + 0.05 * integers(_INDEX, "discount", 8), 0.0)


def get_list_price(product: Ints, country: Ints) -> Floats:
    """Return the price before discounts in the country's currency, rounded as in shops: 499.0 or 12.99."""
    raw = DOLLARS[product] * RATES[country]
    coarse = np.maximum(np.round(raw / 10.0), 1.0) * 10.0 - 1.0
    return np.where(RATES[country] > 20.0, coarse, np.floor(raw) + 0.99)  # noqa: PLR2004


def get_price(product: Ints, country: Ints) -> Floats:
    """Return the price after discounts."""
    return np.round(get_list_price(product, country) * (1.0 - DISCOUNT[product]), 2)
