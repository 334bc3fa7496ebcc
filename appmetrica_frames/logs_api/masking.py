"""Keeps the token out of every text, should a server echo it in whatever escaped form."""

from __future__ import annotations

import html
import logging
import re
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from appmetrica_frames.util.config import Secret

MASK = "***"
HTTP_LOGGERS = ("httpx", "httpcore.connection", "httpcore.http11", "httpcore.proxy", "httpcore.socks")


class TokenMask:
    """Replaces a token in texts, errors and log records."""

    def __init__(self, token: Secret) -> None:
        self.text: Callable[[str], str] = _replacement(token)

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
    def masked_logs(self) -> Iterator[None]:
        """Mask what the HTTP libraries log."""
        with ExitStack() as scope:
            for name in HTTP_LOGGERS:
                logger = logging.getLogger(name)
                logger.addFilter(self)
                scope.callback(logger.removeFilter, self)
            yield


def _replacement(token: Secret) -> Callable[[str], str]:
    # A closure, not an attribute: the pattern spells the token out, and a repr would show it.
    pattern = re.compile(r"\x00{0,3}".join(map(_spellings, token.reveal())))
    return lambda text: pattern.sub(MASK, text)


def _spellings(character: str) -> str:
    r"""Return a pattern for a character as itself and as JSON, Python, URLs and HTML escape it (``=``, ``\u003d``)."""
    code = ord(character)
    escaped = [rf"\\{{1,4}}(?:u00|x){code:02x}", f"%{code:02x}", f"&#0{{0,4}}{code};", f"&#x0{{0,4}}{code:x};"]
    literal = [re.escape(text) for text in {character, html.escape(character)}]
    if not character.isalnum():
        literal.append(rf"\\{{1,4}}{re.escape(character)}")
    return f"(?:{'|'.join(literal)}|(?i:{'|'.join(escaped)}))"
