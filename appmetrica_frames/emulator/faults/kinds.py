"""What can go wrong on the way: each fault rewrites an answer, several in a tuple do so one after another.

Places in a body are counted in bytes as they come over the wire, that is of the gzip where it is one, without what
frames it; negative ones count from the end.
"""

from __future__ import annotations

import csv
import json
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import format_datetime
from io import StringIO
from typing import TYPE_CHECKING, Any, TypeAlias

from appmetrica_frames.emulator.request import Refusal

from .reply import Ending, Framing, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


RECORD = re.compile(rb'(?:"[^"]*"|[^"\n])+\n?|\n')
LETTER = re.compile(rb"[A-Za-z](?=[^A-Za-z]*\Z)")


class Fault:
    """Something that goes wrong with an answer."""

    reached: bool = True  # whether the emulator gets the request at all

    def spoil(self, reply: Reply) -> Reply:
        """Return what becomes of the answer."""
        raise NotImplementedError


Spoiled: TypeAlias = Fault | tuple[Fault, ...] | None


@dataclass(frozen=True)
class Answer(Fault):
    """Another answer altogether.

    Parameters
    ----------
    status : int
    body : str, bytes, dict or list
        A dict or a list is sent as JSON, a text or bytes as ``text/plain``.
    headers : mapping of str to str
        Further ones, or others than those that the body and `retry_after` make.
    retry_after : int or aware datetime, optional
        What ``Retry-After`` says: seconds, or a date.
    reached : bool
        Whether the request takes effect although its own answer is lost, as behind a gateway that gave up waiting.
    """

    status: int
    body: str | bytes | dict[str, Any] | list[Any] = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    retry_after: int | datetime | None = None
    reached: bool = False

    def spoil(self, reply: Reply) -> Reply:
        media_type, body = self._content()
        made = {"Content-Type": media_type, **self._retry()}
        return replace(reply, status=self.status, headers=tuple(made.items()), body=body).updated(self.headers)

    def _content(self) -> tuple[str, bytes]:
        if isinstance(self.body, dict | list):
            return "application/json", json.dumps(self.body).encode()
        return "text/plain", self.body.encode() if isinstance(self.body, str) else self.body

    def _retry(self) -> dict[str, str]:
        if self.retry_after is None:
            return {}
        if isinstance(self.retry_after, datetime):
            return {"Retry-After": format_datetime(self.retry_after.astimezone(UTC), usegmt=True)}
        return {"Retry-After": str(self.retry_after)}


@dataclass(frozen=True)
class Refuse(Fault):
    """The connection is closed without an answer, and the request never arrives."""

    reached = False

    def spoil(self, reply: Reply) -> Reply:
        return replace(reply, ending=Ending(None, "close"))


@dataclass(frozen=True)
class Reset(Fault):
    """The connection is reset (RST) before the answer, or after that many bytes of the body."""

    after: int | None = None

    def spoil(self, reply: Reply) -> Reply:
        return replace(reply, ending=Ending(_from_start(self.after, reply), "reset"))


@dataclass(frozen=True)
class Stall(Fault):
    """Silence instead of an answer, or after that many bytes of the body, until the client goes away."""

    after: int | None = None

    def spoil(self, reply: Reply) -> Reply:
        return replace(reply, ending=Ending(_from_start(self.after, reply), "silence"))


@dataclass(frozen=True)
class Cut(Fault):
    """The body ends after so many bytes and the connection is closed, in some framing.

    At the very end of the body, ``"chunked"`` still lacks its last chunk; in the other two framings it is whole then.
    """

    at: int
    framing: Framing = "length"
    gzip: bool | None = None

    def spoil(self, reply: Reply) -> Reply:
        framed = Frame(self.framing, self.gzip).spoil(reply)
        if self.framing == "length" and self.at >= len(framed.body):
            return framed
        return replace(framed, ending=Ending(_from_start(self.at, framed), "close"))


