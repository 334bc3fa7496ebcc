"""A proxy on loopback that relays responses as they are, or with the faults of a plan."""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import reduce
from threading import Event, Thread
from typing import TYPE_CHECKING

from .plan import parse_head, parse_request
from .response import Response

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter
    from collections.abc import AsyncIterator

    from .plan import FaultPlans, Request


HEAD_END = b"\r\n\r\n"
BLOCK = 64 << 10
STEP = 0.05
NO_LINGER = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Upstream:
    """The response of the emulator: its head, and a body that is not read yet."""

    head: bytes
    length: int
    body: StreamReader

    @property
    def status(self) -> int:
        return int(parse_head(self.head)[0].split(" ", 2)[1])

    async def read(self) -> Response:
        return Response(self.status, parse_head(self.head)[1], await self.body.readexactly(self.length))


class Proxy:
    """A proxy in a thread of its own, with its own event loop."""

    def __init__(self, listener: socket.socket, address: tuple[str, int], plans: FaultPlans) -> None:
        self._listener = listener
        self._address = address
        self._plans = plans
        self._started = Event()
        self._connections: dict[asyncio.Task[None], StreamWriter] = {}
        self._failures: list[BaseException] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._thread = Thread(target=lambda: asyncio.run(self._serve()), name="emulator-proxy", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._started.wait()

    def stop(self) -> None:
        """Close all connections, and return when nothing is remaining open.

        Raises
        ------
        RuntimeError
            If a plan failed, which a test must not mistake for a response.
        """
        if self._loop is not None and self._stopping is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        if self._failures:
            raise RuntimeError("A planned fault could not be applied.") from self._failures[0]

    async def _serve(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._accept, sock=self._listener)
        self._started.set()
        await self._stopping.wait()
        server.close()
        await self._close_connections()

    async def _close_connections(self) -> None:
        connections = dict(self._connections)
        for task, writer in connections.items():
            task.cancel()
            writer.transport.abort()
        await asyncio.gather(*connections, return_exceptions=True)
        for writer in connections.values():
            with suppress(OSError):
                await writer.wait_closed()

    def _accept(self, reader: StreamReader, writer: StreamWriter) -> None:
        # Registered at once: stop() would leave an unregistered connection open.
        task = asyncio.get_running_loop().create_task(self._serve_connection(reader, writer))
        self._connections[task] = writer
        task.add_done_callback(self._on_closed)

    def _on_closed(self, task: asyncio.Task[None]) -> None:
        del self._connections[task]
        failure = None if task.cancelled() else task.exception()
        if failure is not None:
            self._failures.append(failure)

    async def _serve_connection(self, reader: StreamReader, writer: StreamWriter) -> None:
        # Without a write buffer, so that what was written before a reset has been sent.
        writer.transport.set_write_buffer_limits(0)
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                while await self._respond(await _read_message(reader), reader, writer):
                    pass
        finally:
            writer.close()

    async def _respond(self, message: bytes, reader: StreamReader, writer: StreamWriter) -> bool:
        """Respond to one request; return whether the connection may serve another."""
        request = parse_request(message)
        faults = (self._plans.exports if request.is_export else self._plans.calls).next_faults(request)
        response = Response(200)
        if all(fault.reached for fault in faults):
            async with self._forward(message, request) as upstream:
                if request.is_export and upstream.status == 200:  # noqa: PLR2004
                    faults += self._plans.bodies.next_faults(request)
                if not faults:
                    return await _relay(upstream, writer)
                response = await upstream.read()
        response = reduce(lambda response, fault: fault.apply(response), faults, response)
        await _send(response, reader, writer)
        return response.is_reusable and request.headers.get("connection") != "close"

    @asynccontextmanager
    async def _forward(self, message: bytes, request: Request) -> AsyncIterator[Upstream]:
        """Forward a request over a new connection, because a kept one may be closed when it is used."""
        reader, writer = await asyncio.open_connection(*self._address)
        try:
            writer.write(message)
            head = await reader.readuntil(HEAD_END)
            yield Upstream(head, 0 if request.method == "HEAD" else _get_content_length(head), reader)
        finally:
            writer.close()


async def _read_message(reader: StreamReader) -> bytes:
    head = await reader.readuntil(HEAD_END)
    return head + await reader.readexactly(_get_content_length(head, "0"))


def _get_content_length(head: bytes, default: str | None = None) -> int:
    headers = {name.lower(): value for name, value in parse_head(head)[1]}
    return int(headers.get("content-length", default) or "")


async def _relay(upstream: Upstream, writer: StreamWriter) -> bool:
    writer.write(upstream.head)
    remaining = upstream.length
    while remaining:
        block = await upstream.body.readexactly(min(remaining, BLOCK))
        writer.write(block)
        await writer.drain()
        remaining -= len(block)
    await writer.drain()
    return ("connection", "close") not in parse_head(upstream.head.lower())[1]


async def _send(response: Response, reader: StreamReader, writer: StreamWriter) -> None:
    await asyncio.sleep(response.delay)
    if response.ending is None or response.ending.after is not None:
        writer.write(response.format_head())
        await _write(response, writer)
    if response.ending is not None and response.ending.kind == "silence":
        while await reader.read(BLOCK):
            pass
    if response.ending is not None and response.ending.kind == "reset":
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        writer.transport.abort()


async def _write(response: Response, writer: StreamWriter) -> None:
    content = response.frame_body()
    if response.pace is not None:
        size = max(1, round(response.pace * STEP))
        for _ in range(round(response.paced_for * response.pace / size)):
            writer.write(content[:size])
            await writer.drain()
            content = content[size:]
            if not content:
                return
            await asyncio.sleep(size / response.pace)
    writer.write(content)
    await writer.drain()
