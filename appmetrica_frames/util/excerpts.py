"""Excerpts of texts from outside, for messages: what is secret is masked where the text is cut, too."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

MASK = "***"
MARGIN = 16 << 10  # characters around an excerpt that are searched for secrets: more than an escaped token takes

Span: TypeAlias = tuple[int, int]
FindSecrets: TypeAlias = "Callable[[str], Iterable[Span]]"

# Those of the connections that are open: the decoders know none of them, and run in threads of their own.
_finders: list[FindSecrets] = []


@contextmanager
def masked_excerpts(find: FindSecrets) -> Iterator[None]:
    """Mask in all excerpts what a function finds in the text around them; it returns spans in order."""
    _finders.append(find)
    try:
        yield
    finally:
        _finders.remove(find)


def excerpt(text: str | bytes, size: int, *, start: int = 0) -> str:
    """Return so many characters of a text from a position, in which a secret is masked though only a part is in it."""
    first, last = max(0, start), max(0, start) + size + min(0, start)
    base = max(0, first - MARGIN)
    window = text[base : last + MARGIN]
    if isinstance(window, bytes):
        window = window.decode("latin-1")  # a byte a character, so that positions stay
    shown = mask_spans(window, _find_secrets(window), first - base, last - base)
    return shown if isinstance(text, str) else shown.encode("latin-1").decode("utf-8", "replace")


def mask_spans(text: str, spans: Iterable[Span], first: int, last: int) -> str:
    """Return a part of a text, in which each span is masked that is in it or reaches into it."""
    shown, at = [], first
    for begin, end in spans:
        if end > at and begin < last:
            shown += [text[at : max(at, begin)], MASK]
            at = end
    return "".join([*shown, text[at:last]])


def _find_secrets(text: str) -> list[Span]:
    return sorted(span for find in tuple(_finders) for span in find(text))