@dataclass(frozen=True)
class Frame(Fault):
    """The same body in another framing; `gzip` None leaves its encoding as the client negotiated it."""

    framing: Framing
    gzip: bool | None = None

    def spoil(self, reply: Reply) -> Reply:
        framed = replace(reply, framing=self.framing)
        if self.gzip in {None, reply.zipped}:
            return framed
        return framed.carrying(reply.plain, zipped=bool(self.gzip))


@dataclass(frozen=True)
class Delay(Fault):
    """Seconds of real time before the status line."""

    seconds: float

    def spoil(self, reply: Reply) -> Reply:
        return replace(reply, delay=self.seconds)


@dataclass(frozen=True)
class Trickle(Fault):
    """A body that comes slowly, and after that many seconds of real time all the rest at once."""

    bytes_per_second: float
    seconds: float = 60.0

    def spoil(self, reply: Reply) -> Reply:
        return replace(reply, pace=self.bytes_per_second, paced_for=self.seconds)


@dataclass(frozen=True)
class Flip(Fault):
    """One bit of the body is flipped."""

    at: int
    bit: int

    def spoil(self, reply: Reply) -> Reply:
        body = bytearray(reply.body)
        body[self.at] ^= 1 << self.bit
        return replace(reply, body=bytes(body))


@dataclass(frozen=True)
class Append(Fault):
    """Bytes after the body, inside its framing."""

    content: bytes

    def spoil(self, reply: Reply) -> Reply:
        return replace(reply, body=reply.body + self.content)


@dataclass(frozen=True)
class Replace(Fault):
    """A 200 with another body, which is not encoded unless `Frame` is told to."""

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    def spoil(self, reply: Reply) -> Reply:
        return replace(reply.carrying(self.body, zipped=False), status=200).updated(self.headers)


@dataclass(frozen=True)
class Alter(Fault):
    """Another text under the same encoding: `change` gets the decoded body and returns the altered one."""

    change: Callable[[bytes], bytes]

    def spoil(self, reply: Reply) -> Reply:
        return reply.carrying(self.change(reply.plain), zipped=reply.zipped)


def wrong_header(name: str = "stranger") -> Alter:
    """Return a CSV whose first column is called something else."""
    return _record_altered(0, lambda cells: [name, *cells[1:]])


def short_row(row: int = 1) -> Alter:
    """Return a CSV one row of which, counted from 1, lacks its last cell."""
    return _record_altered(row, lambda cells: cells[:-1])


def invalid_utf8() -> Alter:
    """Return a body whose last letter is the byte FF."""
    return Alter(lambda body: LETTER.sub(b"\xff", body))


def html_page(status: int = 200) -> Answer:
    """Return a page in HTML, as proxies and gateways write them."""
    page = f"<!DOCTYPE html>\n<html><head><title>{status}</title></head><body><h1>Out of order</h1></body></html>\n"
    return Answer(status, page, {"Content-Type": "text/html"})


def json_error(status: int, message: str) -> Answer:
    """Return an error in the shape of the API's own."""
    body: dict[str, Any] = json.loads(Refusal(status, message, error_type="backend_error").body())
    return Answer(status, body)


def redirect(location: str, status: int = 302) -> Answer:
    return Answer(status, "", {"Location": location})


def _from_start(place: int | None, reply: Reply) -> int | None:
    return place if place is None or place >= 0 else max(0, len(reply.body) + place)


def _record_altered(row: int, change: Callable[[list[str]], list[str]]) -> Alter:
    def altered(body: bytes) -> bytes:
        records = RECORD.findall(body)
        line_end = b"\n" if records[row].endswith(b"\n") else b""
        (cells,) = csv.reader(StringIO(records[row].decode().removesuffix("\n"), newline=""))
        written = StringIO()
        csv.writer(written, lineterminator="").writerow(change(cells))
        records[row] = written.getvalue().encode() + line_end
        return b"".join(records)

    return Alter(altered)
