"""Chance without state: every draw is a hash of whom it is about and of what is drawn.

A device is one number, and whatever happens to it follows from that number, the day and a word for the question. So
any range of days, asked in any order, gives the same rows, and a draw needs neither a stored trait nor a generator.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable


# Names for the reader: what arithmetic leaves of an array's type is Any to the type checker, so it is from the start.
Array: TypeAlias = Any
U64: TypeAlias = Any
Ints: TypeAlias = Any
Floats: TypeAlias = Any
Flags: TypeAlias = Any

_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_UNIT = 2.0**-53


@cache
def salt(word: str) -> np.uint64:
    return np.uint64(int.from_bytes(blake2b(word.encode(), digest_size=8).digest(), "little"))


def mix(values: U64) -> U64:
    """Scramble every bit of every value (the finaliser of SplitMix64, by Steele, Lea and Flood)."""
    mixed = values ^ (values >> np.uint64(30))
    mixed *= _FIRST
    mixed ^= mixed >> np.uint64(27)
    mixed *= _SECOND
    mixed ^= mixed >> np.uint64(31)
    return mixed


def draw(roots: U64, word: str) -> U64:
    """Return 64 random bits for each root, others for each word."""
    return mix(roots + salt(word))


def child(roots: U64, numbers: Array) -> U64:
    """Return new roots, one for each pair of a root and a number."""
    return mix(mix(roots) + numbers.astype(np.uint64))


def unit(roots: U64, word: str) -> Floats:
    """Return uniform numbers from 0 to 1."""
    return (draw(roots, word) >> np.uint64(11)) * _UNIT


def normal(roots: U64, word: str) -> Floats:
    radius = np.sqrt(-2.0 * np.log1p(-unit(roots, word)))
    return radius * np.cos(2.0 * np.pi * unit(roots, word + ", angle"))


def exponential(roots: U64, word: str, mean: float) -> Floats:
    return -mean * np.log1p(-unit(roots, word))


def geometric(roots: U64, word: str, more: float | Floats) -> Ints:
    """Return how often in a row something happened that happens each time with the probability `more`."""
    return (np.log1p(-unit(roots, word)) / np.log(more)).astype(np.int64)


def below(roots: U64, word: str, count: int | Array) -> Ints:
    """Return whole numbers from 0 to `count` - 1."""
    return (unit(roots, word) * count).astype(np.int64)


@dataclass(frozen=True)
class Choice:
    """A choice among weighted things, which answers their indices."""

    cumulative: Floats

    @classmethod
    def of(cls, weights: Iterable[float]) -> Choice:
        sums = np.cumsum(np.fromiter(weights, np.float64))
        return cls(sums / sums[-1])

    def pick(self, roots: U64, word: str) -> Ints:
        index = np.searchsorted(self.cumulative, unit(roots, word), side="right")
        return np.minimum(index, len(self.cumulative) - 1)
