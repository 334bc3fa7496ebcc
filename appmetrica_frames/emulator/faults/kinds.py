"""Kinds of faults. Each one rewrites a response; those of a tuple do so one after another.

Positions in a body are bytes as sent, gzipped but not framed; negative ones count from the end.
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

from appmetrica_frames.emulator.request import ApiError

from .response import Ending, Framing, Response

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


RECORD = re.compile(rb'(?:"[^"]*"|[^"\n])+\n?|\n')
LETTER = re.compile(rb"[A-Za-z](?=[^A-Za-z]*\Z)")


class Fault:
    """Something that goes wrong with a response."""

    reached: bool = True  # whether the request reaches the emulator

    def apply(self, response: Response) -> Response:
        """Return the response with the fault applied."""
        raise NotImplementedError


FaultSpec: TypeAlias = Fault | tuple[Fault, ...] | None


@dataclass(frozen=True)
class Answer(Fault):
    """Another response altogether.

    Parameters
    ----------
    status : int
    body : str, bytes, dict or list
        A dict or a list is sent as JSON, str and bytes as ``text/plain``.
    headers : mapping of str to str
        Additional headers, which take precedence over those of the body and `retry_after`.
    retry_after : int or aware datetime, optional
        The value of ``Retry-After``: seconds, or a date.
    reached : bool
        Whether the request takes effect although its own response is lost, as behind a gateway that timed out.
    """

    status: int
    body: str | bytes | dict[str, Any] | list[Any] = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    retry_after: int | datetime | None = None
    reached: bool = False

    def apply(self, response: Response) -> Response:
        media_type, body = self._encode_body()
        headers = {"Content-Type": media_type, **self._retry_header()}
        return replace(response, status=self.status, headers=tuple(headers.items()), body=body).with_headers(
            self.headers
        )

    def _encode_body(self) -> tuple[str, bytes]:
        if isinstance(self.body, dict | list):
            return "application/json", json.dumps(self.body).encode()
        return "text/plain", self.body.encode() if isinstance(self.body, str) else self.body

    def _retry_header(self) -> dict[str, str]:
        if self.retry_after is None:
            return {}
        if isinstance(self.retry_after, datetime):
            return {"Retry-After": format_datetime(self.retry_after.astimezone(UTC), usegmt=True)}
        return {"Retry-After": str(self.retry_after)}


@dataclass(frozen=True)
class Refuse(Fault):
    """The connection is closed without a response, and the request never arrives."""

    reached = False

    def apply(self, response: Response) -> Response:
        return replace(response, ending=Ending(None, "close"))


@dataclass(frozen=True)
class Reset(Fault):
    """The connection is reset (RST) before the response, or after `after` bytes of the body."""

    after: int | None = None

    def apply(self, response: Response) -> Response:
        return replace(response, ending=Ending(_resolve_position(self.after, response), "reset"))


@dataclass(frozen=True)
class Stall(Fault):
    """Silence instead of a response, or after `after` bytes of the body, until the client disconnects."""

    after: int | None = None

    def apply(self, response: Response) -> Response:
        return replace(response, ending=Ending(_resolve_position(self.after, response), "silence"))


@dataclass(frozen=True)
class Cut(Fault):
    """The body ends at `at` and the connection is closed.

    At the very end of the body, a ``"chunked"`` one lacks its last chunk; with other framings it is complete.
    """

    at: int
    framing: Framing = "length"
    gzip: bool | None = None

    def apply(self, response: Response) -> Response:
        framed = Frame(self.framing, self.gzip).apply(response)
        if self.framing == "length" and self.at >= len(framed.body):
            return framed
        return replace(framed, ending=Ending(_resolve_position(self.at, framed), "close"))


@dataclass(frozen=True)
class Frame(Fault):
    """The same body in another framing; ``gzip=None`` keeps the negotiated content encoding."""

    framing: Framing
    gzip: bool | None = None

    def apply(self, response: Response) -> Response:
        framed = replace(response, framing=self.framing)
        if self.gzip in {None, response.is_gzipped}:
            return framed
        return framed.with_body(response.content, is_gzipped=bool(self.gzip))


@dataclass(frozen=True)
class Delay(Fault):
    """A delay before the status line, in seconds of real time."""

    seconds: float

    def apply(self, response: Response) -> Response:
        return replace(response, delay=self.seconds)


@dataclass(frozen=True)
class Trickle(Fault):
    """A slow body; after `seconds` of real time the rest is sent at once."""

    bytes_per_second: float
    seconds: float = 60.0

    def apply(self, response: Response) -> Response:
        return replace(response, pace=self.bytes_per_second, paced_for=self.seconds)


@dataclass(frozen=True)
class Flip(Fault):
    """One bit of the body is flipped."""

    at: int
    bit: int

    def apply(self, response: Response) -> Response:
        body = bytearray(response.body)
        body[self.at] ^= 1 << self.bit
        return replace(response, body=bytes(body))


@dataclass(frozen=True)
class Append(Fault):
    """Additional bytes after the body, inside its framing."""

    content: bytes

    def apply(self, response: Response) -> Response:
        return replace(response, body=response.body + self.content)


@dataclass(frozen=True)
class Replace(Fault):
    """A 200 with another body, which is not gzipped unless a `Frame` follows."""

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    def apply(self, response: Response) -> Response:
        return replace(response.with_body(self.body, is_gzipped=False), status=200).with_headers(self.headers)


@dataclass(frozen=True)
class Alter(Fault):
    """Another body with the same encoding: `change` gets the decoded body and returns the new one."""

    change: Callable[[bytes], bytes]

    def apply(self, response: Response) -> Response:
        return response.with_body(self.change(response.content), is_gzipped=response.is_gzipped)


def wrong_header(name: str = "stranger") -> Alter:
    """Return a fault that renames the first column of a CSV."""
    return _alter_record(0, lambda cells: [name, *cells[1:]])


def short_row(row: int = 1) -> Alter:
    """Return a fault that removes the last cell of a CSV row, counted from 1."""
    return _alter_record(row, lambda cells: cells[:-1])


def invalid_utf8() -> Alter:
    """Return a fault that replaces the last letter of the body by the byte FF."""
    return Alter(lambda body: LETTER.sub(b"\xff", body))


def html_page(status: int = 200) -> Answer:
    """Return an HTML page, as proxies and gateways send it."""
    page = f"<!DOCTYPE html>\n<html><head><title>{status}</title></head><body><h1>Out of order</h1></body></html>\n"
    return Answer(status, page, {"Content-Type": "text/html"})


def json_error(status: int, message: str) -> Answer:
    """Return an error response in the format of the API."""
    body: dict[str, Any] = json.loads(ApiError(status, message, error_type="backend_error").body())
    return Answer(status, body)


def redirect(location: str, status: int = 302) -> Answer:
    return Answer(status, "", {"Location": location})


def _resolve_position(position: int | None, response: Response) -> int | None:
    return position if position is None or position >= 0 else max(0, len(response.body) + position)


def _alter_record(row: int, change: Callable[[list[str]], list[str]]) -> Alter:
    def alter(body: bytes) -> bytes:
        records = RECORD.findall(body)
        line_end = b"\n" if records[row].endswith(b"\n") else b""
        (cells,) = csv.reader(StringIO(records[row].decode().removesuffix("\n"), newline=""))
        buffer = StringIO()
        csv.writer(buffer, lineterminator="").writerow(change(cells))
        records[row] = buffer.getvalue().encode() + line_end
        return b"".join(records)

    return Alter(alter)
