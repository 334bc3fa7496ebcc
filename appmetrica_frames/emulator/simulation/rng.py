"""Stateless random numbers: each one is a hash of a seed and of a label for what is drawn.

A device is one number, and everything about it follows from that number, the day and a label. So any range of days,
requested in any order, gives the same rows, and no trait is stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable


# For the reader only: numpy's arithmetic loses the element type for the type checker.
Array: TypeAlias = Any
U64: TypeAlias = Any
Ints: TypeAlias = Any
Floats: TypeAlias = Any
Bools: TypeAlias = Any

_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_UNIT = 2.0**-53


@cache
def hash_label(label: str) -> np.uint64:
    return np.uint64(int.from_bytes(blake2b(label.encode(), digest_size=8).digest(), "little"))


def mix(values: U64) -> U64:
    """Scramble every bit of every value (the finaliser of SplitMix64, by Steele, Lea and Flood)."""
    mixed = values ^ (values >> np.uint64(30))
    mixed *= _FIRST
    mixed ^= mixed >> np.uint64(27)
    mixed *= _SECOND
    mixed ^= mixed >> np.uint64(31)
    return mixed


def draw(seeds: U64, label: str) -> U64:
    """Return 64 random bits for each seed; another label gives others."""
    return mix(seeds + hash_label(label))


def derive(seeds: U64, numbers: Array) -> U64:
    """Return new seeds, one for each pair of a seed and a number."""
    return mix(mix(seeds) + numbers.astype(np.uint64))


def uniform(seeds: U64, label: str) -> Floats:
    """Return uniform numbers from 0 to 1."""
    return (draw(seeds, label) >> np.uint64(11)) * _UNIT


def normal(seeds: U64, label: str) -> Floats:
    radius = np.sqrt(-2.0 * np.log1p(-uniform(seeds, label)))
    return radius * np.cos(2.0 * np.pi * uniform(seeds, label + ", angle"))


def exponential(seeds: U64, label: str, mean: float) -> Floats:
    return -mean * np.log1p(-uniform(seeds, label))


def geometric(seeds: U64, label: str, more: float | Floats) -> Ints:
    """Return the number of successes before the first failure, where `more` is the probability of a success."""
    return (np.log1p(-uniform(seeds, label)) / np.log(more)).astype(np.int64)


def integers(seeds: U64, label: str, count: int | Array) -> Ints:
    """Return whole numbers from 0 to `count` - 1."""
    return (uniform(seeds, label) * count).astype(np.int64)


@dataclass(frozen=True)
class Choice:
    """A weighted choice; `pick` returns indices."""

    cumulative: Floats

    @classmethod
    def of(cls, weights: Iterable[float]) -> Choice:
        sums = np.cumsum(np.fromiter(weights, np.float64))
        return cls(sums / sums[-1])

    def pick(self, seeds: U64, label: str) -> Ints:
        index = np.searchsorted(self.cumulative, uniform(seeds, label), side="right")
        return np.minimum(index, len(self.cumulative) - 1)
