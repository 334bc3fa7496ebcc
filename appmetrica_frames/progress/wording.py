"""How a line of progress reads, and what is left out of it where a terminal is narrow."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

MIN_TITLE = 8  # columns
ELLIPSIS = "…"
_YEAR = re.compile(r"\b\d{4}-(?=\d\d-\d\d\b)")
_REPEATED_YEAR = re.compile(r"(\b(\d{4}-)\d\d-\d\d.* to )\2")


class Detail(NamedTuple):
    """A part of a line.

    Attributes
    ----------
    rank
        0 where it is always shown; of the others, the highest is the first to be left out.
    """

    text: str
    rank: int = 0


def join_details(details: Sequence[Detail]) -> str:
    """Return the details as one text."""
    return ", ".join(detail.text for detail in details)


def fit_line(title: str, details: Sequence[Detail], width: int) -> str | None:
    """Return a line of at most so many columns; None if the title would have to be cut.

    What is left out, in this order: a year that the title repeats, details, and all years of the title.
    """
    lines = [
        f"{shorter}: {text}"
        for titles in ((title, _REPEATED_YEAR.sub(r"\1", title)), (_YEAR.sub("", title),))
        for text in _shorter_texts(details)
        for shorter in titles
    ]
    return next(filter(lambda line: len(line) <= width, lines), None)


def cut_line(title: str, details: Sequence[Detail], width: int) -> str:
    """Return a line of at most so many columns; where nothing else helps, the title is cut."""
    essential = _shorter_texts(details)[-1]
    cut = f"{_cut(_YEAR.sub('', title), width - len(essential) - 2)}: {essential}"
    return fit_line(title, details, width) or cut


def count_of(number: int, noun: str) -> str:
    """Return a number with its noun, as in ``1 row`` and ``1,234 rows``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _shorter_texts(details: Sequence[Detail]) -> list[str]:
    ranks = sorted({0, *[detail.rank for detail in details]}, reverse=True)
    return [join_details([detail for detail in details if detail.rank <= highest]) for highest in ranks]


def _cut(title: str, width: int) -> str:
    """Cut a title between two words where that leaves enough of it."""
    if len(title) <= width:
        return title
    longest = max(width, MIN_TITLE) - 1
    between_words = title[: longest + 1].rpartition(" ")[0]
    kept = between_words if len(between_words) >= MIN_TITLE else title[:longest]
    return kept.removesuffix(" to").rstrip(" ,") + ELLIPSIS
