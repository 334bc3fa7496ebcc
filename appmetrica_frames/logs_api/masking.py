"""Keeps the token out of every text, should a server echo it in whatever escaped form."""

from __future__ import annotations

import html
import logging
import re
from contextlib import ExitStack, contextmanager
from itertools import islice
from typing import TYPE_CHECKING

from appmetrica_frames.util.excerpts import MARGIN, MASK, mask_spans, masked_excerpts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from appmetrica_frames.util.config import Secret
    from appmetrica_frames.util.excerpts import Span

LONGEST_SPELLING = 16  # characters that one of the token takes
MIN_BEGINNING = 4  # characters of the token that are masked where a text was cut: fewer tell nothing
_GAP = r"\x00{0,3}"
_HALF_ESCAPE = re.compile(r"(?:[\\%&][^\s\"']{0,9})?")
HTTP_LOGGERS = ("httpx", "httpcore.connection", "httpcore.http11", "httpcore.proxy", "httpcore.socks")


class TokenMask:
    """Replaces a token in texts, errors, excerpts and log records."""

    def __init__(self, token: Secret) -> None:
        self.text: Callable[[str], str] = _replacement(token)
        self._find: Callable[[str], list[Span]] = _finder(token)

    def cut_text(self, text: str) -> str:
        """Return a text that was cut somewhere; a beginning of the token at its end is masked, too."""
        return mask_spans(text, self._find(text), 0, len(text))

    def error(self, error: BaseException | None) -> None:
        """Mask the texts of an error, of its causes and of the errors that it was raised after."""
        seen: set[int] = set()
        waiting = [error]
        while waiting:
            current = waiting.pop()
            if current is None or id(current) in seen:
                continue
            seen.add(id(current))
            waiting += [current.__cause__, current.__context__]
            current.args = tuple(map(self._value, current.args))
            vars(current).update({name: self._value(value) for name, value in vars(current).items()})

    def _value(self, value: object) -> object:
        if isinstance(value, bytes):
            return self.text(value.decode("latin-1")).encode("latin-1")
        return self.text(value) if isinstance(value, str) else value

    def filter(self, record: logging.LogRecord) -> bool:
        """Mask a record of the HTTP libraries, which log what the server sends."""
        record.msg, record.args = self.text(record.getMessage()), None
        return True

    @contextmanager
    def active(self) -> Iterator[None]:
        """Mask what the HTTP libraries log, and excerpts of what the server sends."""
        with ExitStack() as scope:
            scope.enter_context(masked_excerpts(self._find))
            for name in HTTP_LOGGERS:
                logger = logging.getLogger(name)
                logger.addFilter(self)
                scope.callback(logger.removeFilter, self)
            yield


def _replacement(token: Secret) -> Callable[[str], str]:
    # A closure, not an attribute: the pattern spells the token out, and a repr would show it.
    pattern = re.compile(_GAP.join(map(_spellings, token.reveal())))
    return lambda text: pattern.sub(MASK, text)


def _finder(token: Secret) -> Callable[[str], list[Span]]:
    """Return a function that finds the token in a text, and a beginning of it at the end."""
    whole = re.compile(_GAP.join(map(_spellings, token.reveal())))
    characters = [re.compile(_spellings(character) + _GAP) for character in token.reveal()]

    def find(text: str) -> list[Span]:
        spans = [match.span() for match in whole.finditer(text)]
        free = max(len(text) - min(MARGIN, LONGEST_SPELLING * len(characters)), spans[-1][1] if spans else 0)
        begins = (at for at in range(free, len(text)) if _is_beginning(text, at, characters))
        return [*spans, *((at, len(text)) for at in islice(begins, 1))]

    return find


def _is_beginning(text: str, at: int, characters: Sequence[re.Pattern[str]]) -> bool:
    """Return whether a text ends with a beginning of the token, and perhaps with half an escape."""
    for count, character in enumerate(characters):
        match = character.match(text, at)
        if match is None or at == len(text):
            return count >= MIN_BEGINNING and _HALF_ESCAPE.fullmatch(text, at) is not None
        at = match.end()
    return False


def _spellings(character: str) -> str:
    r"""Return a pattern for a character as itself and as JSON, Python, URLs and HTML escape it (``=``, ``\u003d``)."""
    code = ord(character)
    escaped = [rf"\\{{1,4}}(?:u00|x){code:02x}", f"%{code:02x}", f"&#0{{0,4}}{code};", f"&#x0{{0,4}}{code:x};"]
    literal = [re.escape(text) for text in {character, html.escape(character)}]
    if not character.isalnum():
        literal.append(rf"\\{{1,4}}{re.escape(character)}")
    return f"(?:{'|'.join(literal)}|(?i:{'|'.join(escaped)}))"
