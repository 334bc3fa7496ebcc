"""What the simulated shop sells, at which prices."""

from __future__ import annotations

import numpy as np

from .chance import Choice, Floats, Ints, below, normal, unit
from .places import RATES

SHELVES = {
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
MAKES = ("Basic", "Nord", "Prime")
PRODUCTS = [
    (name if make == "Basic" else f"{name} {make}", shelf)
    for shelf, names in SHELVES.items()
    for name in names
    for make in MAKES
]
NAMES = [name for name, _ in PRODUCTS]
SECTIONS = [shelf[0] for _, shelf in PRODUCTS]
SHELF_NAMES = [shelf[1] for _, shelf in PRODUCTS]
SKUS = [f"LV-{10_007 * (index + 11) % 1_000_003:06d}" for index in range(len(PRODUCTS))]

# A few sell every day, most hardly ever.
CHOICE = Choice.of(1.0 / (1.0 + 0.15 * index) for index in range(len(PRODUCTS)))
_INDEX = np.arange(len(PRODUCTS), dtype=np.uint64)
MEDIAN_DOLLARS, PRICE_SPREAD = 16.0, 1.15
DOLLARS = np.exp(np.log(MEDIAN_DOLLARS) + PRICE_SPREAD * normal(_INDEX, "price"))
DISCOUNT = np.where(unit(_INDEX, "on sale") < 1 / 4, 0.1 + 0.05 * below(_INDEX, "discount", 8), 0.0)


def list_price(product: Ints, country: Ints) -> Floats:
    """Return the price before discounts in the country's money, the way shops write prices: 499.0 or 12.99."""
    raw = DOLLARS[product] * RATES[country]
    coarse = np.maximum(np.round(raw / 10.0), 1.0) * 10.0 - 1.0
    return np.where(RATES[country] > 20.0, coarse, np.floor(raw) + 0.99)  # noqa: PLR2004


def price(product: Ints, country: Ints) -> Floats:
    """Return what is paid for one."""
    return np.round(list_price(product, country) * (1.0 - DISCOUNT[product]), 2)
