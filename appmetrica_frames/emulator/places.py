"""Where the simulated people live: countries with their cities, languages, operators and money."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .chance import Choice


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

# One draw settles city and country; language and operator are drawn among the country's own.
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
