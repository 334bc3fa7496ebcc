"""A proxy on loopback that passes bytes on as they are, or spoils the answers that a plan names."""

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

from .plan import parted, request_of
from .reply import Reply

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter
    from collections.abc import AsyncIterator

    from .plan import Plans, Request


HEAD_END = b"\r\n\r\n"
BLOCK = 64 << 10
STEP = 0.05
LINGER_NOT = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Upstream:
    """The emulator's own answer: its head, and a body still to be read."""

    head: bytes
    length: int
    body: StreamReader

    @property
    def status(self) -> int:
        return int(parted(self.head)[0].split(" ", 2)[1])

    async def reply(self) -> Reply:
        return Reply(self.status, parted(self.head)[1], await self.body.readexactly(self.length))


class Proxy:
    """Listens in a thread of its own, with an event loop that ends with it."""

    def __init__(self, listener: socket.socket, address: tuple[str, int], plans: Plans) -> None:
        self._listener = listener
        self._address = address
        self._plans = plans
        self._started = Event()
        self._conversations: dict[asyncio.Task[None], StreamWriter] = {}
        self._failures: list[BaseException] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._thread = Thread(target=lambda: asyncio.run(self._serve()), name="emulator-proxy", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._started.wait()

    def stop(self) -> None:
        """Hang up on everybody and return when nothing is left open.

        Raises
        ------
        RuntimeError
            If a plan failed: a test must not take that for an answer.
        """
        if self._loop is not None and self._stopping is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        if self._failures:
            raise RuntimeError("A planned fault could not be carried out.") from self._failures[0]

    async def _serve(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._accept, sock=self._listener)
        self._started.set()
        await self._stopping.wait()
        server.close()
        await self._hang_up()

    async def _hang_up(self) -> None:
        open_ones = dict(self._conversations)
        for task, writer in open_ones.items():
            task.cancel()
            writer.transport.abort()
        await asyncio.gather(*open_ones, return_exceptions=True)
        for writer in open_ones.values():
            with suppress(OSError):
                await writer.wait_closed()

    def _accept(self, reader: StreamReader, writer: StreamWriter) -> None:
        # Known from its first moment: a connection that stop() did not know would stay open.
        task = asyncio.get_running_loop().create_task(self._converse(reader, writer))
        self._conversations[task] = writer
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        del self._conversations[task]
        failure = None if task.cancelled() else task.exception()
        if failure is not None:
            self._failures.append(failure)

    async def _converse(self, reader: StreamReader, writer: StreamWriter) -> None:
        # Nothing waits in a buffer of ours, so that what was written before a reset has left.
        writer.transport.set_write_buffer_limits(0)
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                while await self._answer(await _message(reader), reader, writer):
                    pass
        finally:
            writer.close()

    async def _answer(self, message: bytes, reader: StreamReader, writer: StreamWriter) -> bool:
        """Answer one request; return whether the connection may serve another."""
        request = request_of(message)
        faults = (self._plans.exports if request.exports else self._plans.calls).draw(request)
        reply = Reply(200)
        if all(fault.reached for fault in faults):
            async with self._asked(message, request) as upstream:
                if request.exports and upstream.status == 200:  # noqa: PLR2004
                    faults += self._plans.bodies.draw(request)
                if not faults:
                    return await _pass_on(upstream, writer)
                reply = await upstream.reply()
        spoiled = reduce(lambda reply, fault: fault.spoil(reply), faults, reply)
        await _send(spoiled, reader, writer)
        return spoiled.reusable and request.headers.get("connection") != "close"

    @asynccontextmanager
    async def _asked(self, message: bytes, request: Request) -> AsyncIterator[Upstream]:
        """Pass a request on, over a connection of its own: one that is kept may be closed just when it is used."""
        reader, writer = await asyncio.open_connection(*self._address)
        try:
            writer.write(message)
            head = await reader.readuntil(HEAD_END)
            yield Upstream(head, 0 if request.method == "HEAD" else _length(head), reader)
        finally:
            writer.close()


async def _message(reader: StreamReader) -> bytes:
    head = await reader.readuntil(HEAD_END)
    return head + await reader.readexactly(_length(head, "0"))


def _length(head: bytes, unstated: str | None = None) -> int:
    named = {name.lower(): value for name, value in parted(head)[1]}
    return int(named.get("content-length", unstated) or "")


async def _pass_on(upstream: Upstream, writer: StreamWriter) -> bool:
    writer.write(upstream.head)
    left = upstream.length
    while left:
        block = await upstream.body.readexactly(min(left, BLOCK))
        writer.write(block)
        await writer.drain()
        left -= len(block)
    await writer.drain()
    return ("connection", "close") not in parted(upstream.head.lower())[1]


async def _send(reply: Reply, reader: StreamReader, writer: StreamWriter) -> None:
    await asyncio.sleep(reply.delay)
    if reply.ending is None or reply.ending.after is not None:
        writer.write(reply.head())
        await _write(reply, writer)
    if reply.ending is not None and reply.ending.how == "silence":
        while await reader.read(BLOCK):
            pass
    if reply.ending is not None and reply.ending.how == "reset":
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
        writer.transport.abort()


async def _write(reply: Reply, writer: StreamWriter) -> None:
    content = reply.framed()
    if reply.pace is not None:
        size = max(1, round(reply.pace * STEP))
        for _ in range(round(reply.paced_for * reply.pace / size)):
            writer.write(content[:size])
            await writer.drain()
            content = content[size:]
            if not content:
                return
            await asyncio.sleep(size / reply.pace)
    writer.write(content)
    await writer.drain()
