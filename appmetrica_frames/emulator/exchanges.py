"""A log of requests and responses, for tests and demonstrations."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


MAX_TEXT = 64 << 10
MAX_EXCHANGES = 10_000  # an emulator that runs for days must not grow


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its response.

    Attributes
    ----------
    number : int
        Counted from 1 in the order in which the response headers were sent.
    method, path : str
    query : tuple of (str, str)
        The decoded query pairs in the order sent.
    headers : dict of str to str
        The request's headers, names in lower case.
    status : int
        The status of the response.
    text : str
        The body of the response if it is small and not a file, otherwise an empty string.
    """

    number: int
    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: dict[str, str]
    status: int
    text: str


class Recorder:
    """ASGI middleware that appends an `Exchange` for every response before any byte of it is sent.

    The log keeps the last `limit` exchanges.
    """

    def __init__(self, app: ASGIApp, exchanges: list[Exchange], limit: int = MAX_EXCHANGES) -> None:
        self.app = app
        self.exchanges = exchanges
        self._limit = limit
        self._numbers = count(len(exchanges) + 1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        held_back: list[Message] = []

        # The headers are held_back back until the first chunk of the body is known, so that a client that reads the
        # response finds it in the log.
        async def send_recorded(message: Message) -> None:
            if message["type"] == "http.response.start":
                held_back.append(message)
                return
            if held_back:
                start = held_back.pop()
                self._append(_build_exchange(next(self._numbers), scope, start, message))
                await send(start)
            await send(message)

        await self.app(scope, receive, send_recorded)

    def _append(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)
        del self.exchanges[: -self._limit]


def _build_exchange(number: int, scope: Scope, start: Message, body: Message) -> Exchange:
    return Exchange(
        number=number,
        method=scope["method"],
        path=scope["path"],
        query=tuple(parse_qsl(scope["query_string"].decode("ascii"), keep_blank_values=True)),
        headers={name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]},
        status=start["status"],
        text=_text(body),
    )


def _text(body: Message) -> str:
    content: bytes = body.get("body", b"")
    if body.get("more_body") or len(content) > MAX_TEXT:
        return ""
    return content.decode("utf-8", "replace")
