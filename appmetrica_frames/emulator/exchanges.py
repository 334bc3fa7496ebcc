"""What was asked and answered, recorded for tests and demonstrations."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


SMALL = 64 << 10


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer.

    Attributes
    ----------
    number : int
        Counted from 1 in the order in which the answers' headers went out.
    method, path : str
    query : tuple of (str, str)
        The decoded query pairs in the order sent.
    headers : dict of str to str
        The request's headers, names in lower case.
    status : int
        The answer's status.
    text : str
        The answer's body where it is small and no file, otherwise an empty text.
    """

    number: int
    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: dict[str, str]
    status: int
    text: str


class Recorder:
    """ASGI middleware that appends an `Exchange` for every answer before any byte of it leaves."""

    def __init__(self, app: ASGIApp, exchanges: list[Exchange]) -> None:
        self.app = app
        self.exchanges = exchanges
        self._numbers = count(len(exchanges) + 1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        held: list[Message] = []

        # The head is held until the body's first piece is known: whoever reads the answer finds it recorded.
        async def recording(message: Message) -> None:
            if message["type"] == "http.response.start":
                held.append(message)
                return
            if held:
                start = held.pop()
                self.exchanges.append(_exchange(next(self._numbers), scope, start, message))
                await send(start)
            await send(message)

        await self.app(scope, receive, recording)


def _exchange(number: int, scope: Scope, start: Message, body: Message) -> Exchange:
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
    if body.get("more_body") or len(content) > SMALL:
        return ""
    return content.decode("utf-8", "replace")
